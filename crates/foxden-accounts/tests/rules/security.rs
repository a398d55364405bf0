//! What a security officer hears: every door tells, and tells the truth.

use foxden_accounts::{Kind, NewAccount, Options, SignInError, SignUp, Visitor};
use std::sync::{Arc, Mutex};

use foxden_accounts::plain::{Consent, NewPlain, name_of};
use foxden_accounts::security::{Door, Witness};

use crate::lab::{ANN, BEA, Lab, PASSWORD, at_home, cheap, new_account, proof, stranger};
use crate::password::{change, reset};

/// What was told: the event, whom it concerns, by which door, from where, why.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn witness(&self) -> Witness {
        let heard = self.clone();
        Witness::new(move |event| {
            let line = format!(
                "{:?} {} by {} from {} {} {}",
                event.what,
                event.name.unwrap_or("-"),
                event.door,
                event
                    .from
                    .map_or_else(|| "nowhere".to_owned(), |from| from.to_string()),
                if event.account.is_some() {
                    "known"
                } else {
                    "unknown"
                },
                event.why.unwrap_or("-"),
            );
            heard.0.lock().unwrap().push(line);
        })
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn lab() -> (Lab, Heard) {
    let heard = Heard::default();
    let options = Options {
        sign_up: Some(SignUp::Open),
        witness: heard.witness(),
        ..cheap()
    };
    (Lab::with(options).await, heard)
}

fn by_user_api() -> Visitor {
    Visitor {
        door: Door::UserApi,
        ..stranger("192.0.2.1")
    }
}

#[tokio::test]
async fn log_ins_of_today_that_fail_are_told() {
    let (lab, heard) = lab().await;
    lab.create(ANN).await;
    lab.login(ANN, PASSWORD).await.unwrap();
    assert_eq!(
        heard.take(),
        ["AccountCreated ann@example.org by accounts from 127.0.0.1 known -"]
    );

    lab.login(ANN, "wrong").await.unwrap_err();
    lab.login(BEA, PASSWORD).await.unwrap_err();
    lab.accounts.set_disabled(ANN, true).await.unwrap();
    lab.login(ANN, PASSWORD).await.unwrap_err();
    lab.accounts
        .add_account("cid@example.org", foxden_accounts::Role::Member)
        .await
        .unwrap();
    lab.login("cid@example.org", PASSWORD).await.unwrap_err();
    assert_eq!(
        heard.take(),
        [
            "LoginFailed ann@example.org by accounts from 127.0.0.1 known wrong password",
            "LoginFailed bea@example.org by accounts from 127.0.0.1 unknown unknown name",
            "LoginFailed ann@example.org by accounts from 127.0.0.1 known switched off",
            "LoginFailed cid@example.org by accounts from 127.0.0.1 known no password set yet",
        ]
    );
    for number in 0..9 {
        lab.login(BEA, &format!("wrong {number}")).await.unwrap_err();
    }
    heard.take();
    let locked = lab.login(BEA, PASSWORD).await;
    assert!(matches!(locked, Err(SignInError::TooMany { .. })));
    assert_eq!(
        heard.take(),
        ["LoginLocked bea@example.org by accounts from 127.0.0.1 unknown -"]
    );
}

#[tokio::test]
async fn what_happens_to_an_account_of_today_is_told() {
    let (lab, heard) = lab().await;
    lab.create(ANN).await;
    heard.take();
    change(&lab, ANN, PASSWORD, "another").await;
    assert_eq!(
        heard.take(),
        ["PasswordChanged ann@example.org by accounts from 127.0.0.1 known -"]
    );
    reset(&lab, ANN, proof(ANN, PASSWORD)).await;
    assert_eq!(
        heard.take(),
        [
            "ResetAsked ann@example.org by accounts from 127.0.0.1 known -",
            "PasswordReset ann@example.org by accounts from 127.0.0.1 known -",
        ]
    );
    lab.accounts
        .destroy(None, ANN, &proof(ANN, PASSWORD), &at_home())
        .await
        .unwrap();
    assert_eq!(
        heard.take(),
        ["AccountDeleted ann@example.org by accounts from 127.0.0.1 known -"]
    );
}

/// An account that ends by itself leaves a trace, too.
#[tokio::test]
async fn an_account_that_never_confirmed_its_address_is_named_when_it_ends() {
    let heard = Heard::default();
    let options = Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        witness: heard.witness(),
        ..cheap()
    };
    let lab = Lab::with(options).await;
    let by = stranger("192.0.2.1");
    lab.accounts.create(new_account(ANN), &by).await.unwrap();
    heard.take();
    lab.clock.advance_millis(7 * 24 * 3_600_000 + 1);
    lab.accounts.purge(1000, i64::MAX).await.unwrap();
    assert_eq!(
        heard.take(),
        ["AccountDeleted ann@example.org by chore from nowhere known address never confirmed"]
    );
}

#[tokio::test]
async fn what_happens_at_the_doors_of_old_clients_is_told() {
    let (lab, heard) = lab().await;
    let (accounts, visitor) = (&lab.accounts, by_user_api());
    let name = name_of(ANN).unwrap();
    let new = NewPlain {
        name: &name,
        address: ANN,
        password: PASSWORD,
        is_authorised: false,
    };
    accounts.create_plain(new, &visitor).await.unwrap();
    accounts
        .prove_plain(ANN, "wrong password", &visitor)
        .await
        .unwrap_err();
    accounts
        .prove_plain("nobody", PASSWORD, &visitor)
        .await
        .unwrap_err();
    accounts
        .change_password_plain(ANN, PASSWORD, "another one", &visitor)
        .await
        .unwrap();
    accounts
        .change_address(ANN, "another one", BEA, &visitor)
        .await
        .unwrap();
    accounts.request_plain_reset(BEA, &visitor).await.unwrap();
    let waiting = accounts.waiting_codes(BEA).await.unwrap();
    // The other confirms the address.
    let code = waiting
        .into_iter()
        .find(|waiting| waiting.code.contains('-'))
        .unwrap()
        .code;
    accounts
        .reset_plain(BEA, &code, "a third one", Consent::Given, &visitor)
        .await
        .unwrap();
    accounts
        .destroy_plain(BEA, "a third one", &visitor)
        .await
        .unwrap();
    let heard: Vec<String> = heard.take();
    let expected = [
        "AccountCreated ann@example.org",
        "LoginFailed ann@example.org",
        "LoginFailed nobody",
        "PasswordChanged ann@example.org",
        "AddressChanged bea@example.org",
        "ResetAsked bea@example.org",
        "PasswordReset bea@example.org",
        "AccountDeleted bea@example.org",
    ];
    assert_eq!(heard.len(), expected.len(), "{heard:?}");
    for (line, beginning) in heard.iter().zip(expected) {
        let end = match beginning {
            "LoginFailed nobody" => " unknown unknown name",
            _ if beginning.starts_with("LoginFailed") => " known wrong password",
            _ => " known -",
        };
        assert_eq!(*line, format!("{beginning} by user-api from 192.0.2.1{end}"));
    }
    // Whatever is told holds no secret.
    let text = heard.concat();
    assert!(
        [PASSWORD, "another one", "a third one", &code]
            .iter()
            .all(|secret| !text.contains(secret))
    );
}

/// A device that repeats a wrong password costs nothing, and is heard each time, from wherever it asks.
#[tokio::test]
async fn a_wrong_password_that_is_repeated_is_told_again() {
    let (lab, heard) = lab().await;
    lab.create(ANN).await;
    heard.take();
    let before = lab.accounts.hashes();
    for address in ["192.0.2.1", "192.0.2.1", "198.51.100.1"] {
        let visitor = Visitor {
            door: Door::Basic,
            ..stranger(address)
        };
        let opened = lab.accounts.open_store(ANN, "wrong", &visitor).await;
        opened.unwrap_err();
        let removed = lab.accounts.destroy_plain(ANN, "wrong", &visitor).await;
        removed.unwrap_err();
    }
    let line = |from| format!("LoginFailed ann@example.org by basic from {from} known wrong password");
    let lines = [line("192.0.2.1"), line("198.51.100.1")];
    let [one, other] = lines.each_ref().map(String::as_str);
    assert_eq!(heard.take(), [one, one, one, one, other, other]);
    assert_eq!(lab.accounts.hashes(), before + 1);
}

/// What is done with the operator's word is the operator's act.
#[tokio::test]
async fn an_account_made_with_the_admin_secret_is_told_as_the_operators() {
    let (lab, heard) = lab().await;
    let name = name_of(ANN).unwrap();
    let new = NewPlain {
        name: &name,
        address: ANN,
        password: PASSWORD,
        is_authorised: true,
    };
    lab.accounts.create_plain(new, &by_user_api()).await.unwrap();
    assert_eq!(
        heard.take(),
        ["Operator(AccountAdded) ann@example.org by user-api from 192.0.2.1 known admin secret"]
    );
}

/// Whoever guesses codes is heard, whatever the code is for.
#[tokio::test]
async fn codes_that_are_wrong_are_told() {
    let (lab, heard) = lab().await;
    let (accounts, visitor) = (&lab.accounts, by_user_api());
    lab.create(ANN).await;
    accounts.request_plain_reset(ANN, &visitor).await.unwrap();
    heard.take();
    let wrong = "AAAA-BBBB-CCCC-DDDD";
    accounts
        .check_plain_reset(ANN, wrong, &visitor)
        .await
        .unwrap_err();
    accounts
        .open_password_link("nothing", &visitor)
        .await
        .unwrap_err();
    let invited = NewAccount {
        invite: Some("nothing".to_owned()),
        ..new_account(BEA)
    };
    accounts.create(invited, &visitor).await.unwrap_err();
    let started = accounts.forgot_password(ANN, &visitor).await.unwrap();
    let ticket = lab
        .ticket(Kind::PasswordForgot, &started.password_forgot_token)
        .await
        .unwrap();
    accounts
        .verify_reset_code(&ticket, "nothing", &visitor)
        .await
        .unwrap_err();
    assert_eq!(
        heard.take(),
        [
            "CodeRefused ann@example.org by user-api from 192.0.2.1 known wrong reset code",
            "CodeRefused - by user-api from 192.0.2.1 unknown no such set-password link",
            "CodeRefused - by user-api from 192.0.2.1 unknown no such invitation",
            "ResetAsked ann@example.org by user-api from 192.0.2.1 known -",
            "CodeRefused - by user-api from 192.0.2.1 known wrong reset code",
        ]
    );
    for (name, code) in [(ANN, "nonsense"), ("nobody", wrong)] {
        let refused = accounts.check_plain_reset(name, code, &visitor).await;
        refused.unwrap_err();
    }
    accounts.take_admin_secret(|| false, &visitor).unwrap();
    let stranger = accounts.create(new_account(BEA), &visitor).await.unwrap();
    heard
        .0
        .lock()
        .unwrap()
        .retain(|line| !line.contains("AccountCreated"));
    let session = lab.session(&stranger).await;
    let typed = accounts.verify_session(&session, "nothing", &visitor).await;
    typed.unwrap_err();
    let opened = accounts
        .verify_address(stranger.account, "nothing", &visitor)
        .await;
    opened.unwrap_err();
    assert_eq!(
        heard.take(),
        [
            "CodeRefused ann@example.org by user-api from 192.0.2.1 known wrong reset code",
            "CodeRefused nobody by user-api from 192.0.2.1 unknown a reset code for an unknown name",
            "CodeRefused - by user-api from 192.0.2.1 unknown wrong admin secret",
            "CodeRefused - by user-api from 192.0.2.1 known wrong code to confirm an address",
            "CodeRefused - by user-api from 192.0.2.1 known wrong code to confirm an address",
        ]
    );
    while accounts.take_admin_secret(|| false, &visitor).is_ok() {}
    let last = heard.take().pop();
    assert_eq!(
        last.as_deref(),
        Some("LimitReached - by user-api from 192.0.2.1 unknown wrong codes")
    );
}
