//! What strangers may try, and whom it costs: `docs/security.md`.

use foxden_accounts::{AccountError, NodeOf, Role, SignUp};

use crate::lab::{ANN, BEA, Lab, PASSWORD, login, new_account, proof, stranger};

impl Lab {
    /// Tries wrong passwords for a name from these addresses until each is refused; says how many were heard.
    async fn guess_from(&self, name: &str, addresses: impl Iterator<Item = String>) -> u32 {
        let mut heard = 0;
        for address in addresses {
            for number in 0..30 {
                let wrong = login(name, &format!("{address} {number}"));
                match self.accounts.login(wrong, &stranger(&address)).await {
                    Err(AccountError::TooMany { .. }) => break,
                    Err(_) => heard += 1,
                    Ok(_) => panic!("a wrong password passed"),
                }
            }
        }
        heard
    }

    async fn fails_often(&self, address: &str) {
        for number in 0..60 {
            let name = format!("nobody{number}@example.org");
            let refused = self.accounts.login(login(&name, "x"), &stranger(address)).await;
            assert!(!matches!(refused, Err(AccountError::TooMany { .. })), "{number}");
        }
        // Those at once are counted by seconds.
        self.clock.advance_millis(20_000);
    }
}

#[tokio::test]
async fn a_site_has_twenty_tries_however_many_networks_it_has() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let of_site = (0..24).map(|number| format!("2001:db8:1:{:x}::1", number * 256));
    assert_eq!(lab.guess_from(ANN, of_site).await, 20);
    let of_household = (0..24).map(|number| format!("2001:db8:2:{number:x}::1"));
    assert_eq!(lab.guess_from(ANN, of_household).await, 15);
    let of_neighbours = (1..24).map(|number| format!("192.0.2.{number}"));
    assert_eq!(lab.guess_from(ANN, of_neighbours).await, 20);
    let elsewhere = stranger("2001:db8:3::1");
    lab.accounts
        .login(login(ANN, PASSWORD), &elsewhere)
        .await
        .unwrap();
}

/// Strangers from many networks make the server forget nobody.
#[tokio::test]
async fn a_lock_is_not_washed_out() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let guesser = "203.0.113.1";
    assert_eq!(lab.guess_from(ANN, std::iter::once(guesser.to_owned())).await, 10);
    for network in 0..21_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + network * 256).to_string();
        let asked = lab
            .accounts
            .open_password_link("guess", &stranger(&address))
            .await;
        assert!(matches!(asked, Err(AccountError::ExpiredCode)));
        let asked = lab.accounts.node_of("nobody", &stranger(&address)).await;
        assert!(asked.is_ok());
    }
    let refused = lab.accounts.login(login(ANN, PASSWORD), &stranger(guesser)).await;
    assert!(matches!(refused, Err(AccountError::TooMany { .. })));
}

#[tokio::test]
async fn a_name_that_was_locked_five_times_is_locked_for_the_day() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let guesser = "192.0.2.1";
    let mut heard = 0;
    for quarter in 0..90 {
        for number in 0..10 {
            let wrong = login(ANN, &format!("{quarter} {number}"));
            let refused = lab.accounts.login(wrong, &stranger(guesser)).await;
            heard += u32::from(!matches!(refused, Err(AccountError::TooMany { .. })));
        }
        lab.clock.advance_millis(15 * 60_000);
    }
    assert!((50..=60).contains(&heard), "{heard}");
    lab.clock.advance_millis(26 * 3_600_000);
    lab.accounts
        .login(login(ANN, PASSWORD), &stranger(guesser))
        .await
        .unwrap();
}

/// Three hundred people behind one address, each with a device that has an old password and asks every quarter of an hour.
#[tokio::test]
async fn devices_left_alone_keep_nobody_behind_their_address_out() {
    const PEOPLE: u64 = 300;
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let office = stranger("192.0.2.1");
    let member = |number| format!("member{number}@example.org");
    for number in 0..PEOPLE {
        lab.create(&member(number)).await;
        // Even at home so many in a row are too many.
        lab.clock.advance_millis(20_000);
    }
    for round in 0..8 {
        let before = lab.accounts.hashes();
        for number in 0..PEOPLE {
            let refused = lab
                .accounts
                .open_store(&member(number), "the old one", &office)
                .await;
            assert!(
                matches!(refused, Err(AccountError::WrongPassword { .. })),
                "{round} {number}"
            );
            lab.clock.advance_millis(1000);
        }
        assert_eq!(
            lab.accounts.hashes() - before,
            if round == 0 { PEOPLE } else { 0 },
            "{round}"
        );
        lab.accounts.login(login(ANN, PASSWORD), &office).await.unwrap();
        for number in [0, PEOPLE - 1] {
            lab.accounts
                .login(login(&member(number), PASSWORD), &office)
                .await
                .unwrap();
        }
        lab.clock.advance_millis(11 * 60_000);
    }
}

/// Where somebody tries every name, the others behind that address go on: only tries get fewer.
#[tokio::test]
async fn a_network_that_fails_often_lets_right_passwords_through() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.create(BEA).await;
    let address = "192.0.2.1";
    lab.fails_often(address).await;
    let tries = lab.guess_from(BEA, std::iter::once(address.to_owned())).await;
    assert_eq!(tries, 3, "an account is tried no more often than that from there");
    lab.accounts
        .login(login(ANN, PASSWORD), &stranger(address))
        .await
        .unwrap();
    lab.accounts
        .open_store(ANN, PASSWORD, &stranger(address))
        .await
        .unwrap();
    let refused = lab.accounts.login(login(BEA, PASSWORD), &stranger(address)).await;
    assert!(
        matches!(refused, Err(AccountError::TooMany { .. })),
        "under attack from there"
    );
    lab.accounts
        .login(login(BEA, PASSWORD), &stranger("198.51.100.1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn right_passwords_at_once_from_one_address_all_come_through() {
    let lab = Lab::new().await;
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..64 {
        let name = format!("member{number}@example.org");
        lab.create(&name).await;
        let accounts = lab.accounts.clone();
        waiting.spawn(async move {
            accounts
                .login(login(&name, PASSWORD), &stranger("192.0.2.1"))
                .await
                .is_ok()
        });
    }
    assert!(waiting.join_all().await.into_iter().all(|is_in| is_in));
}

/// Known and unknown names are told apart until the allowance is used up, by whichever question; then by none.
#[tokio::test]
async fn who_is_here_is_told_to_a_network_so_often_and_no_more() {
    let lab = Lab::with_policy(SignUp::Open).await;
    lab.create(ANN).await;
    let visitor = stranger("192.0.2.1");
    for number in 0..30 {
        let name = format!("nobody{number}@example.org");
        let refused = lab.accounts.login(login(&name, "x"), &visitor).await;
        assert!(
            matches!(refused, Err(AccountError::UnknownAccount { .. })),
            "{number}"
        );
    }
    for (number, name) in [ANN, "nobody@example.org"].into_iter().enumerate() {
        let refused = lab
            .accounts
            .login(login(name, &format!("x{number}")), &visitor)
            .await;
        assert!(
            matches!(refused, Err(AccountError::WrongPassword { .. })),
            "{name}"
        );
        let repeated = lab
            .accounts
            .login(login(name, &format!("x{number}")), &visitor)
            .await;
        assert!(
            matches!(repeated, Err(AccountError::WrongPassword { .. })),
            "{name}"
        );
        let status = lab.accounts.address_status(name, &visitor).await.unwrap();
        assert!(status.exists && status.has_password, "{name}");
        assert!(
            lab.accounts.forgot_password(name, &visitor).await.is_ok(),
            "{name}"
        );
        assert!(lab.accounts.send_otp(name, &visitor).await.is_ok(), "{name}");
        let taken = lab.accounts.is_name_taken(name, &visitor).await;
        assert!(matches!(taken, Err(AccountError::TooMany { .. })), "{name}");
        let node = lab.accounts.node_of(name, &visitor).await.unwrap();
        assert!(matches!(node, NodeOf::At(_)), "{name}");
        let created = lab.accounts.create(new_account(name), &visitor).await;
        assert!(matches!(created, Err(AccountError::TooMany { .. })), "{name}");
        let closed = lab
            .accounts
            .destroy(None, name, &proof(name, "x"), &visitor)
            .await;
        assert!(
            matches!(closed, Err(AccountError::WrongPassword { .. })),
            "{name}"
        );
    }
    lab.accounts.login(login(ANN, PASSWORD), &visitor).await.unwrap();
}

/// Addresses that have an account are no cheaper to find than those that have none.
#[tokio::test]
async fn answers_that_somebody_is_here_count_as_well() {
    let lab = Lab::with_policy(SignUp::Open).await;
    lab.create(ANN).await;
    let visitor = stranger("192.0.2.1");
    let mut told = 0;
    for _ in 0..200 {
        let created = lab.accounts.create(new_account(ANN), &visitor).await;
        told += u32::from(matches!(created, Err(AccountError::Exists { .. })));
    }
    assert_eq!(told, 30);
    let stranger = new_account("nobody@example.org");
    let refused = lab.accounts.create(stranger, &visitor).await;
    assert!(matches!(refused, Err(AccountError::TooMany { .. })));
}

/// Of many that come at once no more are heard than one after the other, at whichever door.
#[tokio::test]
async fn wrong_passwords_at_once_are_counted_before_they_are_tried() {
    for is_plain in [true, false] {
        let lab = Lab::new().await;
        lab.create(ANN).await;
        let mut tries = tokio::task::JoinSet::new();
        for number in 0..60 {
            let (accounts, wrong) = (lab.accounts.clone(), format!("wrong {number}"));
            tries.spawn(async move {
                let visitor = stranger("192.0.2.1");
                if is_plain {
                    accounts.prove_plain(ANN, &wrong, &visitor).await.map(drop)
                } else {
                    accounts.login(login(ANN, &wrong), &visitor).await.map(drop)
                }
            });
        }
        let outcomes = tries.join_all().await;
        let heard = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(AccountError::WrongPassword { .. })));
        assert_eq!(heard.count(), 10, "{is_plain}");
    }
}

/// What is told of a wrong proof again tells nothing new, and an old password left in a program costs nobody answers.
#[tokio::test]
async fn a_wrong_proof_that_is_repeated_uses_up_no_answers() {
    let lab = Lab::with_policy(SignUp::Open).await;
    lab.create(ANN).await;
    let visitor = stranger("192.0.2.1");
    for _ in 0..100 {
        let refused = lab.accounts.login(login(ANN, "old"), &visitor).await;
        assert!(matches!(refused, Err(AccountError::WrongPassword { .. })));
    }
    let status = lab
        .accounts
        .address_status("nobody@example.org", &visitor)
        .await
        .unwrap();
    assert!(!status.exists);
}

/// A right password costs its account: others go on.
#[tokio::test]
async fn one_account_signs_in_so_often_and_no_more() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.create(BEA).await;
    let mut let_in = 0;
    for number in 0..200 {
        let visitor = stranger(&format!("192.0.{number}.1"));
        let_in += u32::from(lab.accounts.login(login(ANN, PASSWORD), &visitor).await.is_ok());
    }
    assert_eq!(let_in, 120);
    let visitor = stranger("198.51.100.1");
    lab.accounts.login(login(BEA, PASSWORD), &visitor).await.unwrap();
    for number in 0..20 {
        let wrong = login(BEA, &format!("wrong {number}"));
        assert!(lab.accounts.login(wrong, &visitor).await.is_err());
    }
    let elsewhere = stranger("203.0.113.1");
    lab.accounts
        .login(login(BEA, PASSWORD), &elsewhere)
        .await
        .unwrap();
}

#[tokio::test]
async fn invitations_are_allowances_of_their_own() {
    let lab = Lab::with_policy(SignUp::Invite).await;
    let office = stranger("192.0.2.1");
    for number in 0..40 {
        let invite = lab.accounts.invite(Role::Member, "", None).await.unwrap();
        let mut new = new_account(&format!("member{number}@example.org"));
        new.invite = Some(invite);
        lab.accounts.create(new, &office).await.unwrap();
    }
    let invite = lab.accounts.invite(Role::Member, "", None).await.unwrap();
    let mut told = 0;
    for number in 0..40 {
        let mut new = new_account(&format!("member{number}@example.org"));
        new.invite = Some(invite.clone());
        let refused = lab.accounts.create(new, &office).await;
        told += u32::from(matches!(refused, Err(AccountError::Exists { .. })));
    }
    assert_eq!(told, 30, "an invitation does not tell who is here without end");
}

/// Where a proxy names no client, or a company has one address, many stand behind it.
#[tokio::test]
async fn private_networks_have_ten_times_as_much() {
    let lab = Lab::with_policy(SignUp::Open).await;
    for (address, most) in [
        ("192.0.2.1", 30),
        ("10.1.2.3", 300),
        ("127.0.0.1", 300),
        ("fd00::1", 300),
    ] {
        let mut told = 0;
        for number in 0..400 {
            let name = format!("nobody{number}@example.org");
            let status = lab
                .accounts
                .address_status(&name, &stranger(address))
                .await
                .unwrap();
            told += u32::from(!status.exists);
        }
        assert_eq!(told, most, "{address}");
    }
}

/// An address and its hashed name count together, whether or not anybody has them.
#[tokio::test]
async fn names_that_belong_together_tell_nothing_of_who_is_here() {
    let lab = Lab::new().await;
    lab.create("known@example.org").await;
    for address in ["known@example.org", "nobody@example.org"] {
        let visitor = stranger("192.0.2.1");
        let name = foxden_accounts::plain::name_of(address).unwrap();
        for number in 0..5 {
            let wrong = login(address, &format!("a{number}"));
            assert!(lab.accounts.login(wrong, &visitor).await.is_err());
            let refused = lab
                .accounts
                .prove_plain(&name, &format!("b{number}"), &visitor)
                .await;
            assert!(
                !matches!(refused, Err(AccountError::TooMany { .. })),
                "{address} {number}"
            );
        }
        let refused = lab.accounts.prove_plain(&name, "c", &visitor).await;
        assert!(matches!(refused, Err(AccountError::TooMany { .. })), "{address}");
    }
}
