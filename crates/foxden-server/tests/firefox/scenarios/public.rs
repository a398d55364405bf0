//! A server that others can reach: accounts need an invitation, or a code that only the operator sees.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::browser::PLAIN_HOST;
use crate::lab::{Lab, point_to, scenario};
use crate::page::{self, Person};
use crate::sync;

/// Names that count as secure without https, so that no certificate is needed here.
const ALLOWED: &str = "dom.securecontext.allowlist";
/// Such a page would otherwise ask for its pictures by https.
const UPGRADE: &str = "security.mixed_content.upgrade_display_content";

/// Anybody may sign up, with a code from the operator: a wrong one is said at its field, the right one works.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn sign_up_needs_the_operators_code() -> Result<()> {
    scenario("code", |lab| {
        lab.server.set("FOXDEN__ACCOUNTS__SIGN_UP", "open");
        go_public(lab)?;
        let ann = Person::ann();
        page::open_sign_in(&mut lab.a, &lab.server.url)?;
        page::make_account(&mut lab.a, &ann)?;
        page::wait_for_step(&mut lab.a, "code")?;
        let said = lab.server.run(&["user", "code", &ann.email])?;
        let code = code(&said).with_context(|| format!("no code in: {said}"))?;
        let wrong = if code == "000000" { "000001" } else { "000000" };

        page::fill(&mut lab.a, &[("code", wrong)])?;
        page::submit(&mut lab.a)?;
        page::wait_for_state(&mut lab.a, "error")?;
        let said = page::words(&mut lab.a, "#code-error")?;
        assert!(said.contains("not the code"), "{said}");

        page::fill(&mut lab.a, &[("code", code)])?;
        page::submit(&mut lab.a)?;
        page::wait_for_step(&mut lab.a, "choose")?;
        page::submit(&mut lab.a)?;
        page::wait_until_connected(&mut lab.a)?;
        sync::wait_for_first_sync(&mut lab.a)?;
        leave(lab)
    })
}

/// An invitation makes an account in any browser, once; signing in from the menu follows.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn invitation_makes_one_account() -> Result<()> {
    scenario("invitation", |lab| {
        go_public(lab)?;
        let said = lab.server.run(&["invite"])?;
        let link = said.split_whitespace().find(|word| word.contains("/invite#"));
        let link = link.with_context(|| format!("no link in: {said}"))?;
        let (ann, bea) = (Person::ann(), Person::new("bea@example.org"));

        fill_invitation(lab, link, &ann)?;
        page::wait_for_step(&mut lab.b, "made")?;
        fill_invitation(lab, link, &bea)?;
        page::wait_for_state(&mut lab.b, "error")?;
        let said = page::words(&mut lab.b, "main")?;
        assert!(said.contains("invitation"), "{said}");

        page::open_sign_in(&mut lab.a, &lab.server.url)?;
        page::give_address(&mut lab.a, &bea)?;
        // Who has an account is nobody's business here: that shows with the password.
        page::wait_for_step(&mut lab.a, "password")?;
        page::give_password(&mut lab.a, &bea)?;
        page::wait_for_state(&mut lab.a, "error")?;
        let said = page::status(&mut lab.a)?;
        assert!(said.contains("no account"), "{said}");
        page::press(&mut lab.a, "[data-go=start]")?;
        page::give_address(&mut lab.a, &ann)?;
        page::wait_for_step(&mut lab.a, "password")?;
        page::give_password(&mut lab.a, &ann)?;
        page::wait_for_step(&mut lab.a, "choose")?;
        page::submit(&mut lab.a)?;
        page::wait_until_connected(&mut lab.a)?;
        sync::wait_for_first_sync(&mut lab.a)?;
        leave(lab)
    })
}

fn fill_invitation(lab: &mut Lab, link: &str, person: &Person) -> Result<()> {
    // Another page between, or only the part behind the # would change.
    lab.b.wire.navigate("about:blank")?;
    lab.b.wire.navigate(link)?;
    page::wait_for_step(&mut lab.b, "sign-up")?;
    let password = person.password.as_str();
    page::fill(
        &mut lab.b,
        &[
            ("email", &person.email),
            ("password", password),
            ("password-repeat", password),
        ],
    )?;
    page::submit(&mut lab.b)
}

/// Gives the server an address that is not this machine's own, which both browsers are told.
fn go_public(lab: &mut Lab) -> Result<()> {
    lab.server.move_to(PLAIN_HOST)?;
    for browser in [&mut lab.a, &mut lab.b] {
        browser.set_pref(ALLOWED, json!(PLAIN_HOST))?;
        browser.set_pref(UPGRADE, json!(false))?;
        point_to(browser, &lab.server.url)?;
    }
    Ok(())
}

/// Puts the browsers back to what other scenarios expect.
fn leave(lab: &mut Lab) -> Result<()> {
    for browser in [&mut lab.a, &mut lab.b] {
        browser.set_pref(ALLOWED, Value::Null)?;
        browser.set_pref(UPGRADE, Value::Null)?;
    }
    Ok(())
}

/// The code among what the program said: six figures.
fn code(said: &str) -> Option<&str> {
    said.split_whitespace()
        .find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()))
}
