//! Tests with a wrong wall clock. Decision record 0018 has the table; each test here is a row of it.

use foxden_accounts::{
    CredentialKind, DeviceOwner, DevicePatch, Invocation, NewAccount, OAuthError, OLDSYNC, Options,
    RetryDecision, Role, SignInError, TooMany,
};
use foxden_model::Clock;
use foxden_sql::values;

use crate::context::{
    ANN, BEA, DESKTOP, PASSWORD, START, TestContext, auth_pw, cheap, local_client, login, new_account,
};
use crate::password::{change, reset};

const NEW: &str = "another one";

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How far ahead the clock was while something was made.
const AHEAD: [i64; 3] = [10 * MINUTE, 2 * HOUR, 400 * DAY];

/// A clock that was ahead while an account was made does not keep its owner from its keys once it is put right.
#[tokio::test]
async fn an_account_made_ahead_of_the_clock_opens_its_store() {
    for ahead in AHEAD {
        let ctx = TestContext::new().await;
        ctx.clock.set_millis(START + ahead);
        let created = ctx.create(ANN).await;
        let before = ctx.firefox(ANN, PASSWORD).await;
        ctx.clock.set_millis(START);

        let found = ctx.firefox(ANN, PASSWORD).await;
        assert_eq!(found, before, "{ahead} ms ahead");
        // The session of then is as good as before.
        let session = ctx.session(&created).await;
        let keys = ctx.accounts.scoped_key_data(&session, DESKTOP, OLDSYNC).await;
        assert!(keys.is_ok(), "{ahead} ms ahead: {keys:?}");
        let again = ctx
            .accounts
            .reauth(&session, login(ANN, PASSWORD), &local_client())
            .await;
        assert!(again.unwrap().auth_at * 1000 >= START);
        let session = ctx.session(&created).await;
        let keys = ctx.accounts.scoped_key_data(&session, DESKTOP, OLDSYNC).await;
        assert!(keys.is_ok(), "{ahead} ms ahead, proven again: {keys:?}");
    }
}

/// A session that a release before left older than its account's key gets the key once the password is proven again.
#[tokio::test]
async fn a_session_that_is_older_than_the_key_heals_by_the_next_proof() {
    let ctx = TestContext::new().await;
    ctx.clock.set_millis(START + 400 * DAY);
    let created = ctx.create(ANN).await;
    ctx.clock.set_millis(START);
    ctx.write("UPDATE session SET auth_at = ?", values![START / 1000])
        .await;
    let session = ctx.session(&created).await;
    let refused = ctx.accounts.scoped_key_data(&session, DESKTOP, OLDSYNC).await;
    assert!(matches!(refused, Err(OAuthError::StaleSession { .. })));

    let proven = ctx
        .accounts
        .reauth(&session, login(ANN, PASSWORD), &local_client())
        .await;
    assert_eq!(proven.unwrap().auth_at, (START + 400 * DAY) / 1000);

    let session = ctx.session(&created).await;
    ctx.accounts
        .scoped_key_data(&session, DESKTOP, OLDSYNC)
        .await
        .unwrap();
}

/// Another password, or one that is reset, opens the store after the clock was put right: made ahead, or afterwards.
#[tokio::test]
async fn a_password_set_ahead_of_the_clock_opens_its_store() {
    for ahead in AHEAD {
        for set_ahead in [true, false] {
            let ctx = TestContext::new().await;
            ctx.clock.set_millis(START + ahead);
            ctx.create(ANN).await;
            let before = ctx.firefox(ANN, PASSWORD).await;
            ctx.clock
                .set_millis(if set_ahead { START + ahead } else { START });
            change(&ctx, ANN, PASSWORD, NEW).await;
            ctx.clock.set_millis(START);
            let changed = ctx.firefox(ANN, NEW).await;
            assert_eq!(changed, before, "{ahead} ms ahead, set ahead: {set_ahead}");

            ctx.clock
                .set_millis(if set_ahead { START + ahead } else { START });
            reset(&ctx, ANN, auth_pw(ANN, PASSWORD)).await;
            ctx.clock.set_millis(START);
            let reset = ctx.firefox(ANN, PASSWORD).await;
            assert_ne!(reset.store, before.store, "a new key means a fresh store");
            assert_eq!(ctx.firefox(ANN, PASSWORD).await, reset);
        }
    }
}

/// A clock that is behind at the start, as on a machine without a battery, and is put right later.
#[tokio::test]
async fn an_account_made_behind_the_clock_opens_its_store() {
    for behind in [START - DAY, 365 * DAY] {
        let ctx = TestContext::new().await;
        ctx.clock.set_millis(START - behind);
        ctx.create(ANN).await;
        let before = ctx.firefox(ANN, PASSWORD).await;
        change(&ctx, ANN, PASSWORD, NEW).await;
        ctx.clock.set_millis(START);
        assert_eq!(ctx.firefox(ANN, NEW).await, before);
        change(&ctx, ANN, NEW, PASSWORD).await;
        // It is behind again at the next start.
        ctx.clock.set_millis(START - behind);
        assert_eq!(ctx.firefox(ANN, PASSWORD).await, before);
        change(&ctx, ANN, PASSWORD, NEW).await;
        assert_eq!(ctx.firefox(ANN, NEW).await, before);
    }
}

/// How a clock is wrong while something is made, and whether that is still good once it is put right.
const MADE: [(i64, bool); 5] = [
    (10 * MINUTE, true),
    (400 * DAY, false),
    (2 * 365 * DAY, false),
    (-10 * MINUTE, true),
    (0, true),
];

/// Sets the clock that far from the right time, and right.
impl TestContext {
    fn off_by(&self, millis: i64) {
        let elapsed = self.clock.steady_millis();
        self.clock.set_millis(START + elapsed + millis);
    }
}

/// Codes that wait: one that a clock far ahead has made is good no more, and asking again brings another one.
#[tokio::test]
async fn codes_made_ahead_of_the_clock_do_not_last_for_ever() {
    for (off, good) in MADE {
        let ctx = TestContext::new().await;
        let account = ctx.create(ANN).await.account;
        ctx.off_by(off);
        ctx.accounts.start_reset(ANN, &local_client()).await.unwrap();
        ctx.accounts
            .request_legacy_reset(ANN, &local_client())
            .await
            .unwrap();
        assert_eq!(ctx.accounts.pending_codes(ANN).await.unwrap().len(), 2);
        ctx.off_by(0);
        let waiting = ctx.accounts.pending_codes(ANN).await.unwrap();
        assert_eq!(waiting.len(), if good { 2 } else { 0 }, "{off}");
        ctx.accounts.cancel_legacy_reset(account).await.unwrap();
        reset(&ctx, ANN, auth_pw(ANN, NEW)).await;
        ctx.firefox(ANN, NEW).await;
    }
}

/// A code that waits when the machine starts with its clock behind is good again once the clock is put right.
#[tokio::test]
async fn codes_are_none_the_worse_for_a_clock_that_is_behind_for_a_while() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.accounts.start_reset(ANN, &local_client()).await.unwrap();
    let link = ctx.accounts.password_link(ANN).await.unwrap();
    let invited = ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    let before = ctx.accounts.pending_codes(ANN).await.unwrap();
    for behind in [START - DAY, 365 * DAY] {
        ctx.off_by(-behind);
        ctx.accounts.purge(100, i64::MAX).await.unwrap();
        assert!(ctx.accounts.pending_codes(ANN).await.unwrap().is_empty());
        assert!(
            ctx.accounts
                .open_password_link(&link, &local_client())
                .await
                .is_err()
        );
        ctx.off_by(0);
        assert_eq!(ctx.accounts.pending_codes(ANN).await.unwrap(), before);
    }
    ctx.accounts
        .open_password_link(&link, &local_client())
        .await
        .unwrap();
    let new = NewAccount {
        invite: Some(invited),
        ..new_account(BEA)
    };
    ctx.accounts.create(new, &local_client()).await.unwrap();
}

/// Links that set a password, and invitations.
#[tokio::test]
async fn links_made_ahead_of_the_clock_do_not_last_for_ever() {
    for (off, good) in MADE {
        let ctx = TestContext::new().await;
        ctx.create(ANN).await;
        ctx.off_by(off);
        let link = ctx.accounts.password_link(ANN).await.unwrap();
        let invite = Some(ctx.accounts.invite(Role::Member, "", Some(60)).await.unwrap());
        ctx.off_by(0);
        let opened = ctx.accounts.open_password_link(&link, &local_client()).await;
        assert_eq!(opened.is_ok(), good, "{off}: {opened:?}");
        let new = NewAccount {
            invite,
            ..new_account(BEA)
        };
        let made = ctx.accounts.create(new, &local_client()).await;
        // One minute is over before a clock that was behind is right.
        assert_eq!(made.is_ok(), good && off >= 0, "{off}: {made:?}");
    }
}

/// Tokens of one use, codes of OAuth, access tokens.
#[tokio::test]
async fn tokens_made_ahead_of_the_clock_do_not_last_for_ever() {
    for (off, good) in MADE {
        let ctx = TestContext::new().await;
        let session = ctx.session(&ctx.create(ANN).await).await;
        ctx.off_by(off);
        let key_fetch = ctx.login(ANN, PASSWORD).await.unwrap().key_fetch_token.unwrap();
        let code = ctx.code(&session).await;
        let access = ctx.access_token(&session).await;
        ctx.off_by(0);
        let credential = ctx.credential(CredentialKind::KeyFetch, &key_fetch).await;
        assert_eq!(credential.is_ok(), good, "{off}");
        let redeemed = ctx.redeem(Some(&session), &code).await;
        assert_eq!(redeemed.is_ok(), good, "{off}: {redeemed:?}");
        assert_eq!(ctx.accounts.access(&access).await.is_ok(), good, "{off}");
    }
}

/// A session that is used while the clock is behind does not seem abandoned when it is right again.
#[tokio::test]
async fn sessions_used_while_the_clock_is_behind_count_as_recent() {
    let ctx = TestContext::new().await;
    let signed_in = ctx.create(ANN).await;
    let session = ctx.session(&signed_in).await;
    let granted = ctx.redeem(None, &ctx.code(&session).await).await.unwrap();
    let refresh = granted.refresh_token.unwrap().to_hex();
    for behind in [START - DAY, 365 * DAY] {
        ctx.off_by(-behind);
        ctx.session(&signed_in).await;
        ctx.accounts.refresh_access(&refresh).await.unwrap();
        ctx.off_by(0);
        ctx.accounts.purge(100, i64::MAX).await.unwrap();
        ctx.session(&signed_in).await;
        ctx.accounts.refresh_access(&refresh).await.unwrap();
    }
}

/// Rows that were made while the clock was ahead are evicted before the row that is made now.
#[tokio::test]
async fn the_newest_is_never_evicted_for_rows_made_ahead_of_the_clock() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    ctx.off_by(400 * DAY);
    for _ in 0..499 {
        ctx.accounts
            .duplicate_session(&session, &local_client())
            .await
            .unwrap();
        ctx.access_token(&session).await;
        ctx.code(&session).await;
    }
    let ahead = ctx.login(ANN, PASSWORD).await.unwrap();
    ctx.off_by(0);
    let session = ctx.session(&ahead).await;
    let access = ctx.access_token(&session).await;
    ctx.accounts.access(&access).await.unwrap();
    let code = ctx.code(&session).await;
    let granted = ctx.redeem(Some(&session), &code).await.unwrap();
    ctx.accounts
        .refresh_access(&granted.refresh_token.unwrap().to_hex())
        .await
        .unwrap();
    ctx.firefox(ANN, PASSWORD).await;
    assert_eq!(ctx.count("SELECT COUNT(*) FROM session").await, 500);
}

/// Clearing up goes by the time that it is told, where that is earlier than the clock's: a clock that is ahead for a while
/// costs no session, a code or a mail.
#[tokio::test]
async fn clearing_up_ahead_of_the_clock_takes_nothing_away() {
    let ctx = TestContext::with(Options {
        sends_mail: true,
        ..cheap()
    })
    .await;
    let signed_in = ctx.create(ANN).await;
    let session = ctx.session(&signed_in).await;
    let granted = ctx.redeem(None, &ctx.code(&session).await).await.unwrap();
    ctx.accounts.start_reset(ANN, &local_client()).await.unwrap();
    ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    ctx.accounts.password_link(ANN).await.unwrap();
    let everything = "SELECT (SELECT COUNT(*) FROM session) + (SELECT COUNT(*) FROM refresh_token)
        + (SELECT COUNT(*) FROM access_token) + (SELECT COUNT(*) FROM token) + (SELECT COUNT(*) FROM oauth_code)
        + (SELECT COUNT(*) FROM verification_code) + (SELECT COUNT(*) FROM invitation)
        + (SELECT COUNT(*) FROM password_link) + (SELECT COUNT(*) FROM outbox)
        + (SELECT COUNT(*) FROM credential_change)";
    let before = ctx.count(everything).await;

    ctx.off_by(400 * DAY);
    assert_eq!(ctx.accounts.purge(100, START).await.unwrap(), 0);
    ctx.off_by(0);

    assert_eq!(ctx.count(everything).await, before);
    ctx.session(&signed_in).await;
    ctx.accounts
        .refresh_access(&granted.refresh_token.unwrap().to_hex())
        .await
        .unwrap();
    assert_eq!(ctx.accounts.pending_codes(ANN).await.unwrap().len(), 1);
    assert!(ctx.accounts.take_mail().await.unwrap().is_some());
}

/// An account that was removed while the clock was ahead is emptied at once all the same, and once more when the last token
/// that could have been given out since has ended.
#[tokio::test]
async fn stores_closed_ahead_of_the_clock_are_emptied_soon() {
    for off in [400 * DAY, 2 * HOUR, -365 * DAY, DAY - START] {
        let ctx = TestContext::new().await;
        ctx.off_by(off);
        ctx.create(ANN).await;
        let store = ctx.firefox(ANN, PASSWORD).await.store;
        ctx.accounts.remove_account(ANN).await.unwrap();
        ctx.off_by(0);
        assert_eq!(ctx.due().await, [store], "{off}");
        ctx.accounts.store_emptied(store).await.unwrap();
        assert!(ctx.due().await.is_empty(), "{off}");
        ctx.clock.advance_millis(2 * HOUR);
        // A store that the clock closed long ago is removed; another one is due again, and is no longer refused too early.
        let is_ahead = off > 0;
        assert_eq!(ctx.due().await.is_empty(), !is_ahead, "{off}");
        assert_eq!(
            ctx.accounts.closed_stores().await.unwrap().is_empty(),
            !is_ahead,
            "{off}"
        );
    }
}

/// A store that could not be emptied while the clock was ahead is tried again soon after it was put right.
#[tokio::test]
async fn a_node_that_was_away_ahead_of_the_clock_is_asked_again() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let store = ctx.firefox(ANN, PASSWORD).await.store;
    ctx.accounts.remove_account(ANN).await.unwrap();
    ctx.off_by(400 * DAY);
    ctx.accounts.store_not_emptied(store).await.unwrap();
    assert!(ctx.due().await.is_empty());
    ctx.off_by(0);
    assert_eq!(ctx.due().await, [store]);
}

/// A mail that was put off, or written, while the clock was ahead is tried soon, and not for ever.
#[tokio::test]
async fn mails_deferred_ahead_of_the_clock_are_tried_again() {
    let ctx = TestContext::with(Options {
        sends_mail: true,
        ..cheap()
    })
    .await;
    ctx.off_by(400 * DAY);
    ctx.accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
    let mail = ctx.accounts.take_mail().await.unwrap().unwrap();
    assert!(matches!(
        ctx.accounts.defer_mail(&mail).await.unwrap(),
        RetryDecision::Retry { .. }
    ));
    assert!(ctx.accounts.take_mail().await.unwrap().is_none());
    ctx.off_by(0);
    let mut tries = 1;
    loop {
        tries += 1;
        let mail = ctx.accounts.take_mail().await.unwrap().unwrap();
        assert_eq!(mail.tries, tries);
        match ctx.accounts.defer_mail(&mail).await.unwrap() {
            RetryDecision::Retry { pause, .. } => ctx.clock.advance_millis(pause),
            RetryDecision::GiveUp => break,
        }
    }
    assert_eq!(tries, 100);
    assert_eq!(ctx.count("SELECT COUNT(*) FROM outbox").await, 0);
}

/// Clients fetch a profile anew when its time has risen.
#[tokio::test]
async fn the_time_of_a_profile_rises_whatever_the_clock_does() {
    let ctx = TestContext::new().await;
    let account = ctx.create(ANN).await.account;
    let mut last = ctx.accounts.profile(account).await.unwrap().changed_at;
    for off in [400 * DAY, 0, -365 * DAY, DAY - START, 0] {
        ctx.off_by(off);
        ctx.accounts
            .set_display_name(account, &off.to_string())
            .await
            .unwrap();
        let changed_at = ctx.accounts.profile(account).await.unwrap().changed_at;
        assert!(changed_at > last, "{off}");
        last = changed_at;
    }
}

/// A client that tried too often waits as long as it was told, to whatever time the clock is set.
#[tokio::test]
async fn a_clock_that_is_set_neither_ends_a_limit_nor_lengthens_one() {
    for off in [400 * DAY, -365 * DAY, DAY - START] {
        let ctx = TestContext::new().await;
        ctx.create(ANN).await;
        for number in 0..10 {
            ctx.login(ANN, &format!("wrong {number}")).await.unwrap_err();
        }
        ctx.off_by(off);
        let refused = ctx.login(ANN, PASSWORD).await;
        assert!(
            matches!(refused, Err(SignInError::TooMany(TooMany { retry_after: 990 }))),
            "{off}"
        );
        ctx.clock.advance_millis(990_000);
        ctx.login(ANN, PASSWORD).await.unwrap();
    }
}

/// The store in use stays the one in use, and one that is replaced stays replaced, whenever that was by the clock.
#[tokio::test]
async fn the_store_in_use_is_the_latest_whatever_the_clock_does() {
    let ctx = TestContext::new().await;
    ctx.off_by(400 * DAY);
    ctx.create(ANN).await;
    let mut before = ctx.firefox(ANN, PASSWORD).await;
    let old = ctx
        .accounts
        .open_store(ANN, PASSWORD, &local_client())
        .await
        .unwrap();
    for off in [0, -365 * DAY, DAY - START, 0, 400 * DAY, 0] {
        ctx.off_by(off);
        reset(&ctx, ANN, auth_pw(ANN, PASSWORD)).await;
        let now = ctx.firefox(ANN, PASSWORD).await;
        assert!(now.store > before.store, "{off}: a new key means a fresh store");
        assert_eq!(ctx.firefox(ANN, PASSWORD).await, now, "{off}");
        let found = ctx
            .accounts
            .open_store(ANN, PASSWORD, &local_client())
            .await
            .unwrap();
        assert_eq!(found.user, old.user, "{off}");
        before = now;
    }
    // None is emptied before a day has passed by the clock.
    ctx.accounts.purge(100, i64::MAX).await.unwrap();
    assert!(!ctx.due().await.contains(&before.store));
}

/// Commands for a device wait through a clock that is wrong for a while, and come in the order they were sent.
#[tokio::test]
async fn commands_wait_through_a_wrong_clock_in_their_order() {
    let ctx = TestContext::new().await;
    let one = ctx.session(&ctx.create(ANN).await).await;
    let other = ctx.session(&ctx.login(ANN, PASSWORD).await.unwrap()).await;
    let command = "https://identity.mozilla.com/cmd/open-uri";
    let patch = DevicePatch {
        commands: Some([(command.to_owned(), "{}".to_owned())].into()),
        ..DevicePatch::default()
    };
    let owner = DeviceOwner::Session(&other);
    let target = ctx.accounts.register_device(owner, patch).await.unwrap().id;
    for (at, off) in [400 * DAY, 0, -365 * DAY].into_iter().enumerate() {
        ctx.off_by(off);
        let invocation = Invocation {
            target,
            command: command.to_owned(),
            payload: at.to_string(),
            ttl: None,
        };
        ctx.accounts
            .invoke(DeviceOwner::Session(&one), invocation)
            .await
            .unwrap();
    }
    // A browser without push that registered just now is left in peace for a moment.
    ctx.clock.advance_millis(5000);
    let sent = ctx.accounts.commands(owner, 0, None).await.unwrap().messages;
    let payloads: Vec<_> = sent.iter().map(|message| message.payload.as_str()).collect();
    assert_eq!(payloads, ["0", "1", "2"]);
}

/// A device without push that has just registered is left in peace for five seconds that pass, to whatever time the clock is
/// set.
#[tokio::test]
async fn a_clock_that_is_set_leaves_a_quiet_device_quiet_for_as_long() {
    for off in [400 * DAY, -365 * DAY, DAY - START] {
        let ctx = TestContext::new().await;
        let one = ctx.session(&ctx.create(ANN).await).await;
        let other = ctx.session(&ctx.login(ANN, PASSWORD).await.unwrap()).await;
        let command = "https://identity.mozilla.com/cmd/open-uri";
        let patch = DevicePatch {
            kind: Some("desktop".to_owned()),
            commands: Some([(command.to_owned(), "{}".to_owned())].into()),
            ..DevicePatch::default()
        };
        let owner = DeviceOwner::Session(&other);
        let target = ctx.accounts.register_device(owner, patch).await.unwrap().id;
        ctx.off_by(off);
        let invocation = Invocation {
            target,
            command: command.to_owned(),
            payload: "x".to_owned(),
            ttl: None,
        };
        ctx.accounts
            .invoke(DeviceOwner::Session(&one), invocation)
            .await
            .unwrap();
        let waiting = async || {
            ctx.accounts
                .commands(owner, 0, None)
                .await
                .unwrap()
                .messages
                .len()
        };
        assert_eq!(waiting().await, 0, "{off}");
        ctx.clock.advance_millis(5000);
        assert_eq!(waiting().await, 1, "{off}");
    }
}
