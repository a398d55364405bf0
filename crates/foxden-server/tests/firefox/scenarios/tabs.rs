//! Tabs that one browser sends another, or closes there, without any push service.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::process::wait_for;
use crate::requests::count_status;
use crate::test_context::scenario;

/// How long a browser may take to fetch its pending commands.
const FETCH_LIMIT: Duration = Duration::from_secs(20);
/// The file in which the browser records arrived tabs, one line each.
const ARRIVED: &str = "foxden.arrived";

/// Scenario 18, V7.6. Tabs sent to a browser that does nothing arrive once "Sync now" is pressed in it, also when its
/// account menu was opened before: the menu refreshes the list of devices, and a command in the middle of that would
/// keep the browser from every later one.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn sent_tabs_arrive() -> Result<()> {
    scenario("send-tab", |test| {
        test.connect_both()?;
        listen(&mut test.b)?;

        send(&mut test.a, "https://example.org/before-the-menu")?;
        let before = test.server.requests()?.len();
        open_account_menu(&mut test.b)?;
        let requests = test.server.requests_since(before)?;
        for (method, path) in [
            ("GET", "/v1/account/devices"),
            ("POST", "/v1/account/device"),
            ("GET", "/v1/account/device/commands"),
        ] {
            assert!(
                count_status(&requests, method, path, 200) > 0,
                "{path}: {requests:?}"
            );
        }
        // Sync again until the tab has arrived, as users do.
        wait_for("the tab sent before the menu was opened", FETCH_LIMIT, || {
            press_sync_now(&mut test.b)?;
            has_arrived(&mut test.b, "https://example.org/before-the-menu")
        })?;

        // The browser does nothing now, and registers itself for nothing: once is enough.
        send(&mut test.a, "https://example.org/while-idle")?;
        press_sync_now(&mut test.b)?;
        wait_for("the tab sent to an idle browser", FETCH_LIMIT, || {
            has_arrived(&mut test.b, "https://example.org/while-idle")
        })?;

        let arrived = arrived(&mut test.b)?;
        assert!(
            arrived.iter().all(|line| line.contains('’')),
            "the sender is named: {arrived:?}"
        );
        assert_eq!(arrived.len(), 2, "each once: {arrived:?}");
        Ok(())
    })
}

/// V7.1. Of two requests to close a tab, the browser carries out both, one after the other.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn every_request_to_close_a_tab_is_carried_out() -> Result<()> {
    scenario("close-tab", |test| {
        test.connect_both()?;
        let pages = ["/legal/terms", "/legal/privacy"].map(|path| format!("{}{path}", test.server.url));
        for page in &pages {
            test.b.marionette.open_tab()?;
            test.b.marionette.navigate(page)?;
        }
        test.b.marionette.open_tab()?;
        for page in &pages {
            close(&mut test.a, page)?;
        }

        wait_for("both tabs to close", FETCH_LIMIT, || {
            press_sync_now(&mut test.b)?;
            let open = open_pages(&mut test.b)?;
            Ok((!pages.iter().any(|page| open.contains(page))).then_some(()))
        })
    })
}

/// Has the browser write down which tabs arrive, and from whom.
fn listen(browser: &mut Browser) -> Result<()> {
    let script = r#"
        const { Observers } = ChromeUtils.importESModule("resource://services-common/observers.sys.mjs");
        Services.prefs.setStringPref(args, "");
        Observers.add("fxaccounts:commands:open-uri", (tabs) => {
            const lines = tabs.map(({ sender, uri }) => `${sender?.name} ${uri}\n`);
            Services.prefs.setStringPref(args, Services.prefs.getStringPref(args) + lines.join(""));
        });"#;
    browser.marionette.chrome(script, json!(ARRIVED))?;
    Ok(())
}

fn arrived(browser: &mut Browser) -> Result<Vec<String>> {
    let lines = browser.pref(ARRIVED)?;
    let lines = lines.as_str().unwrap_or_default().lines();
    Ok(lines.map(str::to_owned).collect())
}

fn has_arrived(browser: &mut Browser, url: &str) -> Result<Option<()>> {
    let arrived = arrived(browser)?;
    Ok(arrived.iter().any(|line| line.ends_with(url)).then_some(()))
}

/// Sends the other device a tab.
fn send(browser: &mut Browser, url: &str) -> Result<()> {
    let script = r#"
        const { getFxAccountsSingleton } = ChromeUtils.importESModule("resource://gre/modules/FxAccounts.sys.mjs");
        const accounts = getFxAccountsSingleton();
        await accounts.device.refreshDeviceList({ ignoreCached: true });
        const other = accounts.device.recentDeviceList.filter((device) => !device.isCurrentDevice);
        const report = await accounts.commands.sendTab.send(other, { title: "A page", url: args });
        return [report.succeeded.length, report.failed.length];"#;
    let sent = browser.marionette.chrome(script, json!(url))?;
    ensure!(sent == json!([1, 0]), "sent: {sent}");
    Ok(())
}

/// Asks the other device to close a tab, in a command of its own.
fn close(browser: &mut Browser, url: &str) -> Result<()> {
    let script = r#"
        const { getFxAccountsSingleton } = ChromeUtils.importESModule("resource://gre/modules/FxAccounts.sys.mjs");
        const accounts = getFxAccountsSingleton();
        await accounts.device.refreshDeviceList({ ignoreCached: true });
        const other = accounts.device.recentDeviceList.find((device) => !device.isCurrentDevice);
        return await accounts.commands.closeTab.sendCloseTabsCommand(other, [args], "flow");"#;
    let sent = browser.marionette.chrome(script, json!(url))?;
    ensure!(sent == json!(true), "sent: {sent}");
    Ok(())
}

/// Opens the account menu and in it the list of devices that tabs can be sent to, and waits until the browser has
/// refreshed that list.
fn open_account_menu(browser: &mut Browser) -> Result<()> {
    let script = r#"
        const { getFxAccountsSingleton } = ChromeUtils.importESModule("resource://gre/modules/FxAccounts.sys.mjs");
        const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
        const button = document.getElementById("fxa-toolbar-menu-button");
        const shown = new Promise((go) => document.addEventListener("popupshown", go, { once: true }));
        await gSync.toggleAccountPanel(button, new MouseEvent("mousedown", { button: 0 }));
        await shown;
        const sendTab = PanelMultiView.getViewNode(document, "PanelUI-fxa-menu-sendtab-button");
        gSync.showSendToDeviceViewFromFxaMenu(sendTab);
        const { device } = getFxAccountsSingleton();
        const isOver = device.refreshDeviceList().then(() => "refreshed");
        const isLate = new Promise((go) => setTimeout(go, 15_000, "waits for itself"));
        const outcome = await Promise.race([isOver, isLate]);
        CustomizableUI.hidePanelForNode(button);
        PanelMultiView.hidePopup(document.getElementById("customizationui-widget-panel"));
        return outcome;"#;
    let outcome = browser.marionette.chrome(script, Value::Null)?;
    ensure!(outcome == "refreshed", "the list of devices: {outcome}");
    Ok(())
}

/// Syncs as "Sync now" in the menu does, after a sync that already runs.
fn press_sync_now(browser: &mut Browser) -> Result<()> {
    let script = r#"
        const { Weave } = ChromeUtils.importESModule("resource://services-sync/main.sys.mjs");
        const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
        while (Weave.Service.locked) await new Promise((go) => setTimeout(go, 50));
        const over = new Promise((go) => {
            const topics = ["sync:finish", "sync:error", "login:error"].map((name) => `weave:service:${name}`);
            const observer = {
                observe() {
                    for (const topic of topics) Services.obs.removeObserver(observer, topic);
                    go();
                },
            };
            for (const topic of topics) Services.obs.addObserver(observer, topic);
        });
        gSync.doSync();
        await over;"#;
    browser.marionette.chrome(script, Value::Null)?;
    Ok(())
}

/// The addresses of all tabs.
fn open_pages(browser: &mut Browser) -> Result<Vec<String>> {
    let script = "return Array.from(gBrowser.tabs, (tab) => tab.linkedBrowser.currentURI.spec);";
    let pages = browser.marionette.chrome(script, Value::Null)?;
    let pages = pages.as_array().cloned().unwrap_or_default();
    Ok(pages
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}
