//! Tests of the budgets of unknown clients: `docs/security.md`.

use data_encoding::BASE32_NOPAD;
use foxden_accounts::legacy::name_of;
use foxden_accounts::{
    AuthPw, ClientInfo, CredentialKind, LegacyLoginError, LimitError, Login, NewLegacyAccount, NodeLookup,
    OpenStoreError, Options, PasswordError, Role, SecretToken, SignInError, SignUp, SignUpError,
};
use ring::digest;

use crate::context::{
    ANN, BEA, NODE, PASSWORD, TestContext, auth_pw, cheap, local_client, login, new_account, public_client,
};

const ZEROS: &str = "00000000000000000000000000000000";

impl TestContext {
    /// Tries wrong passwords for a name from these addresses until each is refused; says how many were heard.
    async fn guess_from(&self, name: &str, addresses: impl Iterator<Item = String>) -> u32 {
        let mut heard = 0;
        for address in addresses {
            for number in 0..30 {
                let wrong = login(name, &format!("{address} {number}"));
                match self.accounts.login(wrong, &public_client(&address)).await {
                    Err(SignInError::TooMany { .. }) => break,
                    Err(_) => heard += 1,
                    Ok(_) => panic!("a wrong password passed"),
                }
            }
        }
        heard
    }

    async fn fails_often(&self, address: &str) {
        for number in 0..60 {
            let name = format!("unknown{number}@example.org");
            let refused = self
                .accounts
                .login(login(&name, "x"), &public_client(address))
                .await;
            assert!(!matches!(refused, Err(SignInError::TooMany { .. })), "{number}");
        }
        // Those at once are counted by seconds.
        self.clock.advance_millis(20_000);
    }

    /// Asks for unknown names until the network is told no more.
    async fn use_up_answers(&self, by: &ClientInfo) {
        for number in 0..30 {
            let name = format!("unknown{number}@example.org");
            let status = self.accounts.address_status(&name, by).await.unwrap();
            assert!(!status.exists, "{number}");
        }
    }

    async fn reset_begun_for(&self, name: &str, by: &ClientInfo) -> SecretToken {
        let started = self.accounts.start_reset(name, by).await.unwrap();
        assert_eq!((started.ttl, started.tries), (3600, 3), "{name}");
        started.password_forgot_token
    }

    /// Asks for the state of a reset, for another mail, and tries a wrong code: what is said to each.
    async fn said_of_reset(&self, token: &SecretToken, by: &ClientInfo) -> String {
        let credential = match self.credential(CredentialKind::PasswordForgot, token).await {
            Ok(credential) => credential,
            Err(error) => return format!("{error:?}"),
        };
        let status = self.accounts.reset_status(&credential).await;
        let again = self.accounts.resend_reset_code(&credential, by).await;
        let tried = self.accounts.verify_reset_code(&credential, ZEROS, by).await;
        // The answer follows from the reset as it is now, not as it was looked up a moment ago.
        let then = self.accounts.reset_status(&credential).await;
        format!("{status:?}, {again:?}, {:?}, {then:?}", tried.map(drop))
    }
}

#[tokio::test]
async fn a_site_has_twenty_tries_however_many_networks_it_has() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let of_site = (0..24).map(|number| format!("2001:db8:1:{:x}::1", number * 256));
    assert_eq!(ctx.guess_from(ANN, of_site).await, 20);
    let of_household = (0..24).map(|number| format!("2001:db8:2:{number:x}::1"));
    assert_eq!(ctx.guess_from(ANN, of_household).await, 15);
    let of_neighbours = (1..24).map(|number| format!("192.0.2.{number}"));
    assert_eq!(ctx.guess_from(ANN, of_neighbours).await, 20);
    let elsewhere = public_client("2001:db8:3::1");
    ctx.accounts
        .login(login(ANN, PASSWORD), &elsewhere)
        .await
        .unwrap();
}

/// Clients from many networks do not evict the counters of others.
#[tokio::test]
async fn a_lock_is_not_evicted() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let guesser = "203.0.113.1";
    assert_eq!(ctx.guess_from(ANN, std::iter::once(guesser.to_owned())).await, 10);
    for network in 0..21_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + network * 256).to_string();
        let asked = ctx
            .accounts
            .open_password_link("guess", &public_client(&address))
            .await;
        assert!(matches!(asked, Err(PasswordError::ExpiredCode)));
        let asked = ctx.accounts.node_of("unknown", &public_client(&address)).await;
        assert!(asked.is_ok());
    }
    let refused = ctx
        .accounts
        .login(login(ANN, PASSWORD), &public_client(guesser))
        .await;
    assert!(matches!(refused, Err(SignInError::TooMany { .. })));
}

impl TestContext {
    /// Brings so many wrong passwords for a name from that address; says how many were heard.
    async fn try_wrong(&self, name: &str, address: &str, first: u32, count: u32) -> u32 {
        let mut heard = 0;
        for number in first..first + count {
            let refused = self
                .accounts
                .login(wrong(name, number), &public_client(address))
                .await;
            heard += u32::from(!matches!(refused, Err(SignInError::TooMany { .. })));
        }
        heard
    }
}

/// A proof that no password gives.
fn wrong(name: &str, number: u32) -> Login {
    let mut auth_pw = [0xee; 32];
    auth_pw[..4].copy_from_slice(&number.to_be_bytes());
    Login {
        address: name.to_owned(),
        auth_pw: AuthPw(auth_pw),
        wants_keys: false,
    }
}

/// The address of each try.
type Source<'a> = &'a dyn Fn(u32) -> String;

/// A client that stays just below the limit of a name has no more attempts in a day than one that reaches it.
#[tokio::test]
async fn a_patient_guesser_has_fifty_tries_a_day() {
    let address = |_: u32| "192.0.2.1".to_owned();
    let of_site = |number: u32| format!("198.51.100.{}", 1 + number % 200);
    let of_long_site = |number: u32| format!("2001:db8:1:{:x}::1", number * 256 % 65_536);
    let cases: [(u64, u32, Source<'_>); 3] = [
        (113_000, 50, &address),
        (50_000, 100, &of_site),
        (50_000, 100, &of_long_site),
    ];
    for (pace, most, from) in cases {
        let ctx = TestContext::new().await;
        ctx.create(ANN).await;
        let (mut heard, mut number) = (0, 0);
        while u64::from(number) * pace < 86_400_000 - pace {
            heard += ctx.try_wrong(ANN, &from(number), number, 1).await;
            ctx.clock.advance_millis(pace.try_into().unwrap());
            number += 1;
        }
        assert_eq!(heard, most, "of {number} from {}", from(0));
        let (here, elsewhere) = (public_client(&from(0)), public_client("203.0.113.1"));
        let refused = ctx.accounts.login(login(ANN, PASSWORD), &here).await;
        assert!(matches!(refused, Err(SignInError::TooMany { .. })));
        ctx.accounts
            .login(login(ANN, PASSWORD), &elsewhere)
            .await
            .unwrap();
        ctx.clock.advance_millis(26 * 3_600_000);
        ctx.accounts.login(login(ANN, PASSWORD), &here).await.unwrap();
    }
}

/// Nor has who fails often, whose tries at a name are three a quarter of an hour.
#[tokio::test]
async fn a_network_that_fails_often_has_fifty_tries_a_day() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut heard = 0;
    for quarter in 0..24 {
        for number in 0..60 {
            let name = format!("unknown{number}@example.org");
            ctx.try_wrong(&name, "192.0.2.1", quarter * 100 + number, 1).await;
        }
        ctx.clock.advance_millis(20_000);
        heard += ctx.try_wrong(ANN, "192.0.2.1", quarter * 100, 5).await;
        ctx.clock.advance_millis(15 * 60_000);
    }
    assert_eq!(heard, 50);
}

/// A right password gives back all that it counted, so a person may sign in as often as they like.
#[tokio::test]
async fn right_passwords_cost_no_tries_of_the_day() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let here = public_client("192.0.2.1");
    for _ in 0..110 {
        ctx.accounts.login(login(ANN, PASSWORD), &here).await.unwrap();
    }
    assert_eq!(ctx.try_wrong(ANN, "192.0.2.1", 0, 20).await, 10);
}

/// Four addresses of a /24 try whatever they may; their neighbours sign in all the same. And all of a /24 together have
/// what the budgets say.
#[tokio::test]
async fn some_failing_addresses_lock_out_no_neighbour() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut heard = 0;
    for (address, most) in (1..=4).map(|number| (number, 60 + 20 + 30)) {
        let address = format!("192.0.2.{address}");
        let mut own = 0;
        for number in 0..200 {
            let name = format!("unknown{heard}{number}@example.org");
            own += ctx.try_wrong(&name, &address, number, 1).await;
        }
        assert!(own <= most, "{own} of {address}");
        heard += own;
    }
    assert_eq!(heard, 4 * (60 + 20) + 30);
    let neighbour = public_client("192.0.2.200");
    ctx.accounts
        .login(login(ANN, PASSWORD), &neighbour)
        .await
        .unwrap();
    for number in 5..120 {
        let address = format!("192.0.2.{number}");
        for number in 0..21 {
            let name = format!("unknown{heard}{number}@example.org");
            heard += ctx.try_wrong(&name, &address, number, 1).await;
        }
    }
    assert_eq!(heard, 240 + 600 + 30);
}

/// Three hundred people behind one address, each with a device that has an old password and asks every quarter of an hour.
#[tokio::test]
async fn stale_devices_lock_out_no_other_user_of_their_address() {
    const PEOPLE: u64 = 300;
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let office = public_client("192.0.2.1");
    let member = |number| format!("member{number}@example.org");
    for number in 0..PEOPLE {
        ctx.create(&member(number)).await;
        // Even at home so many in a row are too many.
        ctx.clock.advance_millis(20_000);
    }
    for round in 0..8 {
        let before = ctx.accounts.hashes();
        for number in 0..PEOPLE {
            let refused = ctx
                .accounts
                .open_store(&member(number), "the old one", &office)
                .await;
            assert!(
                matches!(
                    refused,
                    Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
                ),
                "{round} {number}"
            );
            ctx.clock.advance_millis(1000);
        }
        assert_eq!(
            ctx.accounts.hashes() - before,
            if round == 0 { PEOPLE } else { 0 },
            "{round}"
        );
        ctx.accounts.login(login(ANN, PASSWORD), &office).await.unwrap();
        for number in [0, PEOPLE - 1] {
            ctx.accounts
                .login(login(&member(number), PASSWORD), &office)
                .await
                .unwrap();
        }
        ctx.clock.advance_millis(11 * 60_000);
    }
}

/// Where one client tries every name, others behind that address go on: only attempts get fewer.
#[tokio::test]
async fn a_network_that_fails_often_lets_right_passwords_through() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.create(BEA).await;
    let address = "192.0.2.1";
    ctx.fails_often(address).await;
    let tries = ctx.guess_from(BEA, std::iter::once(address.to_owned())).await;
    assert_eq!(tries, 3, "an account is tried no more often than that from there");
    ctx.accounts
        .login(login(ANN, PASSWORD), &public_client(address))
        .await
        .unwrap();
    ctx.accounts
        .open_store(ANN, PASSWORD, &public_client(address))
        .await
        .unwrap();
    let refused = ctx
        .accounts
        .login(login(BEA, PASSWORD), &public_client(address))
        .await;
    assert!(
        matches!(refused, Err(SignInError::TooMany { .. })),
        "under attack from there"
    );
    ctx.accounts
        .login(login(BEA, PASSWORD), &public_client("198.51.100.1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn concurrent_right_passwords_of_one_address_all_pass() {
    let ctx = TestContext::new().await;
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..64 {
        let name = format!("member{number}@example.org");
        ctx.create(&name).await;
        let accounts = ctx.accounts.clone();
        waiting.spawn(async move {
            accounts
                .login(login(&name, PASSWORD), &public_client("192.0.2.1"))
                .await
                .is_ok()
        });
    }
    assert!(waiting.join_all().await.into_iter().all(|is_in| is_in));
}

/// Known and unknown names are told apart until the allowance is used up, by whichever question; then by none.
#[tokio::test]
async fn answers_that_reveal_accounts_are_limited_by_network() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    ctx.create(ANN).await;
    let client = public_client("192.0.2.1");
    for number in 0..30 {
        let name = format!("unknown{number}@example.org");
        let refused = ctx.accounts.login(login(&name, "x"), &client).await;
        assert!(
            matches!(refused, Err(SignInError::UnknownAccount { .. })),
            "{number}"
        );
    }
    for (number, name) in [ANN, "unknown@example.org"].into_iter().enumerate() {
        let refused = ctx
            .accounts
            .login(login(name, &format!("x{number}")), &client)
            .await;
        assert!(
            matches!(refused, Err(SignInError::WrongPassword { .. })),
            "{name}"
        );
        let repeated = ctx
            .accounts
            .login(login(name, &format!("x{number}")), &client)
            .await;
        assert!(
            matches!(repeated, Err(SignInError::WrongPassword { .. })),
            "{name}"
        );
        let status = ctx.accounts.address_status(name, &client).await.unwrap();
        assert!(status.exists && status.has_password, "{name}");
        assert!(ctx.accounts.start_reset(name, &client).await.is_ok(), "{name}");
        assert!(ctx.accounts.send_otp(name, &client).await.is_ok(), "{name}");
        let taken = ctx.accounts.is_name_taken(name, &client).await;
        assert!(matches!(taken, Err(LimitError::TooMany { .. })), "{name}");
        let node = ctx.accounts.node_of(name, &client).await.unwrap();
        assert!(matches!(node, NodeLookup::At(_)), "{name}");
        let created = ctx.accounts.create(new_account(name), &client).await;
        assert!(matches!(created, Err(SignUpError::TooMany { .. })), "{name}");
        let closed = ctx
            .accounts
            .destroy(None, name, &auth_pw(name, "x"), &client)
            .await;
        assert!(matches!(closed, Err(SignInError::WrongPassword { .. })), "{name}");
    }
    ctx.accounts.login(login(ANN, PASSWORD), &client).await.unwrap();
}

/// Two labs, of which the second one knows Ann; to neither network is told any more which accounts exist.
async fn without_and_with_ann(sends_mail: bool, by: &ClientInfo) -> [TestContext; 2] {
    let options = || Options {
        sign_up: Some(SignUp::Open),
        sends_mail,
        ..cheap()
    };
    let labs = [
        TestContext::with(options()).await,
        TestContext::with(options()).await,
    ];
    labs[1].create(ANN).await;
    for ctx in &labs {
        ctx.use_up_answers(by).await;
    }
    labs
}

/// A decoy reset goes on as a real one does, also after the third wrong code.
#[tokio::test]
async fn the_second_step_of_a_reset_does_not_reveal_accounts() {
    let by = public_client("192.0.2.1");
    for sends_mail in [false, true] {
        let mut said = Vec::new();
        for ctx in without_and_with_ann(sends_mail, &by).await {
            let mut steps = Vec::new();
            let token = ctx.reset_begun_for(ANN, &by).await;
            for _ in 0..5 {
                ctx.clock.advance_millis(7_500);
                steps.push(ctx.said_of_reset(&token, &by).await);
            }
            let token = ctx.reset_begun_for(ANN, &by).await;
            ctx.clock.advance_millis(3_599_000);
            steps.push(ctx.said_of_reset(&token, &by).await);
            ctx.clock.advance_millis(1000);
            steps.push(ctx.said_of_reset(&token, &by).await);
            said.push(steps);
        }
        let [decoy, real] = [&said[0], &said[1]];
        assert_eq!(decoy, real);
        let status = |ttl, tries| format!("Ok(ResetStatus {{ ttl: {ttl}, tries: {tries} }})");
        let first = status(3592, 3);
        assert_eq!(
            decoy[0],
            format!("{first}, {first}, Err(WrongCode), {}", status(3592, 2))
        );
        let third = status(3577, 1);
        assert_eq!(
            decoy[2],
            format!("{third}, {third}, Err(WrongCode), Err(UnknownToken)")
        );
        assert_eq!(decoy[3..5], ["Unknown", "Unknown"]);
        let last = status(1, 3);
        assert_eq!(
            decoy[5],
            format!("{last}, {last}, Err(WrongCode), {}", status(1, 2))
        );
        assert_eq!(decoy[6], "Unknown");
    }
}

/// A client that began a reset does not learn how much of the mail allowance is left.
#[tokio::test]
async fn resent_mails_do_not_reveal_accounts() {
    let by = public_client("192.0.2.1");
    let mut said = Vec::new();
    for ctx in without_and_with_ann(true, &by).await {
        let token = ctx.reset_begun_for(ANN, &by).await;
        let mut steps = Vec::new();
        for _ in 0..130 {
            ctx.clock.advance_millis(25_000);
            let credential = ctx
                .credential(CredentialKind::PasswordForgot, &token)
                .await
                .unwrap();
            steps.push(format!(
                "{:?}",
                ctx.accounts.resend_reset_code(&credential, &by).await
            ));
        }
        said.push(steps);
    }
    assert_eq!(said[0], said[1]);
    let written = said[0].iter().filter(|step| step.starts_with("Ok"));
    assert!(
        (59..62).contains(&written.count()),
        "the network has sixty mails a day"
    );
}

/// Digits of a decoy wait, are tried and end as real ones do, and with as many writes.
#[tokio::test]
async fn digits_of_unknown_accounts_do_not_reveal_accounts() {
    let by = public_client("192.0.2.1");
    let mut said = Vec::new();
    for (number, ctx) in without_and_with_ann(true, &by).await.iter().enumerate() {
        let statement = [
            "SELECT COALESCE(MAX(tries), 0) FROM reset_of_nobody WHERE kind = 'reset-otp'",
            "SELECT COALESCE(MAX(tries), 0) FROM verification_code WHERE kind = 'reset-otp'",
        ][number];
        let mut steps = Vec::new();
        for _ in 0..3 {
            steps.push(format!("{:?}", ctx.accounts.send_otp(ANN, &by).await));
            for _ in 0..11 {
                let tried = ctx.accounts.verify_otp(ANN, "x", &by).await;
                steps.push(format!("{:?} {}", tried.map(drop), ctx.count(statement).await));
            }
        }
        said.push(steps);
    }
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0][..3], ["Ok(())", "Err(WrongCode) 9", "Err(WrongCode) 8"]);
    assert_eq!(
        said[0][10..14],
        [
            "Err(WrongCode) 0",
            "Err(WrongCode) 0",
            "Ok(())",
            "Err(WrongCode) 9"
        ]
    );
    assert!(said[0][35].starts_with("Err(TooMany"), "{}", said[0][35]);
}

/// Processes of one register know the resets of each other, and each knows those of before its start.
#[tokio::test]
async fn a_decoy_reset_survives_a_restart() {
    let by = public_client("192.0.2.1");
    let [ctx, _] = without_and_with_ann(false, &by).await;
    let token = ctx.reset_begun_for(ANN, &by).await;
    let other = ctx.reopened(cheap(), NODE).await;
    for (ctx, tries) in [(&ctx, 3), (&other, 2), (&ctx, 1)] {
        let said = ctx.said_of_reset(&token, &by).await;
        assert!(
            said.contains(&format!("tries: {tries}")) && said.contains("WrongCode"),
            "{said}"
        );
    }
    assert_eq!(other.said_of_reset(&token, &by).await, "Unknown");
}

/// As of an account, a thousand for one address, and ten thousand in all; and they end within the hour.
#[tokio::test]
async fn decoy_resets_are_bounded() {
    const ROWS: &str = "SELECT COUNT(*) FROM reset_of_nobody";
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let mut tokens = Vec::new();
    for number in 0..35 {
        let by = public_client(&format!("{}.0.113.5", 20 + number));
        ctx.use_up_answers(&by).await;
        for _ in 0..30 {
            tokens.push(ctx.reset_begun_for(ANN, &by).await);
            ctx.clock.advance_millis(1);
        }
    }
    assert_eq!(ctx.count(ROWS).await, 1000);
    for (token, is_open) in [(&tokens[49], false), (&tokens[50], true)] {
        let credential = ctx.credential(CredentialKind::PasswordForgot, token).await;
        assert_eq!(credential.is_ok(), is_open);
    }

    let others = "INSERT INTO reset_of_nobody WITH d (i) AS (SELECT 0 UNION SELECT 1 UNION SELECT 2 UNION SELECT 3
        UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)
        SELECT CONCAT('x', k.i, h.i, t.i, o.i), kind, auth_key, CONCAT('x', k.i, h.i, t.i, o.i), 3, expires, 0
        FROM d k, d h, d t, d o, (SELECT kind, auth_key, expires FROM reset_of_nobody ORDER BY expires LIMIT 1) one
        WHERE k.i * 1000 + h.i * 100 + t.i * 10 + o.i < 9050";
    ctx.write(others, vec![]).await;
    let by = public_client("192.0.2.1");
    ctx.use_up_answers(&by).await;
    let newest = ctx.reset_begun_for(BEA, &by).await;
    assert_eq!(ctx.count(ROWS).await, 10_000);
    assert!(
        ctx.credential(CredentialKind::PasswordForgot, &newest)
            .await
            .is_ok()
    );

    ctx.clock.advance_millis(3_600_000);
    ctx.accounts.purge(20_000, i64::MAX).await.unwrap();
    assert_eq!(ctx.count(ROWS).await, 0);
}

/// Addresses that have an account are no cheaper to find than those that have none.
#[tokio::test]
async fn answers_that_reveal_an_account_count_as_well() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    ctx.create(ANN).await;
    let client = public_client("192.0.2.1");
    let mut told = 0;
    for _ in 0..200 {
        let created = ctx.accounts.create(new_account(ANN), &client).await;
        told += u32::from(matches!(created, Err(SignUpError::Exists { .. })));
    }
    assert_eq!(told, 30);
    let unknown = new_account("unknown@example.org");
    let refused = ctx.accounts.create(unknown, &client).await;
    assert!(matches!(refused, Err(SignUpError::TooMany { .. })));
}

/// Of many that come at once no more are heard than one after the other, at whichever surface.
#[tokio::test]
async fn wrong_passwords_at_once_are_counted_before_they_are_tried() {
    for is_plain in [true, false] {
        let ctx = TestContext::new().await;
        ctx.create(ANN).await;
        let mut tries = tokio::task::JoinSet::new();
        for number in 0..60 {
            let (accounts, wrong) = (ctx.accounts.clone(), format!("wrong {number}"));
            tries.spawn(async move {
                let client = public_client("192.0.2.1");
                if is_plain {
                    let refused = accounts.verify_plain_password(ANN, &wrong, &client).await;
                    matches!(refused, Err(LegacyLoginError::WrongPassword { .. }))
                } else {
                    let refused = accounts.login(login(ANN, &wrong), &client).await;
                    matches!(refused, Err(SignInError::WrongPassword { .. }))
                }
            });
        }
        let outcomes = tries.join_all().await;
        let heard = outcomes.into_iter().filter(|is_heard| *is_heard);
        assert_eq!(heard.count(), 10, "{is_plain}");
    }
}

/// The repeated refusal of a wrong proof reveals nothing new, and an old password left in a program uses up no budget.
#[tokio::test]
async fn a_wrong_password_takes_as_long_for_an_unknown_name() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    ctx.create(ANN).await;
    let mut hashes = Vec::new();
    for address in [ANN, "unknown@example.org"] {
        let name = name_of(address).unwrap();
        let client = public_client("192.0.2.1");
        let before = ctx.accounts.hashes();
        ctx.accounts
            .login(login(address, "old"), &client)
            .await
            .unwrap_err();
        ctx.accounts.open_store(&name, "old", &client).await.unwrap_err();
        hashes.push(ctx.accounts.hashes() - before);
    }
    assert_eq!(hashes, [2, 2]);
}

#[tokio::test]
async fn a_wrong_proof_that_is_repeated_uses_up_no_answers() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    ctx.create(ANN).await;
    let client = public_client("192.0.2.1");
    for _ in 0..100 {
        let refused = ctx.accounts.login(login(ANN, "old"), &client).await;
        assert!(matches!(refused, Err(SignInError::WrongPassword { .. })));
    }
    let status = ctx
        .accounts
        .address_status("unknown@example.org", &client)
        .await
        .unwrap();
    assert!(!status.exists);
}

/// A right password costs its account: others go on.
#[tokio::test]
async fn sign_ins_of_one_account_are_limited() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.create(BEA).await;
    let mut let_in = 0;
    for number in 0..200 {
        let client = public_client(&format!("192.0.{number}.1"));
        let_in += u32::from(ctx.accounts.login(login(ANN, PASSWORD), &client).await.is_ok());
    }
    assert_eq!(let_in, 120);
    let client = public_client("198.51.100.1");
    ctx.accounts.login(login(BEA, PASSWORD), &client).await.unwrap();
    for number in 0..20 {
        let wrong = login(BEA, &format!("wrong {number}"));
        assert!(ctx.accounts.login(wrong, &client).await.is_err());
    }
    let elsewhere = public_client("203.0.113.1");
    ctx.accounts
        .login(login(BEA, PASSWORD), &elsewhere)
        .await
        .unwrap();
}

#[tokio::test]
async fn invitations_are_allowances_of_their_own() {
    let ctx = TestContext::with_policy(SignUp::Invite).await;
    let office = public_client("192.0.2.1");
    for number in 0..40 {
        let invite = ctx.accounts.invite(Role::Member, "", None).await.unwrap();
        let mut new = new_account(&format!("member{number}@example.org"));
        new.invite = Some(invite);
        ctx.accounts.create(new, &office).await.unwrap();
    }
    let invite = ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    let mut told = 0;
    for number in 0..40 {
        let mut new = new_account(&format!("member{number}@example.org"));
        new.invite = Some(invite.clone());
        let refused = ctx.accounts.create(new, &office).await;
        told += u32::from(matches!(refused, Err(SignUpError::Exists { .. })));
    }
    assert_eq!(told, 30, "an invitation does not tell who is here without end");
}

/// Where a proxy names no client, or a company has one address, many stand behind it.
#[tokio::test]
async fn private_networks_have_ten_times_as_much() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    for (address, most) in [
        ("192.0.2.1", 30),
        ("10.1.2.3", 300),
        ("127.0.0.1", 300),
        ("fd00::1", 300),
    ] {
        let mut told = 0;
        for number in 0..400 {
            let name = format!("unknown{number}@example.org");
            let status = ctx
                .accounts
                .address_status(&name, &public_client(address))
                .await
                .unwrap();
            told += u32::from(!status.exists);
        }
        assert_eq!(told, most, "{address}");
    }
}

/// An address and its hashed name count together, whether or not an account has them.
#[tokio::test]
async fn names_of_one_account_do_not_reveal_it() {
    let ctx = TestContext::new().await;
    ctx.create("known@example.org").await;
    for address in ["known@example.org", "unknown@example.org"] {
        let client = public_client("192.0.2.1");
        let name = foxden_accounts::legacy::name_of(address).unwrap();
        for number in 0..5 {
            let wrong = login(address, &format!("a{number}"));
            assert!(ctx.accounts.login(wrong, &client).await.is_err());
            let refused = ctx
                .accounts
                .verify_plain_password(&name, &format!("b{number}"), &client)
                .await;
            assert!(
                !matches!(refused, Err(LegacyLoginError::TooMany { .. })),
                "{address} {number}"
            );
        }
        let refused = ctx.accounts.verify_plain_password(&name, "c", &client).await;
        assert!(
            matches!(refused, Err(LegacyLoginError::TooMany { .. })),
            "{address}"
        );
    }
}

/// The hashed name of an address by the rule of clients.
fn client_form(address: &str) -> String {
    let hash = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        address.to_lowercase().as_bytes(),
    );
    BASE32_NOPAD.encode(hash.as_ref()).to_lowercase()
}

/// Whichever names an account has, or two forms of one: tries at one leave of another what they leave where no account is.
#[tokio::test]
async fn tries_at_two_names_do_not_reveal_accounts() {
    let mut told = Vec::new();
    for is_known in [true, false] {
        let ctx = TestContext::new().await;
        let names = ["tést@exämple.com", "TÉST@exämple.com", "annie", "old@example.org"].map(str::to_owned);
        let [address, shouted, chosen, former] = names;
        if is_known {
            let new = NewLegacyAccount {
                name: &chosen,
                address: &former,
                password: PASSWORD,
                is_authorised: false,
            };
            ctx.accounts.create_legacy(new, &local_client()).await.unwrap();
            ctx.accounts
                .change_address(&chosen, PASSWORD, &address, &local_client())
                .await
                .unwrap();
            ctx.accounts
                .verify_plain_password(&client_form(&address), PASSWORD, &local_client())
                .await
                .unwrap();
        }
        let server_form = name_of(&address).unwrap();
        let forms = [
            server_form,
            client_form(&address),
            address,
            shouted,
            chosen,
            former,
        ];
        for (number, first) in forms.iter().enumerate() {
            for (other, second) in forms.iter().enumerate() {
                let client = public_client(&format!("198.{}.{other}.1", 20 + number));
                for number in 0..10 {
                    let refused = ctx
                        .accounts
                        .verify_plain_password(first, &format!("wrong {number}"), &client)
                        .await;
                    assert!(
                        !matches!(refused, Err(LegacyLoginError::TooMany { .. })),
                        "{first} {number}"
                    );
                }
                let refused = ctx
                    .accounts
                    .verify_plain_password(second, "the eleventh", &client)
                    .await;
                let is_heard = !matches!(refused, Err(LegacyLoginError::TooMany { .. }));
                told.push((is_heard, first.clone(), second.clone()));
            }
        }
    }
    let (of_known, of_nobody) = told.split_at(told.len() / 2);
    assert_eq!(of_known, of_nobody);
}
