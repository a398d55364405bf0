//! How many letters strangers may cause, and that no owner goes without.

use foxden_accounts::{
    CodePurpose, ConfirmError, Kind, LegacyChangeError, LegacyLoginError, Letter, NewPassword, OperatorError,
    Options, PasswordError, Role, SignUp, Then, Visitor, WrapKb,
};
use std::sync::{Arc, Mutex};

use foxden_accounts::security::Witness;

use crate::lab::{ANN, BEA, Lab, PASSWORD, at_home, cheap, new_account, proof, stranger};

const HOUR: i64 = 3_600_000;
const QUARTER: i64 = HOUR / 4;

async fn with_mail() -> Lab {
    Lab::with(options()).await
}

fn options() -> Options {
    Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        ..cheap()
    }
}

/// Somebody in another network than anybody else.
fn somebody(number: u32) -> Visitor {
    let [_, _, high, low] = number.to_be_bytes();
    stranger(&format!("198.{}.{low}.1", 18 + high))
}

impl Lab {
    /// Takes the letters that wait, as sent.
    async fn sent(&self) -> Vec<Letter> {
        let mut sent = Vec::new();
        while let Some(posted) = self.accounts.take_letter().await.unwrap() {
            self.accounts.letter_sent(posted.id).await.unwrap();
            sent.push(posted.letter);
        }
        sent
    }

    /// Asks for everything that can be asked for without a credential.
    async fn ask_for_all(&self, by: &Visitor) {
        let started = self.accounts.forgot_password(ANN, by).await.unwrap();
        let ticket = self.ticket(Kind::PasswordForgot, &started.password_forgot_token);
        let _told = self.accounts.forgot_again(&ticket.await.unwrap(), by).await;
        self.accounts.send_otp(ANN, by).await.unwrap();
        self.accounts.request_plain_reset(ANN, by).await.unwrap();
    }

    async fn codes(&self, name: &str) -> Vec<CodePurpose> {
        let waiting = self.accounts.waiting_codes(name).await.unwrap();
        waiting.into_iter().map(|code| code.purpose).collect()
    }

    /// Lets strangers use up what one address may get.
    async fn use_up_letters(&self) {
        for number in 0..36 {
            self.ask_for_all(&somebody(number)).await;
            self.sent().await;
            self.clock.advance_millis(2 * QUARTER);
        }
    }
}

#[tokio::test]
async fn strangers_of_many_networks_fill_no_mailbox() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    for number in 0..40 {
        lab.ask_for_all(&somebody(number)).await;
    }
    assert_eq!(lab.codes(ANN).await.len(), 3);
    assert_eq!(
        lab.count("SELECT COUNT(*) FROM outbox").await,
        3,
        "one of each kind waits"
    );
    // What is asked for after a letter was sent brings it once more, ten times in all.
    let mut letters = lab.sent().await.len();
    assert_eq!(letters, 3);
    for day in 0_u32..3 {
        for number in 0..96 {
            lab.ask_for_all(&somebody(40 + 96 * day + number)).await;
            letters += lab.sent().await.len();
            assert_eq!(lab.codes(ANN).await.len(), 3, "they wait for the operator");
            lab.clock.advance_millis(QUARTER);
        }
        // A window that slides gives a day a little more than its share.
        let most = 30 * (usize::try_from(day).unwrap() + 1);
        assert!(
            (most / 2..=most + 15).contains(&letters),
            "{letters} by day {day}"
        );
    }
}

/// The letter that waits stays, and so does the one before it in the mailbox: only another one is not written.
#[tokio::test]
async fn what_is_too_much_waits_for_the_operator_and_works() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let witnessed = Arc::clone(&heard);
    let witness = Witness::new(move |event| {
        witnessed
            .lock()
            .unwrap()
            .push(format!("{:?} {}", event.what, event.why.unwrap_or_default()));
    });
    let lab = Lab::with(Options { witness, ..options() }).await;
    lab.create(ANN).await;
    lab.use_up_letters().await;
    heard.lock().unwrap().clear();

    let owner = stranger("203.0.113.1");
    let started = lab.accounts.forgot_password(ANN, &owner).await.unwrap();
    let said = heard.lock().unwrap().join(";");
    assert!(said.starts_with("LimitReached letters to one address"), "{said}");
    assert_eq!(lab.sent().await, []);
    let waiting = lab.accounts.waiting_codes(ANN).await.unwrap();
    let code = waiting
        .into_iter()
        .find(|code| code.purpose == CodePurpose::ResetPassword)
        .unwrap();
    let ticket = lab.ticket(Kind::PasswordForgot, &started.password_forgot_token);
    let ticket = ticket.await.unwrap();
    let told = lab.accounts.forgot_again(&ticket, &owner).await;
    assert!(
        told.is_ok(),
        "whoever begins a reset hears nothing of its owner's letters"
    );
    lab.accounts
        .verify_reset_code(&ticket, &code.code, &owner)
        .await
        .unwrap();
}

/// It costs as much to ask for an address that nobody has: what is left of the allowance tells nothing.
#[tokio::test]
async fn a_network_pays_for_what_it_asks_whoever_is_here() {
    for is_known in [true, false] {
        let lab = with_mail().await;
        let visitor = stranger("192.0.2.1");
        let mut letters = 0;
        for number in 0..60 {
            let name = format!("ann{number}@example.org");
            if is_known {
                lab.create(&name).await;
            }
            let asked = lab.accounts.forgot_password(&name, &visitor).await;
            assert_eq!(asked.is_ok(), is_known);
            letters += lab.sent().await.len();
            if number % 30 == 29 {
                lab.clock.advance_millis(2 * QUARTER);
            }
        }
        assert_eq!(letters, if is_known { 60 } else { 0 });
        lab.create(ANN).await;
        lab.accounts.forgot_password(ANN, &visitor).await.unwrap();
        assert_eq!(lab.sent().await, []);
        assert_eq!(lab.codes(ANN).await, [CodePurpose::ResetPassword]);
        let elsewhere = stranger("198.51.100.1");
        lab.accounts.request_plain_reset(ANN, &elsewhere).await.unwrap();
        assert_eq!(lab.sent().await.len(), 1);
    }
}

#[tokio::test]
async fn notices_reach_the_owner_of_a_full_mailbox_and_have_an_end_too() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    lab.use_up_letters().await;
    let (mut old, mut new) = (PASSWORD, "another horse");
    let mut notices = 0;
    for _ in 0..25 {
        crate::password::change(&lab, ANN, old, new).await;
        std::mem::swap(&mut old, &mut new);
        for letter in lab.sent().await {
            assert!(matches!(letter, Letter::PasswordChanged { .. }), "{letter:?}");
            notices += 1;
        }
    }
    assert_eq!(notices, 20);
}

#[tokio::test]
async fn the_operators_invitations_are_counted_apart() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    lab.use_up_letters().await;
    for _ in 0..20 {
        lab.accounts
            .invite_by_mail(Role::Member, "", None, ANN)
            .await
            .unwrap();
    }
    assert_eq!(lab.sent().await.len(), 20);
    let refused = lab.accounts.invite_by_mail(Role::Member, "", None, ANN).await;
    assert!(matches!(refused, Err(OperatorError::TooMany { .. })));
    lab.accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
}

/// Who signs up with a foreign address does not get its owner told of each password.
#[tokio::test]
async fn an_address_that_was_never_confirmed_is_told_nothing() {
    let lab = with_mail().await;
    let mallory = stranger("192.0.2.1");
    lab.accounts.create(new_account(ANN), &mallory).await.unwrap();
    assert_eq!(lab.sent().await.len(), 1);
    let old = proof(ANN, PASSWORD);
    let started = lab
        .accounts
        .start_password_change(None, ANN, &old, &mallory)
        .await;
    let token = started.unwrap().password_change_token;
    let ticket = lab.ticket(Kind::PasswordChange, &token).await.unwrap();
    let new = NewPassword {
        auth_pw: proof(ANN, "another horse"),
        wrap_kb: Some(WrapKb([7; 32])),
        then: Then::Nothing,
    };
    lab.accounts
        .finish_password_change(&ticket, new, None, &mallory)
        .await
        .unwrap();
    lab.accounts
        .change_password_plain(ANN, "another horse", "yet another horse", &mallory)
        .await
        .unwrap();
    assert_eq!(lab.sent().await, []);
}

#[tokio::test]
async fn who_signs_up_has_the_code_sent_again_and_is_told_when_that_ends() {
    let lab = with_mail().await;
    let visitor = stranger("192.0.2.1");
    let created = lab.accounts.create(new_account(ANN), &visitor).await.unwrap();
    let session = lab.session(&created).await;
    let first = lab.sent().await;
    for _ in 0..10 {
        lab.accounts.resend_code(&session, &visitor).await.unwrap();
        assert_eq!(lab.sent().await, first);
    }
    lab.accounts.resend_code(&session, &at_home()).await.unwrap();
    assert_eq!(lab.sent().await, first);
    let told = lab.accounts.resend_code(&session, &visitor).await;
    assert!(matches!(told, Err(ConfirmError::TooMany { .. })));
    lab.clock.advance_millis(HOUR);
    let told = lab.accounts.resend_code(&session, &visitor).await;
    told.unwrap();
    assert_eq!(lab.sent().await.len(), 1, "another code");
}

/// An account of a stranger is no way round: five changes a day, and none to an address that got its share.
#[tokio::test]
async fn changes_of_address_back_and_forth_fill_no_mailbox() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    let mallory = stranger("192.0.2.1");
    let targets = ["one@example.com", "two@example.com"];
    let mut letters = 0;
    let mut refused = 0;
    for number in 0..10 {
        let changed = lab
            .accounts
            .change_address(ANN, PASSWORD, targets[number % 2], &mallory)
            .await;
        refused += u32::from(matches!(
            changed,
            Err(LegacyChangeError::Login(LegacyLoginError::TooMany { .. }))
        ));
        letters += lab.sent().await.len();
    }
    assert_eq!(
        (refused, letters),
        (5, 6),
        "five codes, and one notice to the address before"
    );
}

/// What the account was called before tells strangers nothing of what it is called now.
#[tokio::test]
async fn an_address_of_before_is_unknown_to_who_asks_for_a_link() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    lab.accounts
        .change_address(ANN, PASSWORD, BEA, &at_home())
        .await
        .unwrap();
    let asked = lab.accounts.forgot_password(ANN, &stranger("192.0.2.1")).await;
    assert!(matches!(asked, Err(PasswordError::UnknownAccount { name }) if name == ANN));
    let asked = lab
        .accounts
        .forgot_password("BEA@example.org", &stranger("192.0.2.1"))
        .await;
    assert!(matches!(asked, Err(PasswordError::OtherSpelling { address }) if address == BEA));
}

/// Also where none is mailed: each writes to the register.
#[tokio::test]
async fn codes_are_not_asked_for_without_end() {
    let lab = Lab::with_policy(SignUp::Open).await;
    let visitor = stranger("192.0.2.1");
    let created = lab.accounts.create(new_account(ANN), &visitor).await.unwrap();
    let session = lab.session(&created).await;
    let started = lab.accounts.forgot_password(ANN, &visitor).await.unwrap();
    let ticket = lab.ticket(Kind::PasswordForgot, &started.password_forgot_token);
    let ticket = ticket.await.unwrap();
    for _ in 0..14 {
        lab.accounts.resend_code(&session, &visitor).await.unwrap();
        lab.accounts.forgot_again(&ticket, &visitor).await.unwrap();
    }
    lab.accounts.resend_code(&session, &visitor).await.unwrap();
    let refused = lab.accounts.resend_code(&session, &visitor).await;
    assert!(matches!(refused, Err(ConfirmError::TooMany { .. })));
    let refused = lab.accounts.forgot_again(&ticket, &visitor).await;
    assert!(matches!(refused, Err(PasswordError::TooMany { .. })));
}

/// An account with a foreign address is made and removed again and again: its owner's mailbox gets few letters of it, and
/// one when the owner signs up.
#[tokio::test]
async fn claims_from_many_networks_leave_a_letter_for_the_owner() {
    let lab = with_mail().await;
    let mut letters = 0;
    for network in 0..8 {
        for number in 0..5 {
            let by = stranger(&format!("198.51.{network}.{number}"));
            lab.accounts.create(new_account(ANN), &by).await.unwrap();
            letters += lab.sent().await.len();
        }
    }
    assert_eq!(letters, 10 + 6, "ten, and one for each network that comes later");
    lab.accounts.create(new_account(ANN), &somebody(1)).await.unwrap();
    assert_eq!(lab.sent().await.len(), 1, "the owner's own");
}

#[tokio::test]
async fn accounts_made_and_removed_in_a_circle_leave_letters_for_the_owner() {
    let lab = with_mail().await;
    let mut letters = 0;
    for number in 0..20 {
        let by = stranger(&format!("192.0.2.{number}"));
        let made = lab.accounts.create(new_account(ANN), &by).await.unwrap();
        let session = lab.session(&made).await;
        letters += lab.sent().await.len();
        let proof = proof(ANN, PASSWORD);
        lab.accounts
            .destroy(Some(&session), ANN, &proof, &by)
            .await
            .unwrap();
    }
    assert_eq!(letters, 5);
    lab.accounts.create(new_account(ANN), &somebody(1)).await.unwrap();
    assert_eq!(lab.sent().await.len(), 1, "the owner's own");
}

/// A letter that is not written costs its network nothing: it can be asked for again once there is room.
#[tokio::test]
async fn what_is_not_written_is_not_counted_for_a_network() {
    let lab = with_mail().await;
    let mut letters = 0;
    for network in 0..40 {
        let by = stranger(&format!("198.51.{network}.1"));
        lab.accounts.create(new_account(ANN), &by).await.unwrap();
        letters += lab.sent().await.len();
    }
    assert_eq!(letters, 30, "as many as an address gets in a day");
    let owner = somebody(1);
    let made = lab.accounts.create(new_account(ANN), &owner).await.unwrap();
    assert_eq!(lab.sent().await, []);
    // The count of the address has faded by one, those that a network has of its own have not.
    lab.clock.advance_millis(25 * 3_600_000);
    let session = lab.session(&made).await;
    lab.accounts.resend_code(&session, &owner).await.unwrap();
    assert_eq!(lab.sent().await.len(), 1, "the owner's own");
}
