//! Eight digits that open a reset.

use foxden_accounts::{
    ClientInfo, CodePurpose, CredentialKind, FollowUp, Mail, NewPassword, Options, OtpVerified,
    PasswordError, SecretToken, SignUp,
};

use tokio::task::JoinSet;

use crate::context::{
    ANN, BEA, PASSWORD, TestContext, auth_pw, cheap, local_client, new_account, public_client,
};

const NEW: &str = "another horse";

impl TestContext {
    async fn digits(&self, address: &str) -> Option<String> {
        let waiting = self.accounts.pending_codes(address).await.unwrap();
        let found = waiting
            .into_iter()
            .find(|code| code.purpose == CodePurpose::ResetOtp);
        found.map(|code| code.code)
    }

    async fn send_otp(&self, address: &str) -> String {
        self.accounts.send_otp(address, &local_client()).await.unwrap();
        self.digits(ANN).await.expect("digits wait")
    }

    async fn code_for(&self, token: &SecretToken, code: &str) -> Result<SecretToken, PasswordError> {
        let credential = self.credential(CredentialKind::PasswordForgot, token).await;
        let credential = credential.map_err(|_| PasswordError::UnknownToken)?;
        self.accounts
            .verify_reset_code(&credential, code, &local_client())
            .await
    }

    /// Tries wrong digits while right ones are pending.
    async fn guess(&self, by: &ClientInfo) {
        let digits = self.send_otp(ANN).await;
        let refused = self.try_digits(wrong(&digits), by).await;
        assert!(matches!(refused, Err(PasswordError::WrongCode)));
    }

    async fn try_digits(&self, digits: &str, by: &ClientInfo) -> Result<OtpVerified, PasswordError> {
        self.accounts.verify_otp(ANN, digits, by).await
    }
}

fn wrong(digits: &str) -> &'static str {
    if digits == "00000000" {
        "00000001"
    } else {
        "00000000"
    }
}

fn new_password() -> NewPassword {
    NewPassword {
        auth_pw: auth_pw(ANN, NEW),
        wrap_kb: None,
        then: FollowUp::Nothing,
    }
}

async fn with_mail() -> TestContext {
    TestContext::with(Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        ..cheap()
    })
    .await
}

#[tokio::test]
async fn digits_open_a_reset_that_ends_with_a_new_password() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let digits = ctx.send_otp(ANN).await;
    assert!(digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()));

    let verified = ctx.try_digits(&digits, &local_client()).await.unwrap();
    assert_eq!(
        (verified.account, verified.address.as_str()),
        (created.account, ANN)
    );
    let reset = ctx
        .code_for(&verified.password_forgot_token, &verified.code)
        .await;
    let credential = ctx
        .credential(CredentialKind::AccountReset, &reset.unwrap())
        .await
        .unwrap();
    ctx.accounts
        .reset_password(&credential, new_password(), &local_client())
        .await
        .unwrap();

    ctx.login(ANN, NEW).await.unwrap();
}

#[tokio::test]
async fn digits_serve_once_and_asking_again_keeps_them() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let digits = ctx.send_otp(ANN).await;
    assert_eq!(ctx.send_otp(ANN).await, digits);
    ctx.try_digits(&digits, &local_client()).await.unwrap();
    let again = ctx.try_digits(&digits, &local_client()).await;
    assert!(matches!(again, Err(PasswordError::WrongCode)));
    let fresh = ctx.send_otp(ANN).await;
    assert_ne!(fresh, digits);
}

#[tokio::test]
async fn of_many_concurrent_uses_of_the_digits_one_succeeds() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let digits = ctx.send_otp(ANN).await;
    let client = local_client();
    let (one, other, third) = tokio::join!(
        ctx.try_digits(&digits, &client),
        ctx.try_digits(&digits, &client),
        ctx.try_digits(&digits, &client)
    );
    let opened = [one, other, third].iter().filter(|tried| tried.is_ok()).count();
    assert_eq!(opened, 1);
    assert_eq!(ctx.count("SELECT COUNT(*) FROM token").await, 2);
}

#[tokio::test]
async fn digits_end_with_their_hour_and_with_another_password() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let digits = ctx.send_otp(ANN).await;
    ctx.clock.advance_millis(3_600_000);
    let late = ctx.try_digits(&digits, &local_client()).await;
    assert!(matches!(late, Err(PasswordError::WrongCode)));

    ctx.send_otp(ANN).await;
    crate::password::reset(&ctx, ANN, auth_pw(ANN, NEW)).await;
    assert_eq!(ctx.digits(ANN).await, None);
}

/// Any client that knows the address can try digits, so wrong tries end the digits only, and new ones can be requested at once.
#[tokio::test]
async fn ten_wrong_tries_end_the_digits_and_nothing_else() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    let owner = public_client("203.0.113.1");
    let digits = ctx.send_otp(ANN).await;
    let reset = ctx.accounts.start_reset(ANN, &owner).await.unwrap();
    for number in 0..10 {
        ctx.guess(&public_client(&format!("192.0.{number}.1"))).await;
    }
    assert_eq!(ctx.digits(ANN).await, None);
    let late = ctx.try_digits(&digits, &owner).await;
    assert!(matches!(late, Err(PasswordError::WrongCode)));

    ctx.accounts.send_otp(ANN, &owner).await.unwrap();
    let fresh = ctx.digits(ANN).await.unwrap();
    let mut mailed = Vec::new();
    while let Some(posted) = ctx.accounts.take_mail().await.unwrap() {
        mailed.push(posted.mail);
    }
    let expected = Mail::ResetOtp {
        code: fresh.clone(),
        again: true,
    };
    assert!(mailed.contains(&expected), "the mail gives the reason");
    let Some(Mail::ResetCode { code, .. }) = mailed.into_iter().find(|mail| mail.kind() == "reset_code")
    else {
        panic!("the mail of the other reset is gone");
    };
    ctx.code_for(&reset.password_forgot_token, &code).await.unwrap();
    ctx.try_digits(&fresh, &owner).await.unwrap();
}

/// All networks together get a hundred tries a day at eight digits, and the owner can still reset the password.
#[tokio::test]
async fn after_a_day_of_guesses_a_long_code_replaces_the_digits() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    let mut tries = 0;
    for number in 0_u32..200 {
        let [_, _, high, low] = number.to_be_bytes();
        let guesser = public_client(&format!("198.{}.{low}.1", 18 + high));
        ctx.accounts.send_otp(ANN, &guesser).await.unwrap();
        let Some(digits) = ctx.digits(ANN).await else {
            continue;
        };
        assert!(ctx.try_digits(wrong(&digits), &guesser).await.is_err());
        tries += 1;
    }
    assert_eq!(tries, 100);

    let owner = public_client("203.0.113.1");
    ctx.accounts.send_otp(ANN, &owner).await.unwrap();
    let mut mail = None;
    while let Some(posted) = ctx.accounts.take_mail().await.unwrap() {
        mail = Some(posted.mail);
    }
    let Some(Mail::ResetCode {
        code,
        token,
        instead_of_digits,
    }) = mail
    else {
        panic!("{mail:?}");
    };
    assert!(instead_of_digits);
    let by_link = ctx
        .code_for(&SecretToken::from_hex(&token).unwrap(), &"0".repeat(32))
        .await;
    assert!(
        matches!(by_link, Err(PasswordError::WrongCode)),
        "the link has a reset of its own"
    );
    let verified = ctx.try_digits(&code.to_uppercase(), &owner).await.unwrap();
    ctx.code_for(&verified.password_forgot_token, &verified.code)
        .await
        .unwrap();
    let again = ctx.try_digits(&code, &owner).await;
    assert!(
        matches!(again, Err(PasswordError::WrongCode)),
        "the code works once"
    );

    ctx.clock.advance_millis(2 * 24 * 3_600_000);
    let digits = ctx.send_otp(ANN).await;
    ctx.try_digits(&digits, &owner).await.unwrap();
}

/// A client that makes only nine tries and waits until the digits expire gets no more tries a day.
#[tokio::test]
async fn a_patient_guesser_gets_a_hundred_digits_a_day() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut tries = 0;
    for hour in 0..72_u8 {
        let guesser = public_client(&format!("198.51.{hour}.1"));
        ctx.accounts.send_otp(ANN, &guesser).await.unwrap();
        if let Some(digits) = ctx.digits(ANN).await {
            for _ in 0..9 {
                assert!(ctx.try_digits(wrong(&digits), &guesser).await.is_err());
                tries += 1;
            }
        }
        ctx.clock.advance_millis(3_600_000);
        let days = 1 + u32::from(hour) / 24;
        assert!(tries <= 100 * days, "{tries} in {days}");
    }
}

#[tokio::test]
async fn a_network_that_guesses_digits_is_stopped() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let guesser = public_client("192.0.2.1");
    for _ in 0..30 {
        ctx.guess(&guesser).await;
    }
    let digits = ctx.send_otp(ANN).await;
    let refused = ctx.try_digits(&digits, &guesser).await;
    assert!(matches!(refused, Err(PasswordError::TooMany { .. })));
    ctx.try_digits(&digits, &public_client("203.0.113.1"))
        .await
        .unwrap();
}

impl TestContext {
    /// Tries 199 wrong digits and then the right ones, all concurrently. Returns each outcome.
    async fn try_concurrently(
        &self,
        from: impl Fn(u8) -> ClientInfo,
    ) -> Vec<Result<OtpVerified, PasswordError>> {
        let digits = self.send_otp(ANN).await;
        let mut tasks = JoinSet::new();
        for number in 0..200 {
            let (accounts, client) = (self.accounts.clone(), from(number));
            let digits = if number < 199 { wrong(&digits) } else { &digits }.to_owned();
            tasks.spawn(async move {
                let outcome = accounts.verify_otp(ANN, &digits, &client).await;
                (number, outcome)
            });
        }
        let mut outcomes = tasks.join_all().await;
        outcomes.sort_by_key(|(number, _)| *number);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// A try is counted before it is compared, so concurrent tries get no more than consecutive ones.
#[tokio::test]
async fn concurrent_digits_are_limited_like_consecutive_ones() {
    for is_one_network in [true, false] {
        let ctx = TestContext::new().await;
        ctx.create(ANN).await;
        let outcomes = ctx
            .try_concurrently(|number| {
                let site = if is_one_network { 0 } else { number };
                public_client(&format!("198.51.{site}.1"))
            })
            .await;
        let compared = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(PasswordError::WrongCode)))
            .count();
        assert_eq!(compared, if is_one_network { 30 } else { 200 });
        let last = outcomes.last().unwrap();
        assert!(last.is_err(), "the digits have ended: {is_one_network}");
        assert_eq!(ctx.digits(ANN).await, None);
    }
}

/// Right digits refund their try at once.
#[tokio::test]
async fn right_digits_cost_no_try() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let owner = public_client("192.0.2.1");
    for _ in 0..40 {
        let digits = ctx.send_otp(ANN).await;
        ctx.try_digits(&digits, &owner).await.unwrap();
    }
}

/// The tenth try may be the right one.
#[tokio::test]
async fn the_last_try_of_the_digits_is_one() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let digits = ctx.send_otp(ANN).await;
    for _ in 0..9 {
        ctx.guess(&public_client("192.0.2.1")).await;
    }
    ctx.try_digits(&digits, &public_client("203.0.113.1"))
        .await
        .unwrap();
}

/// A try while no digits are pending counts for no account.
#[tokio::test]
async fn guesses_without_a_reset_block_no_reset() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    for network in 0..60 {
        let other = public_client(&format!("198.51.{network}.1"));
        let refused = ctx.try_digits("00000000", &other).await;
        assert!(matches!(refused, Err(PasswordError::WrongCode)));
    }
    let digits = ctx.send_otp(ANN).await;
    ctx.try_digits(&digits, &local_client()).await.unwrap();
}

/// A reset that digits opened has a code of its own: wrong codes for other resets end neither.
#[tokio::test]
async fn other_resets_do_not_end_the_one_that_digits_opened() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let digits = ctx.send_otp(ANN).await;
    let verified = ctx.try_digits(&digits, &local_client()).await.unwrap();
    let zeros = "0".repeat(32);
    for _ in 0..2 {
        let started = ctx.accounts.start_reset(ANN, &local_client()).await.unwrap();
        let token = &started.password_forgot_token;
        let foreign = ctx.code_for(token, &verified.code).await;
        assert!(foreign.is_err(), "it is good for its own reset alone");
        for _ in 0..2 {
            assert!(ctx.code_for(token, &zeros).await.is_err());
        }
    }
    let token = &verified.password_forgot_token;
    let refused = ctx.code_for(token, &zeros).await;
    assert!(matches!(refused, Err(PasswordError::WrongCode)));
    ctx.code_for(token, &verified.code).await.unwrap();
}

#[tokio::test]
async fn unknown_and_unconfirmed_addresses_answer_alike() {
    let ctx = with_mail().await;
    let client = public_client("192.0.2.1");
    ctx.accounts.create(new_account(ANN), &client).await.unwrap();
    for address in [ANN, BEA] {
        let refused = ctx.accounts.send_otp(address, &client).await;
        assert!(matches!(refused, Err(PasswordError::UnknownAccount { name: said }) if said == address));
        let refused = ctx.accounts.verify_otp(address, "12345678", &client).await;
        assert!(matches!(refused, Err(PasswordError::WrongCode)));
    }
}

#[tokio::test]
async fn any_spelling_and_any_address_of_before_lead_to_the_one_in_use() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.accounts
        .change_address(ANN, PASSWORD, BEA, &local_client())
        .await
        .unwrap();
    let digits = ctx.send_otp(" Ann@Example.ORG ").await;
    let client = local_client();
    let verified = ctx.accounts.verify_otp("BEA@example.org", &digits, &client).await;
    assert_eq!(verified.unwrap().address, BEA);
}

#[tokio::test]
async fn digits_are_mailed_each_time_and_the_mail_is_deleted_with_them() {
    let ctx = with_mail().await;
    ctx.create(ANN).await;
    let mut mailed = Vec::new();
    for _ in 0..7 {
        ctx.accounts.send_otp(ANN, &local_client()).await.unwrap();
        while let Some(posted) = ctx.accounts.take_mail().await.unwrap() {
            ctx.accounts.ack_mail(posted.id).await.unwrap();
            assert_eq!(posted.address, ANN);
            mailed.push(posted.mail);
        }
    }
    let code = ctx.digits(ANN).await.unwrap();
    let mail = Mail::ResetOtp { code, again: false };
    assert_eq!(mailed, vec![mail; 7]);

    let digits = ctx.send_otp(ANN).await;
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 1);
    ctx.try_digits(&digits, &local_client()).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);
}
