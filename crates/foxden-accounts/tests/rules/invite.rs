//! Invitations.

use foxden_accounts::{NewAccount, Role, SignUp, SignUpError};

use crate::context::{ANN, BEA, TestContext, local_client, new_account, public_client};

fn invited(address: &str, code: &str) -> NewAccount {
    NewAccount {
        invite: Some(code.to_owned()),
        ..new_account(address)
    }
}

#[tokio::test]
async fn an_invitation_makes_one_account_with_a_confirmed_address() {
    let ctx = TestContext::new().await;
    let code = ctx.accounts.invite(Role::Member, "for Ann", None).await.unwrap();
    assert!(ctx.is_invited(&code).await);
    let created = ctx
        .accounts
        .create(invited(ANN, &code), &public_client("192.0.2.1"))
        .await
        .unwrap();
    assert!(created.is_verified());
    assert!(!ctx.is_invited(&code).await);

    let again = ctx
        .accounts
        .create(invited(BEA, &code), &public_client("192.0.2.1"))
        .await;

    assert!(matches!(again, Err(SignUpError::UnknownInvitation)));
    let listed = ctx.accounts.invitations().await.unwrap();
    assert_eq!(
        (listed.len(), listed[0].used_by, listed[0].note.as_str()),
        (1, Some(created.account), "for Ann")
    );
}

#[tokio::test]
async fn of_two_concurrent_uses_of_an_invitation_one_succeeds() {
    let ctx = TestContext::new().await;
    let code = ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    let client = public_client("192.0.2.1");
    let (one, other) = tokio::join!(
        ctx.accounts.create(invited(ANN, &code), &client),
        ctx.accounts.create(invited(BEA, &code), &client),
    );
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1);
    assert!(matches!(
        one.err().or(other.err()),
        Some(SignUpError::UnknownInvitation)
    ));
    assert_eq!(ctx.count("SELECT COUNT(*) FROM account").await, 1);
    assert_eq!(ctx.count("SELECT COUNT(*) FROM login_name").await, 2);
}

#[tokio::test]
async fn invitations_end_after_seven_days_or_when_they_are_taken_back() {
    let ctx = TestContext::new().await;
    let first = ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    let second = ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    let id = ctx.accounts.invitations().await.unwrap()[0].id;
    assert!(ctx.accounts.revoke_invitation(id).await.unwrap());
    assert!(!ctx.is_invited(&second).await);
    ctx.clock.advance_millis(7 * 24 * 3_600_000);
    assert!(!ctx.is_invited(&first).await);
}

#[tokio::test]
async fn a_closed_server_takes_no_invitation_but_the_first() {
    let ctx = TestContext::with_policy(SignUp::Closed).await;
    let plain = ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    let first = ctx
        .accounts
        .first_invitation()
        .await
        .unwrap()
        .expect("there is no account yet");
    let refused = ctx.accounts.create(invited(ANN, &plain), &local_client()).await;
    assert!(matches!(refused, Err(SignUpError::Closed)));
    ctx.accounts
        .create(invited(ANN, &first), &local_client())
        .await
        .unwrap();
    assert_eq!(
        ctx.accounts.show_account(ANN).await.unwrap().unwrap().role,
        Role::Admin
    );
}

#[tokio::test]
async fn the_first_invitation_dies_with_the_first_account_and_after_an_hour() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let replaced = ctx.accounts.first_invitation().await.unwrap().unwrap();
    let code = ctx.accounts.first_invitation().await.unwrap().unwrap();
    assert!(!ctx.is_invited(&replaced).await);
    assert!(ctx.is_invited(&code).await);
    ctx.create(ANN).await;
    assert!(!ctx.is_invited(&code).await);
    assert_eq!(ctx.accounts.first_invitation().await.unwrap(), None);

    let ctx = TestContext::new().await;
    let code = ctx.accounts.first_invitation().await.unwrap().unwrap();
    ctx.clock.advance_millis(3_600_000);
    assert!(!ctx.is_invited(&code).await);
}
