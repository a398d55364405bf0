//! Signing in, and sessions.

use foxden_accounts::{
    AuthPw, ConfirmError, Cost, CredentialError, CredentialKind, DeviceError, Login, NonceError, OAuthError,
    ProfileError, SignInError, SignUp, SignUpError, SignedIn, TokenId, Unverified,
};
use foxden_model::{Rng, SeededRng};

use crate::context::{
    ANN, BEA, PASSWORD, TestContext, auth_pw, cheap, local_client, login, new_account, public_client,
    session_id,
};

const TYPED: &str = "Ann@Example.org";

impl TestContext {
    /// A log-in with one spelling, and a proof stretched with another.
    async fn login_as(
        &self,
        address: &str,
        stretched: &str,
        password: &str,
    ) -> Result<SignedIn, SignInError> {
        let login = Login {
            address: address.to_owned(),
            ..login(stretched, password)
        };
        self.accounts.login(login, &local_client()).await
    }
}

fn is_told(refused: &Result<SignedIn, SignInError>, spelling: &str) -> bool {
    matches!(refused, Err(SignInError::OtherSpelling { address }) if address == spelling)
}

/// A16.2
#[tokio::test]
async fn a_right_proof_passes_however_the_address_is_typed() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let key = ctx.kb(&created, ANN, PASSWORD).await;
    for typed in [ANN, TYPED, "ANN@EXAMPLE.ORG", " ann@example.org\n"] {
        let signed_in = ctx.login_as(typed, ANN, PASSWORD).await.unwrap();
        assert_eq!(signed_in.account, created.account);
        assert_eq!(ctx.kb(&signed_in, ANN, PASSWORD).await, key, "{typed:?}");
    }
    assert!(is_told(&ctx.login(TYPED, PASSWORD).await, ANN));
    assert!(is_told(&ctx.login_as(TYPED, ANN, "wrong").await, ANN));
    let wrong = ctx.login_as(ANN, TYPED, PASSWORD).await;
    assert!(matches!(wrong, Err(SignInError::WrongPassword { .. })));
}

/// A16.2: a device that stretches what was typed sends the same each time.
#[tokio::test]
async fn tries_with_another_spelling_lock_no_one_out() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    for _ in 0..30 {
        assert!(is_told(&ctx.login(TYPED, PASSWORD).await, ANN));
    }
    ctx.login(ANN, PASSWORD).await.unwrap();
    // Many spellings, each followed by the right one.
    for at in 0..13 {
        let mut typed = ANN.to_owned();
        typed[at..=at].make_ascii_uppercase();
        if typed != ANN {
            assert!(is_told(&ctx.login(&typed, PASSWORD).await, ANN), "{typed}");
            ctx.login_as(&typed, ANN, PASSWORD).await.unwrap();
        }
    }
    for n in 0..9 {
        assert!(ctx.login(ANN, &n.to_string()).await.is_err());
    }
    ctx.login(ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn another_spelling_is_no_way_to_guess() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    for n in 0..10 {
        let typed = if n % 2 == 0 { TYPED } else { "ANN@example.org" };
        assert!(is_told(&ctx.login_as(typed, ANN, &n.to_string()).await, ANN));
    }
    for typed in [TYPED, ANN] {
        let refused = ctx.login_as(typed, ANN, PASSWORD).await;
        assert!(matches!(refused, Err(SignInError::TooMany { .. })), "{typed}");
    }
    ctx.clock.advance_millis(990_000);
    ctx.login(ANN, PASSWORD).await.unwrap();
}

/// A password that was wrong may be right after the password was changed.
#[tokio::test]
async fn a_proof_that_was_wrong_is_tried_again_with_another_password() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    assert!(is_told(&ctx.login_as(TYPED, ANN, "another one").await, ANN));
    crate::password::change(&ctx, ANN, PASSWORD, "another one").await;
    ctx.login_as(TYPED, ANN, "another one").await.unwrap();
}

/// The same rule holds wherever a password is proven.
#[tokio::test]
async fn every_entry_point_accepts_a_right_password_under_any_spelling() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    let (right, typed) = (auth_pw(ANN, PASSWORD), auth_pw(TYPED, PASSWORD));
    let login = |auth_pw: &AuthPw| Login {
        address: TYPED.to_owned(),
        auth_pw: auth_pw.clone(),
        wants_keys: false,
    };
    let accounts = &ctx.accounts;
    let result = accounts.reauth(&session, login(&typed), &local_client()).await;
    assert!(is_told(&result, ANN));
    accounts
        .reauth(&session, login(&right), &local_client())
        .await
        .unwrap();
    for by in [None, Some(&session)] {
        let result = accounts
            .start_password_change(by, TYPED, &typed, &local_client())
            .await;
        assert!(matches!(result, Err(SignInError::OtherSpelling { .. })));
        let started = accounts
            .start_password_change(by, TYPED, &right, &local_client())
            .await;
        started.unwrap();
    }
    let result = accounts
        .destroy(Some(&session), TYPED, &typed, &local_client())
        .await;
    assert!(matches!(result, Err(SignInError::OtherSpelling { .. })));
    accounts
        .destroy(Some(&session), TYPED, &right, &local_client())
        .await
        .unwrap();
}

#[tokio::test]
async fn unknown_addresses_and_wrong_passwords_are_told_apart() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let unknown = ctx.login(BEA, PASSWORD).await;
    assert!(matches!(unknown, Err(SignInError::UnknownAccount { name }) if name == BEA));
    let wrong = ctx.login(ANN, "wrong").await;
    assert!(matches!(wrong, Err(SignInError::WrongPassword { name }) if name == ANN));
}

#[tokio::test]
async fn a_session_ends_once() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    ctx.accounts.end_session(&session).await.unwrap();
    assert!(matches!(
        ctx.accounts.end_session(&session).await,
        Err(CredentialError::Unknown)
    ));
    assert!(matches!(
        ctx.accounts.session(&session_id(&created)).await,
        Err(CredentialError::Unknown)
    ));
}

#[tokio::test]
async fn another_session_is_ended_only_by_its_own_account() {
    let ctx = TestContext::new().await;
    let ann = ctx.create(ANN).await;
    let ann_again = ctx.login(ANN, PASSWORD).await.unwrap();
    let bea = ctx.create(BEA).await;
    let session = ctx.session(&ann).await;
    let refused = ctx.accounts.end_other_session(&session, &session_id(&bea)).await;
    assert!(matches!(refused, Err(CredentialError::Unknown)));
    ctx.accounts
        .end_other_session(&session, &session_id(&ann_again))
        .await
        .unwrap();
    assert!(ctx.accounts.session(&session_id(&ann_again)).await.is_err());
    ctx.session(&bea).await;
}

#[tokio::test]
async fn a_duplicate_stands_alone_and_is_as_old_as_its_original() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    ctx.clock.advance_millis(60_000);
    let copy = ctx
        .accounts
        .duplicate_session(&session, &local_client())
        .await
        .unwrap();
    assert_eq!(copy.auth_at, created.auth_at);
    ctx.accounts.end_session(&session).await.unwrap();
    ctx.session(&copy).await;
}

#[tokio::test]
async fn proving_the_password_again_renews_the_session_and_no_other() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    ctx.create(BEA).await;
    let session = ctx.session(&created).await;
    ctx.clock.advance_millis(60_000);

    let renewed = ctx
        .accounts
        .reauth(&session, login(ANN, PASSWORD), &local_client())
        .await
        .unwrap();
    let refused = ctx
        .accounts
        .reauth(&session, login(BEA, PASSWORD), &local_client())
        .await;

    assert!(renewed.session_token.is_none() && renewed.key_fetch_token.is_some());
    assert_eq!(ctx.session(&created).await.auth_at, created.auth_at + 60);
    assert!(matches!(refused, Err(SignInError::UnknownAccount { .. })));
}

#[tokio::test]
async fn nonces_count_once_for_each_credential() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let (account, id) = (created.account, session_id(&created));
    ctx.accounts.accept_nonce(Some(account), &id, "n").await.unwrap();
    assert!(matches!(
        ctx.accounts.accept_nonce(Some(account), &id, "n").await,
        Err(NonceError::Replayed(_))
    ));
}

#[tokio::test]
async fn a_weaker_hash_is_replaced_at_sign_in_and_the_keys_stay() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let before = ctx.kb(&created, ANN, PASSWORD).await;
    let harder = foxden_accounts::Options {
        cost: Cost {
            memory: 16,
            passes: 2,
            lanes: 1,
        },
        ..cheap()
    };
    let ctx = ctx.reopened(harder, crate::context::NODE).await;

    let first = ctx.login(ANN, PASSWORD).await.unwrap();
    assert_eq!(ctx.count("SELECT hash_memory FROM account").await, 16);
    let second = ctx.login(ANN, PASSWORD).await.unwrap();

    assert_eq!(ctx.kb(&first, ANN, PASSWORD).await, before);
    assert_eq!(ctx.kb(&second, ANN, PASSWORD).await, before);
    ctx.session(&created).await;
}

#[tokio::test]
async fn an_unverified_session_becomes_verified_by_its_code() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let created = ctx
        .accounts
        .create(new_account(ANN), &public_client("192.0.2.1"))
        .await
        .unwrap();
    let session = ctx.session(&created).await;
    assert!(matches!(session.require_verified(), Err(Unverified::Address)));
    let code = ctx.accounts.pending_codes(ANN).await.unwrap().remove(0).code;
    assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()));
    ctx.accounts.resend_code(&session, &local_client()).await.unwrap();

    let wrong = if code == "000000" { "000001" } else { "000000" };
    let refused = ctx
        .accounts
        .verify_session(&session, wrong, &local_client())
        .await;
    assert!(matches!(refused, Err(ConfirmError::ExpiredCode)));
    ctx.accounts
        .verify_session(&session, &code, &local_client())
        .await
        .unwrap();

    assert!(ctx.session(&created).await.is_verified());
    assert!(ctx.accounts.pending_codes(ANN).await.unwrap().is_empty());
}

#[tokio::test]
async fn digits_are_tried_ten_times_a_day_and_die_after_half_an_hour() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let client = public_client("192.0.2.1");
    let created = ctx.accounts.create(new_account(ANN), &client).await.unwrap();
    let session = ctx.session(&created).await;
    let code = async || ctx.accounts.pending_codes(ANN).await.unwrap().remove(0).code;
    let first = code().await;
    for _ in 0..10 {
        let refused = ctx.accounts.verify_session(&session, "x", &client).await;
        assert!(matches!(refused, Err(ConfirmError::ExpiredCode)));
    }
    ctx.accounts.resend_code(&session, &client).await.unwrap();
    assert_eq!(code().await, first);
    let refused = ctx.accounts.verify_session(&session, &first, &client).await;
    assert!(matches!(refused, Err(ConfirmError::TooMany { .. })));

    ctx.clock.advance_millis(2 * 24 * 3_600_000);
    ctx.accounts.resend_code(&session, &client).await.unwrap();
    let late = code().await;
    ctx.clock.advance_millis(30 * 60_000);
    let refused = ctx.accounts.verify_session(&session, &late, &client).await;
    assert!(matches!(refused, Err(ConfirmError::ExpiredCode)));
    ctx.accounts.resend_code(&session, &client).await.unwrap();
    let fresh = code().await;
    ctx.accounts
        .verify_session(&session, &fresh, &client)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_unused_session_ends_after_ninety_days_unless_it_has_a_device() {
    let ctx = TestContext::new().await;
    let plain = ctx.create(ANN).await;
    let with_device = ctx.login(ANN, PASSWORD).await.unwrap();
    let session = ctx.session(&with_device).await;
    let owner = foxden_accounts::DeviceOwner::Session(&session);
    ctx.accounts
        .register_device(owner, foxden_accounts::DevicePatch::default())
        .await
        .unwrap();
    ctx.clock.advance_millis(91 * 24 * 3_600_000);
    assert!(ctx.accounts.purge(100, i64::MAX).await.unwrap() >= 1);
    assert!(ctx.accounts.session(&session_id(&plain)).await.is_err());
    ctx.session(&with_device).await;
}

#[tokio::test]
async fn any_other_id_is_unknown() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut id = [0; 32];
    SeededRng::new(99).fill(&mut id);
    for kind in [
        CredentialKind::KeyFetch,
        CredentialKind::PasswordChange,
        CredentialKind::PasswordForgot,
        CredentialKind::AccountReset,
    ] {
        assert!(matches!(
            ctx.accounts.one_time_credential(kind, &TokenId(id)).await,
            Err(CredentialError::Unknown)
        ));
    }
    assert!(matches!(
        ctx.accounts.session(&TokenId(id)).await,
        Err(CredentialError::Unknown)
    ));
}

#[tokio::test]
async fn an_ended_session_is_refused_without_a_database_error() {
    use foxden_accounts::{AccessType, DeviceOwner, DevicePatch, Grant};
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    ctx.accounts.end_session(&session).await.unwrap();

    let code = ctx
        .accounts
        .authorize(&session, crate::context::authorization())
        .await;
    assert!(matches!(code, Err(OAuthError::UnknownToken)));
    let device = ctx
        .accounts
        .register_device(DeviceOwner::Session(&session), DevicePatch::default())
        .await;
    assert!(matches!(device, Err(DeviceError::SessionEnded)));
    let grant = Grant::Credentials {
        scope: "profile".to_owned(),
        access_type: AccessType::Online,
    };
    let granted = ctx
        .accounts
        .grant(
            Some(&session),
            crate::context::token_request(grant),
            &local_client(),
        )
        .await;
    assert!(matches!(granted, Err(OAuthError::UnknownToken)));

    let copy = ctx.accounts.duplicate_session(&session, &local_client()).await;
    assert!(matches!(copy, Err(CredentialError::Unknown)));

    ctx.accounts.remove_account(ANN).await.unwrap();
    let picture = ctx
        .accounts
        .set_avatar(session.account, b"\xff\xd8\xff".to_vec())
        .await;
    assert!(matches!(picture, Err(ProfileError::AccountGone)));
}

/// A16.70: between a change of address and the next password, the address that was stretched is the one that signs
/// in, and both are taken.
#[tokio::test]
async fn the_address_that_was_stretched_signs_in_after_another_came_into_use() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let uid = created.account.to_string();
    ctx.write("UPDATE account SET address = ?", foxden_sql::values![BEA])
        .await;
    ctx.write(
        "INSERT INTO login_name (name, uid) VALUES (?, ?)",
        foxden_sql::values![BEA, uid],
    )
    .await;

    assert!(is_told(&ctx.login(BEA, PASSWORD).await, ANN));
    assert!(ctx.login_as(BEA, ANN, PASSWORD).await.is_ok());
    assert_eq!(ctx.login(ANN, PASSWORD).await.unwrap().account, created.account);
    for address in [ANN, BEA] {
        let taken = ctx.accounts.create(new_account(address), &local_client()).await;
        assert!(matches!(taken, Err(SignUpError::Exists { .. })), "{address}");
    }
    crate::password::reset(&ctx, BEA, crate::context::auth_pw(BEA, "another one")).await;
    ctx.login(BEA, "another one").await.unwrap();
}
