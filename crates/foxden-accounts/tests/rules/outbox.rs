//! Mails: when they are written, how long they wait, and what becomes of them.

use foxden_accounts::{
    Accounts, CodePurpose, ConfirmError, CredentialKind, FollowUp, Mail, NewAccount, NewPassword,
    OperatorError, Options, QueuedMail, RetryDecision, Role, SecretToken, SignUp,
};

use crate::context::{
    ANN, BEA, PASSWORD, TestContext, auth_pw, cheap, local_client, new_account, public_client,
};

const MINUTE: i64 = 60_000;

async fn ctx() -> TestContext {
    TestContext::with(Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        ..cheap()
    })
    .await
}

async fn take(accounts: &Accounts) -> Option<QueuedMail> {
    accounts.take_mail().await.unwrap()
}

/// The mail that waits; nothing else does.
async fn only(ctx: &TestContext) -> QueuedMail {
    let mail = take(&ctx.accounts).await.expect("a mail waits");
    assert_eq!(take(&ctx.accounts).await, None);
    mail
}

fn codes_of(posted: &QueuedMail) -> (String, String) {
    match &posted.mail {
        Mail::ConfirmAddress { code, link_code } => (code.clone(), link_code.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_client_that_signs_up_is_sent_the_confirmation_code() {
    let ctx = ctx().await;
    let new = new_account(ANN);
    let created = ctx
        .accounts
        .create(new, &public_client("192.0.2.1"))
        .await
        .unwrap();
    assert!(!created.is_verified());

    let posted = only(&ctx).await;
    assert_eq!(
        (posted.address.as_str(), posted.account),
        (ANN, Some(created.account))
    );
    let (code, link_code) = codes_of(&posted);
    let waiting = ctx.accounts.pending_codes(ANN).await.unwrap();
    assert_eq!(
        (waiting[0].purpose, &waiting[0].code),
        (CodePurpose::ConfirmAddress, &code)
    );
    assert_eq!(waiting[0].expires, posted.expires);
    ctx.accounts
        .verify_address(created.account, &link_code, &local_client())
        .await
        .unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);
}

#[tokio::test]
async fn without_mail_or_for_a_confirmed_address_nothing_is_queued() {
    let silent = TestContext::with_policy(SignUp::Open).await;
    let new = new_account(ANN);
    silent
        .accounts
        .create(new, &public_client("192.0.2.1"))
        .await
        .unwrap();
    assert_eq!(silent.count("SELECT COUNT(*) FROM outbox").await, 0);
    let refused = silent.accounts.invite_by_mail(Role::Member, "", None, BEA).await;
    assert!(matches!(refused, Err(OperatorError::NoMail)));

    let ctx = ctx().await;
    ctx.create(ANN).await;
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);
}

#[tokio::test]
async fn asking_again_replaces_the_mail_and_keeps_the_code() {
    let ctx = ctx().await;
    let new = new_account(ANN);
    let created = ctx
        .accounts
        .create(new, &public_client("192.0.2.1"))
        .await
        .unwrap();
    let first = only(&ctx).await;
    let session = ctx.session(&created).await;
    for _ in 0..3 {
        ctx.accounts.resend_code(&session, &local_client()).await.unwrap();
    }
    let second = only(&ctx).await;
    assert_ne!(first.id, second.id);
    assert_eq!(codes_of(&first), codes_of(&second));
}

#[tokio::test]
async fn the_mailed_reset_opens_by_itself_and_its_success_is_told() {
    let ctx = ctx().await;
    ctx.create(ANN).await;
    ctx.accounts
        .start_reset(ANN, &public_client("192.0.2.1"))
        .await
        .unwrap();
    let Mail::ResetCode { code, token, .. } = only(&ctx).await.mail else {
        panic!("another mail waits");
    };
    let token = SecretToken::from_hex(&token).unwrap();
    let credential = ctx
        .credential(CredentialKind::PasswordForgot, &token)
        .await
        .unwrap();
    let reset = ctx
        .accounts
        .verify_reset_code(&credential, &code, &local_client())
        .await
        .unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);

    let credential = ctx
        .credential(CredentialKind::AccountReset, &reset)
        .await
        .unwrap();
    let client = public_client("192.0.2.7");
    ctx.accounts
        .reset_password(&credential, new_password(), &client)
        .await
        .unwrap();
    let from = "192.0.2.7".to_owned();
    assert_eq!(only(&ctx).await.mail, Mail::PasswordReset { from });
}

#[tokio::test]
async fn a_changed_password_is_told_and_a_first_one_is_not() {
    let ctx = ctx().await;
    ctx.create(ANN).await;
    let old = auth_pw(ANN, PASSWORD);
    let started = ctx
        .accounts
        .start_password_change(None, ANN, &old, &local_client())
        .await
        .unwrap();
    let credential = ctx
        .credential(CredentialKind::PasswordChange, &started.password_change_token)
        .await
        .unwrap();
    ctx.accounts
        .finish_password_change(&credential, new_password(), None, &local_client())
        .await
        .unwrap();
    let from = "127.0.0.1".to_owned();
    assert_eq!(only(&ctx).await.mail, Mail::PasswordChanged { from });

    let ctx = self::ctx().await;
    let code = ctx.accounts.add_account(BEA, Role::Member).await.unwrap();
    let link = ctx
        .accounts
        .open_password_link(&code, &local_client())
        .await
        .unwrap();
    let credential = ctx
        .credential(CredentialKind::AccountReset, &link.account_reset_token)
        .await
        .unwrap();
    ctx.accounts
        .reset_password(&credential, new_password(), &local_client())
        .await
        .unwrap();
    assert_eq!(take(&ctx.accounts).await, None);
}

fn new_password() -> NewPassword {
    NewPassword {
        auth_pw: auth_pw(ANN, "another horse battery"),
        wrap_kb: Some(foxden_accounts::WrapKb([7; 32])),
        then: FollowUp::Nothing,
    }
}

#[tokio::test]
async fn an_invitation_travels_until_it_is_used_or_taken_back() {
    let ctx = ctx().await;
    let code = ctx
        .accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
    let posted = only(&ctx).await;
    assert_eq!(posted.mail, Mail::Invitation { code: code.clone() });
    assert_eq!((posted.address.as_str(), posted.account), (BEA, None));
    let new = NewAccount {
        invite: Some(code),
        ..new_account(BEA)
    };
    ctx.accounts
        .create(new, &public_client("192.0.2.1"))
        .await
        .unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);

    ctx.accounts
        .invite_by_mail(Role::Member, "", None, ANN)
        .await
        .unwrap();
    let id = ctx.accounts.invitations().await.unwrap()[0].id;
    assert!(ctx.accounts.revoke_invitation(id).await.unwrap());
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);

    for bad in ["", "bea", "bea@example.org\r\nBcc: all@example.org"] {
        let refused = ctx.accounts.invite_by_mail(Role::Member, "", None, bad).await;
        assert!(matches!(refused, Err(OperatorError::InvalidAddress)), "{bad}");
    }
}

/// Two processes on one register do not both send a mail; one that died while sending is stood in for.
#[tokio::test]
async fn a_taken_mail_is_leased_for_a_while() {
    let ctx = ctx().await;
    ctx.accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
    let options = Options {
        sends_mail: true,
        ..cheap()
    };
    let other = ctx.reopened(options, crate::context::NODE).await;
    let first = only(&ctx).await;
    assert_eq!(take(&other.accounts).await, None);
    assert_eq!(other.accounts.next_mail_due().await.unwrap(), Some(15 * 60_000));

    ctx.clock.advance_millis(15 * MINUTE);
    let untried = only(&ctx).await;
    ctx.accounts.release_mail(untried.id).await.unwrap();
    let second = only(&other).await;
    assert_eq!((second.id, first.tries, second.tries), (first.id, 1, 2));
    other.accounts.ack_mail(second.id).await.unwrap();
    assert_eq!(other.accounts.next_mail_due().await.unwrap(), None);
}

#[tokio::test]
async fn a_mail_that_fails_waits_longer_each_time_and_is_dropped() {
    let ctx = ctx().await;
    ctx.accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
    let mut pauses = Vec::new();
    loop {
        let posted = only(&ctx).await;
        match ctx.accounts.defer_mail(&posted).await.unwrap() {
            RetryDecision::Retry { pause, .. } => pauses.push(pause),
            RetryDecision::GiveUp => break,
        }
        assert_eq!(take(&ctx.accounts).await, None);
        ctx.clock.advance_millis(*pauses.last().unwrap());
    }
    assert_eq!(
        pauses[..4],
        [MINUTE / 6, MINUTE / 3, 2 * MINUTE / 3, 4 * MINUTE / 3]
    );
    assert_eq!(pauses.iter().max(), Some(&(60 * MINUTE)));
    let left = 2 * 24 * 60 * MINUTE - pauses.iter().sum::<i64>();
    assert!(
        (0..MINUTE).contains(&left),
        "tried until the second day is over: {left}"
    );
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);
}

/// A user who waits for a code gets it soon after the mail server is back, whenever that is.
#[tokio::test]
async fn a_code_is_tried_every_five_minutes_until_it_ends() {
    let ctx = ctx().await;
    let new = new_account(ANN);
    ctx.accounts
        .create(new, &public_client("192.0.2.1"))
        .await
        .unwrap();
    let mut pauses = Vec::new();
    loop {
        let posted = only(&ctx).await;
        match ctx.accounts.defer_mail(&posted).await.unwrap() {
            RetryDecision::Retry { pause, .. } => pauses.push(pause),
            RetryDecision::GiveUp => break,
        }
        ctx.clock.advance_millis(*pauses.last().unwrap());
    }
    assert_eq!(pauses.iter().max(), Some(&(5 * MINUTE)));
    let left = 30 * MINUTE - pauses.iter().sum::<i64>();
    assert!((0..MINUTE).contains(&left), "{left}");
}

#[tokio::test]
async fn deferred_mails_are_due_at_once_on_request_unless_taken() {
    let ctx = ctx().await;
    let invite = |address| ctx.accounts.invite_by_mail(Role::Member, "", None, address);
    invite(ANN).await.unwrap();
    invite(BEA).await.unwrap();
    let mut put_off = Vec::new();
    for _ in [ANN, BEA] {
        let posted = take(&ctx.accounts).await.unwrap();
        match ctx.accounts.defer_mail(&posted).await.unwrap() {
            RetryDecision::Retry { due, .. } => put_off.push((posted.id, due)),
            RetryDecision::GiveUp => panic!("at the first try"),
        }
    }
    assert_eq!(take(&ctx.accounts).await, None);
    ctx.clock.advance_millis(MINUTE / 6);
    let taken = take(&ctx.accounts).await.unwrap();
    ctx.accounts.retry_deferred(&put_off).await.unwrap();
    let other = take(&ctx.accounts).await.unwrap();
    assert_ne!(taken.id, other.id);
    assert_eq!(take(&ctx.accounts).await, None, "both are taken");

    let put_off = match ctx.accounts.defer_mail(&other).await.unwrap() {
        RetryDecision::Retry { due, .. } => [(other.id, due)],
        RetryDecision::GiveUp => panic!("at the second try"),
    };
    assert_eq!(take(&ctx.accounts).await, None);
    ctx.accounts.retry_deferred(&put_off).await.unwrap();
    assert_eq!(take(&ctx.accounts).await.unwrap().id, other.id);
}

#[tokio::test]
async fn a_mail_is_deleted_with_its_code_and_with_its_account() {
    let ctx = ctx().await;
    let new = new_account(ANN);
    let created = ctx
        .accounts
        .create(new, &public_client("192.0.2.1"))
        .await
        .unwrap();
    ctx.clock.advance_millis(30 * MINUTE);
    assert_eq!(ctx.accounts.next_mail_due().await.unwrap(), None);
    assert_eq!(take(&ctx.accounts).await, None);
    ctx.accounts.purge(100, i64::MAX).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);

    let session = ctx.session(&created).await;
    ctx.accounts.resend_code(&session, &local_client()).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 1);
    ctx.accounts.remove_account(ANN).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);
}

/// The link in it is as good as ever.
#[tokio::test]
async fn wrong_digits_do_not_stop_the_mail() {
    let ctx = ctx().await;
    let new = new_account(ANN);
    let created = ctx
        .accounts
        .create(new, &public_client("192.0.2.1"))
        .await
        .unwrap();
    let session = ctx.session(&created).await;
    for _ in 0..20 {
        let refused = ctx
            .accounts
            .verify_session(&session, "000000x", &local_client())
            .await;
        assert!(refused.is_err());
    }
    let (_, link) = codes_of(&only(&ctx).await);
    ctx.accounts
        .verify_address(created.account, &link, &local_client())
        .await
        .unwrap();
}

async fn fill(ctx: &TestContext, to: i64) {
    ctx.write(
        "INSERT INTO outbox (address, kind, letter, posted_at, due, expires, tries)
         WITH d (i) AS (SELECT 0 UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5
         UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9), number (n) AS
         (SELECT m.i * 10000 + k.i * 1000 + h.i * 100 + t.i * 10 + o.i FROM d m, d k, d h, d t, d o)
         SELECT 'cid@example.org', 'invitation', '{}', 0, 9223372036854775807, 9223372036854775807, 0
         FROM number WHERE n < ? - (SELECT COUNT(*) FROM outbox)",
        foxden_sql::values![to],
    )
    .await;
}

#[tokio::test]
async fn a_full_outbox_keeps_codes_for_the_operator_and_has_room_for_notices() {
    let ctx = ctx().await;
    ctx.create(ANN).await;
    fill(&ctx, 10_000).await;
    let client = public_client("192.0.2.1");
    ctx.accounts.start_reset(ANN, &client).await.unwrap();
    let created = ctx.accounts.create(new_account(BEA), &client).await.unwrap();
    for name in [ANN, BEA] {
        assert_eq!(ctx.accounts.pending_codes(name).await.unwrap().len(), 1, "{name}");
    }
    let session = ctx.session(&created).await;
    let result = ctx.accounts.resend_code(&session, &client).await;
    assert!(matches!(result, Err(ConfirmError::TooMany { .. })));
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 10_000);

    crate::password::change(&ctx, ANN, PASSWORD, "another horse").await;
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 10_001);
    fill(&ctx, 11_000).await;
    crate::password::change(&ctx, ANN, "another horse", PASSWORD).await;
    ctx.write("DELETE FROM outbox WHERE kind = 'password_changed'", vec![])
        .await;
    fill(&ctx, 11_000).await;
    crate::password::change(&ctx, ANN, PASSWORD, "another horse").await;
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 11_000);
}

#[tokio::test]
async fn a_mail_of_another_release_blocks_no_other() {
    let ctx = ctx().await;
    ctx.write(
        "INSERT INTO outbox (address, kind, letter, posted_at, due, expires, tries)
         VALUES ('bea@example.org', 'card', '{\"kind\":\"card\"}', 0, 0, 9223372036854775807, 0)",
        vec![],
    )
    .await;
    ctx.accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
    assert_eq!(only(&ctx).await.mail.kind(), "invitation");
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 1);
}

#[tokio::test]
async fn a_waiter_is_woken_when_a_mail_is_queued_and_codes_are_not_printed() {
    let ctx = ctx().await;
    let code = ctx
        .accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
    ctx.accounts.mail_queued().await;
    let posted = only(&ctx).await;
    assert!(!format!("{posted:?}").contains(&code));
}
