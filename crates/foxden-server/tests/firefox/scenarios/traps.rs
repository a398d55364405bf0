//! The traps that a sign-in can fall into. Each ends well, or on a page that helps.

use anyhow::{Context, Result};
use serde_json::json;

use crate::browser::{PLAIN_HOST, Prefs};
use crate::lab::scenario;
use crate::page::{self, Person};
use crate::process::wait_for;
use crate::{data, sync};

/// A wrong password is said at its field; the right one then works.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn wrong_password_is_said() -> Result<()> {
    scenario("wrong-password", |lab| {
        let ann = Person::ann();
        lab.sign_up_in_a(&ann)?;
        page::open_sign_in(&mut lab.b, &lab.server.url)?;
        page::give_address(&mut lab.b, &ann)?;
        page::wait_for_step(&mut lab.b, "password")?;
        page::fill(&mut lab.b, &[("password", "not that one")])?;
        page::submit(&mut lab.b)?;

        page::wait_for_state(&mut lab.b, "error")?;
        let said = page::words(&mut lab.b, "#password-error")?;
        assert!(said.contains("does not fit"), "{said}");
        let field = lab.b.wire.find("#password")?.context("the field stays")?;
        let is_marked = lab.b.wire.attribute(&field, "aria-invalid")?;
        assert_eq!(is_marked.as_deref(), Some("true"));

        page::give_password(&mut lab.b, &ann)?;
        page::wait_until_connected(&mut lab.b)
    })
}

/// After ten wrong passwords the page says until when to wait, which only a header of the answer tells; a browser that is
/// signed in goes on meanwhile.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn a_lockout_is_said_and_stops_no_browser() -> Result<()> {
    scenario("lockout", |lab| {
        let ann = Person::ann();
        lab.sign_up_in_a(&ann)?;
        page::open_sign_in(&mut lab.b, &lab.server.url)?;
        page::give_address(&mut lab.b, &ann)?;
        page::wait_for_step(&mut lab.b, "password")?;
        // One that is repeated is no further try.
        let mut tries = 0;
        let said = wait_for("the lockout to be said", sync::SYNC_LIMIT, || {
            tries += 1;
            page::fill(&mut lab.b, &[("password", &format!("not that one {tries}"))])?;
            page::submit(&mut lab.b)?;
            page::wait_for_state(&mut lab.b, "error")?;
            let said = page::words(&mut lab.b, "main")?;
            Ok(said.contains("Too many tries").then_some(said))
        })?;

        let script = r#"
            const minutes = [10, 11, 12, 13, 14, 15, 16, 17, 18].map((minute) => new Date(Date.now() + minute * 60_000));
            return minutes.map((time) => time.toLocaleString("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));"#;
        let times = lab.b.wire.content(script, json!(null))?;
        let is_said = |time: &serde_json::Value| time.as_str().is_some_and(|time| said.contains(time));
        assert!(
            times.as_array().is_some_and(|times| times.iter().any(is_said)),
            "{times}: {said}"
        );
        assert_eq!(sync::devices(&mut lab.a)?.len(), 1);
        sync::sync_well(&mut lab.a)
    })
}

/// What is no address is said at its field; two problems at once are listed, with links to both fields.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn typing_mistakes_are_said() -> Result<()> {
    scenario("mistakes", |lab| {
        page::open_sign_in(&mut lab.a, &lab.server.url)?;
        page::wait_for_step(&mut lab.a, "start")?;
        page::fill(&mut lab.a, &[("email", "ann")])?;
        page::submit(&mut lab.a)?;
        page::wait_for_state(&mut lab.a, "error")?;
        let said = page::words(&mut lab.a, "#email-error")?;
        assert!(said.contains('@'), "{said}");

        page::fill(&mut lab.a, &[("email", "ann@example.org")])?;
        page::submit(&mut lab.a)?;
        page::wait_for_step(&mut lab.a, "sign-up")?;
        page::fill(&mut lab.a, &[("password", "short"), ("password-repeat", "other")])?;
        page::submit(&mut lab.a)?;
        page::wait_for_state(&mut lab.a, "error")?;
        let links = lab.a.wire.find_all("#status a")?;
        assert_eq!(links.len(), 2, "both problems are listed");
        Ok(())
    })
}

/// Scenario 6, A16.57. The flow in the address died, since the browser began another one: the page begins its own.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn stale_flow_is_replaced() -> Result<()> {
    scenario("stale-flow", |lab| {
        let ann = Person::ann();
        page::open_sign_in(&mut lab.a, &lab.server.url)?;
        page::wait_for_step(&mut lab.a, "start")?;
        let script = r#"
            const { FxAccountsConfig } = ChromeUtils.importESModule("resource://gre/modules/FxAccountsConfig.sys.mjs");
            await FxAccountsConfig.promiseMetricsFlowURI("e2e");"#;
        lab.a.wire.chrome(script, json!(null))?;

        page::make_account(&mut lab.a, &ann)?;
        page::wait_for_step(&mut lab.a, "choose")?;
        page::submit(&mut lab.a)?;
        page::wait_until_connected(&mut lab.a)?;
        sync::wait_for_first_sync(&mut lab.a)
    })
}

/// Scenario 13. Another account in a profile that had one: Firefox asks whether to merge, and the page waits.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn merge_dialog_is_waited_for() -> Result<()> {
    scenario("merge", |lab| {
        lab.sign_up_in_a(&Person::ann())?;
        sync::sign_out(&mut lab.a)?;
        let bea = Person::new("bea@example.org");
        page::open_sign_in(&mut lab.a, &lab.server.url)?;
        page::make_account(&mut lab.a, &bea)?;

        wait_for("the dialog", page::STEP_LIMIT, || lab.a.wire.dialog())?;
        lab.a.wire.accept_dialog()?;

        page::wait_for_step(&mut lab.a, "choose")?;
        page::submit(&mut lab.a)?;
        page::wait_until_connected(&mut lab.a)?;
        sync::wait_for_first_sync(&mut lab.a)?;
        assert_eq!(sync::state(&mut lab.a)?["email"], json!(bea.email));
        Ok(())
    })
}

/// Scenario 14, A16.56. Somebody else signed in meanwhile: the page refuses, and the browser stays with this server.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn second_account_is_refused() -> Result<()> {
    scenario("second-account", |lab| {
        let (ann, bea) = (Person::ann(), Person::new("bea@example.org"));
        page::sign_up(&mut lab.b, &lab.server.url, &bea)?;
        page::open_sign_in(&mut lab.a, &lab.server.url)?;
        let first_tab = lab.a.wire.url()?;
        page::wait_for_step(&mut lab.a, "start")?;
        // Ann signs in in a tab of her own while the first one waits.
        lab.a.wire.open_tab()?;
        lab.a.wire.navigate(&first_tab)?;
        page::make_account(&mut lab.a, &ann)?;
        page::wait_for_step(&mut lab.a, "choose")?;
        page::submit(&mut lab.a)?;
        page::wait_until_connected(&mut lab.a)?;
        sync::wait_for_first_sync(&mut lab.a)?;

        page::go_to_tab(&mut lab.a, |url| url == first_tab)?;
        page::give_address(&mut lab.a, &bea)?;
        page::wait_for_step(&mut lab.a, "password")?;
        page::give_password(&mut lab.a, &bea)?;
        page::wait_for_step(&mut lab.a, "other")?;

        let said = page::status(&mut lab.a)?;
        assert!(said.contains(&ann.email), "{said}");
        assert_eq!(sync::state(&mut lab.a)?["email"], json!(ann.email));
        let address = lab.a.pref("identity.fxaccounts.auth.uri")?;
        assert_eq!(address, json!(format!("{}/v1", lab.server.url)));
        sync::sync_well(&mut lab.a)
    })
}

/// Scenario 15, A16.58. The push service cannot be reached, which takes Firefox ten seconds to find out: the page waits
/// and says so.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn unreachable_push_service_is_waited_for() -> Result<()> {
    scenario("push", |lab| {
        let prefs = Prefs::from([("remote.prefs.recommended", json!(false))]);
        let mut browser = lab.launch("push", prefs)?;
        let before = std::time::Instant::now();

        page::sign_up(&mut browser, &lab.server.url, &Person::ann())?;

        // Without that delay the scenario shows nothing.
        assert!(before.elapsed() > std::time::Duration::from_secs(8));
        sync::wait_for_first_sync(&mut browser)
    })
}

/// Scenario 17, A16.55. A page opened by its address cannot talk to the browser and says what to do instead.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn typed_address_explains_itself() -> Result<()> {
    scenario("typed", |lab| {
        let address = format!("{}/signin", lab.server.url);
        lab.a.wire.navigate(&address)?;

        page::wait_for_step(&mut lab.a, "menu")?;

        page::wait_for_state(&mut lab.a, "error")?;
        let shown = page::words(&mut lab.a, "#stage")?;
        assert!(shown.contains("Firefox"), "{shown}");
        assert!(shown.contains(&lab.server.url), "{shown}");
        Ok(())
    })
}

/// Scenario 19. Without https a name that is not this machine's is no secure context: the page explains it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn plain_http_explains_itself() -> Result<()> {
    scenario("plain-http", |lab| {
        lab.server.move_to(PLAIN_HOST)?;
        lab.a.wire.navigate(&format!("{}/signin", lab.server.url))?;

        page::wait_for_step(&mut lab.a, "insecure")?;

        let shown = page::words(&mut lab.a, "#stage")?;
        assert!(shown.contains("https"), "{shown}");
        Ok(())
    })
}

/// A16.72. The server gets another port and another name: the browser, told so and signed in again, finds the same
/// store with all that was in it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn moved_server_keeps_everything() -> Result<()> {
    scenario("moved", |lab| {
        let ann = Person::ann();
        let url = "https://example.org/before-the-move";
        lab.sign_up_in_a(&ann)?;
        data::add_bookmark(&mut lab.a, url)?;
        sync::sync_well(&mut lab.a)?;
        let store = sync::store(&mut lab.a)?;
        sync::sign_out(&mut lab.a)?;

        lab.server.move_to("localhost")?;
        for browser in [&mut lab.a, &mut lab.b] {
            crate::lab::point_to(browser, &lab.server.url)?;
            page::sign_in(browser, &lab.server.url, &ann)?;
            sync::wait_for_first_sync(browser)?;
            assert_eq!(sync::store(browser)?, store);
        }

        sync::sync_until(&mut lab.b, "the bookmark", |b| data::has_bookmark(b, url))
    })
}

/// A16.60. The tab is closed after the browser got its session and before it got its key: signing in once more
/// completes it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn half_a_sign_in_is_completed() -> Result<()> {
    scenario("half-way", |lab| {
        let ann = Person::ann();
        page::open_sign_in(&mut lab.a, &lab.server.url)?;
        page::make_account(&mut lab.a, &ann)?;
        page::wait_for_step(&mut lab.a, "choose")?;
        let close = r#"
            const tab = gBrowser.selectedTab;
            gBrowser.addTrustedTab("about:blank", { inBackground: true });
            const observer = { observe() {
                Services.obs.removeObserver(observer, "fxaccounts:onlogin");
                gBrowser.removeTab(tab);
            } };
            Services.obs.addObserver(observer, "fxaccounts:onlogin");"#;
        lab.a.wire.chrome(close, json!(null))?;
        page::submit(&mut lab.a)?;
        wait_for("the browser to have its session", page::STEP_LIMIT, || {
            let state = sync::state(&mut lab.a)?;
            Ok((state["status"] != "not_configured").then_some(()))
        })?;
        let handles = lab.a.wire.handles()?;
        lab.a.wire.switch_to(handles.first().context("a tab is left")?)?;
        assert_ne!(sync::state(&mut lab.a)?["hasSyncKeys"], true);

        page::open_sign_in(&mut lab.a, &lab.server.url)?;
        page::wait_for_step(&mut lab.a, "already")?;
        page::press(&mut lab.a, "#once-more")?;
        page::wait_for_step(&mut lab.a, "again")?;
        page::give_password(&mut lab.a, &ann)?;
        page::wait_until_connected(&mut lab.a)?;
        sync::wait_for_first_sync(&mut lab.a)
    })
}

/// A16.61. Settings asked for one account while the browser belongs to another: nothing of the other is shown.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn settings_of_another_account_ask_who_it_is() -> Result<()> {
    scenario("other-settings", |lab| {
        let ann = Person::ann();
        lab.sign_up_in_a(&ann)?;
        let uid = "0f".repeat(16);
        let address = format!("{}/settings?uid={uid}&email=bea@example.org", lab.server.url);

        lab.a.wire.navigate(&address)?;

        page::wait_for_step(&mut lab.a, "sign-in")?;
        let shown = page::words(&mut lab.a, "main")?;
        assert!(!shown.contains(&ann.email), "{shown}");
        let script = "return document.getElementById('email').value;";
        assert_eq!(lab.a.wire.content(script, json!(null))?, json!("bea@example.org"));
        Ok(())
    })
}
