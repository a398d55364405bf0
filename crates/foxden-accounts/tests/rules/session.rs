//! Signing in, and sessions.

use foxden_accounts::{
    AuthPw, ConfirmError, Cost, CredentialError, DeviceError, Kind, Login, OAuthError, ProfileError,
    Replayed, SignInError, SignUp, SignUpError, SignedIn, TokenId, Unverified,
};
use foxden_model::{Rng, SeededRng};

use crate::lab::{ANN, BEA, Lab, PASSWORD, at_home, cheap, login, new_account, proof, session_id, stranger};

const TYPED: &str = "Ann@Example.org";

impl Lab {
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
        self.accounts.login(login, &at_home()).await
    }
}

fn is_told(refused: &Result<SignedIn, SignInError>, spelling: &str) -> bool {
    matches!(refused, Err(SignInError::OtherSpelling { address }) if address == spelling)
}

/// A16.2
#[tokio::test]
async fn a_right_proof_passes_however_the_address_is_typed() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let key = lab.kb(&created, ANN, PASSWORD).await;
    for typed in [ANN, TYPED, "ANN@EXAMPLE.ORG", " ann@example.org\n"] {
        let signed_in = lab.login_as(typed, ANN, PASSWORD).await.unwrap();
        assert_eq!(signed_in.account, created.account);
        assert_eq!(lab.kb(&signed_in, ANN, PASSWORD).await, key, "{typed:?}");
    }
    assert!(is_told(&lab.login(TYPED, PASSWORD).await, ANN));
    assert!(is_told(&lab.login_as(TYPED, ANN, "wrong").await, ANN));
    let wrong = lab.login_as(ANN, TYPED, PASSWORD).await;
    assert!(matches!(wrong, Err(SignInError::WrongPassword { .. })));
}

/// A16.2: a device that stretches what was typed sends the same each time.
#[tokio::test]
async fn honest_tries_with_another_spelling_lock_nobody_out() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    for _ in 0..30 {
        assert!(is_told(&lab.login(TYPED, PASSWORD).await, ANN));
    }
    lab.login(ANN, PASSWORD).await.unwrap();
    // Many spellings, each followed by the right one.
    for at in 0..13 {
        let mut typed = ANN.to_owned();
        typed[at..=at].make_ascii_uppercase();
        if typed != ANN {
            assert!(is_told(&lab.login(&typed, PASSWORD).await, ANN), "{typed}");
            lab.login_as(&typed, ANN, PASSWORD).await.unwrap();
        }
    }
    for n in 0..9 {
        assert!(lab.login(ANN, &n.to_string()).await.is_err());
    }
    lab.login(ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn another_spelling_is_no_way_to_guess() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    for n in 0..10 {
        let typed = if n % 2 == 0 { TYPED } else { "ANN@example.org" };
        assert!(is_told(&lab.login_as(typed, ANN, &n.to_string()).await, ANN));
    }
    for typed in [TYPED, ANN] {
        let refused = lab.login_as(typed, ANN, PASSWORD).await;
        assert!(matches!(refused, Err(SignInError::TooMany { .. })), "{typed}");
    }
    lab.clock.advance_millis(990_000);
    lab.login(ANN, PASSWORD).await.unwrap();
}

/// What was wrong may be right after the password was changed.
#[tokio::test]
async fn a_proof_that_was_wrong_is_tried_again_with_another_password() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    assert!(is_told(&lab.login_as(TYPED, ANN, "another one").await, ANN));
    crate::password::change(&lab, ANN, PASSWORD, "another one").await;
    lab.login_as(TYPED, ANN, "another one").await.unwrap();
}

/// The same rule holds wherever a password is proven.
#[tokio::test]
async fn every_door_takes_a_right_proof_under_any_spelling() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let session = lab.session(&created).await;
    let (right, typed) = (proof(ANN, PASSWORD), proof(TYPED, PASSWORD));
    let login = |auth_pw: &AuthPw| Login {
        address: TYPED.to_owned(),
        auth_pw: auth_pw.clone(),
        wants_keys: false,
    };
    let accounts = &lab.accounts;
    let told = accounts.reauth(&session, login(&typed), &at_home()).await;
    assert!(is_told(&told, ANN));
    accounts
        .reauth(&session, login(&right), &at_home())
        .await
        .unwrap();
    for by in [None, Some(&session)] {
        let told = accounts
            .start_password_change(by, TYPED, &typed, &at_home())
            .await;
        assert!(matches!(told, Err(SignInError::OtherSpelling { .. })));
        let started = accounts
            .start_password_change(by, TYPED, &right, &at_home())
            .await;
        started.unwrap();
    }
    let told = accounts.destroy(Some(&session), TYPED, &typed, &at_home()).await;
    assert!(matches!(told, Err(SignInError::OtherSpelling { .. })));
    accounts
        .destroy(Some(&session), TYPED, &right, &at_home())
        .await
        .unwrap();
}

#[tokio::test]
async fn unknown_addresses_and_wrong_passwords_are_told_apart() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let unknown = lab.login(BEA, PASSWORD).await;
    assert!(matches!(unknown, Err(SignInError::UnknownAccount { name }) if name == BEA));
    let wrong = lab.login(ANN, "wrong").await;
    assert!(matches!(wrong, Err(SignInError::WrongPassword { name }) if name == ANN));
}

#[tokio::test]
async fn a_session_ends_once() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let session = lab.session(&created).await;
    lab.accounts.end_session(&session).await.unwrap();
    assert!(matches!(
        lab.accounts.end_session(&session).await,
        Err(CredentialError::Unknown)
    ));
    assert!(matches!(
        lab.accounts.session(&session_id(&created)).await,
        Err(CredentialError::Unknown)
    ));
}

#[tokio::test]
async fn another_session_is_ended_only_by_its_own_account() {
    let lab = Lab::new().await;
    let ann = lab.create(ANN).await;
    let ann_again = lab.login(ANN, PASSWORD).await.unwrap();
    let bea = lab.create(BEA).await;
    let session = lab.session(&ann).await;
    let refused = lab.accounts.end_other_session(&session, &session_id(&bea)).await;
    assert!(matches!(refused, Err(CredentialError::Unknown)));
    lab.accounts
        .end_other_session(&session, &session_id(&ann_again))
        .await
        .unwrap();
    assert!(lab.accounts.session(&session_id(&ann_again)).await.is_err());
    lab.session(&bea).await;
}

#[tokio::test]
async fn a_duplicate_stands_alone_and_is_as_old_as_its_original() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let session = lab.session(&created).await;
    lab.clock.advance_millis(60_000);
    let copy = lab
        .accounts
        .duplicate_session(&session, &at_home())
        .await
        .unwrap();
    assert_eq!(copy.auth_at, created.auth_at);
    lab.accounts.end_session(&session).await.unwrap();
    lab.session(&copy).await;
}

#[tokio::test]
async fn proving_the_password_again_renews_the_session_and_no_other() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    lab.create(BEA).await;
    let session = lab.session(&created).await;
    lab.clock.advance_millis(60_000);

    let renewed = lab
        .accounts
        .reauth(&session, login(ANN, PASSWORD), &at_home())
        .await
        .unwrap();
    let refused = lab
        .accounts
        .reauth(&session, login(BEA, PASSWORD), &at_home())
        .await;

    assert!(renewed.session_token.is_none() && renewed.key_fetch_token.is_some());
    assert_eq!(lab.session(&created).await.auth_at, created.auth_at + 60);
    assert!(matches!(refused, Err(SignInError::UnknownAccount { .. })));
}

#[tokio::test]
async fn nonces_count_once_for_each_credential() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let (account, id) = (created.account, session_id(&created));
    lab.accounts.accept_nonce(Some(account), &id, "n").unwrap();
    assert!(matches!(
        lab.accounts.accept_nonce(Some(account), &id, "n"),
        Err(Replayed)
    ));
}

#[tokio::test]
async fn a_weaker_hash_is_replaced_at_sign_in_and_the_keys_stay() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let before = lab.kb(&created, ANN, PASSWORD).await;
    let harder = foxden_accounts::Options {
        cost: Cost {
            memory: 16,
            passes: 2,
            lanes: 1,
        },
        ..cheap()
    };
    let lab = lab.reopened(harder, crate::lab::NODE).await;

    let first = lab.login(ANN, PASSWORD).await.unwrap();
    assert_eq!(lab.count("SELECT hash_memory FROM account").await, 16);
    let second = lab.login(ANN, PASSWORD).await.unwrap();

    assert_eq!(lab.kb(&first, ANN, PASSWORD).await, before);
    assert_eq!(lab.kb(&second, ANN, PASSWORD).await, before);
    lab.session(&created).await;
}

#[tokio::test]
async fn an_unverified_session_becomes_verified_by_its_code() {
    let lab = Lab::with_policy(SignUp::Open).await;
    let created = lab
        .accounts
        .create(new_account(ANN), &stranger("192.0.2.1"))
        .await
        .unwrap();
    let session = lab.session(&created).await;
    assert!(matches!(session.require_verified(), Err(Unverified::Address)));
    let code = lab.accounts.waiting_codes(ANN).await.unwrap().remove(0).code;
    assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()));
    lab.accounts.resend_code(&session, &at_home()).await.unwrap();

    let wrong = if code == "000000" { "000001" } else { "000000" };
    let refused = lab.accounts.verify_session(&session, wrong, &at_home()).await;
    assert!(matches!(refused, Err(ConfirmError::ExpiredCode)));
    lab.accounts
        .verify_session(&session, &code, &at_home())
        .await
        .unwrap();

    assert!(lab.session(&created).await.is_verified());
    assert!(lab.accounts.waiting_codes(ANN).await.unwrap().is_empty());
}

#[tokio::test]
async fn digits_are_tried_ten_times_a_day_and_die_after_half_an_hour() {
    let lab = Lab::with_policy(SignUp::Open).await;
    let visitor = stranger("192.0.2.1");
    let created = lab.accounts.create(new_account(ANN), &visitor).await.unwrap();
    let session = lab.session(&created).await;
    let code = async || lab.accounts.waiting_codes(ANN).await.unwrap().remove(0).code;
    let first = code().await;
    for _ in 0..10 {
        let refused = lab.accounts.verify_session(&session, "x", &visitor).await;
        assert!(matches!(refused, Err(ConfirmError::ExpiredCode)));
    }
    lab.accounts.resend_code(&session, &visitor).await.unwrap();
    assert_eq!(code().await, first);
    let refused = lab.accounts.verify_session(&session, &first, &visitor).await;
    assert!(matches!(refused, Err(ConfirmError::TooMany { .. })));

    lab.clock.advance_millis(2 * 24 * 3_600_000);
    lab.accounts.resend_code(&session, &visitor).await.unwrap();
    let late = code().await;
    lab.clock.advance_millis(30 * 60_000);
    let refused = lab.accounts.verify_session(&session, &late, &visitor).await;
    assert!(matches!(refused, Err(ConfirmError::ExpiredCode)));
    lab.accounts.resend_code(&session, &visitor).await.unwrap();
    let fresh = code().await;
    lab.accounts
        .verify_session(&session, &fresh, &visitor)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_session_nobody_uses_ends_after_ninety_days_unless_it_has_a_device() {
    let lab = Lab::new().await;
    let plain = lab.create(ANN).await;
    let with_device = lab.login(ANN, PASSWORD).await.unwrap();
    let session = lab.session(&with_device).await;
    let owner = foxden_accounts::DeviceOwner::Session(&session);
    lab.accounts
        .register_device(owner, foxden_accounts::DevicePatch::default())
        .await
        .unwrap();
    lab.clock.advance_millis(91 * 24 * 3_600_000);
    assert!(lab.accounts.purge(100, i64::MAX).await.unwrap() >= 1);
    assert!(lab.accounts.session(&session_id(&plain)).await.is_err());
    lab.session(&with_device).await;
}

#[tokio::test]
async fn any_other_id_is_unknown() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let mut id = [0; 32];
    SeededRng::new(99).fill(&mut id);
    for kind in [
        Kind::KeyFetch,
        Kind::PasswordChange,
        Kind::PasswordForgot,
        Kind::AccountReset,
    ] {
        assert!(matches!(
            lab.accounts.ticket(kind, &TokenId(id)).await,
            Err(CredentialError::Unknown)
        ));
    }
    assert!(matches!(
        lab.accounts.session(&TokenId(id)).await,
        Err(CredentialError::Unknown)
    ));
}

#[tokio::test]
async fn what_comes_after_the_end_of_its_session_is_unknown_and_no_failure_of_the_register() {
    use foxden_accounts::{AccessType, DeviceOwner, DevicePatch, Grant};
    let lab = Lab::new().await;
    let session = lab.session(&lab.create(ANN).await).await;
    lab.accounts.end_session(&session).await.unwrap();

    let code = lab
        .accounts
        .authorize(&session, crate::lab::authorization())
        .await;
    assert!(matches!(code, Err(OAuthError::UnknownToken)));
    let device = lab
        .accounts
        .register_device(DeviceOwner::Session(&session), DevicePatch::default())
        .await;
    assert!(matches!(device, Err(DeviceError::SessionEnded)));
    let grant = Grant::Credentials {
        scope: "profile".to_owned(),
        access_type: AccessType::Online,
    };
    let granted = lab
        .accounts
        .grant(Some(&session), crate::lab::token_request(grant), &at_home())
        .await;
    assert!(matches!(granted, Err(OAuthError::UnknownToken)));

    let copy = lab.accounts.duplicate_session(&session, &at_home()).await;
    assert!(matches!(copy, Err(CredentialError::Unknown)));

    lab.accounts.remove_account(ANN).await.unwrap();
    let picture = lab
        .accounts
        .set_avatar(session.account, b"\xff\xd8\xff".to_vec())
        .await;
    assert!(matches!(picture, Err(ProfileError::AccountGone)));
}

/// A16.70: between a change of address and the next password, the address that was stretched is the one that signs
/// in, and both are taken.
#[tokio::test]
async fn the_address_that_was_stretched_signs_in_after_another_came_into_use() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let uid = created.account.to_string();
    lab.write("UPDATE account SET address = ?", foxden_sql::values![BEA])
        .await;
    lab.write(
        "INSERT INTO login_name (name, uid) VALUES (?, ?)",
        foxden_sql::values![BEA, uid],
    )
    .await;

    assert!(is_told(&lab.login(BEA, PASSWORD).await, ANN));
    assert!(lab.login_as(BEA, ANN, PASSWORD).await.is_ok());
    assert_eq!(lab.login(ANN, PASSWORD).await.unwrap().account, created.account);
    for address in [ANN, BEA] {
        let taken = lab.accounts.create(new_account(address), &at_home()).await;
        assert!(matches!(taken, Err(SignUpError::Exists { .. })), "{address}");
    }
    crate::password::reset(&lab, BEA, crate::lab::proof(BEA, "another one")).await;
    lab.login(BEA, "another one").await.unwrap();
}
