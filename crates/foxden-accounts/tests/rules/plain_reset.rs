//! Passwords reset with a code, by doors that see the plain one.

use foxden_accounts::{CodePurpose, Consent, LegacyResetError, Letter, Options, ResetRequestError};

use crate::lab::{ANN, BEA, Lab, PASSWORD, cheap, stranger};
use crate::plain::{ANN_HASHED, old_client};

const NEW: &str = "newpasswordhere";
const HOUR: i64 = 3_600_000;

impl Lab {
    /// Asks for a code and looks it up as the operator does.
    async fn plain_code(&self, name: &str) -> String {
        self.accounts
            .request_plain_reset(name, &old_client())
            .await
            .unwrap();
        let waiting = self.accounts.waiting_codes(name).await.unwrap();
        let code = waiting
            .into_iter()
            .find(|code| code.purpose == CodePurpose::ResetPlain);
        code.expect("a code waits").code
    }

    async fn reset_plain(&self, name: &str, code: &str, consent: Consent) -> Result<(), LegacyResetError> {
        self.accounts
            .reset_plain(name, code, NEW, consent, &old_client())
            .await
    }
}

/// U13.33, U13.39: the code resets the password, once.
#[tokio::test]
async fn a_code_resets_the_password_once() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let store = lab.open(ANN_HASHED, PASSWORD).await.unwrap();
    let code = lab.plain_code(ANN_HASHED).await;
    let groups: Vec<&str> = code.split('-').collect();
    assert!(
        groups.len() == 4 && groups.iter().all(|group| group.len() == 4),
        "{code}"
    );
    assert!(
        code.bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_uppercase() || byte.is_ascii_digit())
    );

    lab.reset_plain(ANN_HASHED, &code, Consent::NotAsked)
        .await
        .unwrap();

    assert!(lab.open(ANN_HASHED, PASSWORD).await.is_err());
    assert_eq!(
        lab.open(ANN_HASHED, NEW).await.unwrap(),
        store,
        "the old store is untouched"
    );
    let again = lab.reset_plain(ANN_HASHED, &code, Consent::NotAsked).await;
    assert!(matches!(again, Err(LegacyResetError::WrongCode)));
}

/// U13.34: who asks again gets the same code, and its end is not put off. U13.40: after six hours it has ended.
#[tokio::test]
async fn the_same_code_waits_six_hours() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let code = lab.plain_code(ANN).await;
    lab.clock.advance_millis(5 * HOUR);
    assert_eq!(lab.plain_code(ANN_HASHED).await, code);
    lab.clock.advance_millis(HOUR - 1);
    assert!(
        !lab.accounts
            .check_plain_reset(ANN, &code, &old_client())
            .await
            .unwrap()
    );
    lab.clock.advance_millis(1);
    let late = lab.reset_plain(ANN, &code, Consent::Given).await;
    assert!(matches!(late, Err(LegacyResetError::WrongCode)));
    assert_ne!(lab.plain_code(ANN).await, code);
}

/// U13.31, U13.32, U13.38.
#[tokio::test]
async fn nobody_without_an_address_and_wrong_codes_are_told_apart() {
    let lab = Lab::new().await;
    let nobody = lab.accounts.request_plain_reset("nobody", &old_client()).await;
    assert!(matches!(nobody, Err(ResetRequestError::UnknownAccount { .. })));
    assert!(matches!(
        lab.reset_plain("nobody", "AAAA-BBBB-CCCC-DDDD", Consent::Given)
            .await,
        Err(LegacyResetError::UnknownAccount { .. })
    ));
    lab.create(ANN).await;
    lab.create(BEA).await;
    let code = lab.plain_code(ANN).await;
    for wrong in [
        "",
        "AAAA-BBBB-CCCC-DDDD",
        &code.to_lowercase(),
        &format!("{code} "),
        &code[..14],
    ] {
        let refused = lab.reset_plain(ANN, wrong, Consent::Given).await;
        assert!(matches!(refused, Err(LegacyResetError::WrongCode)), "{wrong}");
    }
    assert!(matches!(
        lab.reset_plain(BEA, &code, Consent::Given).await,
        Err(LegacyResetError::WrongCode)
    ));
    lab.write("UPDATE account SET address = ''", vec![]).await;
    let no_address = lab.accounts.request_plain_reset(ANN, &old_client()).await;
    assert!(matches!(no_address, Err(ResetRequestError::NoAddress)));
}

/// Where Firefox stored something, a new key makes it unreadable: that needs somebody's word, and costs the code
/// nothing.
#[tokio::test]
async fn modern_data_is_given_up_only_with_consent() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let before = lab.firefox(ANN, PASSWORD).await;
    let code = lab.plain_code(ANN).await;
    lab.clock.advance_millis(1000);
    assert!(
        lab.accounts
            .check_plain_reset(ANN, &code, &old_client())
            .await
            .unwrap()
    );
    let refused = lab.reset_plain(ANN, &code, Consent::NotAsked).await;
    assert!(matches!(refused, Err(LegacyResetError::ConsentMissing)));
    lab.reset_plain(ANN, &code, Consent::Given).await.unwrap();
    let after = lab.firefox(ANN, NEW).await;
    assert!(after.kb != before.kb && after.kid > before.kid && after.store != before.store);
    let code = lab.plain_code(ANN).await;
    assert!(
        lab.accounts
            .check_plain_reset(ANN, &code, &old_client())
            .await
            .unwrap(),
        "Firefox stored something with the new key"
    );
}

/// What an earlier reset made unreadable cannot be lost once more.
#[tokio::test]
async fn nobody_is_asked_twice_about_the_same_loss() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.firefox(ANN, PASSWORD).await;
    let code = lab.plain_code(ANN).await;
    lab.clock.advance_millis(1000);
    lab.reset_plain(ANN, &code, Consent::Given).await.unwrap();
    let code = lab.plain_code(ANN).await;
    lab.reset_plain(ANN, &code, Consent::NotAsked).await.unwrap();
}

/// U13.35: dropping a code works with and without one; a password change drops it, too.
#[tokio::test]
async fn a_code_is_dropped_on_request_and_by_a_new_password() {
    let lab = Lab::new().await;
    let account = lab.create(ANN).await.account;
    lab.accounts.drop_plain_reset(account).await.unwrap();
    let code = lab.plain_code(ANN).await;
    lab.accounts.drop_plain_reset(account).await.unwrap();
    assert!(lab.reset_plain(ANN, &code, Consent::Given).await.is_err());
    let code = lab.plain_code(ANN).await;
    lab.accounts
        .change_password_plain(ANN, PASSWORD, NEW, &old_client())
        .await
        .unwrap();
    let refused = lab.reset_plain(ANN, &code, Consent::Given).await;
    assert!(matches!(refused, Err(LegacyResetError::WrongCode)));
}

/// U13.33: with a mail server each request writes a letter, and one letter waits.
#[tokio::test]
async fn the_code_is_posted_each_time() {
    let lab = Lab::with(Options {
        sends_mail: true,
        ..cheap()
    })
    .await;
    lab.create(ANN).await;
    let code = lab.plain_code(ANN_HASHED).await;
    let posted = lab.accounts.take_letter().await.unwrap().unwrap();
    let expected = Letter::PlainReset {
        name: ANN_HASHED.to_owned(),
        code: code.clone(),
    };
    assert!(posted.letter == expected && posted.address == ANN);
    lab.accounts.letter_sent(posted.id).await.unwrap();
    assert_eq!(lab.plain_code(ANN_HASHED).await, code);
    assert!(lab.accounts.take_letter().await.unwrap().unwrap().letter == expected);
}

#[tokio::test]
async fn a_disabled_account_cannot_be_reset() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let code = lab.plain_code(ANN).await;
    lab.accounts.set_disabled(ANN, true).await.unwrap();
    let code = match lab.accounts.check_plain_reset(ANN, &code, &old_client()).await {
        Ok(_) => code,
        Err(_) => lab.plain_code(ANN).await,
    };
    let refused = lab.reset_plain(ANN, &code, Consent::Given).await;
    assert!(matches!(refused, Err(LegacyResetError::Disabled)));
}

#[tokio::test]
async fn guessing_ends_and_asking_ends() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let visitor = stranger("192.0.2.1");
    for code in ["AAAA-BBBB-CCCC-DDDD", "nonsense"] {
        for _ in 0..15 {
            let guess = lab.accounts.check_plain_reset(ANN, code, &visitor).await;
            assert!(matches!(guess, Err(LegacyResetError::WrongCode)));
        }
    }
    for name in [ANN, BEA] {
        let guess = lab.accounts.check_plain_reset(name, "nonsense", &visitor).await;
        assert!(matches!(guess, Err(LegacyResetError::TooMany { .. })));
    }
    for _ in 0..30 {
        lab.accounts.request_plain_reset(ANN, &visitor).await.unwrap();
    }
    let asked = lab.accounts.request_plain_reset(ANN, &visitor).await;
    assert!(matches!(asked, Err(ResetRequestError::TooMany { .. })));
}
