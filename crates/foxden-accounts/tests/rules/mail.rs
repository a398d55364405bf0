//! How many mails strangers may cause, and that no owner goes without.

use foxden_accounts::{
    ClientInfo, CodePurpose, ConfirmError, CredentialKind, FollowUp, LegacyChangeError, LegacyLoginError,
    Mail, NewPassword, OperatorError, Options, PasswordError, Role, SignUp, WrapKb,
};
use std::sync::{Arc, Mutex};

use foxden_accounts::security::SecurityEvents;

use crate::context::{
    ANN, BEA, PASSWORD, TestContext, auth_pw, cheap, local_client, new_account, public_client,
};

const HOUR: i64 = 3_600_000;
const QUARTER: i64 = HOUR / 4;

async fn with_mail() -> TestContext {
    TestContext::with(options()).await
}

fn options() -> Options {
    Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        ..cheap()
    }
}

/// A client in a network of its own.
fn in_own_network(number: u32) -> ClientInfo {
    let [_, _, high, low] = number.to_be_bytes();
    public_client(&format!("198.{}.{low}.1", 18 + high))
}

impl TestContext {
    /// Takes the mails that wait, as sent.
    async fn sent(&self) -> Vec<Mail> {
        let mut sent = Vec::new();
        while let Some(posted) = self.accounts.take_mail().await.unwrap() {
            self.accounts.ack_mail(posted.id).await.unwrap();
            sent.push(posted.mail);
        }
        sent
    }

    /// Asks for everything that can be asked for without a credential.
    async fn ask_for_all(&self, by: &ClientInfo) {
        let started = self.accounts.start_reset(ANN, by).await.unwrap();
        let credential = self.credential(CredentialKind::PasswordForgot, &started.password_forgot_token);
        let _told = self
            .accounts
            .resend_reset_code(&credential.await.unwrap(), by)
            .await;
        self.accounts.send_otp(ANN, by).await.unwrap();
        self.accounts.request_legacy_reset(ANN, by).await.unwrap();
    }

    async fn codes(&self, name: &str) -> Vec<CodePurpose> {
        let waiting = self.accounts.pending_codes(name).await.unwrap();
        waiting.into_iter().map(|code| code.purpose).collect()
    }

    /// Lets strangers use up what one address may get.
    async fn use_up_mails(&self) {
        for number in 0..36 {
            self.ask_for_all(&in_own_network(number)).await;
            self.sent().await;
            self.clock.advance_millis(2 * QUARTER);
        }
    }
}

#[tokio::test]
async fn unknown_clients_of_many_networks_fill_no_mailbox() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    for number in 0..40 {
        ctx.ask_for_all(&in_own_network(number)).await;
    }
    assert_eq!(ctx.codes(ANN).await.len(), 3);
    assert_eq!(
        ctx.count("SELECT COUNT(*) FROM outbox").await,
        3,
        "one of each kind waits"
    );
    // A request after a mail was sent sends it once more, ten times in all.
    let mut mails = ctx.sent().await.len();
    assert_eq!(mails, 3);
    for day in 0_u32..3 {
        for number in 0..96 {
            ctx.ask_for_all(&in_own_network(40 + 96 * day + number)).await;
            mails += ctx.sent().await.len();
            assert_eq!(ctx.codes(ANN).await.len(), 3, "they wait for the operator");
            ctx.clock.advance_millis(QUARTER);
        }
        // A window that slides gives a day a little more than its share.
        let most = 30 * (usize::try_from(day).unwrap() + 1);
        assert!((most / 2..=most + 15).contains(&mails), "{mails} by day {day}");
    }
}

/// The mail that waits stays, and so does the one before it in the mailbox: only another one is not written.
#[tokio::test]
async fn codes_beyond_the_mail_limit_wait_for_the_operator_and_work() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let witnessed = Arc::clone(&heard);
    let security_events = SecurityEvents::new(move |event| {
        witnessed
            .lock()
            .unwrap()
            .push(format!("{:?} {}", event.kind, event.why.unwrap_or_default()));
    });
    let ctx = TestContext::with(Options {
        security_events,
        ..options()
    })
    .await;
    ctx.create(ANN).await;
    ctx.use_up_mails().await;
    heard.lock().unwrap().clear();

    let owner = public_client("203.0.113.1");
    let started = ctx.accounts.start_reset(ANN, &owner).await.unwrap();
    let events = heard.lock().unwrap().join(";");
    assert!(
        events.starts_with("LimitReached mails to one address"),
        "{events}"
    );
    assert_eq!(ctx.sent().await, []);
    let waiting = ctx.accounts.pending_codes(ANN).await.unwrap();
    let code = waiting
        .into_iter()
        .find(|code| code.purpose == CodePurpose::ResetPassword)
        .unwrap();
    let credential = ctx.credential(CredentialKind::PasswordForgot, &started.password_forgot_token);
    let credential = credential.await.unwrap();
    let resend_result = ctx.accounts.resend_reset_code(&credential, &owner).await;
    assert!(
        resend_result.is_ok(),
        "a client that begins a reset learns nothing of the owner's mail"
    );
    ctx.accounts
        .verify_reset_code(&credential, &code.code, &owner)
        .await
        .unwrap();
}

/// It costs as much to ask for an unknown address: what is left of the allowance tells nothing.
#[tokio::test]
async fn a_networks_mails_count_for_unknown_accounts_too() {
    for is_known in [true, false] {
        let ctx = with_mail().await;
        let client = public_client("192.0.2.1");
        let mut mails = 0;
        for number in 0..60 {
            let name = format!("ann{number}@example.org");
            if is_known {
                ctx.create(&name).await;
            }
            let request_result = ctx.accounts.start_reset(&name, &client).await;
            assert_eq!(request_result.is_ok(), is_known);
            mails += ctx.sent().await.len();
            if number % 30 == 29 {
                ctx.clock.advance_millis(2 * QUARTER);
            }
        }
        assert_eq!(mails, if is_known { 60 } else { 0 });
        ctx.create(ANN).await;
        ctx.accounts.start_reset(ANN, &client).await.unwrap();
        assert_eq!(ctx.sent().await, []);
        assert_eq!(ctx.codes(ANN).await, [CodePurpose::ResetPassword]);
        let elsewhere = public_client("198.51.100.1");
        ctx.accounts.request_legacy_reset(ANN, &elsewhere).await.unwrap();
        assert_eq!(ctx.sent().await.len(), 1);
    }
}

#[tokio::test]
async fn notices_reach_the_owner_of_a_full_mailbox_and_have_an_end_too() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    ctx.use_up_mails().await;
    let (mut old, mut new) = (PASSWORD, "another horse");
    let mut notices = 0;
    for _ in 0..25 {
        crate::password::change(&ctx, ANN, old, new).await;
        std::mem::swap(&mut old, &mut new);
        for mail in ctx.sent().await {
            assert!(matches!(mail, Mail::PasswordChanged { .. }), "{mail:?}");
            notices += 1;
        }
    }
    assert_eq!(notices, 20);
}

#[tokio::test]
async fn the_operators_invitations_are_counted_apart() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    ctx.use_up_mails().await;
    for _ in 0..20 {
        ctx.accounts
            .invite_by_mail(Role::Member, "", None, ANN)
            .await
            .unwrap();
    }
    assert_eq!(ctx.sent().await.len(), 20);
    let refused = ctx.accounts.invite_by_mail(Role::Member, "", None, ANN).await;
    assert!(matches!(refused, Err(OperatorError::TooMany { .. })));
    ctx.accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
}

/// The owner of a foreign address gets no mail about each password of the account that claims it.
#[tokio::test]
async fn an_address_that_was_never_confirmed_is_told_nothing() {
    let ctx = with_mail().await;
    let mallory = public_client("192.0.2.1");
    ctx.accounts.create(new_account(ANN), &mallory).await.unwrap();
    assert_eq!(ctx.sent().await.len(), 1);
    let old = auth_pw(ANN, PASSWORD);
    let started = ctx
        .accounts
        .start_password_change(None, ANN, &old, &mallory)
        .await;
    let token = started.unwrap().password_change_token;
    let credential = ctx
        .credential(CredentialKind::PasswordChange, &token)
        .await
        .unwrap();
    let new = NewPassword {
        auth_pw: auth_pw(ANN, "another horse"),
        wrap_kb: Some(WrapKb([7; 32])),
        then: FollowUp::Nothing,
    };
    ctx.accounts
        .finish_password_change(&credential, new, None, &mallory)
        .await
        .unwrap();
    ctx.accounts
        .change_plain_password(ANN, "another horse", "yet another horse", &mallory)
        .await
        .unwrap();
    assert_eq!(ctx.sent().await, []);
}

#[tokio::test]
async fn a_new_account_can_have_its_code_resent_up_to_a_limit() {
    let ctx = with_mail().await;
    let client = public_client("192.0.2.1");
    let created = ctx.accounts.create(new_account(ANN), &client).await.unwrap();
    let session = ctx.session(&created).await;
    let first = ctx.sent().await;
    for _ in 0..10 {
        ctx.accounts.resend_code(&session, &client).await.unwrap();
        assert_eq!(ctx.sent().await, first);
    }
    ctx.accounts.resend_code(&session, &local_client()).await.unwrap();
    assert_eq!(ctx.sent().await, first);
    let resend_result = ctx.accounts.resend_code(&session, &client).await;
    assert!(matches!(resend_result, Err(ConfirmError::TooMany { .. })));
    ctx.clock.advance_millis(HOUR);
    let resend_result = ctx.accounts.resend_code(&session, &client).await;
    resend_result.unwrap();
    assert_eq!(ctx.sent().await.len(), 1, "another code");
}

/// An account of a stranger is no way round: five changes a day, and none to an address that got its share.
#[tokio::test]
async fn changes_of_address_back_and_forth_fill_no_mailbox() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    let mallory = public_client("192.0.2.1");
    let targets = ["one@example.com", "two@example.com"];
    let mut mails = 0;
    let mut refused = 0;
    for number in 0..10 {
        let changed = ctx
            .accounts
            .change_address(ANN, PASSWORD, targets[number % 2], &mallory)
            .await;
        refused += u32::from(matches!(
            changed,
            Err(LegacyChangeError::Login(LegacyLoginError::TooMany { .. }))
        ));
        mails += ctx.sent().await.len();
    }
    assert_eq!(
        (refused, mails),
        (5, 6),
        "five codes, and one notice to the address before"
    );
}

/// A former address reveals nothing about the current one.
#[tokio::test]
async fn a_former_address_gets_no_link() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    ctx.accounts
        .change_address(ANN, PASSWORD, BEA, &local_client())
        .await
        .unwrap();
    let request_result = ctx.accounts.start_reset(ANN, &public_client("192.0.2.1")).await;
    assert!(matches!(request_result, Err(PasswordError::UnknownAccount { name }) if name == ANN));
    let request_result = ctx
        .accounts
        .start_reset("BEA@example.org", &public_client("192.0.2.1"))
        .await;
    assert!(matches!(request_result, Err(PasswordError::OtherSpelling { address }) if address == BEA));
}

/// Also where none is mailed: each writes to the register.
#[tokio::test]
async fn codes_are_not_asked_for_without_end() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let client = public_client("192.0.2.1");
    let created = ctx.accounts.create(new_account(ANN), &client).await.unwrap();
    let session = ctx.session(&created).await;
    let started = ctx.accounts.start_reset(ANN, &client).await.unwrap();
    let credential = ctx.credential(CredentialKind::PasswordForgot, &started.password_forgot_token);
    let credential = credential.await.unwrap();
    for _ in 0..14 {
        ctx.accounts.resend_code(&session, &client).await.unwrap();
        ctx.accounts
            .resend_reset_code(&credential, &client)
            .await
            .unwrap();
    }
    ctx.accounts.resend_code(&session, &client).await.unwrap();
    let refused = ctx.accounts.resend_code(&session, &client).await;
    assert!(matches!(refused, Err(ConfirmError::TooMany { .. })));
    let refused = ctx.accounts.resend_reset_code(&credential, &client).await;
    assert!(matches!(refused, Err(PasswordError::TooMany { .. })));
}

/// An account with a foreign address is made and removed again and again: its owner's mailbox gets few mails of it, and
/// one when the owner signs up.
#[tokio::test]
async fn claims_from_many_networks_leave_a_mail_for_the_owner() {
    let ctx = with_mail().await;
    let mut mails = 0;
    for network in 0..8 {
        for number in 0..5 {
            let by = public_client(&format!("198.51.{network}.{number}"));
            ctx.accounts.create(new_account(ANN), &by).await.unwrap();
            mails += ctx.sent().await.len();
        }
    }
    assert_eq!(mails, 10 + 6, "ten, and one for each network that comes later");
    expect_a_mail_for_the_owner(&ctx).await;
}

/// Signs up in a network of its own, and expects a mail.
async fn expect_a_mail_for_the_owner(ctx: &TestContext) {
    ctx.accounts
        .create(new_account(ANN), &in_own_network(1))
        .await
        .unwrap();
    assert_eq!(ctx.sent().await.len(), 1, "the owner's own");
}

#[tokio::test]
async fn repeated_sign_up_and_removal_leave_mails_for_the_owner() {
    let ctx = with_mail().await;
    let mut mails = 0;
    for number in 0..20 {
        let by = public_client(&format!("192.0.2.{number}"));
        let made = ctx.accounts.create(new_account(ANN), &by).await.unwrap();
        let session = ctx.session(&made).await;
        mails += ctx.sent().await.len();
        let auth_pw = auth_pw(ANN, PASSWORD);
        ctx.accounts
            .destroy(Some(&session), ANN, &auth_pw, &by)
            .await
            .unwrap();
    }
    assert_eq!(mails, 5);
    expect_a_mail_for_the_owner(&ctx).await;
}

/// A mail that is not written costs its network nothing: it can be asked for again once there is room.
#[tokio::test]
async fn a_mail_that_is_not_written_is_not_counted() {
    let ctx = with_mail().await;
    let mut mails = 0;
    for network in 0..40 {
        let by = public_client(&format!("198.51.{network}.1"));
        ctx.accounts.create(new_account(ANN), &by).await.unwrap();
        mails += ctx.sent().await.len();
    }
    assert_eq!(mails, 30, "as many as an address gets in a day");
    let owner = in_own_network(1);
    let made = ctx.accounts.create(new_account(ANN), &owner).await.unwrap();
    assert_eq!(ctx.sent().await, []);
    // The count of the address has faded by one, those that a network has of its own have not.
    ctx.clock.advance_millis(25 * 3_600_000);
    let session = ctx.session(&made).await;
    ctx.accounts.resend_code(&session, &owner).await.unwrap();
    assert_eq!(ctx.sent().await.len(), 1, "the owner's own");
}
