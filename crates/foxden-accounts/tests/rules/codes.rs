//! Codes under attack: strangers spoil none, and nobody guesses one.

use foxden_accounts::{
    CodePurpose, ConfirmError, Consent, Kind, LegacyResetError, Letter, NewAccount, Options, PasswordError,
    ResetStarted, Role, SecretToken, SignUp, Visitor,
};

use crate::lab::{ANN, BEA, Lab, cheap, new_account, stranger};

const NEW: &str = "newpasswordhere";
const ZEROS: &str = "00000000000000000000000000000000";

fn mallory() -> Visitor {
    stranger("198.51.100.66")
}

async fn with_mail() -> Lab {
    Lab::with(Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        ..cheap()
    })
    .await
}

impl Lab {
    async fn begin_reset(&self, by: &Visitor) -> ResetStarted {
        self.accounts.forgot_password(ANN, by).await.unwrap()
    }

    async fn try_reset(
        &self,
        token: &SecretToken,
        code: &str,
        by: &Visitor,
    ) -> Result<SecretToken, PasswordError> {
        let ticket = self.ticket(Kind::PasswordForgot, token).await;
        let ticket = ticket.map_err(|_| PasswordError::UnknownToken)?;
        self.accounts.verify_reset_code(&ticket, code, by).await
    }

    async fn code_of(&self, name: &str, purpose: CodePurpose) -> String {
        let waiting = self.accounts.waiting_codes(name).await.unwrap();
        let found = waiting.into_iter().find(|code| code.purpose == purpose);
        found.expect("a code waits").code
    }

    /// Tries a wrong invitation until the network may try no more.
    async fn use_up_guesses(&self, by: &Visitor) {
        loop {
            match self.accounts.open_password_link("guess", by).await {
                Err(PasswordError::ExpiredCode) => {}
                refused => {
                    assert!(matches!(refused, Err(PasswordError::TooMany { .. })));
                    break;
                }
            }
        }
    }
}

/// Signs up with an address, and gives the account and the link that confirms it.
async fn claim(lab: &Lab, address: &str, by: &Visitor) -> (foxden_accounts::AccountId, String) {
    let created = lab.accounts.create(new_account(address), by).await.unwrap();
    let posted = lab.accounts.take_letter().await.unwrap().expect("a letter waits");
    let Letter::ConfirmAddress { link_code, .. } = posted.letter else {
        panic!("another letter waits");
    };
    (created.account, link_code)
}

/// Two resets begun and six wrong codes tried by a stranger: the owner's reset and the link in the owner's letter work.
#[tokio::test]
async fn wrong_codes_in_other_resets_spoil_no_code() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    let owner = stranger("192.0.2.1");
    let own = lab.begin_reset(&owner).await;
    let letter = lab.accounts.take_letter().await.unwrap().unwrap().letter;
    let Letter::ResetCode { code, token, .. } = letter else {
        panic!("another letter waits");
    };
    for _ in 0..20 {
        let foreign = lab.begin_reset(&mallory()).await;
        for _ in 0..3 {
            let refused = lab
                .try_reset(&foreign.password_forgot_token, ZEROS, &mallory())
                .await;
            assert!(refused.is_err());
        }
    }
    let token = SecretToken::from_hex(&token).unwrap();
    let refused = lab.try_reset(&own.password_forgot_token, ZEROS, &owner).await;
    assert!(matches!(refused, Err(PasswordError::WrongCode)));
    assert_eq!(lab.code_of(ANN, CodePurpose::ResetPassword).await, code);
    lab.try_reset(&token, &code, &owner).await.unwrap();
}

#[tokio::test]
async fn wrong_links_do_not_end_the_one_in_the_letter() {
    let lab = with_mail().await;
    let (account, link) = claim(&lab, ANN, &stranger("192.0.2.1")).await;
    for _ in 0..30 {
        let refused = lab.accounts.verify_address(account, ZEROS, &mallory()).await;
        assert!(matches!(refused, Err(ConfirmError::WrongCode)));
    }
    let refused = lab.accounts.verify_address(account, ZEROS, &mallory()).await;
    assert!(matches!(refused, Err(ConfirmError::TooMany { .. })));
    lab.accounts
        .verify_address(account, &link, &stranger("192.0.2.1"))
        .await
        .unwrap();
}

/// What cannot be guessed is let through: a neighbour of the owner may have used up the network's wrong codes.
#[tokio::test]
async fn the_right_code_passes_where_a_neighbour_tried_too_many() {
    let lab = with_mail().await;
    let owner = stranger("192.0.2.1");
    lab.create(ANN).await;
    let own = lab.begin_reset(&owner).await;
    lab.accounts.request_plain_reset(ANN, &owner).await.unwrap();
    let plain = lab.code_of(ANN, CodePurpose::ResetPlain).await;
    let code = lab.code_of(ANN, CodePurpose::ResetPassword).await;
    while lab.accounts.take_letter().await.unwrap().is_some() {}
    let (account, link) = claim(&lab, BEA, &owner).await;
    let invitation = lab.accounts.invite(Role::Member, "", None).await.unwrap();
    let password_link = lab.accounts.password_link(ANN).await.unwrap();

    lab.use_up_guesses(&owner).await;
    let wrong = lab.accounts.verify_address(account, ZEROS, &owner).await;
    assert!(matches!(wrong, Err(ConfirmError::TooMany { .. })));
    for name in [ANN, "nobody"] {
        let wrong = lab
            .accounts
            .check_plain_reset(name, "AAAA-BBBB-CCCC-DDDD", &owner)
            .await;
        assert!(matches!(wrong, Err(LegacyResetError::TooMany { .. })), "{name}");
    }

    lab.accounts.verify_address(account, &link, &owner).await.unwrap();
    let invited = NewAccount {
        invite: Some(invitation),
        ..new_account("cid@example.org")
    };
    lab.accounts.create(invited, &owner).await.unwrap();
    lab.try_reset(&own.password_forgot_token, &code, &owner)
        .await
        .unwrap();
    lab.accounts
        .open_password_link(&password_link, &owner)
        .await
        .unwrap();
    lab.accounts.check_plain_reset(ANN, &plain, &owner).await.unwrap();
    lab.accounts
        .reset_plain(ANN, &plain, NEW, Consent::NotAsked, &owner)
        .await
        .unwrap();
}

/// A stranger who signs up with a foreign address can try six digits, but few a day, for however many accounts. The link
/// works throughout.
#[tokio::test]
async fn the_digits_of_a_foreign_address_are_not_guessed() {
    let lab = with_mail().await;
    let mut tries = 0;
    for number in 0..6 {
        let visitor = stranger(&format!("198.51.{number}.1"));
        let created = lab.accounts.create(new_account(ANN), &visitor).await.unwrap();
        let session = lab.session(&created).await;
        loop {
            match lab.accounts.verify_session(&session, "x", &visitor).await {
                Err(ConfirmError::ExpiredCode) => tries += 1,
                refused => {
                    assert!(matches!(refused, Err(ConfirmError::TooMany { .. })));
                    break;
                }
            }
        }
        assert_eq!(tries, 50.min(10 * (number + 1)));
        lab.accounts.remove_account(ANN).await.unwrap();
    }
    let (account, link) = claim(&lab, ANN, &stranger("192.0.2.1")).await;
    lab.accounts
        .verify_address(account, &link, &stranger("192.0.2.1"))
        .await
        .unwrap();
}
