//! The browser's own account and Sync state, read and changed through its modules.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::process::wait_for;

/// How long a browser may take to sign in and sync, its own delays included.
pub(crate) const SYNC_LIMIT: Duration = Duration::from_secs(60);

/// `UIState` of the browser: `status`, `email`, `uid`, `syncEnabled` and more.
pub(crate) fn state(browser: &mut Browser) -> Result<Value> {
    let script = r#"
        const { UIState } = ChromeUtils.importESModule("resource://services-sync/UIState.sys.mjs");
        return JSON.parse(JSON.stringify(UIState.get()));"#;
    browser.marionette.chrome(script, json!(null))
}

/// Waits until the browser is in a state of this name.
pub(crate) fn wait_for_status(browser: &mut Browser, status: &str) -> Result<Value> {
    wait_for(&format!("the state {status}"), SYNC_LIMIT, || {
        let state = state(browser)?;
        Ok((state["status"] == status).then_some(state))
    })
}

/// Waits until the sync that follows a sign-in is over and went well.
pub(crate) fn wait_for_first_sync(browser: &mut Browser) -> Result<()> {
    let script = r#"
        const { Weave } = ChromeUtils.importESModule("resource://services-sync/main.sys.mjs");
        const { UIState } = ChromeUtils.importESModule("resource://services-sync/UIState.sys.mjs");
        const { Status } = ChromeUtils.importESModule("resource://services-sync/status.sys.mjs");
        const last = Services.prefs.getStringPref("services.sync.lastSync", "0");
        return UIState.get().status == "signed_in" && last != "0" && !Weave.Service.locked
            && Status.sync == "success.sync" && Status.service == "success.status_ok"
            && Object.keys(Status.engines).length == 0;"#;
    wait_for("the first sync", SYNC_LIMIT, || {
        let is_done = browser.marionette.chrome(script, json!(null))?;
        Ok((is_done == true).then_some(()))
    })
}

/// Syncs once, after any running sync. Returns the final notification as `outcome`, and the fields of `Status`.
pub(crate) fn sync(browser: &mut Browser) -> Result<Value> {
    let script = r#"
        const { Weave } = ChromeUtils.importESModule("resource://services-sync/main.sys.mjs");
        const { Status } = ChromeUtils.importESModule("resource://services-sync/status.sys.mjs");
        const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
        while (Weave.Service.locked) await new Promise((go) => setTimeout(go, 50));
        const topics = ["sync:finish", "sync:error", "login:error"].map((name) => `weave:service:${name}`);
        let outcome = null;
        const observer = { observe: (_, topic) => (outcome = topic) };
        for (const topic of topics) Services.obs.addObserver(observer, topic);
        try {
            await Weave.Service.sync({ why: "test" });
        } finally {
            for (const topic of topics) Services.obs.removeObserver(observer, topic);
        }
        return { outcome, sync: Status.sync, login: Status.login, service: Status.service, engines: Object.keys(Status.engines) };"#;
    browser.marionette.chrome(script, json!(null))
}

/// Syncs until a run succeeds: the first ones may only renew a token.
pub(crate) fn sync_well(browser: &mut Browser) -> Result<()> {
    let mut last = Value::Null;
    for _ in 0..3 {
        last = sync(browser)?;
        if last["outcome"] == "weave:service:sync:finish" && last["engines"] == json!([]) {
            return Ok(());
        }
    }
    anyhow::bail!("the browser does not sync: {last}")
}

/// Drops the browser's storage token, as if it had expired.
pub(crate) fn expire_storage_token(browser: &mut Browser) -> Result<()> {
    let script = r#"
        const { Weave } = ChromeUtils.importESModule("resource://services-sync/main.sys.mjs");
        Weave.Service.identity._token = null;"#;
    browser.marionette.chrome(script, json!(null))?;
    Ok(())
}

/// Syncs until `is_there` finds the data that should arrive.
pub(crate) fn sync_until(
    browser: &mut Browser,
    what: &str,
    mut is_there: impl FnMut(&mut Browser) -> Result<bool>,
) -> Result<()> {
    for _ in 0..5 {
        if is_there(browser)? {
            return Ok(());
        }
        sync(browser)?;
    }
    anyhow::ensure!(is_there(browser)?, "five syncs did not bring {what}");
    Ok(())
}

/// The store's uid and the key id that the browser sends to the tokenserver.
pub(crate) fn store(browser: &mut Browser) -> Result<(Value, Value)> {
    let script = r#"
        const { Weave } = ChromeUtils.importESModule("resource://services-sync/main.sys.mjs");
        const { getFxAccountsSingleton } = ChromeUtils.importESModule("resource://gre/modules/FxAccounts.sys.mjs");
        const data = await getFxAccountsSingleton()._internal.getUserAccountData();
        const key = data.scopedKeys["https://identity.mozilla.com/apps/oldsync"];
        return [Weave.Service.identity._token?.uid ?? null, key.kid];"#;
    let pair = browser.marionette.chrome(script, json!(null))?;
    Ok((pair[0].clone(), pair[1].clone()))
}

/// The account as the browser stores it.
pub(crate) fn account_data(browser: &mut Browser) -> Result<Value> {
    let script = r#"
        const { getFxAccountsSingleton } = ChromeUtils.importESModule("resource://gre/modules/FxAccounts.sys.mjs");
        const data = await getFxAccountsSingleton()._internal.getUserAccountData();
        return JSON.parse(JSON.stringify(data));"#;
    browser.marionette.chrome(script, json!(null))
}

/// The devices of the account as this browser sees them.
pub(crate) fn devices(browser: &mut Browser) -> Result<Vec<Value>> {
    let script = r#"
        const { getFxAccountsSingleton } = ChromeUtils.importESModule("resource://gre/modules/FxAccounts.sys.mjs");
        const { device } = getFxAccountsSingleton();
        await device.refreshDeviceList({ ignoreCached: true });
        return JSON.parse(JSON.stringify(device.recentDeviceList ?? []));"#;
    let list = browser.marionette.chrome(script, json!(null))?;
    Ok(list.as_array().cloned().unwrap_or_default())
}

/// Signs out as a person does in the menu.
pub(crate) fn sign_out(browser: &mut Browser) -> Result<()> {
    let script = "await gSync.disconnect({ confirm: false, disconnectAccount: true });";
    browser.marionette.chrome(script, json!(null))?;
    wait_for_status(browser, "not_configured")?;
    // The addresses are forgotten last; a sign-in that is begun before loses its own.
    wait_for("the addresses to be forgotten", SYNC_LIMIT, || {
        let root = "identity.fxaccounts.remote.root";
        let script = "return Services.prefs.prefHasUserValue(args);";
        let is_set = browser.marionette.chrome(script, json!(root))?;
        Ok((is_set == false).then_some(()))
    })
}

/// Puts the browser back to the state of a fresh profile, so that the next scenario may have it.
pub(crate) fn forget_everything(browser: &mut Browser) -> Result<()> {
    while browser.marionette.dialog()?.is_some() {
        browser.marionette.accept_dialog()?;
    }
    let script = r#"
        const { getFxAccountsSingleton } = ChromeUtils.importESModule("resource://gre/modules/FxAccounts.sys.mjs");
        const { Weave } = ChromeUtils.importESModule("resource://services-sync/main.sys.mjs");
        const { PlacesUtils } = ChromeUtils.importESModule("resource://gre/modules/PlacesUtils.sys.mjs");
        const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
        while (Weave.Service.locked) await new Promise((go) => setTimeout(go, 50));
        const accounts = getFxAccountsSingleton();
        if (await accounts.getSignedInUser()) await accounts.signOut();
        while (Weave.Service.locked) await new Promise((go) => setTimeout(go, 50));
        await PlacesUtils.bookmarks.eraseEverything();
        await PlacesUtils.history.clear();
        await Services.logins.removeAllLoginsAsync?.();
        for (const branch of ["services.sync.", "identity.fxaccounts."]) {
            for (const name of Services.prefs.getChildList(branch)) {
                const isOurs = /autoconfig|allowHttp|loglevel|\.log\./.test(name);
                if (!isOurs && Services.prefs.prefHasUserValue(name)) Services.prefs.clearUserPref(name);
            }
        }"#;
    let empty = browser.marionette.open_tab()?;
    for handle in browser.marionette.handles()? {
        if handle != empty {
            browser.marionette.switch_to(&handle)?;
            browser.marionette.close_tab()?;
        }
    }
    browser.marionette.switch_to(&empty)?;
    browser.marionette.chrome(script, json!(null))?;
    wait_for_status(browser, "not_configured")?;
    Ok(())
}

/// How this browser names itself in the store's collection of clients.
pub(crate) fn client_id(browser: &mut Browser) -> Result<String> {
    let script = r#"
        const { Weave } = ChromeUtils.importESModule("resource://services-sync/main.sys.mjs");
        return Weave.Service.clientsEngine.localID;"#;
    let id = browser.marionette.chrome(script, json!(null))?;
    Ok(id.as_str().unwrap_or_default().to_owned())
}
