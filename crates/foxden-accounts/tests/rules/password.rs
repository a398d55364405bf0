//! Other passwords: changed, reset, set by a link.

use foxden_accounts::{
    AuthPw, ChangeStarted, CredentialError, CredentialKind, DeviceOwner, DevicePatch, FollowUp, NewPassword,
    PasswordError, ResetStarted, SignInError, SignedIn, WrapKb,
};

use crate::context::{ANN, BEA, PASSWORD, TestContext, auth_pw, kb, local_client, public_client, session_id};
use foxden_accounts::stretch::stretch;

const NEW: &str = "another one";

async fn start(ctx: &TestContext, address: &str, password: &str) -> ChangeStarted {
    ctx.accounts
        .start_password_change(None, address, &auth_pw(address, password), &local_client())
        .await
        .unwrap()
}

/// Changes a password as a page does: fetches the key and wraps it with the new password.
pub(crate) async fn change(ctx: &TestContext, address: &str, old: &str, new: &str) -> SignedIn {
    let started = start(ctx, address, old).await;
    let credential = ctx
        .credential(CredentialKind::KeyFetch, &started.key_fetch_token)
        .await
        .unwrap();
    let bundle = ctx.accounts.fetch_keys(&credential).await.unwrap();
    let key = kb(&started.key_fetch_token, &bundle, address, old);
    let stretched = stretch(address, new);
    let new = NewPassword {
        wrap_kb: Some(WrapKb(std::array::from_fn(|at| {
            key[at] ^ stretched.unwrap_b_key[at]
        }))),
        auth_pw: stretched.auth_pw,
        then: FollowUp::SignIn { wants_keys: true },
    };
    let credential = ctx
        .credential(CredentialKind::PasswordChange, &started.password_change_token)
        .await
        .unwrap();
    ctx.accounts
        .finish_password_change(&credential, new, None, &local_client())
        .await
        .unwrap()
        .expect("a session was wanted")
}

async fn forgot(ctx: &TestContext, address: &str) -> ResetStarted {
    ctx.accounts.start_reset(address, &local_client()).await.unwrap()
}

async fn waiting_code(ctx: &TestContext, address: &str) -> String {
    ctx.accounts.pending_codes(address).await.unwrap().remove(0).code
}

/// Resets a password with the code that waits.
pub(crate) async fn reset(ctx: &TestContext, address: &str, auth_pw: AuthPw) -> Option<SignedIn> {
    let started = forgot(ctx, address).await;
    let credential = ctx
        .credential(CredentialKind::PasswordForgot, &started.password_forgot_token)
        .await
        .unwrap();
    let code = waiting_code(ctx, address).await;
    let token = ctx
        .accounts
        .verify_reset_code(&credential, &code, &local_client())
        .await
        .unwrap();
    let credential = ctx
        .credential(CredentialKind::AccountReset, &token)
        .await
        .unwrap();
    let new = NewPassword {
        auth_pw,
        wrap_kb: None,
        then: FollowUp::SignIn { wants_keys: true },
    };
    ctx.accounts
        .reset_password(&credential, new, &local_client())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_change_keeps_the_key_and_ends_everything_else() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let before = ctx.kb(&created, ANN, PASSWORD).await;
    let session = ctx.session(&created).await;
    ctx.accounts
        .register_device(DeviceOwner::Session(&session), DevicePatch::default())
        .await
        .unwrap();
    let token = ctx.access_token(&session).await;

    let changed = change(&ctx, ANN, PASSWORD, NEW).await;

    assert_eq!(ctx.kb(&changed, ANN, NEW).await, before);
    assert!(matches!(
        ctx.accounts.session(&session_id(&created)).await,
        Err(CredentialError::Unknown)
    ));
    assert!(matches!(
        ctx.accounts.access(&token).await,
        Err(CredentialError::Unknown)
    ));
    assert!(matches!(
        ctx.login(ANN, PASSWORD).await,
        Err(SignInError::WrongPassword { .. })
    ));
    let session = ctx.session(&changed).await;
    assert!(
        ctx.accounts
            .devices(DeviceOwner::Session(&session), None)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn key_times_stay_through_a_change_and_rise_at_a_reset_even_when_the_clock_stands() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let times = "SELECT verifier_set_at * 1000000 + keys_changed_at - 1763690000000 * 1000001 FROM account";
    assert_eq!(ctx.count(times).await, 0);
    change(&ctx, ANN, PASSWORD, NEW).await;
    assert_eq!(ctx.count(times).await, 1_000_000);
    reset(&ctx, ANN, auth_pw(ANN, PASSWORD)).await;
    assert_eq!(ctx.count(times).await, 2_000_002);
}

#[tokio::test]
async fn a_change_needs_the_right_password_and_its_token_serves_once() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let wrong = ctx
        .accounts
        .start_password_change(None, ANN, &auth_pw(ANN, "wrong"), &local_client())
        .await;
    assert!(matches!(wrong, Err(SignInError::WrongPassword { .. })));
    let started = start(&ctx, ANN, PASSWORD).await;
    let credential = ctx
        .credential(CredentialKind::PasswordChange, &started.password_change_token)
        .await
        .unwrap();
    let new = NewPassword {
        auth_pw: auth_pw(ANN, NEW),
        wrap_kb: Some(WrapKb([1; 32])),
        then: FollowUp::Nothing,
    };

    let without_key = NewPassword {
        wrap_kb: None,
        ..new.clone()
    };
    let refused = ctx
        .accounts
        .finish_password_change(&credential, without_key, None, &local_client())
        .await;
    assert!(matches!(refused, Err(PasswordError::KeyMissing)));
    let done = ctx
        .accounts
        .finish_password_change(&credential, new.clone(), None, &local_client())
        .await
        .unwrap();
    assert!(done.is_none());
    let again = ctx
        .accounts
        .finish_password_change(&credential, new, None, &local_client())
        .await;
    assert!(matches!(again, Err(PasswordError::UnknownToken)));
}

#[tokio::test]
async fn with_a_session_only_its_own_password_is_changed() {
    let ctx = TestContext::new().await;
    let ann = ctx.session(&ctx.create(ANN).await).await;
    ctx.create(BEA).await;
    let refused = ctx
        .accounts
        .start_password_change(Some(&ann), BEA, &auth_pw(BEA, PASSWORD), &local_client())
        .await;
    assert!(matches!(refused, Err(SignInError::UnknownAccount { .. })));
}

#[tokio::test]
async fn a_change_names_a_session_of_its_own_account_or_none() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let bea = ctx.create(BEA).await;
    let started = start(&ctx, ANN, PASSWORD).await;
    let credential = ctx
        .credential(CredentialKind::PasswordChange, &started.password_change_token)
        .await
        .unwrap();
    let new = NewPassword {
        auth_pw: auth_pw(ANN, NEW),
        wrap_kb: Some(WrapKb([1; 32])),
        then: FollowUp::Nothing,
    };
    let refused = ctx
        .accounts
        .finish_password_change(&credential, new, Some(&session_id(&bea)), &local_client())
        .await;
    assert!(matches!(refused, Err(PasswordError::UnknownToken)));
    ctx.login(ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_reset_makes_a_new_key_and_ends_everything() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let before = ctx.kb(&created, ANN, PASSWORD).await;
    let signed_in = reset(&ctx, ANN, auth_pw(ANN, NEW)).await.unwrap();
    assert_ne!(ctx.kb(&signed_in, ANN, NEW).await, before);
    assert!(ctx.accounts.session(&session_id(&created)).await.is_err());
    assert!(ctx.accounts.pending_codes(ANN).await.unwrap().is_empty());
    ctx.login(ANN, NEW).await.unwrap();
}

#[tokio::test]
async fn a_reset_ends_after_three_wrong_codes() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let started = forgot(&ctx, ANN).await;
    assert_eq!((started.ttl, started.tries), (3600, 3));
    let credential = ctx
        .credential(CredentialKind::PasswordForgot, &started.password_forgot_token)
        .await
        .unwrap();
    let code = waiting_code(&ctx, ANN).await;
    for left in (0..3).rev() {
        let wrong = ctx
            .accounts
            .verify_reset_code(&credential, &"0".repeat(32), &local_client())
            .await;
        assert!(matches!(wrong, Err(PasswordError::WrongCode)));
        match ctx.accounts.reset_status(&credential).await {
            Ok(status) => assert_eq!(status.tries, left),
            Err(error) => assert!(left == 0 && matches!(error, PasswordError::UnknownToken)),
        }
    }
    let late = ctx
        .accounts
        .verify_reset_code(&credential, &code, &local_client())
        .await;
    assert!(matches!(late, Err(PasswordError::UnknownToken)));
}

#[tokio::test]
async fn asking_again_keeps_a_pending_code_valid() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let started = forgot(&ctx, ANN).await;
    let code = waiting_code(&ctx, ANN).await;
    forgot(&ctx, ANN).await;
    let credential = ctx
        .credential(CredentialKind::PasswordForgot, &started.password_forgot_token)
        .await
        .unwrap();
    ctx.accounts
        .resend_reset_code(&credential, &local_client())
        .await
        .unwrap();
    ctx.accounts
        .verify_reset_code(&credential, &code, &local_client())
        .await
        .unwrap();
    assert!(
        ctx.accounts
            .verify_reset_code(&credential, &code, &local_client())
            .await
            .is_err(),
        "and it serves once"
    );
}

#[tokio::test]
async fn a_reset_asks_for_the_address_as_it_is_spelt() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let other = ctx.accounts.start_reset("ANN@example.org", &local_client()).await;
    assert!(matches!(other, Err(PasswordError::OtherSpelling { address }) if address == ANN));
    let unknown = ctx.accounts.start_reset(BEA, &local_client()).await;
    assert!(matches!(unknown, Err(PasswordError::UnknownAccount { .. })));
}

#[tokio::test]
async fn a_link_sets_the_first_password_once() {
    let ctx = TestContext::new().await;
    let code = ctx
        .accounts
        .add_account(ANN, foxden_accounts::Role::Member)
        .await
        .unwrap();
    assert!(matches!(
        ctx.login(ANN, PASSWORD).await,
        Err(SignInError::NoPassword)
    ));

    let link = ctx
        .accounts
        .open_password_link(&code, &public_client("192.0.2.1"))
        .await
        .unwrap();
    assert_eq!(link.address, ANN);
    let credential = ctx
        .credential(CredentialKind::AccountReset, &link.account_reset_token)
        .await
        .unwrap();
    let new = NewPassword {
        auth_pw: auth_pw(ANN, PASSWORD),
        wrap_kb: None,
        then: FollowUp::Nothing,
    };
    ctx.accounts
        .reset_password(&credential, new, &local_client())
        .await
        .unwrap();

    ctx.login(ANN, PASSWORD).await.unwrap();
    let again = ctx
        .accounts
        .open_password_link(&code, &public_client("192.0.2.1"))
        .await;
    assert!(matches!(again, Err(PasswordError::ExpiredCode)));
}

#[tokio::test]
async fn a_link_lasts_a_day_and_a_new_one_replaces_it() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let first = ctx.accounts.password_link(ANN).await.unwrap();
    let second = ctx.accounts.password_link(ANN).await.unwrap();
    assert!(
        ctx.accounts
            .open_password_link(&first, &local_client())
            .await
            .is_err()
    );
    ctx.clock.advance_millis(24 * 3_600_000);
    assert!(
        ctx.accounts
            .open_password_link(&second, &local_client())
            .await
            .is_err()
    );
}
