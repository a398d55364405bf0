//! Tokens and sessions that the server revokes, and how a browser recovers.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::account::{sign_in_again, until_login_failed};
use crate::page::Person;
use crate::requests::{count_status, in_order};
use crate::test_context::{TestContext, scenario};
use crate::{data, settings, sync};

/// Scenario 7. Storage tokens become invalid: one 401, a new token, and the next run syncs.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn storage_token_dropped() -> Result<()> {
    scenario("storage-token", |test| {
        test.sign_up_in_a(&Person::ann())?;
        let store = sync::store(&mut test.a)?;
        drop_storage_tokens(test)?;
        let before = test.server.requests()?.len();

        sync::sync_well(&mut test.a)?;

        let requests = test.server.requests_since(before)?;
        assert_eq!(count_status(&requests, "GET", "/1.5/*/info/collections", 401), 1);
        in_order(
            &requests,
            &[
                ("GET", "/1.5/*/info/collections", 401),
                ("GET", "/1.0/sync/1.5", 200),
                ("GET", "/1.5/*/info/collections", 200),
            ],
        )?;
        assert_eq!(sync::store(&mut test.a)?, store);
        Ok(())
    })
}

/// Scenario 8. Access tokens are revoked as well: the browser gets itself another and syncs.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn access_tokens_dropped() -> Result<()> {
    scenario("access-tokens", |test| {
        test.sign_up_in_a(&Person::ann())?;
        let script = r#"
            const { getFxAccountsSingleton } = ChromeUtils.importESModule("resource://gre/modules/FxAccounts.sys.mjs");
            const tokens = getFxAccountsSingleton()._internal.currentAccountState.oauthTokens;
            let ended = 0;
            for (const { token } of Object.values(tokens)) {
                const answer = await fetch(`${args}/v1/oauth/destroy`, {
                    method: "POST",
                    headers: { "Content-Type": "application/json" },
                    body: JSON.stringify({ client_id: "5882386c6d801776", token }),
                });
                ended += answer.ok;
            }
            return ended;"#;
        let ended = test.a.marionette.chrome(script, json!(test.server.url))?;
        ensure!(ended.as_u64() > Some(0), "no access token was dropped");
        drop_storage_tokens(test)?;
        let before = test.server.requests()?.len();

        sync::sync_well(&mut test.a)?;

        in_order(
            &test.server.requests_since(before)?,
            &[
                ("GET", "/1.0/sync/1.5", 401),
                ("POST", "/v1/oauth/destroy", 200),
                ("POST", "/v1/oauth/token", 200),
                ("GET", "/1.0/sync/1.5", 200),
                ("GET", "/1.5/*/info/collections", 200),
            ],
        )
    })
}

/// Scenario 9. The browser is disconnected from elsewhere: it asks to sign in once more, and then goes on with
/// the same keys, uploading nothing again.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn session_dropped() -> Result<()> {
    scenario("session", |test| {
        let ann = test.connect_both()?;
        let store = sync::store(&mut test.a)?;
        disconnect_the_other(test)?;

        until_login_failed(&mut test.a)?;
        let data = sync::account_data(&mut test.a)?;
        assert!(data["sessionToken"].is_null() && data["scopedKeys"].is_null());
        assert_eq!(data["email"], json!(ann.email));

        let before = test.server.requests()?.len();
        sign_in_again(&mut test.a, &test.server, &ann)?;
        sync::sync_well(&mut test.a)?;
        assert_eq!(sync::store(&mut test.a)?, store);
        let requests = test.server.requests_since(before)?;
        assert_eq!(count_status(&requests, "DELETE", "/1.5/*/storage", 200), 0);
        assert_eq!(
            count_status(&requests, "PUT", "/1.5/*/storage/crypto/keys", 200),
            0
        );
        data::add_bookmark(&mut test.a, "https://example.org/again")?;
        sync::sync_well(&mut test.a)?;
        sync::sync_until(&mut test.b, "the bookmark", |b| {
            data::has_bookmark(b, "https://example.org/again")
        })
    })
}

/// In the second browser, on the page of the account's devices, disconnects the first one.
fn disconnect_the_other(test: &mut TestContext) -> Result<()> {
    let devices = sync::devices(&mut test.b)?;
    let other = devices.iter().find(|device| device["isCurrentDevice"] != true);
    other.context("the second browser sees the first")?;
    settings::open(&mut test.b, &test.server.url)?;
    settings::disconnect_another(&mut test.b)
}

/// Starts the server with another master secret, which signs no token that the old one signed.
fn drop_storage_tokens(test: &mut TestContext) -> Result<()> {
    test.server.stop();
    test.server
        .set("FOXDEN__MASTER_SECRET", &"another secret ".repeat(4));
    test.server.resume()
}
