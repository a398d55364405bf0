//! How often things may be tried.

use foxden_accounts::{
    CredentialKind, FollowUp, LegacyResetError, LimitError, NewPassword, NodeLookup, PasswordError,
    ResetRequestError, Role, SignInError, SignUp, SignUpError, TokenId, TooMany, Unavailable, WrapKb,
};
use std::future::poll_fn;
use std::task::Poll;

use crate::context::{
    ANN, BEA, PASSWORD, TestContext, auth_pw, cheap, local_client, login, new_account, public_client,
    session_id,
};

#[tokio::test]
async fn after_ten_wrong_passwords_even_the_right_one_waits() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.create(BEA).await;
    for number in 0..10 {
        assert!(matches!(
            ctx.login(ANN, &format!("wrong {number}")).await,
            Err(SignInError::WrongPassword { .. })
        ));
    }
    let refused = ctx.login(ANN, PASSWORD).await;
    assert!(matches!(
        refused,
        Err(SignInError::TooMany(TooMany { retry_after: 990 }))
    ));
    ctx.login(BEA, PASSWORD).await.unwrap();
    ctx.accounts
        .login(login(ANN, PASSWORD), &public_client("192.0.2.1"))
        .await
        .unwrap();
    ctx.clock.advance_millis(990_000);
    ctx.login(ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn right_passwords_are_not_counted() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    for _ in 0..30 {
        ctx.login(ANN, PASSWORD).await.unwrap();
    }
}

#[tokio::test]
async fn a_network_creates_five_accounts_an_hour() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let client = public_client("192.0.2.1");
    for number in 0..5 {
        let new = new_account(&format!("ann{number}@example.org"));
        ctx.accounts.create(new, &client).await.unwrap();
    }
    let refused = ctx.accounts.create(new_account(ANN), &client).await;
    assert!(matches!(refused, Err(SignUpError::TooMany { .. })));
    ctx.accounts
        .create(new_account(BEA), &public_client("198.51.100.1"))
        .await
        .unwrap();
    // A fifth of an hour more than an hour: what was spent fades.
    ctx.clock.advance_millis(72 * 60_000);
    ctx.accounts.create(new_account(ANN), &client).await.unwrap();
}

#[tokio::test]
async fn guessing_codes_and_asking_for_addresses_ends() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let client = public_client("192.0.2.1");
    for _ in 0..30 {
        assert!(matches!(
            ctx.accounts.open_password_link("guess", &client).await,
            Err(PasswordError::ExpiredCode)
        ));
        ctx.accounts.address_status(ANN, &client).await.unwrap();
    }
    let guessed = ctx.accounts.open_password_link("guess", &client).await;
    assert!(matches!(guessed, Err(PasswordError::TooMany { .. })));
    let result = ctx.accounts.address_status(ANN, &client).await.unwrap();
    assert!(result.exists, "the same is told of every name");
    assert!(ctx.accounts.invite(Role::Member, "", None).await.is_ok());
}

/// A client that asks for unknown names is soon told nothing at all, by whichever surface.
#[tokio::test]
async fn names_are_not_looked_for_without_end() {
    const CODE: &str = "AAAA-BBBB-CCCC-DDDD";
    let ctx = TestContext::with_policy(SignUp::Closed).await;
    ctx.accounts.add_account(ANN, Role::Member).await.unwrap();
    let client = public_client("192.0.2.1");
    for number in 0..10 {
        let name = format!("unknown{number}");
        let node = ctx.accounts.node_of(&name, &client).await.unwrap();
        assert_eq!(node, NodeLookup::Unknown);
        let result = ctx.accounts.request_legacy_reset(&name, &client).await;
        assert!(matches!(result, Err(ResetRequestError::UnknownAccount { .. })));
        let tried = ctx.accounts.check_legacy_reset(&name, CODE, &client).await;
        assert!(matches!(tried, Err(LegacyResetError::UnknownAccount { .. })));
    }
    for name in [ANN, "unknown"] {
        let node = ctx.accounts.node_of(name, &client).await.unwrap();
        assert!(matches!(node, NodeLookup::At(_)), "{name}: there is but one");
        let result = ctx.accounts.request_legacy_reset(name, &client).await;
        assert!(matches!(result, Err(ResetRequestError::TooMany { .. })), "{name}");
        let tried = ctx.accounts.check_legacy_reset(name, CODE, &client).await;
        assert!(matches!(tried, Err(LegacyResetError::TooMany { .. })), "{name}");
    }
    assert!(
        ctx.accounts.is_name_taken("unknown", &client).await.unwrap(),
        "where each name is taken, nothing is learned and nothing counted"
    );
    let elsewhere = public_client("198.51.100.1");
    ctx.accounts.node_of(ANN, &elsewhere).await.unwrap();
}

/// Requests from this machine alone have much higher limits: setting up a server, or testing one, takes many. They do have
/// limits, since a proxy that hides itself looks the same.
#[tokio::test]
async fn visitors_of_the_machine_itself_have_more() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    for number in 0..300 {
        let name = format!("unknown{number}@example.org");
        for _ in 0..10 {
            assert!(!ctx.accounts.is_name_taken(&name, &local_client()).await.unwrap());
        }
        let guessed = ctx.accounts.open_password_link("guess", &local_client()).await;
        assert!(matches!(guessed, Err(PasswordError::ExpiredCode)));
    }
    let result = ctx.accounts.is_name_taken("a@example.org", &local_client()).await;
    assert!(matches!(result, Err(LimitError::TooMany { .. })));
    let guessed = ctx.accounts.open_password_link("guess", &local_client()).await;
    assert!(matches!(guessed, Err(PasswordError::TooMany { .. })));
}

/// Guesses at the operator's word have an end, as those at codes have; then the right one is not heard either.
#[tokio::test]
async fn the_operators_word_is_not_guessed_without_end() {
    let ctx = TestContext::new().await;
    let client = public_client("192.0.2.1");
    assert!(ctx.accounts.take_admin_secret(|| true, &client).unwrap());
    for _ in 0..30 {
        assert!(!ctx.accounts.take_admin_secret(|| false, &client).unwrap());
    }
    for is_right in [false, true] {
        let late = ctx.accounts.take_admin_secret(|| is_right, &client);
        assert!(matches!(late, Err(TooMany { .. })));
    }
}

/// It is not even compared where the network has used up its guesses.
#[tokio::test]
async fn the_operators_word_is_counted_before_it_is_compared() {
    let ctx = TestContext::new().await;
    let client = public_client("192.0.2.1");
    let mut compared = 0;
    for _ in 0..100 {
        let word = || {
            compared += 1;
            false
        };
        let _ = ctx.accounts.take_admin_secret(word, &client);
    }
    assert_eq!(compared, 30);
}

/// The number of counters is bounded, so a counter for each address in a request would displace those that count wrong
/// passwords.
#[tokio::test]
async fn resets_of_many_addresses_do_not_wash_wrong_passwords_away() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let client = public_client("192.0.2.1");
    for number in 0..10 {
        let wrong = ctx
            .accounts
            .login(login(ANN, &format!("wrong {number}")), &client)
            .await;
        assert!(matches!(wrong, Err(SignInError::WrongPassword { .. })));
    }
    for number in 0..20_000_u32 {
        let address = format!("unknown{number}@example.org");
        let by = std::net::Ipv4Addr::from_bits(0x0b00_0000 + number / 30 * 256);
        let told = ctx
            .accounts
            .start_reset(&address, &public_client(&by.to_string()))
            .await;
        assert!(
            matches!(told, Err(PasswordError::UnknownAccount { .. })),
            "{number}"
        );
    }
    let refused = ctx.accounts.login(login(ANN, PASSWORD), &client).await;
    assert!(matches!(refused, Err(SignInError::TooMany { .. })));
}

#[tokio::test]
async fn a_sign_in_beyond_the_queue_is_refused_as_busy() {
    let mut options = cheap();
    options.parallel_hashes = Some(1);
    let ctx = TestContext::with(options).await;
    ctx.create(ANN).await;
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..140 {
        let name = format!("member{number}@example.org");
        ctx.create(&name).await;
        let (accounts, client) = (ctx.accounts.clone(), public_client(&format!("198.51.{number}.1")));
        waiting.spawn(async move { accounts.login(login(&name, PASSWORD), &client).await.map(drop) });
    }
    let (mut served, mut busy) = (0, 0);
    for outcome in waiting.join_all().await {
        match outcome {
            Ok(()) => served += 1,
            Err(SignInError::Unavailable(Unavailable::Busy)) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(served + busy, 140);
    assert!(served >= 65, "those in the queue are served: {served}");
    ctx.login(ANN, PASSWORD).await.unwrap();
}

impl TestContext {
    /// Brings a password and hangs up as soon as it is hashed; comes back when that hash is done.
    async fn hang_up<T>(&self, asking: impl Future<Output = T>) {
        let before = self.accounts.hashes();
        let mut asking = Box::pin(asking);
        let until_hashed = poll_fn(|context| {
            let is_over = asking.as_mut().poll(context).is_ready();
            if is_over || self.accounts.hashes() > before {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        until_hashed.await;
        drop(asking);
        // There is one turn, and the next in line waits for the hash under way.
        self.login(BEA, PASSWORD).await.unwrap();
    }

    /// One hash at once, and long enough to hang up in it.
    async fn one_turn() -> Self {
        let mut options = cheap();
        options.parallel_hashes = Some(1);
        options.cost.memory = 256;
        let ctx = Self::with(options).await;
        ctx.create(ANN).await;
        ctx.create(BEA).await;
        ctx
    }
}

/// Clients give up waiting when the server is slow; that makes their passwords no worse, and no better.
#[tokio::test]
async fn a_login_is_counted_even_if_the_client_disconnects() {
    let ctx = TestContext::one_turn().await;
    for _ in 0..10 {
        ctx.hang_up(ctx.login(ANN, PASSWORD)).await;
    }
    ctx.login(ANN, PASSWORD).await.unwrap();
    for number in 0..10 {
        let wrong = format!("wrong {number}");
        ctx.hang_up(ctx.login(ANN, &wrong)).await;
    }
    let refused = ctx.login(ANN, PASSWORD).await;
    assert!(matches!(refused, Err(SignInError::TooMany { .. })));
}

/// A slow server that is asked again and again by those who gave up waiting must come forward nevertheless.
#[tokio::test]
async fn a_plain_password_is_remembered_for_a_client_that_hung_up() {
    let ctx = TestContext::one_turn().await;
    for password in [PASSWORD, "wrong"] {
        ctx.hang_up(ctx.accounts.open_store(ANN, password, &local_client()))
            .await;
        let before = ctx.accounts.hashes();
        let opened = ctx.accounts.open_store(ANN, password, &local_client()).await;
        assert_eq!(opened.is_ok(), password == PASSWORD);
        assert_eq!(ctx.accounts.hashes(), before, "{password}");
    }
}

#[tokio::test]
async fn an_account_keeps_five_hundred_of_each_and_the_oldest_make_room() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    ctx.clock.tick();
    let mut current = ctx.session(&ctx.login(ANN, PASSWORD).await.unwrap()).await;
    let first = ctx.access_token(&current).await;
    for _ in 0..505 {
        ctx.clock.tick();
        ctx.code(&current).await;
        ctx.access_token(&current).await;
    }
    assert_eq!(ctx.count("SELECT COUNT(*) FROM oauth_code").await, 500);
    assert_eq!(ctx.count("SELECT COUNT(*) FROM access_token").await, 500);
    assert!(ctx.accounts.access(&first).await.is_err());
    for _ in 0..505 {
        ctx.clock.tick();
        let copy = ctx.accounts.duplicate_session(&current, &local_client()).await;
        current = ctx.session(&copy.unwrap()).await;
    }
    assert_eq!(ctx.count("SELECT COUNT(*) FROM session").await, 500);
    assert!(ctx.accounts.session(&session_id(&created)).await.is_err());
}

/// A ticket stays good while what follows fails, so each new password that it brings counts as a sign-in of the account.
#[tokio::test]
async fn hashes_of_failing_changes_are_limited() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let client = public_client("192.0.2.1");
    let old = auth_pw(ANN, PASSWORD);
    let started = ctx.accounts.start_password_change(None, ANN, &old, &client).await;
    let credential = ctx
        .credential(
            CredentialKind::PasswordChange,
            &started.unwrap().password_change_token,
        )
        .await
        .unwrap();
    let before = ctx.accounts.hashes();
    let no_session = TokenId([7; 32]);
    let mut is_refused = false;
    for _ in 0..130 {
        let new = NewPassword {
            auth_pw: auth_pw(ANN, "another horse"),
            wrap_kb: Some(WrapKb([7; 32])),
            then: FollowUp::Nothing,
        };
        let done = ctx
            .accounts
            .finish_password_change(&credential, new, Some(&no_session), &client)
            .await;
        match done {
            Err(PasswordError::UnknownToken) => assert!(!is_refused),
            Err(PasswordError::TooMany { .. }) => is_refused = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(is_refused);
    assert_eq!(
        ctx.accounts.hashes() - before,
        119,
        "the first was to begin the change"
    );
}
