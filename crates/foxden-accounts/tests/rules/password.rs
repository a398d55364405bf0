//! Other passwords: changed, reset, set by a link.

use foxden_accounts::{
    AuthPw, ChangeStarted, CredentialError, DeviceOwner, DevicePatch, Kind, NewPassword, PasswordError,
    ResetStarted, SignInError, SignedIn, Then, WrapKb,
};

use crate::lab::{ANN, BEA, Lab, PASSWORD, at_home, kb, proof, session_id, stranger};
use foxden_accounts::stretch::stretch;

const NEW: &str = "another one";

async fn start(lab: &Lab, address: &str, password: &str) -> ChangeStarted {
    lab.accounts
        .start_password_change(None, address, &proof(address, password), &at_home())
        .await
        .unwrap()
}

/// Changes a password as a page does: fetches the key and wraps it with the new password.
pub(crate) async fn change(lab: &Lab, address: &str, old: &str, new: &str) -> SignedIn {
    let started = start(lab, address, old).await;
    let ticket = lab
        .ticket(Kind::KeyFetch, &started.key_fetch_token)
        .await
        .unwrap();
    let bundle = lab.accounts.fetch_keys(&ticket).await.unwrap();
    let key = kb(&started.key_fetch_token, &bundle, address, old);
    let stretched = stretch(address, new);
    let new = NewPassword {
        wrap_kb: Some(WrapKb(std::array::from_fn(|at| {
            key[at] ^ stretched.unwrap_b_key[at]
        }))),
        auth_pw: stretched.auth_pw,
        then: Then::SignIn { wants_keys: true },
    };
    let ticket = lab
        .ticket(Kind::PasswordChange, &started.password_change_token)
        .await
        .unwrap();
    lab.accounts
        .finish_password_change(&ticket, new, None, &at_home())
        .await
        .unwrap()
        .expect("a session was wanted")
}

async fn forgot(lab: &Lab, address: &str) -> ResetStarted {
    lab.accounts.forgot_password(address, &at_home()).await.unwrap()
}

async fn waiting_code(lab: &Lab, address: &str) -> String {
    lab.accounts.waiting_codes(address).await.unwrap().remove(0).code
}

/// Resets a password with the code that waits.
pub(crate) async fn reset(lab: &Lab, address: &str, auth_pw: AuthPw) -> Option<SignedIn> {
    let started = forgot(lab, address).await;
    let ticket = lab
        .ticket(Kind::PasswordForgot, &started.password_forgot_token)
        .await
        .unwrap();
    let code = waiting_code(lab, address).await;
    let token = lab
        .accounts
        .verify_reset_code(&ticket, &code, &at_home())
        .await
        .unwrap();
    let ticket = lab.ticket(Kind::AccountReset, &token).await.unwrap();
    let new = NewPassword {
        auth_pw,
        wrap_kb: None,
        then: Then::SignIn { wants_keys: true },
    };
    lab.accounts
        .reset_password(&ticket, new, &at_home())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_change_keeps_the_key_and_ends_everything_else() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let before = lab.kb(&created, ANN, PASSWORD).await;
    let session = lab.session(&created).await;
    lab.accounts
        .register_device(DeviceOwner::Session(&session), DevicePatch::default())
        .await
        .unwrap();
    let token = lab.access_token(&session).await;

    let changed = change(&lab, ANN, PASSWORD, NEW).await;

    assert_eq!(lab.kb(&changed, ANN, NEW).await, before);
    assert!(matches!(
        lab.accounts.session(&session_id(&created)).await,
        Err(CredentialError::Unknown)
    ));
    assert!(matches!(
        lab.accounts.access(&token).await,
        Err(CredentialError::Unknown)
    ));
    assert!(matches!(
        lab.login(ANN, PASSWORD).await,
        Err(SignInError::WrongPassword { .. })
    ));
    let session = lab.session(&changed).await;
    assert!(
        lab.accounts
            .devices(DeviceOwner::Session(&session), None)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn key_times_stay_through_a_change_and_rise_at_a_reset_even_when_the_clock_stands() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let times = "SELECT verifier_set_at * 1000000 + keys_changed_at - 1763690000000 * 1000001 FROM account";
    assert_eq!(lab.count(times).await, 0);
    change(&lab, ANN, PASSWORD, NEW).await;
    assert_eq!(lab.count(times).await, 1_000_000);
    reset(&lab, ANN, proof(ANN, PASSWORD)).await;
    assert_eq!(lab.count(times).await, 2_000_002);
}

#[tokio::test]
async fn a_change_needs_the_right_password_and_its_token_serves_once() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let wrong = lab
        .accounts
        .start_password_change(None, ANN, &proof(ANN, "wrong"), &at_home())
        .await;
    assert!(matches!(wrong, Err(SignInError::WrongPassword { .. })));
    let started = start(&lab, ANN, PASSWORD).await;
    let ticket = lab
        .ticket(Kind::PasswordChange, &started.password_change_token)
        .await
        .unwrap();
    let new = NewPassword {
        auth_pw: proof(ANN, NEW),
        wrap_kb: Some(WrapKb([1; 32])),
        then: Then::Nothing,
    };

    let without_key = NewPassword {
        wrap_kb: None,
        ..new.clone()
    };
    let refused = lab
        .accounts
        .finish_password_change(&ticket, without_key, None, &at_home())
        .await;
    assert!(matches!(refused, Err(PasswordError::KeyMissing)));
    let done = lab
        .accounts
        .finish_password_change(&ticket, new.clone(), None, &at_home())
        .await
        .unwrap();
    assert!(done.is_none());
    let again = lab
        .accounts
        .finish_password_change(&ticket, new, None, &at_home())
        .await;
    assert!(matches!(again, Err(PasswordError::UnknownToken)));
}

#[tokio::test]
async fn with_a_session_only_its_own_password_is_changed() {
    let lab = Lab::new().await;
    let ann = lab.session(&lab.create(ANN).await).await;
    lab.create(BEA).await;
    let refused = lab
        .accounts
        .start_password_change(Some(&ann), BEA, &proof(BEA, PASSWORD), &at_home())
        .await;
    assert!(matches!(refused, Err(SignInError::UnknownAccount { .. })));
}

#[tokio::test]
async fn a_change_names_a_session_of_its_own_account_or_none() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let bea = lab.create(BEA).await;
    let started = start(&lab, ANN, PASSWORD).await;
    let ticket = lab
        .ticket(Kind::PasswordChange, &started.password_change_token)
        .await
        .unwrap();
    let new = NewPassword {
        auth_pw: proof(ANN, NEW),
        wrap_kb: Some(WrapKb([1; 32])),
        then: Then::Nothing,
    };
    let refused = lab
        .accounts
        .finish_password_change(&ticket, new, Some(&session_id(&bea)), &at_home())
        .await;
    assert!(matches!(refused, Err(PasswordError::UnknownToken)));
    lab.login(ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_reset_makes_a_new_key_and_ends_everything() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let before = lab.kb(&created, ANN, PASSWORD).await;
    let signed_in = reset(&lab, ANN, proof(ANN, NEW)).await.unwrap();
    assert_ne!(lab.kb(&signed_in, ANN, NEW).await, before);
    assert!(lab.accounts.session(&session_id(&created)).await.is_err());
    assert!(lab.accounts.waiting_codes(ANN).await.unwrap().is_empty());
    lab.login(ANN, NEW).await.unwrap();
}

#[tokio::test]
async fn a_reset_ends_after_three_wrong_codes() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let started = forgot(&lab, ANN).await;
    assert_eq!((started.ttl, started.tries), (3600, 3));
    let ticket = lab
        .ticket(Kind::PasswordForgot, &started.password_forgot_token)
        .await
        .unwrap();
    let code = waiting_code(&lab, ANN).await;
    for left in (0..3).rev() {
        let wrong = lab
            .accounts
            .verify_reset_code(&ticket, &"0".repeat(32), &at_home())
            .await;
        assert!(matches!(wrong, Err(PasswordError::WrongCode)));
        match lab.accounts.forgot_status(&ticket).await {
            Ok(status) => assert_eq!(status.tries, left),
            Err(error) => assert!(left == 0 && matches!(error, PasswordError::UnknownToken)),
        }
    }
    let late = lab.accounts.verify_reset_code(&ticket, &code, &at_home()).await;
    assert!(matches!(late, Err(PasswordError::UnknownToken)));
}

#[tokio::test]
async fn asking_again_does_not_spoil_a_code_that_waits() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let started = forgot(&lab, ANN).await;
    let code = waiting_code(&lab, ANN).await;
    forgot(&lab, ANN).await;
    let ticket = lab
        .ticket(Kind::PasswordForgot, &started.password_forgot_token)
        .await
        .unwrap();
    lab.accounts.forgot_again(&ticket, &at_home()).await.unwrap();
    lab.accounts
        .verify_reset_code(&ticket, &code, &at_home())
        .await
        .unwrap();
    assert!(
        lab.accounts
            .verify_reset_code(&ticket, &code, &at_home())
            .await
            .is_err(),
        "and it serves once"
    );
}

#[tokio::test]
async fn a_reset_asks_for_the_address_as_it_is_spelt() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let other = lab.accounts.forgot_password("ANN@example.org", &at_home()).await;
    assert!(matches!(other, Err(PasswordError::OtherSpelling { address }) if address == ANN));
    let unknown = lab.accounts.forgot_password(BEA, &at_home()).await;
    assert!(matches!(unknown, Err(PasswordError::UnknownAccount { .. })));
}

#[tokio::test]
async fn a_link_sets_the_first_password_once() {
    let lab = Lab::new().await;
    let code = lab
        .accounts
        .add_account(ANN, foxden_accounts::Role::Member)
        .await
        .unwrap();
    assert!(matches!(
        lab.login(ANN, PASSWORD).await,
        Err(SignInError::NoPassword)
    ));

    let link = lab
        .accounts
        .open_password_link(&code, &stranger("192.0.2.1"))
        .await
        .unwrap();
    assert_eq!(link.address, ANN);
    let ticket = lab
        .ticket(Kind::AccountReset, &link.account_reset_token)
        .await
        .unwrap();
    let new = NewPassword {
        auth_pw: proof(ANN, PASSWORD),
        wrap_kb: None,
        then: Then::Nothing,
    };
    lab.accounts
        .reset_password(&ticket, new, &at_home())
        .await
        .unwrap();

    lab.login(ANN, PASSWORD).await.unwrap();
    let again = lab
        .accounts
        .open_password_link(&code, &stranger("192.0.2.1"))
        .await;
    assert!(matches!(again, Err(PasswordError::ExpiredCode)));
}

#[tokio::test]
async fn a_link_lasts_a_day_and_a_new_one_replaces_it() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let first = lab.accounts.password_link(ANN).await.unwrap();
    let second = lab.accounts.password_link(ANN).await.unwrap();
    assert!(lab.accounts.open_password_link(&first, &at_home()).await.is_err());
    lab.clock.advance_millis(24 * 3_600_000);
    assert!(
        lab.accounts
            .open_password_link(&second, &at_home())
            .await
            .is_err()
    );
}
