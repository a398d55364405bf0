//! Common use: connecting browsers, syncing between them, signing out.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::page::{self, Person};
use crate::process::wait_for;
use crate::requests::{count, count_status, in_order};
use crate::test_context::scenario;
use crate::{data, sync};

/// The preferences that the discovery document sets, and what follows the server's address in each.
const ADDRESSES: [(&str, &str); 4] = [
    ("identity.fxaccounts.auth.uri", "/v1"),
    ("identity.fxaccounts.remote.oauth.uri", "/v1"),
    ("identity.fxaccounts.remote.profile.uri", "/v1"),
    ("identity.sync.tokenserver.uri", "/1.0/sync/1.5"),
];

/// Scenario 1. A user makes an account from Firefox's menu, and the browser syncs.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn sign_up_and_first_sync() -> Result<()> {
    scenario("sign-up", |test| {
        let ann = Person::ann();
        test.sign_up_in_a(&ann)?;

        let state = sync::state(&mut test.a)?;
        assert_eq!(state["email"], json!(ann.email));
        assert_eq!(state["syncEnabled"], true);
        assert_eq!(state["hasSyncKeys"], true);
        for (name, path) in ADDRESSES {
            let address = format!("{}{path}", test.server.url);
            assert_eq!(test.a.pref(name)?, json!(address), "{name}");
        }
        let root = test.a.pref("identity.fxaccounts.remote.root")?;
        let root = root.as_str().unwrap_or_default().trim_end_matches('/');
        assert_eq!(root, test.server.url);

        let requests = test.server.requests()?;
        in_order(&requests, &SIGN_UP)?;
        // Once before the browser has its keys, and once more with the commands that need them.
        assert_eq!(count_status(&requests, "POST", "/v1/account/device", 200), 2);
        let script = r#"
            const { Weave } = ChromeUtils.importESModule("resource://services-sync/main.sys.mjs");
            return Object.keys((await Weave.Service.resource(Weave.Service.infoURL).get()).obj);"#;
        let collections = test.a.marionette.chrome(script, json!(null))?;
        let collections = collections.as_array().context("collections")?;
        for name in [
            "meta",
            "crypto",
            "clients",
            "tabs",
            "bookmarks",
            "prefs",
            "history",
        ] {
            assert!(collections.contains(&json!(name)), "{name}: {collections:?}");
        }
        Ok(())
    })
}

/// The requests of a sign-up whose order the protocol fixes.
const SIGN_UP: [(&str, &str, u16); 16] = [
    ("GET", "/.well-known/fxa-client-configuration", 200),
    ("GET", "/", 200),
    ("POST", "/v1/account/create", 200),
    ("GET", "/v1/account/keys", 200),
    ("POST", "/v1/account/scoped-key-data", 200),
    ("POST", "/v1/account/device", 200),
    ("POST", "/v1/oauth/authorization", 200),
    ("POST", "/v1/oauth/token", 200),
    ("POST", "/v1/oauth/destroy", 200),
    ("GET", "/1.0/sync/1.5", 200),
    ("GET", "/1.5/*/info/collections", 200),
    ("GET", "/1.5/*/storage/meta/global", 404),
    ("PUT", "/1.5/*/storage/meta/global", 200),
    ("PUT", "/1.5/*/storage/crypto/keys", 200),
    ("POST", "/1.5/*/storage/clients", 200),
    ("POST", "/1.5/*/storage/bookmarks", 200),
];

/// Scenario 2. A bookmark made in one browser is in the other; both use one store and one key.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn bookmark_crosses() -> Result<()> {
    scenario("bookmark", |test| {
        let url = "https://example.org/a-den-of-ones-own";
        let ann = Person::ann();
        test.sign_up_in_a(&ann)?;
        data::add_bookmark(&mut test.a, url)?;
        sync::sync_well(&mut test.a)?;
        test.sign_in_in_b(&ann)?;

        sync::sync_until(&mut test.b, "the bookmark", |b| data::has_bookmark(b, url))?;

        assert_eq!(sync::store(&mut test.a)?, sync::store(&mut test.b)?);
        Ok(())
    })
}

/// Passwords, history and open tabs cross as bookmarks do, and the other way round as well.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn passwords_history_and_tabs_cross() -> Result<()> {
    scenario("all-kinds", |test| {
        test.connect_both()?;
        let page = format!("{}/docs/errors", test.server.url);
        data::visit(&mut test.a, "https://example.org/visited-in-a")?;
        data::add_login(&mut test.a, "https://example.org", "ann", "kept in a")?;
        test.a.marionette.navigate(&page)?;
        sync::sync_well(&mut test.a)?;

        sync::sync_until(&mut test.b, "the visit", |b| {
            data::was_visited(b, "https://example.org/visited-in-a")
        })?;
        sync::sync_until(&mut test.b, "the password", |b| {
            Ok(data::login(b, "https://example.org", "ann")? == "kept in a")
        })?;
        sync::sync_until(&mut test.b, "the open tab", |b| data::has_remote_tab(b, &page))?;

        data::add_bookmark(&mut test.b, "https://example.org/made-in-b")?;
        sync::sync_well(&mut test.b)?;
        sync::sync_until(&mut test.a, "the bookmark", |a| {
            data::has_bookmark(a, "https://example.org/made-in-b")
        })
    })
}

/// Scenario 3. Each browser sees both devices, itself marked, and both can be sent tabs.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn both_devices_are_listed() -> Result<()> {
    scenario("devices", |test| {
        test.connect_both()?;

        for browser in [&mut test.a, &mut test.b] {
            let devices = sync::devices(browser)?;
            assert_eq!(devices.len(), 2, "{devices:?}");
            let current = devices.iter().filter(|device| device["isCurrentDevice"] == true);
            assert_eq!(current.count(), 1, "{devices:?}");
            for device in &devices {
                let commands = device["availableCommands"].as_object().context("commands")?;
                let names: Vec<&str> = commands.keys().map(String::as_str).collect();
                for name in ["open-uri", "close-uri/v1"] {
                    assert!(names.iter().any(|full| full.ends_with(name)), "{names:?}");
                }
                assert!(device["name"].as_str().unwrap_or_default().contains('’'));
            }
        }
        Ok(())
    })
}

/// Scenario 4. A browser that was closed comes up signed in, syncs, and asks for no address again.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn restart_stays_signed_in() -> Result<()> {
    scenario("restart", |test| {
        test.sign_up_in_a(&Person::ann())?;
        let before = test.server.requests()?.len();

        test.a.restart()?;

        sync::wait_for_status(&mut test.a, "signed_in")?;
        sync::sync_well(&mut test.a)?;
        let requests = test.server.requests_since(before)?;
        assert_eq!(
            count(&requests, "GET", "/.well-known/fxa-client-configuration"),
            0
        );
        assert!(count_status(&requests, "GET", "/1.5/*/info/collections", 200) > 0);
        Ok(())
    })
}

/// Scenario 5. One browser signs out: its session ends, its addresses are forgotten, the other goes on.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn sign_out_leaves_the_other_alone() -> Result<()> {
    scenario("sign-out", |test| {
        test.connect_both()?;
        let before = test.server.requests()?.len();

        sync::sign_out(&mut test.b)?;

        let requests = wait_for("the browser's goodbye", sync::SYNC_LIMIT, || {
            let requests = test.server.requests_since(before)?;
            let is_over = count(&requests, "POST", "/v1/session/destroy") == 1
                && count(&requests, "POST", "/v1/oauth/destroy") == 2
                // Signed or not: that depends on whether the browser has thrown its token away by then.
                && count(&requests, "DELETE", "/1.5/*/storage/*/*") == 2;
            Ok(is_over.then_some(requests))
        })?;
        assert_eq!(count_status(&requests, "POST", "/v1/session/destroy", 200), 1);
        assert_eq!(count_status(&requests, "POST", "/v1/oauth/destroy", 200), 2);
        for (name, _) in ADDRESSES {
            let value = test.b.pref(name)?;
            assert!(!value.to_string().contains(&test.server.url), "{name}: {value}");
        }
        sync::sync_well(&mut test.a)?;
        assert_eq!(sync::devices(&mut test.a)?.len(), 1);
        Ok(())
    })
}

/// Scenario 16. Kinds of data that the user declines are off in the browser and never leave it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn declined_kinds_stay_at_home() -> Result<()> {
    scenario("declined", |test| {
        let ann = Person::ann();
        page::open_sign_in(&mut test.a, &test.server.url)?;
        page::make_account(&mut test.a, &ann)?;
        page::wait_for_step(&mut test.a, "choose")?;
        for name in ["history", "tabs"] {
            page::press(&mut test.a, &format!("label:has([value={name}])"))?;
        }
        page::submit(&mut test.a)?;
        page::wait_until_connected(&mut test.a)?;
        sync::wait_for_first_sync(&mut test.a)?;

        let declined = test.a.pref("services.sync.declinedEngines")?;
        for name in ["history", "tabs"] {
            assert!(declined.as_str().unwrap_or_default().contains(name), "{declined}");
            let is_on = test.a.pref(&format!("services.sync.engine.{name}"))?;
            assert_eq!(is_on, Value::Bool(false), "{name}");
            let path = format!("/1.5/*/storage/{name}");
            assert_eq!(count(&test.server.requests()?, "POST", &path), 0, "{name}");
        }
        assert_eq!(test.a.pref("services.sync.engine.bookmarks")?, Value::Bool(true));
        Ok(())
    })
}
