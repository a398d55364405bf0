//! Adds and finds data in browsers.

use anyhow::Result;
use serde_json::json;

use crate::browser::Browser;

const PLACES: &str =
    r#"const { PlacesUtils } = ChromeUtils.importESModule("resource://gre/modules/PlacesUtils.sys.mjs");"#;

pub(crate) fn add_bookmark(browser: &mut Browser, url: &str) -> Result<()> {
    let script = format!(
        "{PLACES} await PlacesUtils.bookmarks.insert(
            {{ parentGuid: PlacesUtils.bookmarks.menuGuid, url: args, title: `Bookmark of ${{args}}` }});"
    );
    browser.marionette.chrome(&script, json!(url))?;
    Ok(())
}

pub(crate) fn has_bookmark(browser: &mut Browser, url: &str) -> Result<bool> {
    let script = format!("{PLACES} return Boolean(await PlacesUtils.bookmarks.fetch({{ url: args }}));");
    Ok(browser.marionette.chrome(&script, json!(url))? == true)
}

pub(crate) fn visit(browser: &mut Browser, url: &str) -> Result<()> {
    let script = format!(
        "{PLACES} await PlacesUtils.history.insert({{ url: args, title: args, visits: [{{ date: new Date() }}] }});"
    );
    browser.marionette.chrome(&script, json!(url))?;
    Ok(())
}

pub(crate) fn was_visited(browser: &mut Browser, url: &str) -> Result<bool> {
    let script = format!("{PLACES} return await PlacesUtils.history.hasVisits(args);");
    Ok(browser.marionette.chrome(&script, json!(url))? == true)
}

pub(crate) fn add_login(browser: &mut Browser, origin: &str, name: &str, password: &str) -> Result<()> {
    let script = r#"
        const [origin, name, password] = args;
        const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
        login.init(origin, origin, null, name, password, "", "");
        await Services.logins.addLoginAsync(login);"#;
    browser
        .marionette
        .chrome(script, json!([origin, name, password]))?;
    Ok(())
}

/// The password kept for a name at a site, or null.
pub(crate) fn login(browser: &mut Browser, origin: &str, name: &str) -> Result<serde_json::Value> {
    let script = r"
        const [origin, name] = args;
        const logins = await Services.logins.searchLoginsAsync({ origin });
        return logins.find((login) => login.username == name)?.password ?? null;";
    browser.marionette.chrome(script, json!([origin, name]))
}

/// The addresses open in the other browsers of the account, as this one knows them.
pub(crate) fn has_remote_tab(browser: &mut Browser, url: &str) -> Result<bool> {
    let script = r#"
        const { SyncedTabs } = ChromeUtils.importESModule("resource://services-sync/SyncedTabs.sys.mjs");
        const clients = await SyncedTabs.getTabClients();
        return clients.some((client) => client.tabs.some((tab) => tab.url == args));"#;
    Ok(browser.marionette.chrome(script, json!(url))? == true)
}
