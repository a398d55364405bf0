//! Scenarios of account management: display name, change of password, reset, deletion.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::browser::Browser;
use crate::page::{self, Person};
use crate::process::wait_for;
use crate::requests::{count_status, in_order};
use crate::server::Server;
use crate::test_context::{TestContext, scenario};
use crate::{data, settings, sync};

/// Scenario 10. A new password, set in one browser: that one goes on, the other asks for it, and nothing is
/// uploaded again.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn password_change_keeps_the_keys() -> Result<()> {
    scenario("password-change", |test| {
        let mut ann = test.connect_both()?;
        let store = sync::store(&mut test.a)?;
        let before = test.server.requests()?.len();

        settings::open(&mut test.a, &test.server.url)?;
        settings::change_password(&mut test.a, &mut ann)?;

        sync::sync_well(&mut test.a)?;
        assert_eq!(sync::store(&mut test.a)?, store);
        in_order(
            &test.server.requests_since(before)?,
            &[
                ("POST", "/v1/password/change/start", 200),
                ("GET", "/v1/account/keys", 200),
                ("POST", "/v1/password/change/finish", 200),
                ("POST", "/v1/account/device", 200),
            ],
        )?;
        let before = test.server.requests()?.len();
        until_login_failed(&mut test.b)?;
        sign_in_again(&mut test.b, &test.server, &ann)?;
        sync::sync_well(&mut test.b)?;
        assert_eq!(sync::store(&mut test.b)?, store);
        let requests = test.server.requests_since(before)?;
        let uploads = count_status(&requests, "PUT", "/1.5/*/storage/crypto/keys", 200);
        assert_eq!(uploads, 0, "the keys stay, so they are not uploaded again");
        Ok(())
    })
}

/// Scenario 11. A forgotten password is reset with the operator's code, a wrong one refused on the way: there is
/// a new key and a new store, and the browser uploads everything again.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn reset_makes_a_new_store() -> Result<()> {
    scenario("reset", |test| {
        let mut ann = Person::ann();
        let url = "https://example.org/before-the-reset";
        test.sign_up_in_a(&ann)?;
        data::add_bookmark(&mut test.a, url)?;
        sync::sync_well(&mut test.a)?;
        let (old_store, old_key) = sync::store(&mut test.a)?;

        reset(test, &mut ann)?;

        until_login_failed(&mut test.a)?;
        sign_in_again(&mut test.a, &test.server, &ann)?;
        sync::sync_well(&mut test.a)?;
        let (store, key) = sync::store(&mut test.a)?;
        assert_ne!(store, old_store);
        assert_ne!(key, old_key);
        test.sign_in_in_b(&ann)?;
        sync::sync_until(&mut test.b, "the bookmark", |b| data::has_bookmark(b, url))
    })
}

/// In the second browser, which is signed in nowhere, sets a new password with a code.
fn reset(test: &mut TestContext, person: &mut Person) -> Result<()> {
    let address = format!("{}/reset_password", test.server.url);
    test.b.marionette.navigate(&address)?;
    page::wait_for_step(&mut test.b, "forgot")?;
    page::fill(&mut test.b, &[("email", &person.email)])?;
    page::submit(&mut test.b)?;
    page::wait_for_step(&mut test.b, "forgot-code")?;

    page::fill(&mut test.b, &[("code", &"0".repeat(32))])?;
    page::submit(&mut test.b)?;
    page::wait_for_state(&mut test.b, "error")?;
    let error = page::text(&mut test.b, "#code-error")?;
    assert!(error.contains("not the code"), "{error}");
    assert!(error.contains("Two tries are left"), "{error}");

    let output = test.server.run(&["user", "code", &person.email])?;
    let code = code(&output).with_context(|| format!("no code in: {output}"))?;
    page::fill(&mut test.b, &[("code", code)])?;
    page::submit(&mut test.b)?;
    page::wait_for_step(&mut test.b, "new-password")?;
    "a third set of wörds".clone_into(&mut person.password);
    let password = person.password.as_str();
    page::press(&mut test.b, "label:has(#understood)")?;
    page::fill(
        &mut test.b,
        &[("password", password), ("password-repeat", password)],
    )?;
    page::submit(&mut test.b)?;
    page::wait_for_step(&mut test.b, "reset-done")
}

/// The code in the output of the program: 32 digits.
fn code(output: &str) -> Option<&str> {
    output
        .split_whitespace()
        .find(|word| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Scenario 12, A16.59. The account is deleted: both browsers are signed out and keep what they have, and no file of the
/// server holds anything of it any more.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn deletion_leaves_nothing() -> Result<()> {
    scenario("deletion", |test| {
        let ann = test.connect_both()?;
        let url = "https://example.org/stays-in-the-browser";
        data::add_bookmark(&mut test.b, url)?;
        sync::sync_well(&mut test.b)?;
        let uid = sync::state(&mut test.a)?["uid"]
            .as_str()
            .context("a uid")?
            .to_owned();
        let client = sync::client_id(&mut test.b)?;
        let folder = test.server.data();
        test.server.stop();
        assert!(
            !find_texts(&folder, &[&ann.email, &uid, &client])?.is_empty(),
            "the search finds nothing at all"
        );
        test.server.resume()?;

        settings::open(&mut test.a, &test.server.url)?;
        settings::delete_account(&mut test.a, &ann)?;

        sync::wait_for_status(&mut test.a, "not_configured")?;
        wait_for("the second browser to notice", sync::SYNC_LIMIT, || {
            sync::sync(&mut test.b)?;
            Ok((sync::state(&mut test.b)?["status"] == "not_configured").then_some(()))
        })?;
        assert!(data::has_bookmark(&mut test.b, url)?);
        for chore in ["wipe-deleted-stores", "purge-expired-objects"] {
            test.server.run(&["chore", "run", chore])?;
        }
        test.server.stop();
        assert_eq!(
            find_texts(&folder, &[&ann.email, &uid, &client])?,
            Vec::<String>::new()
        );
        test.server.resume()
    })
}

/// A name given on the page reaches the browser.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn name_reaches_the_browser() -> Result<()> {
    scenario("name", |test| {
        test.sign_up_in_a(&Person::ann())?;
        settings::open(&mut test.a, &test.server.url)?;

        page::fill(&mut test.a, &[("name", "Ann of the den")])?;
        page::press(&mut test.a, "#you-form button")?;
        page::wait_for_state(&mut test.a, "done")?;

        wait_for("the name", sync::SYNC_LIMIT, || {
            let is_there = sync::state(&mut test.a)?["displayName"] == json!("Ann of the den");
            Ok(is_there.then_some(()))
        })
    })
}

/// Syncs until the browser has noticed that its session is gone, which it does when it needs a new storage token.
pub(super) fn until_login_failed(browser: &mut Browser) -> Result<()> {
    wait_for("the browser to ask for the password", sync::SYNC_LIMIT, || {
        sync::expire_storage_token(browser)?;
        sync::sync(browser)?;
        Ok((sync::state(browser)?["status"] == "login_failed").then_some(()))
    })
}

/// Logs in on the page that asks for the password again and already has the address.
pub(super) fn sign_in_again(browser: &mut Browser, server: &Server, person: &Person) -> Result<()> {
    let script = r#"await gSync.openSignInAgainPage("e2e");"#;
    browser.marionette.chrome(script, json!(null))?;
    page::go_to_tab(browser, |url| {
        url.starts_with(&server.url) && url.contains("client_id=")
    })?;
    page::wait_for_step(browser, "again")?;
    page::give_password(browser, person)?;
    page::wait_until_connected(browser)
}

/// Returns which of these texts occur in files below a folder, and where. Hexadecimal texts are also sought as raw bytes.
fn find_texts(folder: &Path, texts: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files(folder)? {
        let bytes = fs::read(&file)?;
        for text in texts {
            let raw = data_encoding::HEXLOWER
                .decode(text.as_bytes())
                .unwrap_or_default();
            let is_raw = !raw.is_empty() && contains(&bytes, &raw);
            if is_raw || contains(&bytes, text.as_bytes()) {
                found.push(format!("{text} in {}", file.display()));
            }
        }
    }
    Ok(found)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files.extend(self::files(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}
