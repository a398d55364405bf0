//! Tests of the security events of every surface.

use foxden_accounts::{ClientInfo, CredentialKind, NewAccount, Options, SignInError, SignUp};
use std::sync::{Arc, Mutex};

use foxden_accounts::legacy::{DataLossConsent, NewLegacyAccount, name_of};
use foxden_accounts::security::{EntryPoint, SecurityEvents};

use crate::context::{
    ANN, BEA, PASSWORD, TestContext, auth_pw, cheap, local_client, new_account, public_client,
};
use crate::password::{change, reset};

/// An event as a line: kind, subject, entry point, address, reason.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn security_events(&self) -> SecurityEvents {
        let heard = self.clone();
        SecurityEvents::new(move |event| {
            let line = format!(
                "{:?} {} by {} from {} {} {}",
                event.kind,
                event.name.unwrap_or("-"),
                event.entry_point,
                event
                    .from
                    .map_or_else(|| "nowhere".to_owned(), |from| from.to_string()),
                if event.account.is_some() {
                    "known"
                } else {
                    "unknown"
                },
                event.why.unwrap_or("-"),
            );
            heard.0.lock().unwrap().push(line);
        })
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn ctx() -> (TestContext, Heard) {
    let heard = Heard::default();
    let options = Options {
        sign_up: Some(SignUp::Open),
        security_events: heard.security_events(),
        ..cheap()
    };
    (TestContext::with(options).await, heard)
}

fn by_user_api() -> ClientInfo {
    ClientInfo {
        entry_point: EntryPoint::UserApi,
        ..public_client("192.0.2.1")
    }
}

#[tokio::test]
async fn log_ins_of_today_that_fail_are_told() {
    let (ctx, heard) = ctx().await;
    ctx.create(ANN).await;
    ctx.login(ANN, PASSWORD).await.unwrap();
    assert_eq!(
        heard.take(),
        ["AccountCreated ann@example.org by accounts from 127.0.0.1 known -"]
    );

    ctx.login(ANN, "wrong").await.unwrap_err();
    ctx.login(BEA, PASSWORD).await.unwrap_err();
    ctx.accounts.set_disabled(ANN, true).await.unwrap();
    ctx.login(ANN, PASSWORD).await.unwrap_err();
    ctx.accounts
        .add_account("cid@example.org", foxden_accounts::Role::Member)
        .await
        .unwrap();
    ctx.login("cid@example.org", PASSWORD).await.unwrap_err();
    assert_eq!(
        heard.take(),
        [
            "LoginFailed ann@example.org by accounts from 127.0.0.1 known wrong password",
            "LoginFailed bea@example.org by accounts from 127.0.0.1 unknown unknown name",
            "LoginFailed ann@example.org by accounts from 127.0.0.1 known switched off",
            "LoginFailed cid@example.org by accounts from 127.0.0.1 known no password set yet",
        ]
    );
    for number in 0..9 {
        ctx.login(BEA, &format!("wrong {number}")).await.unwrap_err();
    }
    heard.take();
    let locked = ctx.login(BEA, PASSWORD).await;
    assert!(matches!(locked, Err(SignInError::TooMany { .. })));
    assert_eq!(
        heard.take(),
        ["LoginLocked bea@example.org by accounts from 127.0.0.1 unknown -"]
    );
}

#[tokio::test]
async fn events_of_current_browsers_are_emitted() {
    let (ctx, heard) = ctx().await;
    ctx.create(ANN).await;
    heard.take();
    change(&ctx, ANN, PASSWORD, "another").await;
    assert_eq!(
        heard.take(),
        ["PasswordChanged ann@example.org by accounts from 127.0.0.1 known -"]
    );
    reset(&ctx, ANN, auth_pw(ANN, PASSWORD)).await;
    assert_eq!(
        heard.take(),
        [
            "ResetRequested ann@example.org by accounts from 127.0.0.1 known -",
            "PasswordReset ann@example.org by accounts from 127.0.0.1 known -",
        ]
    );
    ctx.accounts
        .destroy(None, ANN, &auth_pw(ANN, PASSWORD), &local_client())
        .await
        .unwrap();
    assert_eq!(
        heard.take(),
        ["AccountDeleted ann@example.org by accounts from 127.0.0.1 known -"]
    );
}

/// An account that ends by itself leaves a trace, too.
#[tokio::test]
async fn an_account_that_never_confirmed_its_address_is_named_when_it_ends() {
    let heard = Heard::default();
    let options = Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        security_events: heard.security_events(),
        ..cheap()
    };
    let ctx = TestContext::with(options).await;
    let by = public_client("192.0.2.1");
    ctx.accounts.create(new_account(ANN), &by).await.unwrap();
    heard.take();
    ctx.clock.advance_millis(7 * 24 * 3_600_000 + 1);
    ctx.accounts.purge(1000, i64::MAX).await.unwrap();
    assert_eq!(
        heard.take(),
        ["AccountDeleted ann@example.org by chore from nowhere known address never confirmed"]
    );
}

#[tokio::test]
async fn events_of_old_clients_are_emitted() {
    let (ctx, heard) = ctx().await;
    let (accounts, client) = (&ctx.accounts, by_user_api());
    let name = name_of(ANN).unwrap();
    let new = NewLegacyAccount {
        name: &name,
        address: ANN,
        password: PASSWORD,
        is_authorised: false,
    };
    accounts.create_legacy(new, &client).await.unwrap();
    accounts
        .verify_plain_password(ANN, "wrong password", &client)
        .await
        .unwrap_err();
    accounts
        .verify_plain_password("unknown", PASSWORD, &client)
        .await
        .unwrap_err();
    accounts
        .change_plain_password(ANN, PASSWORD, "another one", &client)
        .await
        .unwrap();
    accounts
        .change_address(ANN, "another one", BEA, &client)
        .await
        .unwrap();
    accounts.request_legacy_reset(BEA, &client).await.unwrap();
    let waiting = accounts.pending_codes(BEA).await.unwrap();
    // The other confirms the address.
    let code = waiting
        .into_iter()
        .find(|waiting| waiting.code.contains('-'))
        .unwrap()
        .code;
    accounts
        .reset_plain_password(BEA, &code, "a third one", DataLossConsent::Given, &client)
        .await
        .unwrap();
    accounts.delete_legacy(BEA, "a third one", &client).await.unwrap();
    let heard: Vec<String> = heard.take();
    let expected = [
        "AccountCreated ann@example.org",
        "LoginFailed ann@example.org",
        "LoginFailed unknown",
        "PasswordChanged ann@example.org",
        "AddressChanged bea@example.org",
        "ResetRequested bea@example.org",
        "PasswordReset bea@example.org",
        "AccountDeleted bea@example.org",
    ];
    assert_eq!(heard.len(), expected.len(), "{heard:?}");
    for (line, beginning) in heard.iter().zip(expected) {
        let end = match beginning {
            "LoginFailed unknown" => " unknown unknown name",
            _ if beginning.starts_with("LoginFailed") => " known wrong password",
            _ => " known -",
        };
        assert_eq!(*line, format!("{beginning} by user-api from 192.0.2.1{end}"));
    }
    // Whatever is told holds no secret.
    let text = heard.concat();
    assert!(
        [PASSWORD, "another one", "a third one", &code]
            .iter()
            .all(|secret| !text.contains(secret))
    );
}

/// A device that repeats a wrong password costs nothing, and is heard each time, from wherever it asks.
#[tokio::test]
async fn a_wrong_password_that_is_repeated_is_told_again() {
    let (ctx, heard) = ctx().await;
    ctx.create(ANN).await;
    heard.take();
    let before = ctx.accounts.hashes();
    for address in ["192.0.2.1", "192.0.2.1", "198.51.100.1"] {
        let client = ClientInfo {
            entry_point: EntryPoint::Basic,
            ..public_client(address)
        };
        let opened = ctx.accounts.open_store(ANN, "wrong", &client).await;
        opened.unwrap_err();
        let removed = ctx.accounts.delete_legacy(ANN, "wrong", &client).await;
        removed.unwrap_err();
    }
    let line = |from| format!("LoginFailed ann@example.org by basic from {from} known wrong password");
    let lines = [line("192.0.2.1"), line("198.51.100.1")];
    let [one, other] = lines.each_ref().map(String::as_str);
    assert_eq!(heard.take(), [one, one, one, one, other, other]);
    assert_eq!(ctx.accounts.hashes(), before + 1);
}

/// Requests with the operator's secret are actions of the operator.
#[tokio::test]
async fn an_account_made_with_the_admin_secret_is_told_as_the_operators() {
    let (ctx, heard) = ctx().await;
    let name = name_of(ANN).unwrap();
    let new = NewLegacyAccount {
        name: &name,
        address: ANN,
        password: PASSWORD,
        is_authorised: true,
    };
    ctx.accounts.create_legacy(new, &by_user_api()).await.unwrap();
    assert_eq!(
        heard.take(),
        ["Operator(AccountAdded) ann@example.org by user-api from 192.0.2.1 known admin secret"]
    );
}

/// Guessed codes are logged, whatever the code is for.
#[tokio::test]
async fn codes_that_are_wrong_are_told() {
    let (ctx, heard) = ctx().await;
    let (accounts, client) = (&ctx.accounts, by_user_api());
    ctx.create(ANN).await;
    accounts.request_legacy_reset(ANN, &client).await.unwrap();
    heard.take();
    let wrong = "AAAA-BBBB-CCCC-DDDD";
    accounts
        .check_legacy_reset(ANN, wrong, &client)
        .await
        .unwrap_err();
    accounts.open_password_link("nothing", &client).await.unwrap_err();
    let invited = NewAccount {
        invite: Some("nothing".to_owned()),
        ..new_account(BEA)
    };
    accounts.create(invited, &client).await.unwrap_err();
    let started = accounts.start_reset(ANN, &client).await.unwrap();
    let credential = ctx
        .credential(CredentialKind::PasswordForgot, &started.password_forgot_token)
        .await
        .unwrap();
    accounts
        .verify_reset_code(&credential, "nothing", &client)
        .await
        .unwrap_err();
    assert_eq!(
        heard.take(),
        [
            "CodeRefused ann@example.org by user-api from 192.0.2.1 known wrong reset code",
            "CodeRefused - by user-api from 192.0.2.1 unknown no such set-password link",
            "CodeRefused - by user-api from 192.0.2.1 unknown no such invitation",
            "ResetRequested ann@example.org by user-api from 192.0.2.1 known -",
            "CodeRefused - by user-api from 192.0.2.1 known wrong reset code",
        ]
    );
    for (name, code) in [(ANN, "nonsense"), ("unknown", wrong)] {
        let refused = accounts.check_legacy_reset(name, code, &client).await;
        refused.unwrap_err();
    }
    accounts.take_admin_secret(|| false, &client).unwrap();
    let other = accounts.create(new_account(BEA), &client).await.unwrap();
    heard
        .0
        .lock()
        .unwrap()
        .retain(|line| !line.contains("AccountCreated"));
    let session = ctx.session(&other).await;
    let typed = accounts.verify_session(&session, "nothing", &client).await;
    typed.unwrap_err();
    let opened = accounts.verify_address(other.account, "nothing", &client).await;
    opened.unwrap_err();
    assert_eq!(
        heard.take(),
        [
            "CodeRefused ann@example.org by user-api from 192.0.2.1 known wrong reset code",
            "CodeRefused unknown by user-api from 192.0.2.1 unknown a reset code for an unknown name",
            "CodeRefused - by user-api from 192.0.2.1 unknown wrong admin secret",
            "CodeRefused - by user-api from 192.0.2.1 known wrong code to confirm an address",
            "CodeRefused - by user-api from 192.0.2.1 known wrong code to confirm an address",
        ]
    );
    while accounts.take_admin_secret(|| false, &client).is_ok() {}
    let last = heard.take().pop();
    assert_eq!(
        last.as_deref(),
        Some("LimitReached - by user-api from 192.0.2.1 unknown wrong codes")
    );
}
