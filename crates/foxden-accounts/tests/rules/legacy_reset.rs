//! Passwords reset with a code, by surfaces that see the plain one.

use foxden_accounts::{CodePurpose, DataLossConsent, LegacyResetError, Mail, Options, ResetRequestError};

use crate::context::{ANN, BEA, PASSWORD, TestContext, cheap, public_client};
use crate::legacy::{ANN_HASHED, old_client};

const NEW: &str = "newpasswordhere";
const HOUR: i64 = 3_600_000;

impl TestContext {
    /// Asks for a code and looks it up as the operator does.
    async fn plain_code(&self, name: &str) -> String {
        self.accounts
            .request_legacy_reset(name, &old_client())
            .await
            .unwrap();
        let waiting = self.accounts.pending_codes(name).await.unwrap();
        let code = waiting
            .into_iter()
            .find(|code| code.purpose == CodePurpose::ResetLegacy);
        code.expect("a code waits").code
    }

    async fn reset_plain_password(
        &self,
        name: &str,
        code: &str,
        consent: DataLossConsent,
    ) -> Result<(), LegacyResetError> {
        self.accounts
            .reset_plain_password(name, code, NEW, consent, &old_client())
            .await
    }
}

/// U13.33, U13.39: the code resets the password, once.
#[tokio::test]
async fn a_code_resets_the_password_once() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let store = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    let code = ctx.plain_code(ANN_HASHED).await;
    let groups: Vec<&str> = code.split('-').collect();
    assert!(
        groups.len() == 4 && groups.iter().all(|group| group.len() == 4),
        "{code}"
    );
    assert!(
        code.bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_uppercase() || byte.is_ascii_digit())
    );

    ctx.reset_plain_password(ANN_HASHED, &code, DataLossConsent::NotAsked)
        .await
        .unwrap();

    assert!(ctx.open(ANN_HASHED, PASSWORD).await.is_err());
    assert_eq!(
        ctx.open(ANN_HASHED, NEW).await.unwrap(),
        store,
        "the old store is untouched"
    );
    let again = ctx
        .reset_plain_password(ANN_HASHED, &code, DataLossConsent::NotAsked)
        .await;
    assert!(matches!(again, Err(LegacyResetError::WrongCode)));
}

/// U13.34: who asks again gets the same code, and its end is not put off. U13.40: after six hours it has ended.
#[tokio::test]
async fn the_same_code_waits_six_hours() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let code = ctx.plain_code(ANN).await;
    ctx.clock.advance_millis(5 * HOUR);
    assert_eq!(ctx.plain_code(ANN_HASHED).await, code);
    ctx.clock.advance_millis(HOUR - 1);
    assert!(
        !ctx.accounts
            .check_legacy_reset(ANN, &code, &old_client())
            .await
            .unwrap()
    );
    ctx.clock.advance_millis(1);
    let late = ctx.reset_plain_password(ANN, &code, DataLossConsent::Given).await;
    assert!(matches!(late, Err(LegacyResetError::WrongCode)));
    assert_ne!(ctx.plain_code(ANN).await, code);
}

/// U13.31, U13.32, U13.38.
#[tokio::test]
async fn unknown_names_missing_addresses_and_wrong_codes_differ() {
    let ctx = TestContext::new().await;
    let unknown = ctx.accounts.request_legacy_reset("unknown", &old_client()).await;
    assert!(matches!(unknown, Err(ResetRequestError::UnknownAccount { .. })));
    assert!(matches!(
        ctx.reset_plain_password("unknown", "AAAA-BBBB-CCCC-DDDD", DataLossConsent::Given)
            .await,
        Err(LegacyResetError::UnknownAccount { .. })
    ));
    ctx.create(ANN).await;
    ctx.create(BEA).await;
    let code = ctx.plain_code(ANN).await;
    for wrong in [
        "",
        "AAAA-BBBB-CCCC-DDDD",
        &code.to_lowercase(),
        &format!("{code} "),
        &code[..14],
    ] {
        let refused = ctx.reset_plain_password(ANN, wrong, DataLossConsent::Given).await;
        assert!(matches!(refused, Err(LegacyResetError::WrongCode)), "{wrong}");
    }
    assert!(matches!(
        ctx.reset_plain_password(BEA, &code, DataLossConsent::Given).await,
        Err(LegacyResetError::WrongCode)
    ));
    ctx.write("UPDATE account SET address = ''", vec![]).await;
    let no_address = ctx.accounts.request_legacy_reset(ANN, &old_client()).await;
    assert!(matches!(no_address, Err(ResetRequestError::NoAddress)));
}

/// Where Firefox stored something, a new key makes it unreadable: that needs consent, and costs the code
/// nothing.
#[tokio::test]
async fn modern_data_is_given_up_only_with_consent() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let before = ctx.firefox(ANN, PASSWORD).await;
    let code = ctx.plain_code(ANN).await;
    ctx.clock.advance_millis(1000);
    assert!(
        ctx.accounts
            .check_legacy_reset(ANN, &code, &old_client())
            .await
            .unwrap()
    );
    let refused = ctx
        .reset_plain_password(ANN, &code, DataLossConsent::NotAsked)
        .await;
    assert!(matches!(refused, Err(LegacyResetError::ConsentMissing)));
    ctx.reset_plain_password(ANN, &code, DataLossConsent::Given)
        .await
        .unwrap();
    let after = ctx.firefox(ANN, NEW).await;
    assert!(after.kb != before.kb && after.kid > before.kid && after.store != before.store);
    let code = ctx.plain_code(ANN).await;
    assert!(
        ctx.accounts
            .check_legacy_reset(ANN, &code, &old_client())
            .await
            .unwrap(),
        "Firefox stored something with the new key"
    );
}

/// Objects that an earlier reset made unreadable cannot be lost once more.
#[tokio::test]
async fn a_data_loss_is_confirmed_once() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.firefox(ANN, PASSWORD).await;
    let code = ctx.plain_code(ANN).await;
    ctx.clock.advance_millis(1000);
    ctx.reset_plain_password(ANN, &code, DataLossConsent::Given)
        .await
        .unwrap();
    let code = ctx.plain_code(ANN).await;
    ctx.reset_plain_password(ANN, &code, DataLossConsent::NotAsked)
        .await
        .unwrap();
}

/// U13.35: dropping a code works with and without one; a password change drops it, too.
#[tokio::test]
async fn a_code_is_dropped_on_request_and_by_a_new_password() {
    let ctx = TestContext::new().await;
    let account = ctx.create(ANN).await.account;
    ctx.accounts.cancel_legacy_reset(account).await.unwrap();
    let code = ctx.plain_code(ANN).await;
    ctx.accounts.cancel_legacy_reset(account).await.unwrap();
    assert!(
        ctx.reset_plain_password(ANN, &code, DataLossConsent::Given)
            .await
            .is_err()
    );
    let code = ctx.plain_code(ANN).await;
    ctx.accounts
        .change_plain_password(ANN, PASSWORD, NEW, &old_client())
        .await
        .unwrap();
    let refused = ctx.reset_plain_password(ANN, &code, DataLossConsent::Given).await;
    assert!(matches!(refused, Err(LegacyResetError::WrongCode)));
}

/// U13.33: with a mail server each request writes a mail, and one mail waits.
#[tokio::test]
async fn the_code_is_posted_each_time() {
    let ctx = TestContext::with(Options {
        sends_mail: true,
        ..cheap()
    })
    .await;
    ctx.create(ANN).await;
    let code = ctx.plain_code(ANN_HASHED).await;
    let posted = ctx.accounts.take_mail().await.unwrap().unwrap();
    let expected = Mail::LegacyReset {
        name: ANN_HASHED.to_owned(),
        code: code.clone(),
    };
    assert!(posted.mail == expected && posted.address == ANN);
    ctx.accounts.ack_mail(posted.id).await.unwrap();
    assert_eq!(ctx.plain_code(ANN_HASHED).await, code);
    assert!(ctx.accounts.take_mail().await.unwrap().unwrap().mail == expected);
}

#[tokio::test]
async fn a_disabled_account_cannot_be_reset() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let code = ctx.plain_code(ANN).await;
    ctx.accounts.set_disabled(ANN, true).await.unwrap();
    let code = match ctx.accounts.check_legacy_reset(ANN, &code, &old_client()).await {
        Ok(_) => code,
        Err(_) => ctx.plain_code(ANN).await,
    };
    let refused = ctx.reset_plain_password(ANN, &code, DataLossConsent::Given).await;
    assert!(matches!(refused, Err(LegacyResetError::Disabled)));
}

#[tokio::test]
async fn guessing_ends_and_asking_ends() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let client = public_client("192.0.2.1");
    for code in ["AAAA-BBBB-CCCC-DDDD", "nonsense"] {
        for _ in 0..15 {
            let guess = ctx.accounts.check_legacy_reset(ANN, code, &client).await;
            assert!(matches!(guess, Err(LegacyResetError::WrongCode)));
        }
    }
    for name in [ANN, BEA] {
        let guess = ctx.accounts.check_legacy_reset(name, "nonsense", &client).await;
        assert!(matches!(guess, Err(LegacyResetError::TooMany { .. })));
    }
    for _ in 0..30 {
        ctx.accounts.request_legacy_reset(ANN, &client).await.unwrap();
    }
    let result = ctx.accounts.request_legacy_reset(ANN, &client).await;
    assert!(matches!(result, Err(ResetRequestError::TooMany { .. })));
}
