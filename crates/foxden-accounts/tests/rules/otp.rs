//! Eight digits that open a reset.

use foxden_accounts::{
    CodePurpose, Kind, Letter, NewPassword, Options, OtpVerified, PasswordError, SecretToken, SignUp, Then,
    Visitor,
};

use tokio::task::JoinSet;

use crate::lab::{ANN, BEA, Lab, PASSWORD, at_home, cheap, new_account, proof, stranger};

const NEW: &str = "another horse";

impl Lab {
    async fn digits(&self, address: &str) -> Option<String> {
        let waiting = self.accounts.waiting_codes(address).await.unwrap();
        let found = waiting
            .into_iter()
            .find(|code| code.purpose == CodePurpose::ResetOtp);
        found.map(|code| code.code)
    }

    async fn send_otp(&self, address: &str) -> String {
        self.accounts.send_otp(address, &at_home()).await.unwrap();
        self.digits(ANN).await.expect("digits wait")
    }

    async fn code_for(&self, token: &SecretToken, code: &str) -> Result<SecretToken, PasswordError> {
        let ticket = self.ticket(Kind::PasswordForgot, token).await;
        let ticket = ticket.map_err(|_| PasswordError::UnknownToken)?;
        self.accounts.verify_reset_code(&ticket, code, &at_home()).await
    }

    /// Has somebody try wrong digits while others wait.
    async fn guess(&self, by: &Visitor) {
        let digits = self.send_otp(ANN).await;
        let refused = self.try_digits(wrong(&digits), by).await;
        assert!(matches!(refused, Err(PasswordError::WrongCode)));
    }

    async fn try_digits(&self, digits: &str, by: &Visitor) -> Result<OtpVerified, PasswordError> {
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
        auth_pw: proof(ANN, NEW),
        wrap_kb: None,
        then: Then::Nothing,
    }
}

async fn with_mail() -> Lab {
    Lab::with(Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        ..cheap()
    })
    .await
}

#[tokio::test]
async fn digits_open_a_reset_that_ends_with_a_new_password() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let digits = lab.send_otp(ANN).await;
    assert!(digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()));

    let verified = lab.try_digits(&digits, &at_home()).await.unwrap();
    assert_eq!(
        (verified.account, verified.address.as_str()),
        (created.account, ANN)
    );
    let reset = lab
        .code_for(&verified.password_forgot_token, &verified.code)
        .await;
    let ticket = lab.ticket(Kind::AccountReset, &reset.unwrap()).await.unwrap();
    lab.accounts
        .reset_password(&ticket, new_password(), &at_home())
        .await
        .unwrap();

    lab.login(ANN, NEW).await.unwrap();
}

#[tokio::test]
async fn digits_serve_once_and_asking_again_keeps_them() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let digits = lab.send_otp(ANN).await;
    assert_eq!(lab.send_otp(ANN).await, digits);
    lab.try_digits(&digits, &at_home()).await.unwrap();
    let again = lab.try_digits(&digits, &at_home()).await;
    assert!(matches!(again, Err(PasswordError::WrongCode)));
    let fresh = lab.send_otp(ANN).await;
    assert_ne!(fresh, digits);
}

#[tokio::test]
async fn of_many_who_bring_the_digits_at_once_one_gets_the_reset() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let digits = lab.send_otp(ANN).await;
    let home = at_home();
    let (one, other, third) = tokio::join!(
        lab.try_digits(&digits, &home),
        lab.try_digits(&digits, &home),
        lab.try_digits(&digits, &home)
    );
    let opened = [one, other, third].iter().filter(|tried| tried.is_ok()).count();
    assert_eq!(opened, 1);
    assert_eq!(lab.count("SELECT COUNT(*) FROM token").await, 2);
}

#[tokio::test]
async fn digits_end_with_their_hour_and_with_another_password() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let digits = lab.send_otp(ANN).await;
    lab.clock.advance_millis(3_600_000);
    let late = lab.try_digits(&digits, &at_home()).await;
    assert!(matches!(late, Err(PasswordError::WrongCode)));

    lab.send_otp(ANN).await;
    crate::password::reset(&lab, ANN, proof(ANN, NEW)).await;
    assert_eq!(lab.digits(ANN).await, None);
}

/// They are tried without any credential, by whoever knows the address: they end alone, and new ones are had at once.
#[tokio::test]
async fn ten_wrong_tries_end_the_digits_and_nothing_else() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    let owner = stranger("203.0.113.1");
    let digits = lab.send_otp(ANN).await;
    let reset = lab.accounts.forgot_password(ANN, &owner).await.unwrap();
    for number in 0..10 {
        lab.guess(&stranger(&format!("192.0.{number}.1"))).await;
    }
    assert_eq!(lab.digits(ANN).await, None);
    let late = lab.try_digits(&digits, &owner).await;
    assert!(matches!(late, Err(PasswordError::WrongCode)));

    lab.accounts.send_otp(ANN, &owner).await.unwrap();
    let fresh = lab.digits(ANN).await.unwrap();
    let mut mailed = Vec::new();
    while let Some(posted) = lab.accounts.take_letter().await.unwrap() {
        mailed.push(posted.letter);
    }
    let told = Letter::ResetOtp {
        code: fresh.clone(),
        again: true,
    };
    assert!(mailed.contains(&told), "the owner is told");
    let Some(Letter::ResetCode { code, .. }) =
        mailed.into_iter().find(|letter| letter.kind() == "reset_code")
    else {
        panic!("the letter of the other reset is gone");
    };
    lab.code_for(&reset.password_forgot_token, &code).await.unwrap();
    lab.try_digits(&fresh, &owner).await.unwrap();
}

/// However many networks guess, they get a hundred tries a day at eight digits, and the owner gets in all the same.
#[tokio::test]
async fn digits_that_are_guessed_at_all_day_give_way_to_what_cannot_be_guessed() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    let mut tries = 0;
    for number in 0_u32..200 {
        let [_, _, high, low] = number.to_be_bytes();
        let guesser = stranger(&format!("198.{}.{low}.1", 18 + high));
        lab.accounts.send_otp(ANN, &guesser).await.unwrap();
        let Some(digits) = lab.digits(ANN).await else {
            continue;
        };
        assert!(lab.try_digits(wrong(&digits), &guesser).await.is_err());
        tries += 1;
    }
    assert_eq!(tries, 100);

    let owner = stranger("203.0.113.1");
    lab.accounts.send_otp(ANN, &owner).await.unwrap();
    let mut letter = None;
    while let Some(posted) = lab.accounts.take_letter().await.unwrap() {
        letter = Some(posted.letter);
    }
    let Some(Letter::ResetCode {
        code,
        token,
        instead_of_digits,
    }) = letter
    else {
        panic!("{letter:?}");
    };
    assert!(instead_of_digits);
    let by_link = lab
        .code_for(&SecretToken::from_hex(&token).unwrap(), &"0".repeat(32))
        .await;
    assert!(
        matches!(by_link, Err(PasswordError::WrongCode)),
        "the link has a reset of its own"
    );
    let verified = lab.try_digits(&code.to_uppercase(), &owner).await.unwrap();
    lab.code_for(&verified.password_forgot_token, &verified.code)
        .await
        .unwrap();
    let again = lab.try_digits(&code, &owner).await;
    assert!(matches!(again, Err(PasswordError::WrongCode)), "it serves once");

    lab.clock.advance_millis(2 * 24 * 3_600_000);
    let digits = lab.send_otp(ANN).await;
    lab.try_digits(&digits, &owner).await.unwrap();
}

/// Whoever never ends the digits, and waits until they expire, gets no more.
#[tokio::test]
async fn a_patient_guesser_gets_a_hundred_digits_a_day() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let mut tries = 0;
    for hour in 0..72_u8 {
        let guesser = stranger(&format!("198.51.{hour}.1"));
        lab.accounts.send_otp(ANN, &guesser).await.unwrap();
        if let Some(digits) = lab.digits(ANN).await {
            for _ in 0..9 {
                assert!(lab.try_digits(wrong(&digits), &guesser).await.is_err());
                tries += 1;
            }
        }
        lab.clock.advance_millis(3_600_000);
        let days = 1 + u32::from(hour) / 24;
        assert!(tries <= 100 * days, "{tries} in {days}");
    }
}

#[tokio::test]
async fn a_network_that_guesses_digits_is_stopped() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let guesser = stranger("192.0.2.1");
    for _ in 0..30 {
        lab.guess(&guesser).await;
    }
    let digits = lab.send_otp(ANN).await;
    let refused = lab.try_digits(&digits, &guesser).await;
    assert!(matches!(refused, Err(PasswordError::TooMany { .. })));
    lab.try_digits(&digits, &stranger("203.0.113.1")).await.unwrap();
}

impl Lab {
    /// Brings 199 wrong digits at once, and the right ones last; gives what comes of each.
    async fn bring_at_once(&self, from: impl Fn(u8) -> Visitor) -> Vec<Result<OtpVerified, PasswordError>> {
        let digits = self.send_otp(ANN).await;
        let mut bringing = JoinSet::new();
        for number in 0..200 {
            let (accounts, visitor) = (self.accounts.clone(), from(number));
            let brought = if number < 199 { wrong(&digits) } else { &digits }.to_owned();
            bringing.spawn(async move {
                let outcome = accounts.verify_otp(ANN, &brought, &visitor).await;
                (number, outcome)
            });
        }
        let mut outcomes = bringing.join_all().await;
        outcomes.sort_by_key(|(number, _)| *number);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// Those who come at once are counted before they are heard, so they get no more than those who come one by one.
#[tokio::test]
async fn of_many_digits_at_once_no_more_are_heard() {
    for is_one_network in [true, false] {
        let lab = Lab::new().await;
        lab.create(ANN).await;
        let outcomes = lab
            .bring_at_once(|number| {
                let site = if is_one_network { 0 } else { number };
                stranger(&format!("198.51.{site}.1"))
            })
            .await;
        let heard = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(PasswordError::WrongCode)))
            .count();
        assert_eq!(heard, if is_one_network { 30 } else { 200 });
        let last = outcomes.last().unwrap();
        assert!(last.is_err(), "the digits were dead: {is_one_network}");
        assert_eq!(lab.digits(ANN).await, None);
    }
}

/// Right digits at once give their tries back, each to its network.
#[tokio::test]
async fn right_digits_cost_no_try() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let owner = stranger("192.0.2.1");
    for _ in 0..40 {
        let digits = lab.send_otp(ANN).await;
        lab.try_digits(&digits, &owner).await.unwrap();
    }
}

/// The tenth try may be the right one.
#[tokio::test]
async fn the_last_try_of_the_digits_is_one() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let digits = lab.send_otp(ANN).await;
    for _ in 0..9 {
        lab.guess(&stranger("192.0.2.1")).await;
    }
    lab.try_digits(&digits, &stranger("203.0.113.1")).await.unwrap();
}

/// What is tried while no digits wait guesses nothing, so it takes no tries from the owner.
#[tokio::test]
async fn guesses_at_nothing_keep_nobody_from_a_reset() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    for network in 0..60 {
        let other = stranger(&format!("198.51.{network}.1"));
        let refused = lab.try_digits("00000000", &other).await;
        assert!(matches!(refused, Err(PasswordError::WrongCode)));
    }
    let digits = lab.send_otp(ANN).await;
    lab.try_digits(&digits, &at_home()).await.unwrap();
}

/// A reset that digits opened has a code of its own: wrong codes for other resets end neither.
#[tokio::test]
async fn other_resets_do_not_end_the_one_that_digits_opened() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let digits = lab.send_otp(ANN).await;
    let verified = lab.try_digits(&digits, &at_home()).await.unwrap();
    let zeros = "0".repeat(32);
    for _ in 0..2 {
        let started = lab.accounts.forgot_password(ANN, &at_home()).await.unwrap();
        let token = &started.password_forgot_token;
        let foreign = lab.code_for(token, &verified.code).await;
        assert!(foreign.is_err(), "it is good for its own reset alone");
        for _ in 0..2 {
            assert!(lab.code_for(token, &zeros).await.is_err());
        }
    }
    let token = &verified.password_forgot_token;
    let refused = lab.code_for(token, &zeros).await;
    assert!(matches!(refused, Err(PasswordError::WrongCode)));
    lab.code_for(token, &verified.code).await.unwrap();
}

#[tokio::test]
async fn nobody_and_who_never_confirmed_are_equally_unknown() {
    let lab = with_mail().await;
    let visitor = stranger("192.0.2.1");
    lab.accounts.create(new_account(ANN), &visitor).await.unwrap();
    for address in [ANN, BEA] {
        let refused = lab.accounts.send_otp(address, &visitor).await;
        assert!(matches!(refused, Err(PasswordError::UnknownAccount { name: said }) if said == address));
        let refused = lab.accounts.verify_otp(address, "12345678", &visitor).await;
        assert!(matches!(refused, Err(PasswordError::WrongCode)));
    }
}

#[tokio::test]
async fn any_spelling_and_any_address_of_before_lead_to_the_one_in_use() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.accounts
        .change_address(ANN, PASSWORD, BEA, &at_home())
        .await
        .unwrap();
    let digits = lab.send_otp(" Ann@Example.ORG ").await;
    let home = at_home();
    let verified = lab.accounts.verify_otp("BEA@example.org", &digits, &home).await;
    assert_eq!(verified.unwrap().address, BEA);
}

#[tokio::test]
async fn digits_are_mailed_each_time_and_the_letter_dies_with_them() {
    let lab = with_mail().await;
    lab.create(ANN).await;
    let mut mailed = Vec::new();
    for _ in 0..7 {
        lab.accounts.send_otp(ANN, &at_home()).await.unwrap();
        while let Some(posted) = lab.accounts.take_letter().await.unwrap() {
            lab.accounts.letter_sent(posted.id).await.unwrap();
            assert_eq!(posted.address, ANN);
            mailed.push(posted.letter);
        }
    }
    let code = lab.digits(ANN).await.unwrap();
    let letter = Letter::ResetOtp { code, again: false };
    assert_eq!(mailed, vec![letter; 7]);

    let digits = lab.send_otp(ANN).await;
    assert_eq!(lab.count("SELECT COUNT(*) FROM outbox").await, 1);
    lab.try_digits(&digits, &at_home()).await.unwrap();
    assert_eq!(lab.count("SELECT COUNT(*) FROM outbox").await, 0);
}
