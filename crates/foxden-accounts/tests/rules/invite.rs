//! Invitations.

use foxden_accounts::{NewAccount, Role, SignUp, SignUpError};

use crate::lab::{ANN, BEA, Lab, at_home, new_account, stranger};

fn invited(address: &str, code: &str) -> NewAccount {
    NewAccount {
        invite: Some(code.to_owned()),
        ..new_account(address)
    }
}

#[tokio::test]
async fn an_invitation_makes_one_account_with_a_confirmed_address() {
    let lab = Lab::new().await;
    let code = lab.accounts.invite(Role::Member, "for Ann", None).await.unwrap();
    assert!(lab.is_invited(&code).await);
    let created = lab
        .accounts
        .create(invited(ANN, &code), &stranger("192.0.2.1"))
        .await
        .unwrap();
    assert!(created.is_verified());
    assert!(!lab.is_invited(&code).await);

    let again = lab
        .accounts
        .create(invited(BEA, &code), &stranger("192.0.2.1"))
        .await;

    assert!(matches!(again, Err(SignUpError::UnknownInvitation)));
    let listed = lab.accounts.invitations().await.unwrap();
    assert_eq!(
        (listed.len(), listed[0].used_by, listed[0].note.as_str()),
        (1, Some(created.account), "for Ann")
    );
}

#[tokio::test]
async fn of_two_who_bring_one_invitation_at_once_one_is_taken() {
    let lab = Lab::new().await;
    let code = lab.accounts.invite(Role::Member, "", None).await.unwrap();
    let visitor = stranger("192.0.2.1");
    let (one, other) = tokio::join!(
        lab.accounts.create(invited(ANN, &code), &visitor),
        lab.accounts.create(invited(BEA, &code), &visitor),
    );
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1);
    assert!(matches!(
        one.err().or(other.err()),
        Some(SignUpError::UnknownInvitation)
    ));
    assert_eq!(lab.count("SELECT COUNT(*) FROM account").await, 1);
    assert_eq!(lab.count("SELECT COUNT(*) FROM login_name").await, 2);
}

#[tokio::test]
async fn invitations_end_after_seven_days_or_when_they_are_taken_back() {
    let lab = Lab::new().await;
    let first = lab.accounts.invite(Role::Member, "", None).await.unwrap();
    let second = lab.accounts.invite(Role::Member, "", None).await.unwrap();
    let id = lab.accounts.invitations().await.unwrap()[0].id;
    assert!(lab.accounts.revoke_invitation(id).await.unwrap());
    assert!(!lab.is_invited(&second).await);
    lab.clock.advance_millis(7 * 24 * 3_600_000);
    assert!(!lab.is_invited(&first).await);
}

#[tokio::test]
async fn a_closed_server_takes_no_invitation_but_the_first() {
    let lab = Lab::with_policy(SignUp::Closed).await;
    let plain = lab.accounts.invite(Role::Member, "", None).await.unwrap();
    let first = lab
        .accounts
        .first_invitation()
        .await
        .unwrap()
        .expect("there is no account yet");
    let refused = lab.accounts.create(invited(ANN, &plain), &at_home()).await;
    assert!(matches!(refused, Err(SignUpError::Closed)));
    lab.accounts
        .create(invited(ANN, &first), &at_home())
        .await
        .unwrap();
    assert_eq!(
        lab.accounts.show_account(ANN).await.unwrap().unwrap().role,
        Role::Admin
    );
}

#[tokio::test]
async fn the_first_invitation_dies_with_the_first_account_and_after_an_hour() {
    let lab = Lab::with_policy(SignUp::Open).await;
    let replaced = lab.accounts.first_invitation().await.unwrap().unwrap();
    let code = lab.accounts.first_invitation().await.unwrap().unwrap();
    assert!(!lab.is_invited(&replaced).await);
    assert!(lab.is_invited(&code).await);
    lab.create(ANN).await;
    assert!(!lab.is_invited(&code).await);
    assert_eq!(lab.accounts.first_invitation().await.unwrap(), None);

    let lab = Lab::new().await;
    let code = lab.accounts.first_invitation().await.unwrap().unwrap();
    lab.clock.advance_millis(3_600_000);
    assert!(!lab.is_invited(&code).await);
}
