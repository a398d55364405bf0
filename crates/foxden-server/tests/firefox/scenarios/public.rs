//! A server that others can reach: accounts need an invitation, or a code that only the operator sees.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::browser::PLAIN_HOST;
use crate::page::{self, Person};
use crate::sync;
use crate::test_context::{TestContext, point_to, scenario};

/// Names that count as secure without https, so that no certificate is needed here.
const ALLOWED: &str = "dom.securecontext.allowlist";
/// Such a page would otherwise ask for its pictures by https.
const UPGRADE: &str = "security.mixed_content.upgrade_display_content";

/// Sign-up is open and needs a code from the operator: the page shows a wrong code at its field, the right one works.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn sign_up_needs_the_operators_code() -> Result<()> {
    scenario("code", |test| {
        test.server.set("FOXDEN__ACCOUNTS__SIGN_UP", "open");
        go_public(test)?;
        let ann = Person::ann();
        page::open_sign_in(&mut test.a, &test.server.url)?;
        page::make_account(&mut test.a, &ann)?;
        page::wait_for_step(&mut test.a, "code")?;
        let message = test.server.run(&["user", "code", &ann.email])?;
        let code = code(&message).with_context(|| format!("no code in: {message}"))?;
        let wrong = if code == "000000" { "000001" } else { "000000" };

        page::fill(&mut test.a, &[("code", wrong)])?;
        page::submit(&mut test.a)?;
        page::wait_for_state(&mut test.a, "error")?;
        let message = page::text(&mut test.a, "#code-error")?;
        assert!(message.contains("not the code"), "{message}");

        page::fill(&mut test.a, &[("code", code)])?;
        page::submit(&mut test.a)?;
        page::wait_for_step(&mut test.a, "choose")?;
        page::submit(&mut test.a)?;
        page::wait_until_connected(&mut test.a)?;
        sync::wait_for_first_sync(&mut test.a)?;
        leave(test)
    })
}

/// An invitation makes an account in any browser, once; signing in from the menu follows.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn invitation_makes_one_account() -> Result<()> {
    scenario("invitation", |test| {
        go_public(test)?;
        let message = test.server.run(&["invite"])?;
        let link = message.split_whitespace().find(|word| word.contains("/invite#"));
        let link = link.with_context(|| format!("no link in: {message}"))?;
        let (ann, bea) = (Person::ann(), Person::new("bea@example.org"));

        fill_invitation(test, link, &ann)?;
        page::wait_for_step(&mut test.b, "made")?;
        fill_invitation(test, link, &bea)?;
        page::wait_for_state(&mut test.b, "error")?;
        let message = page::text(&mut test.b, "main")?;
        assert!(message.contains("invitation"), "{message}");

        page::open_sign_in(&mut test.a, &test.server.url)?;
        page::give_address(&mut test.a, &bea)?;
        // The page does not reveal which addresses have an account: the password step does.
        page::wait_for_step(&mut test.a, "password")?;
        page::give_password(&mut test.a, &bea)?;
        page::wait_for_state(&mut test.a, "error")?;
        let message = page::status(&mut test.a)?;
        assert!(message.contains("no account"), "{message}");
        page::press(&mut test.a, "[data-go=start]")?;
        page::give_address(&mut test.a, &ann)?;
        page::wait_for_step(&mut test.a, "password")?;
        page::give_password(&mut test.a, &ann)?;
        page::wait_for_step(&mut test.a, "choose")?;
        page::submit(&mut test.a)?;
        page::wait_until_connected(&mut test.a)?;
        sync::wait_for_first_sync(&mut test.a)?;
        leave(test)
    })
}

fn fill_invitation(test: &mut TestContext, link: &str, person: &Person) -> Result<()> {
    // Another page between, or only the part behind the # would change.
    test.b.marionette.navigate("about:blank")?;
    test.b.marionette.navigate(link)?;
    page::wait_for_step(&mut test.b, "sign-up")?;
    let password = person.password.as_str();
    page::fill(
        &mut test.b,
        &[
            ("email", &person.email),
            ("password", password),
            ("password-repeat", password),
        ],
    )?;
    page::submit(&mut test.b)
}

/// Gives the server a public address, and both browsers the preference for it.
fn go_public(test: &mut TestContext) -> Result<()> {
    test.server.move_to(PLAIN_HOST)?;
    for browser in [&mut test.a, &mut test.b] {
        browser.set_pref(ALLOWED, json!(PLAIN_HOST))?;
        browser.set_pref(UPGRADE, json!(false))?;
        point_to(browser, &test.server.url)?;
    }
    Ok(())
}

/// Resets the browsers for other scenarios.
fn leave(test: &mut TestContext) -> Result<()> {
    for browser in [&mut test.a, &mut test.b] {
        browser.set_pref(ALLOWED, Value::Null)?;
        browser.set_pref(UPGRADE, Value::Null)?;
    }
    Ok(())
}

/// The code in the output of the program: six digits.
fn code(message: &str) -> Option<&str> {
    message
        .split_whitespace()
        .find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()))
}
