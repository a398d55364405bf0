//! What the server may lose or take away, and how a browser finds its way back.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::account::{sign_in_again, until_login_failed};
use crate::lab::{Lab, scenario};
use crate::order::{count_status, in_order};
use crate::page::Person;
use crate::{data, settings, sync};

/// Scenario 7. Storage tokens are no longer good: one refusal, a new token, and the next run syncs.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn storage_token_dropped() -> Result<()> {
    scenario("storage-token", |lab| {
        lab.sign_up_in_a(&Person::ann())?;
        let store = sync::store(&mut lab.a)?;
        drop_storage_tokens(lab)?;
        let before = lab.server.requests()?.len();

        sync::sync_well(&mut lab.a)?;

        let requests = lab.server.requests_since(before)?;
        assert_eq!(count_status(&requests, "GET", "/1.5/*/info/collections", 401), 1);
        in_order(
            &requests,
            &[
                ("GET", "/1.5/*/info/collections", 401),
                ("GET", "/1.0/sync/1.5", 200),
                ("GET", "/1.5/*/info/collections", 200),
            ],
        )?;
        assert_eq!(sync::store(&mut lab.a)?, store);
        Ok(())
    })
}

/// Scenario 8. Access tokens are revoked as well: the browser gets itself another and syncs.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn access_tokens_dropped() -> Result<()> {
    scenario("access-tokens", |lab| {
        lab.sign_up_in_a(&Person::ann())?;
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
        let ended = lab.a.wire.chrome(script, json!(lab.server.url))?;
        ensure!(ended.as_u64() > Some(0), "no access token was dropped");
        drop_storage_tokens(lab)?;
        let before = lab.server.requests()?.len();

        sync::sync_well(&mut lab.a)?;

        in_order(
            &lab.server.requests_since(before)?,
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
    scenario("session", |lab| {
        let ann = lab.connect_both()?;
        let store = sync::store(&mut lab.a)?;
        disconnect_the_other(lab)?;

        until_login_failed(&mut lab.a)?;
        let data = sync::account_data(&mut lab.a)?;
        assert!(data["sessionToken"].is_null() && data["scopedKeys"].is_null());
        assert_eq!(data["email"], json!(ann.email));

        let before = lab.server.requests()?.len();
        sign_in_again(&mut lab.a, &lab.server, &ann)?;
        sync::sync_well(&mut lab.a)?;
        assert_eq!(sync::store(&mut lab.a)?, store);
        let requests = lab.server.requests_since(before)?;
        assert_eq!(count_status(&requests, "DELETE", "/1.5/*/storage", 200), 0);
        assert_eq!(
            count_status(&requests, "PUT", "/1.5/*/storage/crypto/keys", 200),
            0
        );
        data::add_bookmark(&mut lab.a, "https://example.org/again")?;
        sync::sync_well(&mut lab.a)?;
        sync::sync_until(&mut lab.b, "the bookmark", |b| {
            data::has_bookmark(b, "https://example.org/again")
        })
    })
}

/// In the second browser, on the page of the account's devices, disconnects the first one.
fn disconnect_the_other(lab: &mut Lab) -> Result<()> {
    let devices = sync::devices(&mut lab.b)?;
    let other = devices.iter().find(|device| device["isCurrentDevice"] != true);
    other.context("the second browser sees the first")?;
    settings::open(&mut lab.b, &lab.server.url)?;
    settings::disconnect_another(&mut lab.b)
}

/// Starts the server with another master secret, which signs no token that the old one signed.
fn drop_storage_tokens(lab: &mut Lab) -> Result<()> {
    lab.server.stop();
    lab.server
        .set("FOXDEN__MASTER_SECRET", &"another secret ".repeat(4));
    lab.server.resume()
}
