//! Sign-ins that go wrong. Each case ends well, or on a page that helps.

use anyhow::{Context, Result};
use serde_json::json;

use crate::browser::{PLAIN_HOST, Prefs};
use crate::page::{self, Person};
use crate::process::wait_for;
use crate::test_context::scenario;
use crate::{data, sync};

/// The page shows a wrong password at its field; the right one then works.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn wrong_password_is_said() -> Result<()> {
    scenario("wrong-password", |test| {
        let ann = Person::ann();
        test.sign_up_in_a(&ann)?;
        page::open_sign_in(&mut test.b, &test.server.url)?;
        page::give_address(&mut test.b, &ann)?;
        page::wait_for_step(&mut test.b, "password")?;
        page::fill(&mut test.b, &[("password", "not that one")])?;
        page::submit(&mut test.b)?;

        page::wait_for_state(&mut test.b, "error")?;
        let message = page::text(&mut test.b, "#password-error")?;
        assert!(message.contains("does not fit"), "{message}");
        let field = test.b.marionette.find("#password")?.context("the field stays")?;
        let is_marked = test.b.marionette.attribute(&field, "aria-invalid")?;
        assert_eq!(is_marked.as_deref(), Some("true"));

        page::give_password(&mut test.b, &ann)?;
        page::wait_until_connected(&mut test.b)
    })
}

/// After ten wrong passwords the page says until when to wait, which only a header of the answer tells; a browser that is
/// signed in goes on meanwhile.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn a_lockout_is_said_and_stops_no_browser() -> Result<()> {
    scenario("lockout", |test| {
        let ann = Person::ann();
        test.sign_up_in_a(&ann)?;
        page::open_sign_in(&mut test.b, &test.server.url)?;
        page::give_address(&mut test.b, &ann)?;
        page::wait_for_step(&mut test.b, "password")?;
        // One that is repeated is no further try.
        let mut tries = 0;
        let message = wait_for("the lockout to be said", sync::SYNC_LIMIT, || {
            tries += 1;
            page::fill(&mut test.b, &[("password", &format!("not that one {tries}"))])?;
            page::submit(&mut test.b)?;
            page::wait_for_state(&mut test.b, "error")?;
            let message = page::text(&mut test.b, "main")?;
            Ok(message.contains("Too many tries").then_some(message))
        })?;

        let script = r#"
            const minutes = [10, 11, 12, 13, 14, 15, 16, 17, 18].map((minute) => new Date(Date.now() + minute * 60_000));
            return minutes.map((time) => time.toLocaleString("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));"#;
        let times = test.b.marionette.content(script, json!(null))?;
        let is_said = |time: &serde_json::Value| time.as_str().is_some_and(|time| message.contains(time));
        assert!(
            times.as_array().is_some_and(|times| times.iter().any(is_said)),
            "{times}: {message}"
        );
        assert_eq!(sync::devices(&mut test.a)?.len(), 1);
        sync::sync_well(&mut test.a)
    })
}

/// The page shows an invalid address at its field; it lists two problems at once, with links to both fields.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn typing_mistakes_are_said() -> Result<()> {
    scenario("mistakes", |test| {
        page::open_sign_in(&mut test.a, &test.server.url)?;
        page::wait_for_step(&mut test.a, "start")?;
        page::fill(&mut test.a, &[("email", "ann")])?;
        page::submit(&mut test.a)?;
        page::wait_for_state(&mut test.a, "error")?;
        let message = page::text(&mut test.a, "#email-error")?;
        assert!(message.contains('@'), "{message}");

        page::fill(&mut test.a, &[("email", "ann@example.org")])?;
        page::submit(&mut test.a)?;
        page::wait_for_step(&mut test.a, "sign-up")?;
        page::fill(
            &mut test.a,
            &[("password", "short"), ("password-repeat", "other")],
        )?;
        page::submit(&mut test.a)?;
        page::wait_for_state(&mut test.a, "error")?;
        let links = test.a.marionette.find_all("#status a")?;
        assert_eq!(links.len(), 2, "both problems are listed");
        Ok(())
    })
}

/// Scenario 6, A16.57. The flow in the address died, since the browser began another one: the page begins its own.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn stale_flow_is_replaced() -> Result<()> {
    scenario("stale-flow", |test| {
        let ann = Person::ann();
        page::open_sign_in(&mut test.a, &test.server.url)?;
        page::wait_for_step(&mut test.a, "start")?;
        let script = r#"
            const { FxAccountsConfig } = ChromeUtils.importESModule("resource://gre/modules/FxAccountsConfig.sys.mjs");
            await FxAccountsConfig.promiseMetricsFlowURI("e2e");"#;
        test.a.marionette.chrome(script, json!(null))?;

        page::make_account(&mut test.a, &ann)?;
        page::wait_for_step(&mut test.a, "choose")?;
        page::submit(&mut test.a)?;
        page::wait_until_connected(&mut test.a)?;
        sync::wait_for_first_sync(&mut test.a)
    })
}

/// Scenario 13. Another account in a profile that had one: Firefox asks whether to merge, and the page waits.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn merge_dialog_is_waited_for() -> Result<()> {
    scenario("merge", |test| {
        test.sign_up_in_a(&Person::ann())?;
        sync::sign_out(&mut test.a)?;
        let bea = Person::new("bea@example.org");
        page::open_sign_in(&mut test.a, &test.server.url)?;
        page::make_account(&mut test.a, &bea)?;

        wait_for("the dialog", page::STEP_LIMIT, || test.a.marionette.dialog())?;
        test.a.marionette.accept_dialog()?;

        page::wait_for_step(&mut test.a, "choose")?;
        page::submit(&mut test.a)?;
        page::wait_until_connected(&mut test.a)?;
        sync::wait_for_first_sync(&mut test.a)?;
        assert_eq!(sync::state(&mut test.a)?["email"], json!(bea.email));
        Ok(())
    })
}

/// Scenario 14, A16.56. Another user signed in meanwhile: the page refuses, and the browser stays with this server.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn second_account_is_refused() -> Result<()> {
    scenario("second-account", |test| {
        let (ann, bea) = (Person::ann(), Person::new("bea@example.org"));
        page::sign_up(&mut test.b, &test.server.url, &bea)?;
        page::open_sign_in(&mut test.a, &test.server.url)?;
        let first_tab = test.a.marionette.url()?;
        page::wait_for_step(&mut test.a, "start")?;
        // Ann signs in in a tab of her own while the first one waits.
        test.a.marionette.open_tab()?;
        test.a.marionette.navigate(&first_tab)?;
        page::make_account(&mut test.a, &ann)?;
        page::wait_for_step(&mut test.a, "choose")?;
        page::submit(&mut test.a)?;
        page::wait_until_connected(&mut test.a)?;
        sync::wait_for_first_sync(&mut test.a)?;

        page::go_to_tab(&mut test.a, |url| url == first_tab)?;
        page::give_address(&mut test.a, &bea)?;
        page::wait_for_step(&mut test.a, "password")?;
        page::give_password(&mut test.a, &bea)?;
        page::wait_for_step(&mut test.a, "other")?;

        let message = page::status(&mut test.a)?;
        assert!(message.contains(&ann.email), "{message}");
        assert_eq!(sync::state(&mut test.a)?["email"], json!(ann.email));
        let address = test.a.pref("identity.fxaccounts.auth.uri")?;
        assert_eq!(address, json!(format!("{}/v1", test.server.url)));
        sync::sync_well(&mut test.a)
    })
}

/// Scenario 15, A16.58. The push service cannot be reached, which takes Firefox ten seconds to find out: the page waits
/// and says so.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn unreachable_push_service_is_waited_for() -> Result<()> {
    scenario("push", |test| {
        let prefs = Prefs::from([("remote.prefs.recommended", json!(false))]);
        let mut browser = test.launch("push", prefs)?;
        let before = std::time::Instant::now();

        page::sign_up(&mut browser, &test.server.url, &Person::ann())?;

        // Without that delay the scenario shows nothing.
        assert!(before.elapsed() > std::time::Duration::from_secs(8));
        sync::wait_for_first_sync(&mut browser)
    })
}

/// Scenario 17, A16.55. A page opened by its address cannot talk to the browser and says what to do instead.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn typed_address_explains_itself() -> Result<()> {
    scenario("typed", |test| {
        let address = format!("{}/signin", test.server.url);
        test.a.marionette.navigate(&address)?;

        page::wait_for_step(&mut test.a, "menu")?;

        page::wait_for_state(&mut test.a, "error")?;
        let shown = page::text(&mut test.a, "#stepper")?;
        assert!(shown.contains("Firefox"), "{shown}");
        assert!(shown.contains(&test.server.url), "{shown}");
        Ok(())
    })
}

/// Scenario 19. Without https a name that is not this machine's is no secure context: the page explains it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn plain_http_explains_itself() -> Result<()> {
    scenario("plain-http", |test| {
        test.server.move_to(PLAIN_HOST)?;
        test.a
            .marionette
            .navigate(&format!("{}/signin", test.server.url))?;

        page::wait_for_step(&mut test.a, "insecure")?;

        let shown = page::text(&mut test.a, "#stepper")?;
        assert!(shown.contains("https"), "{shown}");
        Ok(())
    })
}

/// A16.72. The server gets another port and another name: the browser, told so and signed in again, finds the same
/// store with all that was in it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn moved_server_keeps_everything() -> Result<()> {
    scenario("moved", |test| {
        let ann = Person::ann();
        let url = "https://example.org/before-the-move";
        test.sign_up_in_a(&ann)?;
        data::add_bookmark(&mut test.a, url)?;
        sync::sync_well(&mut test.a)?;
        let store = sync::store(&mut test.a)?;
        sync::sign_out(&mut test.a)?;

        test.server.move_to("localhost")?;
        for browser in [&mut test.a, &mut test.b] {
            crate::test_context::point_to(browser, &test.server.url)?;
            page::sign_in(browser, &test.server.url, &ann)?;
            sync::wait_for_first_sync(browser)?;
            assert_eq!(sync::store(browser)?, store);
        }

        sync::sync_until(&mut test.b, "the bookmark", |b| data::has_bookmark(b, url))
    })
}

/// A16.60. The tab is closed after the browser got its session and before it got its key: signing in once more
/// completes it.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn half_a_sign_in_is_completed() -> Result<()> {
    scenario("half-way", |test| {
        let ann = Person::ann();
        page::open_sign_in(&mut test.a, &test.server.url)?;
        page::make_account(&mut test.a, &ann)?;
        page::wait_for_step(&mut test.a, "choose")?;
        let close = r#"
            const tab = gBrowser.selectedTab;
            gBrowser.addTrustedTab("about:blank", { inBackground: true });
            const observer = { observe() {
                Services.obs.removeObserver(observer, "fxaccounts:onlogin");
                gBrowser.removeTab(tab);
            } };
            Services.obs.addObserver(observer, "fxaccounts:onlogin");"#;
        test.a.marionette.chrome(close, json!(null))?;
        page::submit(&mut test.a)?;
        wait_for("the browser to have its session", page::STEP_LIMIT, || {
            let state = sync::state(&mut test.a)?;
            Ok((state["status"] != "not_configured").then_some(()))
        })?;
        let handles = test.a.marionette.handles()?;
        test.a
            .marionette
            .switch_to(handles.first().context("a tab is left")?)?;
        assert_ne!(sync::state(&mut test.a)?["hasSyncKeys"], true);

        page::open_sign_in(&mut test.a, &test.server.url)?;
        page::wait_for_step(&mut test.a, "already")?;
        page::press(&mut test.a, "#once-more")?;
        page::wait_for_step(&mut test.a, "again")?;
        page::give_password(&mut test.a, &ann)?;
        page::wait_until_connected(&mut test.a)?;
        sync::wait_for_first_sync(&mut test.a)
    })
}

/// A16.61. Settings asked for one account while the browser belongs to another: nothing of the other is shown.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn settings_of_another_account_ask_who_it_is() -> Result<()> {
    scenario("other-settings", |test| {
        let ann = Person::ann();
        test.sign_up_in_a(&ann)?;
        let uid = "0f".repeat(16);
        let address = format!("{}/settings?uid={uid}&email=bea@example.org", test.server.url);

        test.a.marionette.navigate(&address)?;

        page::wait_for_step(&mut test.a, "sign-in")?;
        let shown = page::text(&mut test.a, "main")?;
        assert!(!shown.contains(&ann.email), "{shown}");
        let script = "return document.getElementById('email').value;";
        assert_eq!(
            test.a.marionette.content(script, json!(null))?,
            json!("bea@example.org")
        );
        Ok(())
    })
}
