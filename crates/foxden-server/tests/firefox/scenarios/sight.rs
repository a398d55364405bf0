//! Every page, as different people see it: pictures are kept, faults are counted.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::browser::{Browser, PLAIN_HOST};
use crate::evidence::{artefacts, picture};
use crate::lab::scenario;
use crate::looks::{clear_console, console_errors, look};
use crate::page::{self, Person};
use crate::settings;

/// Pages that show all they have to whoever opens their address.
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

/// The preference that switches script off.
const SCRIPT: &str = "javascript.enabled";

/// What has no steps looks right in both schemes at every width, and breaks no rule of its policy.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn plain_pages_look_right() -> Result<()> {
    scenario("sight-plain", |lab| {
        clear_console(&mut lab.a)?;
        let mut faults = Vec::new();
        for (name, path) in PLAIN {
            let url = format!("{}{path}", lab.server.url);
            lab.a.wire.navigate(&url)?;
            if path == "/signin" {
                page::wait_for_step(&mut lab.a, "menu")?;
            }
            faults.extend(look(&mut lab.a, name)?);
        }
        faults.extend(console_errors(&mut lab.a, &lab.server.url)?);
        no_faults(&faults)
    })
}

/// Each step that a page can show looks right, also those which few people ever see.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn every_step_looks_right() -> Result<()> {
    scenario("sight-steps", |lab| {
        clear_console(&mut lab.a)?;
        let mut faults = Vec::new();
        for (name, path) in STEPPED {
            let url = format!("{}{path}", lab.server.url);
            lab.a.wire.navigate(&url)?;
            for step in steps(&mut lab.a)? {
                put_on_stage(&mut lab.a, &step)?;
                faults.extend(look(&mut lab.a, &format!("{name}-{step}"))?);
            }
        }
        faults.extend(console_errors(&mut lab.a, &lab.server.url)?);
        no_faults(&faults)
    })
}

/// The way from the menu to the settings, as it really looks on the way: with names, errors and devices.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn the_walk_looks_right() -> Result<()> {
    scenario("sight-walk", |lab| {
        clear_console(&mut lab.a)?;
        let (ann, server) = (Person::ann(), lab.server.url.clone());
        let a = &mut lab.a;
        let mut faults = Vec::new();
        page::open_sign_in(a, &server)?;
        page::give_address(a, &ann)?;
        page::wait_for_step(a, "sign-up")?;
        page::fill(a, &[("password", "short"), ("password-repeat", "shorter")])?;
        page::submit(a)?;
        page::wait_for_state(a, "error")?;
        faults.extend(look(a, "walk-1-sign-up-errors")?);
        let password = ann.password.as_str();
        page::fill(a, &[("password", password), ("password-repeat", password)])?;
        page::submit(a)?;
        page::wait_for_step(a, "choose")?;
        faults.extend(look(a, "walk-2-choose")?);
        page::submit(a)?;
        page::wait_until_connected(a)?;
        faults.extend(look(a, "walk-3-connected")?);
        page::open_sign_in(a, &server)?;
        page::wait_for_step(a, "already")?;
        faults.extend(look(a, "walk-4-already")?);
        lab.sign_in_in_b(&ann)?;
        settings::open(&mut lab.a, &server)?;
        page::press(&mut lab.a, "#delete summary")?;
        faults.extend(look(&mut lab.a, "walk-5-settings")?);
        faults.extend(console_errors(&mut lab.a, &server)?);
        no_faults(&faults)
    })
}

/// A name that is not the server's gets a page that says which name is.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn foreign_name_is_explained() -> Result<()> {
    scenario("sight-foreign-name", |lab| {
        let port = lab.server.url.rsplit(':').next().context("a port")?.to_owned();
        lab.a.wire.navigate(&format!("http://{PLAIN_HOST}:{port}/"))?;

        let said = page::words(&mut lab.a, "main")?;
        assert!(said.contains(PLAIN_HOST) || said.contains("public"), "{said}");
        no_faults(&look(&mut lab.a, "foreign-name")?)
    })
}

/// With script off the front page shows all its steps, and pages that make keys say why they need it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn pages_help_without_script() -> Result<()> {
    scenario("sight-no-script", |lab| {
        lab.a.set_pref(SCRIPT, json!(false))?;
        lab.a.wire.navigate(&lab.server.url)?;
        let front = text(&mut lab.a, "main")?;
        assert!(front.contains("identity.fxaccounts.autoconfig.uri"), "{front}");
        assert!(front.contains(&lab.server.url), "{front}");
        for (name, path) in STEPPED {
            let url = format!("{}{path}", lab.server.url);
            lab.a.wire.navigate(&url)?;
            let said = text(&mut lab.a, "noscript")?;
            assert!(said.contains("needs its script"), "{path}: {said}");
            let file = format!("screenshots/no-script-{name}.png");
            picture(&mut lab.a, &artefacts().join(file))?;
        }
        lab.a.set_pref(SCRIPT, Value::Null)
    })
}

/// The words of what fits, read without the page's help.
fn text(browser: &mut Browser, css: &str) -> Result<String> {
    let element = browser.wire.find(css)?;
    let element = element.with_context(|| format!("the page has no {css}"))?;
    browser.wire.text(&element)
}

/// The steps of the page in front.
fn steps(browser: &mut Browser) -> Result<Vec<String>> {
    let script =
        r#"return Array.from(document.querySelectorAll("template[id^=step-]"), ({ id }) => id.slice(5));"#;
    let steps = browser.wire.content(script, json!(null))?;
    let steps = steps.as_array().context("a list of steps")?;
    ensure!(!steps.is_empty(), "a page without steps");
    Ok(steps
        .iter()
        .filter_map(|step| step.as_str().map(str::to_owned))
        .collect())
}

/// Shows a step without walking there.
fn put_on_stage(browser: &mut Browser, step: &str) -> Result<()> {
    let script = r#"
        const content = document.getElementById(`step-${args}`).content.cloneNode(true);
        const words = { letter: "A", left: "Two tries are left.", name: "Office", time: "14:20" };
        for (const place of content.querySelectorAll("[data-fill]")) {
            place.textContent = words[place.dataset.fill] ?? "ann@example.org";
        }
        document.getElementById("stage").replaceChildren(content);"#;
    browser.wire.content(script, json!(step))?;
    Ok(())
}

fn no_faults(faults: &[String]) -> Result<()> {
    ensure!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    Ok(())
}
