//! Codes under attack: strangers invalidate none, and none is guessed.

use foxden_accounts::{
    ClientInfo, CodePurpose, ConfirmError, CredentialKind, DataLossConsent, LegacyResetError, Mail,
    NewAccount, Options, PasswordError, ResetStarted, Role, SecretToken, SignUp,
};

use crate::context::{ANN, BEA, TestContext, cheap, new_account, public_client};

const NEW: &str = "newpasswordhere";
const ZEROS: &str = "00000000000000000000000000000000";

fn mallory() -> ClientInfo {
    public_client("198.51.100.66")
}

async fn with_mail() -> TestContext {
    TestContext::with(Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        ..cheap()
    })
    .await
}

impl TestContext {
    async fn begin_reset(&self, by: &ClientInfo) -> ResetStarted {
        self.accounts.start_reset(ANN, by).await.unwrap()
    }

    async fn try_reset(
        &self,
        token: &SecretToken,
        code: &str,
        by: &ClientInfo,
    ) -> Result<SecretToken, PasswordError> {
        let credential = self.credential(CredentialKind::PasswordForgot, token).await;
        let credential = credential.map_err(|_| PasswordError::UnknownToken)?;
        self.accounts.verify_reset_code(&credential, code, by).await
    }

    async fn code_of(&self, name: &str, purpose: CodePurpose) -> String {
        let waiting = self.accounts.pending_codes(name).await.unwrap();
        let found = waiting.into_iter().find(|code| code.purpose == purpose);
        found.expect("a code waits").code
    }

    /// Tries a wrong invitation until the network may try no more.
    async fn use_up_guesses(&self, by: &ClientInfo) {
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
async fn claim(ctx: &TestContext, address: &str, by: &ClientInfo) -> (foxden_accounts::AccountId, String) {
    let created = ctx.accounts.create(new_account(address), by).await.unwrap();
    let posted = ctx.accounts.take_mail().await.unwrap().expect("a mail waits");
    let Mail::ConfirmAddress { link_code, .. } = posted.mail else {
        panic!("another mail waits");
    };
    (created.account, link_code)
}

/// Two resets begun and six wrong codes tried by a stranger: the owner's reset and the link in the owner's mail work.
#[tokio::test]
async fn wrong_codes_in_other_resets_invalidate_no_code() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    let owner = public_client("192.0.2.1");
    let own = ctx.begin_reset(&owner).await;
    let mail = ctx.accounts.take_mail().await.unwrap().unwrap().mail;
    let Mail::ResetCode { code, token, .. } = mail else {
        panic!("another mail waits");
    };
    for _ in 0..20 {
        let foreign = ctx.begin_reset(&mallory()).await;
        for _ in 0..3 {
            let refused = ctx
                .try_reset(&foreign.password_forgot_token, ZEROS, &mallory())
                .await;
            assert!(refused.is_err());
        }
    }
    let token = SecretToken::from_hex(&token).unwrap();
    let refused = ctx.try_reset(&own.password_forgot_token, ZEROS, &owner).await;
    assert!(matches!(refused, Err(PasswordError::WrongCode)));
    assert_eq!(ctx.code_of(ANN, CodePurpose::ResetPassword).await, code);
    ctx.try_reset(&token, &code, &owner).await.unwrap();
}

#[tokio::test]
async fn wrong_links_do_not_end_the_mailed_one() {
    let ctx = with_mail().await;
    let (account, link) = claim(&ctx, ANN, &public_client("192.0.2.1")).await;
    for _ in 0..30 {
        let refused = ctx.accounts.verify_address(account, ZEROS, &mallory()).await;
        assert!(matches!(refused, Err(ConfirmError::WrongCode)));
    }
    let refused = ctx.accounts.verify_address(account, ZEROS, &mallory()).await;
    assert!(matches!(refused, Err(ConfirmError::TooMany { .. })));
    ctx.accounts
        .verify_address(account, &link, &public_client("192.0.2.1"))
        .await
        .unwrap();
}

/// Codes that cannot be guessed are accepted even if a neighbour has used up the network's wrong codes.
#[tokio::test]
async fn the_right_code_passes_after_too_many_tries_of_a_neighbour() {
    let ctx = with_mail().await;
    let owner = public_client("192.0.2.1");
    ctx.create(ANN).await;
    let own = ctx.begin_reset(&owner).await;
    ctx.accounts.request_legacy_reset(ANN, &owner).await.unwrap();
    let plain = ctx.code_of(ANN, CodePurpose::ResetLegacy).await;
    let code = ctx.code_of(ANN, CodePurpose::ResetPassword).await;
    while ctx.accounts.take_mail().await.unwrap().is_some() {}
    let (account, link) = claim(&ctx, BEA, &owner).await;
    let invitation = ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    let password_link = ctx.accounts.password_link(ANN).await.unwrap();

    ctx.use_up_guesses(&owner).await;
    let wrong = ctx.accounts.verify_address(account, ZEROS, &owner).await;
    assert!(matches!(wrong, Err(ConfirmError::TooMany { .. })));
    for name in [ANN, "unknown"] {
        let wrong = ctx
            .accounts
            .check_legacy_reset(name, "AAAA-BBBB-CCCC-DDDD", &owner)
            .await;
        assert!(matches!(wrong, Err(LegacyResetError::TooMany { .. })), "{name}");
    }

    ctx.accounts.verify_address(account, &link, &owner).await.unwrap();
    let invited = NewAccount {
        invite: Some(invitation),
        ..new_account("cid@example.org")
    };
    ctx.accounts.create(invited, &owner).await.unwrap();
    ctx.try_reset(&own.password_forgot_token, &code, &owner)
        .await
        .unwrap();
    ctx.accounts
        .open_password_link(&password_link, &owner)
        .await
        .unwrap();
    ctx.accounts
        .check_legacy_reset(ANN, &plain, &owner)
        .await
        .unwrap();
    ctx.accounts
        .reset_plain_password(ANN, &plain, NEW, DataLossConsent::NotAsked, &owner)
        .await
        .unwrap();
}

/// A stranger who signs up with a foreign address can try six digits, but few a day, for however many accounts. The link
/// works throughout.
#[tokio::test]
async fn the_digits_of_a_foreign_address_are_not_guessed() {
    let ctx = with_mail().await;
    let mut tries = 0;
    for number in 0..6 {
        let client = public_client(&format!("198.51.{number}.1"));
        let created = ctx.accounts.create(new_account(ANN), &client).await.unwrap();
        let session = ctx.session(&created).await;
        loop {
            match ctx.accounts.verify_session(&session, "x", &client).await {
                Err(ConfirmError::ExpiredCode) => tries += 1,
                refused => {
                    assert!(matches!(refused, Err(ConfirmError::TooMany { .. })));
                    break;
                }
            }
        }
        assert_eq!(tries, 50.min(10 * (number + 1)));
        ctx.accounts.remove_account(ANN).await.unwrap();
    }
    let (account, link) = claim(&ctx, ANN, &public_client("192.0.2.1")).await;
    ctx.accounts
        .verify_address(account, &link, &public_client("192.0.2.1"))
        .await
        .unwrap();
}
