//! Every page at several widths and in both colour schemes: the tests keep screenshots and count faults.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::browser::{Browser, PLAIN_HOST};
use crate::evidence::{artefacts, picture};
use crate::page::{self, Person};
use crate::page_check::{check_page, clear_console, console_errors, no_faults};
use crate::settings;
use crate::test_context::scenario;

/// Pages without steps: the address alone shows all their content.
const PLAIN: [(&str, &str); 9] = [
    ("front", "/"),
    ("privacy", "/legal/privacy"),
    ("terms", "/legal/terms"),
    ("help-errors", "/docs/errors"),
    ("help-https", "/docs/https"),
    ("pair", "/pair"),
    ("connect-another-device", "/connect_another_device"),
    ("not-found", "/there/is/nothing/here"),
    ("sign-in-typed", "/signin"),
];

/// Pages that show one step after another; the first of each is what opens.
const STEPPED: [(&str, &str); 5] = [
    ("sign-in", "/signin"),
    ("settings", "/settings"),
    ("reset", "/reset_password"),
    ("invite", "/invite#no-such-code"),
    // Marionette does not wait for a page whose fragment is that of the page before.
    ("confirm", "/confirm_address#no-such-link"),
];

/// The preference that disables JavaScript.
const SCRIPT: &str = "javascript.enabled";

/// Pages without steps look right in both schemes at every width, and violate no content security policy.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn plain_pages_look_right() -> Result<()> {
    scenario("appearance-plain", |test| {
        clear_console(&mut test.a)?;
        let mut faults = Vec::new();
        for (name, path) in PLAIN {
            let url = format!("{}{path}", test.server.url);
            test.a.marionette.navigate(&url)?;
            if path == "/signin" {
                page::wait_for_step(&mut test.a, "menu")?;
            }
            faults.extend(check_page(&mut test.a, name)?);
        }
        faults.extend(console_errors(&mut test.a, &test.server.url)?);
        no_faults(&faults)
    })
}

/// Each step that a page can show looks right, also those which few people ever see.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn every_step_looks_right() -> Result<()> {
    scenario("appearance-steps", |test| {
        clear_console(&mut test.a)?;
        let mut faults = Vec::new();
        for (name, path) in STEPPED {
            let url = format!("{}{path}", test.server.url);
            test.a.marionette.navigate(&url)?;
            for step in steps(&mut test.a)? {
                show_step(&mut test.a, &step)?;
                faults.extend(check_page(&mut test.a, &format!("{name}-{step}"))?);
            }
        }
        faults.extend(console_errors(&mut test.a, &test.server.url)?);
        no_faults(&faults)
    })
}

/// The way from the menu to the settings looks right with real names, errors and devices.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn the_sign_in_looks_right() -> Result<()> {
    scenario("appearance-sign-in", |test| {
        clear_console(&mut test.a)?;
        let (ann, server) = (Person::ann(), test.server.url.clone());
        let a = &mut test.a;
        let mut faults = Vec::new();
        page::open_sign_in(a, &server)?;
        page::give_address(a, &ann)?;
        page::wait_for_step(a, "sign-up")?;
        page::fill(a, &[("password", "short"), ("password-repeat", "shorter")])?;
        page::submit(a)?;
        page::wait_for_state(a, "error")?;
        faults.extend(check_page(a, "sign-in-1-sign-up-errors")?);
        let password = ann.password.as_str();
        page::fill(a, &[("password", password), ("password-repeat", password)])?;
        page::submit(a)?;
        page::wait_for_step(a, "choose")?;
        faults.extend(check_page(a, "sign-in-2-choose")?);
        page::submit(a)?;
        page::wait_until_connected(a)?;
        faults.extend(check_page(a, "sign-in-3-connected")?);
        page::open_sign_in(a, &server)?;
        page::wait_for_step(a, "already")?;
        faults.extend(check_page(a, "sign-in-4-already")?);
        test.sign_in_in_b(&ann)?;
        settings::open(&mut test.a, &server)?;
        page::press(&mut test.a, "#delete summary")?;
        faults.extend(check_page(&mut test.a, "sign-in-5-settings")?);
        faults.extend(console_errors(&mut test.a, &server)?);
        no_faults(&faults)
    })
}

/// A name that is not the server's gets a page that says which name is.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn foreign_name_is_explained() -> Result<()> {
    scenario("appearance-foreign-name", |test| {
        let port = test.server.url.rsplit(':').next().context("a port")?.to_owned();
        test.a
            .marionette
            .navigate(&format!("http://{PLAIN_HOST}:{port}/"))?;

        let message = page::text(&mut test.a, "main")?;
        assert!(
            message.contains(PLAIN_HOST) || message.contains("public"),
            "{message}"
        );
        no_faults(&check_page(&mut test.a, "foreign-name")?)
    })
}

/// With script off the front page shows all its steps, and pages that make keys say why they need it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn pages_help_without_script() -> Result<()> {
    scenario("appearance-no-script", |test| {
        test.a.set_pref(SCRIPT, json!(false))?;
        test.a.marionette.navigate(&test.server.url)?;
        let front = text(&mut test.a, "main")?;
        assert!(front.contains("identity.fxaccounts.autoconfig.uri"), "{front}");
        assert!(front.contains(&test.server.url), "{front}");
        for (name, path) in STEPPED {
            let url = format!("{}{path}", test.server.url);
            test.a.marionette.navigate(&url)?;
            let message = text(&mut test.a, "noscript")?;
            assert!(message.contains("needs its script"), "{path}: {message}");
            let file = format!("screenshots/no-script-{name}.png");
            picture(&mut test.a, &artefacts().join(file))?;
        }
        test.a.set_pref(SCRIPT, Value::Null)
    })
}

/// The text of the first element that matches, read without script in the page.
fn text(browser: &mut Browser, css: &str) -> Result<String> {
    let element = browser.marionette.find(css)?;
    let element = element.with_context(|| format!("the page has no {css}"))?;
    browser.marionette.text(&element)
}

/// The steps of the page in front.
fn steps(browser: &mut Browser) -> Result<Vec<String>> {
    let script =
        r#"return Array.from(document.querySelectorAll("template[id^=step-]"), ({ id }) => id.slice(5));"#;
    let steps = browser.marionette.content(script, json!(null))?;
    let steps = steps.as_array().context("a list of steps")?;
    ensure!(!steps.is_empty(), "a page without steps");
    Ok(steps
        .iter()
        .filter_map(|step| step.as_str().map(str::to_owned))
        .collect())
}

/// Shows a step without the steps before it.
fn show_step(browser: &mut Browser, step: &str) -> Result<()> {
    let script = r#"
        const content = document.getElementById(`step-${args}`).content.cloneNode(true);
        const words = { letter: "A", left: "Two tries are left.", name: "Office", time: "14:20" };
        for (const place of content.querySelectorAll("[data-fill]")) {
            place.textContent = words[place.dataset.fill] ?? "ann@example.org";
        }
        document.getElementById("stepper").replaceChildren(content);"#;
    browser.marionette.content(script, json!(step))?;
    Ok(())
}
