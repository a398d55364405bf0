//! The pages as a user uses them: read, fill in, press.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::process::wait_for;
use crate::sync;
use crate::test_context::TestContext;

/// Longer than any step takes, a push service that does not answer included.
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(60);

/// A user who has an account here, or is about to make one.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) password: String,
}

impl Person {
    /// Ann, whom most scenarios are about.
    pub(crate) fn ann() -> Self {
        Self::new("ann@example.org")
    }

    pub(crate) fn new(email: &str) -> Self {
        Self {
            email: email.to_owned(),
            password: "four unrelated wörds".to_owned(),
        }
    }
}

impl TestContext {
    /// Makes an account in the first browser and waits until it has synced.
    pub(crate) fn sign_up_in_a(&mut self, person: &Person) -> Result<()> {
        sign_up(&mut self.a, &self.server.url, person)?;
        sync::wait_for_first_sync(&mut self.a)
    }

    /// Signs in to it in the second browser and waits until that has synced.
    pub(crate) fn sign_in_in_b(&mut self, person: &Person) -> Result<()> {
        sign_in(&mut self.b, &self.server.url, person)?;
        sync::wait_for_first_sync(&mut self.b)
    }

    /// Ann with two connected browsers.
    pub(crate) fn connect_both(&mut self) -> Result<Person> {
        let ann = Person::ann();
        self.sign_up_in_a(&ann)?;
        self.sign_in_in_b(&ann)?;
        Ok(ann)
    }
}

/// From the browser's menu to the connected page, by making an account.
pub(crate) fn sign_up(browser: &mut Browser, server: &str, person: &Person) -> Result<()> {
    open_sign_in(browser, server)?;
    make_account(browser, person)?;
    wait_for_step(browser, "choose")?;
    submit(browser)?;
    wait_until_connected(browser)
}

/// On the page that was just opened: gives an address that has no account, and makes one.
pub(crate) fn make_account(browser: &mut Browser, person: &Person) -> Result<()> {
    give_address(browser, person)?;
    wait_for_step(browser, "sign-up")?;
    let password = person.password.as_str();
    fill(browser, &[("password", password), ("password-repeat", password)])?;
    submit(browser)
}

/// From the browser's menu to the connected page, with an account that another browser uses.
pub(crate) fn sign_in(browser: &mut Browser, server: &str, person: &Person) -> Result<()> {
    open_sign_in(browser, server)?;
    give_address(browser, person)?;
    wait_for_step(browser, "password")?;
    give_password(browser, person)?;
    // The first device chooses what to sync; after a reset the next one is the first again.
    if wait_for_step_of(browser, &["choose", "connected"])? == "choose" {
        submit(browser)?;
    }
    wait_until_connected(browser)
}

/// Chooses "Sign in" in the menu and goes to the page that opens.
pub(crate) fn open_sign_in(browser: &mut Browser, server: &str) -> Result<()> {
    let script = r#"await gSync.openFxAEmailFirstPage("e2e");"#;
    browser.marionette.chrome(script, json!(null))?;
    go_to_tab(browser, |url| {
        url.starts_with(server) && url.contains("client_id=")
    })
}

/// Goes to the tab whose address is the wanted one, once there is one.
pub(crate) fn go_to_tab(browser: &mut Browser, is_it: impl Fn(&str) -> bool) -> Result<()> {
    wait_for("the page to open", STEP_LIMIT, || {
        for handle in browser.marionette.handles()? {
            browser.marionette.switch_to(&handle)?;
            if is_it(&browser.marionette.url()?) {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
}

pub(crate) fn give_address(browser: &mut Browser, person: &Person) -> Result<()> {
    wait_for_step(browser, "start")?;
    fill(browser, &[("email", &person.email)])?;
    submit(browser)
}

pub(crate) fn give_password(browser: &mut Browser, person: &Person) -> Result<()> {
    fill(browser, &[("password", &person.password)])?;
    submit(browser)
}

pub(crate) fn wait_until_connected(browser: &mut Browser) -> Result<()> {
    wait_for_step(browser, "connected")?;
    wait_for_state(browser, "done")
}

/// Waits until the page shows this step.
pub(crate) fn wait_for_step(browser: &mut Browser, step: &str) -> Result<()> {
    wait_for_step_of(browser, &[step]).map(drop)
}

/// Waits until the page shows one of these steps, and says which.
pub(crate) fn wait_for_step_of(browser: &mut Browser, steps: &[&str]) -> Result<String> {
    let script = "return document.getElementById('stepper')?.dataset.step ?? '';";
    let mut last = Value::Null;
    let outcome = wait_for(&format!("the step {}", steps.join(" or ")), STEP_LIMIT, || {
        // A page that is just being replaced cannot answer.
        last = browser
            .marionette
            .content(script, json!(null))
            .unwrap_or_default();
        let step = last.as_str().unwrap_or_default();
        if step == "stopped" {
            bail!("the page stopped: {}", status(browser)?);
        }
        Ok(steps.contains(&step).then(|| step.to_owned()))
    });
    outcome.with_context(|| format!("the page is at {last}"))
}

/// Waits until the status line says that something is done, wrong or under way.
pub(crate) fn wait_for_state(browser: &mut Browser, state: &str) -> Result<()> {
    let script = r#"return document.getElementById("status")?.dataset.state ?? null;"#;
    let outcome = wait_for(&format!("the status {state}"), STEP_LIMIT, || {
        let now = browser
            .marionette
            .content(script, json!(null))
            .unwrap_or_default();
        Ok((now == state).then_some(()))
    });
    outcome.with_context(|| format!("the page says: {:?}", status(browser)))
}

/// The text of the status line.
pub(crate) fn status(browser: &mut Browser) -> Result<String> {
    text(browser, "#status")
}

/// The text of the first element that matches, or an empty text.
pub(crate) fn text(browser: &mut Browser, css: &str) -> Result<String> {
    let script = "return document.querySelector(args)?.textContent.trim() ?? '';";
    let text = browser.marionette.content(script, json!(css))?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

/// Types into fields, given by their ids, after emptying them.
pub(crate) fn fill(browser: &mut Browser, fields: &[(&str, &str)]) -> Result<()> {
    for (id, text) in fields {
        let found = browser.marionette.find(&format!("#{id}"))?;
        let field = found.with_context(|| format!("the page has no field {id}"))?;
        browser.marionette.clear(&field)?;
        browser.marionette.type_into(&field, text)?;
    }
    Ok(())
}

pub(crate) fn submit(browser: &mut Browser) -> Result<()> {
    press(browser, "#submit")
}

/// Presses the first visible element that matches, once there is one.
pub(crate) fn press(browser: &mut Browser, css: &str) -> Result<()> {
    let element = wait_for(&format!("{css}, to be pressed"), STEP_LIMIT, || {
        for element in browser.marionette.find_all(css)? {
            if browser.marionette.is_shown(&element)? {
                return Ok(Some(element));
            }
        }
        Ok(None)
    })?;
    browser.marionette.click(&element)
}
