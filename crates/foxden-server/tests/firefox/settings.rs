//! The settings page as a person uses it.

use anyhow::Result;
use serde_json::json;

use crate::browser::Browser;
use crate::page::{self, Person};

/// Chooses "Manage account" in the menu and goes to the page that opens.
pub(crate) fn open(browser: &mut Browser, server: &str) -> Result<()> {
    let script = r#"await gSync.openFxAManagePage("e2e");"#;
    browser.marionette.chrome(script, json!(null))?;
    page::go_to_tab(browser, |url| {
        url.starts_with(server) && url.contains("/settings")
    })?;
    page::wait_for_step(browser, "settings")
}

/// Presses the button of the one other device.
pub(crate) fn disconnect_another(browser: &mut Browser) -> Result<()> {
    page::press(browser, "#device-list button")?;
    page::wait_for_state(browser, "done")
}

/// Changes the password, also that of `person`.
pub(crate) fn change_password(browser: &mut Browser, person: &mut Person) -> Result<()> {
    let new = "other unrelated wörds";
    page::fill(
        browser,
        &[("old", &person.password), ("new", new), ("new-repeat", new)],
    )?;
    new.clone_into(&mut person.password);
    page::press(browser, "#password-form button")?;
    page::wait_for_state(browser, "done")
}

/// Deletes the account.
pub(crate) fn delete_account(browser: &mut Browser, person: &Person) -> Result<()> {
    page::press(browser, "#delete summary")?;
    page::fill(browser, &[("delete-password", &person.password)])?;
    page::press(browser, "#delete-form button")?;
    page::wait_for_step(browser, "deleted")
}
