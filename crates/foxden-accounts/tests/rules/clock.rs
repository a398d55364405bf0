//! What holds whatever the server's clock does. The decision record 0018 has the table; each test here is a row of it.

use foxden_accounts::{
    DeviceOwner, DevicePatch, Fate, Invocation, Kind, NewAccount, OAuthError, OLDSYNC, Options, Role,
    SignInError, TooMany,
};
use foxden_model::Clock;
use foxden_sql::values;

use crate::lab::{ANN, BEA, DESKTOP, Lab, PASSWORD, START, at_home, cheap, login, new_account, proof};
use crate::password::{change, reset};

const NEW: &str = "another one";

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How far ahead the clock was while something was made.
const AHEAD: [i64; 3] = [10 * MINUTE, 2 * HOUR, 400 * DAY];

/// A clock that was ahead while an account was made keeps nobody from its keys once it is put right.
#[tokio::test]
async fn an_account_made_ahead_of_the_clock_opens_its_store() {
    for ahead in AHEAD {
        let lab = Lab::new().await;
        lab.clock.set_millis(START + ahead);
        let created = lab.create(ANN).await;
        let before = lab.firefox(ANN, PASSWORD).await;
        lab.clock.set_millis(START);

        let found = lab.firefox(ANN, PASSWORD).await;
        assert_eq!(found, before, "{ahead} ms ahead");
        // The session of then is as good as before.
        let session = lab.session(&created).await;
        let keys = lab.accounts.scoped_key_data(&session, DESKTOP, OLDSYNC).await;
        assert!(keys.is_ok(), "{ahead} ms ahead: {keys:?}");
        let again = lab
            .accounts
            .reauth(&session, login(ANN, PASSWORD), &at_home())
            .await;
        assert!(again.unwrap().auth_at * 1000 >= START);
        let session = lab.session(&created).await;
        let keys = lab.accounts.scoped_key_data(&session, DESKTOP, OLDSYNC).await;
        assert!(keys.is_ok(), "{ahead} ms ahead, proven again: {keys:?}");
    }
}

/// A session that a release before left older than its account's key gets the key once the password is proven again.
#[tokio::test]
async fn a_session_that_is_older_than_the_key_heals_by_the_next_proof() {
    let lab = Lab::new().await;
    lab.clock.set_millis(START + 400 * DAY);
    let created = lab.create(ANN).await;
    lab.clock.set_millis(START);
    lab.write("UPDATE session SET auth_at = ?", values![START / 1000])
        .await;
    let session = lab.session(&created).await;
    let refused = lab.accounts.scoped_key_data(&session, DESKTOP, OLDSYNC).await;
    assert!(matches!(refused, Err(OAuthError::StaleSession { .. })));

    let proven = lab
        .accounts
        .reauth(&session, login(ANN, PASSWORD), &at_home())
        .await;
    assert_eq!(proven.unwrap().auth_at, (START + 400 * DAY) / 1000);

    let session = lab.session(&created).await;
    lab.accounts
        .scoped_key_data(&session, DESKTOP, OLDSYNC)
        .await
        .unwrap();
}

/// Another password, or one that is reset, opens the store after the clock was put right: made ahead, or afterwards.
#[tokio::test]
async fn a_password_set_ahead_of_the_clock_opens_its_store() {
    for ahead in AHEAD {
        for set_ahead in [true, false] {
            let lab = Lab::new().await;
            lab.clock.set_millis(START + ahead);
            lab.create(ANN).await;
            let before = lab.firefox(ANN, PASSWORD).await;
            lab.clock
                .set_millis(if set_ahead { START + ahead } else { START });
            change(&lab, ANN, PASSWORD, NEW).await;
            lab.clock.set_millis(START);
            let changed = lab.firefox(ANN, NEW).await;
            assert_eq!(changed, before, "{ahead} ms ahead, set ahead: {set_ahead}");

            lab.clock
                .set_millis(if set_ahead { START + ahead } else { START });
            reset(&lab, ANN, proof(ANN, PASSWORD)).await;
            lab.clock.set_millis(START);
            let reset = lab.firefox(ANN, PASSWORD).await;
            assert_ne!(reset.store, before.store, "a new key means a fresh store");
            assert_eq!(lab.firefox(ANN, PASSWORD).await, reset);
        }
    }
}

/// A clock that is behind at the start, as on a machine without a battery, and is put right later.
#[tokio::test]
async fn an_account_made_behind_the_clock_opens_its_store() {
    for behind in [START - DAY, 365 * DAY] {
        let lab = Lab::new().await;
        lab.clock.set_millis(START - behind);
        lab.create(ANN).await;
        let before = lab.firefox(ANN, PASSWORD).await;
        change(&lab, ANN, PASSWORD, NEW).await;
        lab.clock.set_millis(START);
        assert_eq!(lab.firefox(ANN, NEW).await, before);
        change(&lab, ANN, NEW, PASSWORD).await;
        // It is behind again at the next start.
        lab.clock.set_millis(START - behind);
        assert_eq!(lab.firefox(ANN, PASSWORD).await, before);
        change(&lab, ANN, PASSWORD, NEW).await;
        assert_eq!(lab.firefox(ANN, NEW).await, before);
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
impl Lab {
    fn off_by(&self, millis: i64) {
        let elapsed = self.clock.steady_millis();
        self.clock.set_millis(START + elapsed + millis);
    }
}

/// Codes that wait: one that a clock far ahead has made is good no more, and asking again brings another one.
#[tokio::test]
async fn codes_made_ahead_of_the_clock_do_not_last_for_ever() {
    for (off, good) in MADE {
        let lab = Lab::new().await;
        let account = lab.create(ANN).await.account;
        lab.off_by(off);
        lab.accounts.forgot_password(ANN, &at_home()).await.unwrap();
        lab.accounts.request_plain_reset(ANN, &at_home()).await.unwrap();
        assert_eq!(lab.accounts.waiting_codes(ANN).await.unwrap().len(), 2);
        lab.off_by(0);
        let waiting = lab.accounts.waiting_codes(ANN).await.unwrap();
        assert_eq!(waiting.len(), if good { 2 } else { 0 }, "{off}");
        lab.accounts.drop_plain_reset(account).await.unwrap();
        reset(&lab, ANN, proof(ANN, NEW)).await;
        lab.firefox(ANN, NEW).await;
    }
}

/// A code that waits when the machine starts with its clock behind is good again once the clock is put right.
#[tokio::test]
async fn codes_are_none_the_worse_for_a_clock_that_is_behind_for_a_while() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.accounts.forgot_password(ANN, &at_home()).await.unwrap();
    let link = lab.accounts.password_link(ANN).await.unwrap();
    let invited = lab.accounts.invite(Role::Member, "", None).await.unwrap();
    let before = lab.accounts.waiting_codes(ANN).await.unwrap();
    for behind in [START - DAY, 365 * DAY] {
        lab.off_by(-behind);
        lab.accounts.purge(100, i64::MAX).await.unwrap();
        assert!(lab.accounts.waiting_codes(ANN).await.unwrap().is_empty());
        assert!(lab.accounts.open_password_link(&link, &at_home()).await.is_err());
        lab.off_by(0);
        assert_eq!(lab.accounts.waiting_codes(ANN).await.unwrap(), before);
    }
    lab.accounts.open_password_link(&link, &at_home()).await.unwrap();
    let new = NewAccount {
        invite: Some(invited),
        ..new_account(BEA)
    };
    lab.accounts.create(new, &at_home()).await.unwrap();
}

/// Links that set a password, and invitations.
#[tokio::test]
async fn links_made_ahead_of_the_clock_do_not_last_for_ever() {
    for (off, good) in MADE {
        let lab = Lab::new().await;
        lab.create(ANN).await;
        lab.off_by(off);
        let link = lab.accounts.password_link(ANN).await.unwrap();
        let invite = Some(lab.accounts.invite(Role::Member, "", Some(60)).await.unwrap());
        lab.off_by(0);
        let opened = lab.accounts.open_password_link(&link, &at_home()).await;
        assert_eq!(opened.is_ok(), good, "{off}: {opened:?}");
        let new = NewAccount {
            invite,
            ..new_account(BEA)
        };
        let made = lab.accounts.create(new, &at_home()).await;
        // One minute is over before a clock that was behind is right.
        assert_eq!(made.is_ok(), good && off >= 0, "{off}: {made:?}");
    }
}

/// Tokens of one use, codes of OAuth, access tokens.
#[tokio::test]
async fn tokens_made_ahead_of_the_clock_do_not_last_for_ever() {
    for (off, good) in MADE {
        let lab = Lab::new().await;
        let session = lab.session(&lab.create(ANN).await).await;
        lab.off_by(off);
        let key_fetch = lab.login(ANN, PASSWORD).await.unwrap().key_fetch_token.unwrap();
        let code = lab.code(&session).await;
        let access = lab.access_token(&session).await;
        lab.off_by(0);
        let ticket = lab.ticket(Kind::KeyFetch, &key_fetch).await;
        assert_eq!(ticket.is_ok(), good, "{off}");
        let redeemed = lab.redeem(Some(&session), &code).await;
        assert_eq!(redeemed.is_ok(), good, "{off}: {redeemed:?}");
        assert_eq!(lab.accounts.access(&access).await.is_ok(), good, "{off}");
    }
}

/// A session that is used while the clock is behind does not seem abandoned when it is right again.
#[tokio::test]
async fn what_is_used_behind_the_clock_is_not_taken_for_abandoned() {
    let lab = Lab::new().await;
    let signed_in = lab.create(ANN).await;
    let session = lab.session(&signed_in).await;
    let granted = lab.redeem(None, &lab.code(&session).await).await.unwrap();
    let refresh = granted.refresh_token.unwrap().to_hex();
    for behind in [START - DAY, 365 * DAY] {
        lab.off_by(-behind);
        lab.session(&signed_in).await;
        lab.accounts.refresh_access(&refresh).await.unwrap();
        lab.off_by(0);
        lab.accounts.purge(100, i64::MAX).await.unwrap();
        lab.session(&signed_in).await;
        lab.accounts.refresh_access(&refresh).await.unwrap();
    }
}

/// Whatever an account has of the time when the clock was ahead, what is made now is not the first to make room.
#[tokio::test]
async fn the_newest_never_makes_room_for_what_was_made_ahead_of_the_clock() {
    let lab = Lab::new().await;
    let session = lab.session(&lab.create(ANN).await).await;
    lab.off_by(400 * DAY);
    for _ in 0..499 {
        lab.accounts
            .duplicate_session(&session, &at_home())
            .await
            .unwrap();
        lab.access_token(&session).await;
        lab.code(&session).await;
    }
    let ahead = lab.login(ANN, PASSWORD).await.unwrap();
    lab.off_by(0);
    let session = lab.session(&ahead).await;
    let access = lab.access_token(&session).await;
    lab.accounts.access(&access).await.unwrap();
    let code = lab.code(&session).await;
    let granted = lab.redeem(Some(&session), &code).await.unwrap();
    lab.accounts
        .refresh_access(&granted.refresh_token.unwrap().to_hex())
        .await
        .unwrap();
    lab.firefox(ANN, PASSWORD).await;
    assert_eq!(lab.count("SELECT COUNT(*) FROM session").await, 500);
}

/// Clearing up goes by the time that it is told, where that is earlier than the clock's: a clock that is ahead for a while
/// costs nobody a session, a code or a letter.
#[tokio::test]
async fn clearing_up_ahead_of_the_clock_takes_nothing_away() {
    let lab = Lab::with(Options {
        sends_mail: true,
        ..cheap()
    })
    .await;
    let signed_in = lab.create(ANN).await;
    let session = lab.session(&signed_in).await;
    let granted = lab.redeem(None, &lab.code(&session).await).await.unwrap();
    lab.accounts.forgot_password(ANN, &at_home()).await.unwrap();
    lab.accounts.invite(Role::Member, "", None).await.unwrap();
    lab.accounts.password_link(ANN).await.unwrap();
    let everything = "SELECT (SELECT COUNT(*) FROM session) + (SELECT COUNT(*) FROM refresh_token)
        + (SELECT COUNT(*) FROM access_token) + (SELECT COUNT(*) FROM token) + (SELECT COUNT(*) FROM oauth_code)
        + (SELECT COUNT(*) FROM verification_code) + (SELECT COUNT(*) FROM invitation)
        + (SELECT COUNT(*) FROM password_link) + (SELECT COUNT(*) FROM outbox)
        + (SELECT COUNT(*) FROM credential_change)";
    let before = lab.count(everything).await;

    lab.off_by(400 * DAY);
    assert_eq!(lab.accounts.purge(100, START).await.unwrap(), 0);
    lab.off_by(0);

    assert_eq!(lab.count(everything).await, before);
    lab.session(&signed_in).await;
    lab.accounts
        .refresh_access(&granted.refresh_token.unwrap().to_hex())
        .await
        .unwrap();
    assert_eq!(lab.accounts.waiting_codes(ANN).await.unwrap().len(), 1);
    assert!(lab.accounts.take_letter().await.unwrap().is_some());
}

/// An account that was removed while the clock was ahead is emptied at once all the same, and once more when the last token
/// that could have been given out since has ended.
#[tokio::test]
async fn stores_closed_ahead_of_the_clock_are_emptied_soon() {
    for off in [400 * DAY, 2 * HOUR, -365 * DAY, DAY - START] {
        let lab = Lab::new().await;
        lab.off_by(off);
        lab.create(ANN).await;
        let store = lab.firefox(ANN, PASSWORD).await.store;
        lab.accounts.remove_account(ANN).await.unwrap();
        lab.off_by(0);
        assert_eq!(lab.due().await, [store], "{off}");
        lab.accounts.store_emptied(store).await.unwrap();
        assert!(lab.due().await.is_empty(), "{off}");
        lab.clock.advance_millis(2 * HOUR);
        // What was closed long ago by the clock is struck off; else it comes up again, and is no more refused too early.
        let is_ahead = off > 0;
        assert_eq!(lab.due().await.is_empty(), !is_ahead, "{off}");
        assert_eq!(
            lab.accounts.closed_stores().await.unwrap().is_empty(),
            !is_ahead,
            "{off}"
        );
    }
}

/// A store that could not be emptied while the clock was ahead is tried again soon after it was put right.
#[tokio::test]
async fn a_node_that_was_away_ahead_of_the_clock_is_asked_again() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let store = lab.firefox(ANN, PASSWORD).await.store;
    lab.accounts.remove_account(ANN).await.unwrap();
    lab.off_by(400 * DAY);
    lab.accounts.store_stayed(store).await.unwrap();
    assert!(lab.due().await.is_empty());
    lab.off_by(0);
    assert_eq!(lab.due().await, [store]);
}

/// A letter that was put off, or written, while the clock was ahead is tried soon, and not for ever.
#[tokio::test]
async fn letters_put_off_ahead_of_the_clock_are_tried_again() {
    let lab = Lab::with(Options {
        sends_mail: true,
        ..cheap()
    })
    .await;
    lab.off_by(400 * DAY);
    lab.accounts
        .invite_by_mail(Role::Member, "", None, BEA)
        .await
        .unwrap();
    let letter = lab.accounts.take_letter().await.unwrap().unwrap();
    assert!(matches!(
        lab.accounts.letter_failed(&letter).await.unwrap(),
        Fate::TriedAgain { .. }
    ));
    assert!(lab.accounts.take_letter().await.unwrap().is_none());
    lab.off_by(0);
    let mut tries = 1;
    loop {
        tries += 1;
        let letter = lab.accounts.take_letter().await.unwrap().unwrap();
        assert_eq!(letter.tries, tries);
        match lab.accounts.letter_failed(&letter).await.unwrap() {
            Fate::TriedAgain { pause, .. } => lab.clock.advance_millis(pause),
            Fate::GivenUp => break,
        }
    }
    assert_eq!(tries, 100);
    assert_eq!(lab.count("SELECT COUNT(*) FROM outbox").await, 0);
}

/// Clients fetch a profile anew when its time has risen.
#[tokio::test]
async fn the_time_of_a_profile_rises_whatever_the_clock_does() {
    let lab = Lab::new().await;
    let account = lab.create(ANN).await.account;
    let mut last = lab.accounts.profile(account).await.unwrap().changed_at;
    for off in [400 * DAY, 0, -365 * DAY, DAY - START, 0] {
        lab.off_by(off);
        lab.accounts
            .set_display_name(account, &off.to_string())
            .await
            .unwrap();
        let changed_at = lab.accounts.profile(account).await.unwrap().changed_at;
        assert!(changed_at > last, "{off}");
        last = changed_at;
    }
}

/// Whoever tried too often waits as long as was said, to whatever time the clock is set.
#[tokio::test]
async fn a_clock_that_is_set_neither_ends_a_limit_nor_lengthens_one() {
    for off in [400 * DAY, -365 * DAY, DAY - START] {
        let lab = Lab::new().await;
        lab.create(ANN).await;
        for number in 0..10 {
            lab.login(ANN, &format!("wrong {number}")).await.unwrap_err();
        }
        lab.off_by(off);
        let refused = lab.login(ANN, PASSWORD).await;
        assert!(
            matches!(refused, Err(SignInError::TooMany(TooMany { retry_after: 990 }))),
            "{off}"
        );
        lab.clock.advance_millis(990_000);
        lab.login(ANN, PASSWORD).await.unwrap();
    }
}

/// The store in use stays the one in use, and one that is replaced stays replaced, whenever that was by the clock.
#[tokio::test]
async fn the_store_in_use_is_the_latest_whatever_the_clock_does() {
    let lab = Lab::new().await;
    lab.off_by(400 * DAY);
    lab.create(ANN).await;
    let mut before = lab.firefox(ANN, PASSWORD).await;
    let old = lab.accounts.open_store(ANN, PASSWORD, &at_home()).await.unwrap();
    for off in [0, -365 * DAY, DAY - START, 0, 400 * DAY, 0] {
        lab.off_by(off);
        reset(&lab, ANN, proof(ANN, PASSWORD)).await;
        let now = lab.firefox(ANN, PASSWORD).await;
        assert!(now.store > before.store, "{off}: a new key means a fresh store");
        assert_eq!(lab.firefox(ANN, PASSWORD).await, now, "{off}");
        let found = lab.accounts.open_store(ANN, PASSWORD, &at_home()).await.unwrap();
        assert_eq!(found.user, old.user, "{off}");
        before = now;
    }
    // None is emptied before a day has passed by the clock.
    lab.accounts.purge(100, i64::MAX).await.unwrap();
    assert!(!lab.due().await.contains(&before.store));
}

/// Commands for a device wait through a clock that is wrong for a while, and come in the order they were sent.
#[tokio::test]
async fn commands_wait_through_a_wrong_clock_in_their_order() {
    let lab = Lab::new().await;
    let one = lab.session(&lab.create(ANN).await).await;
    let other = lab.session(&lab.login(ANN, PASSWORD).await.unwrap()).await;
    let command = "https://identity.mozilla.com/cmd/open-uri";
    let patch = DevicePatch {
        commands: Some([(command.to_owned(), "{}".to_owned())].into()),
        ..DevicePatch::default()
    };
    let owner = DeviceOwner::Session(&other);
    let target = lab.accounts.register_device(owner, patch).await.unwrap().id;
    for (at, off) in [400 * DAY, 0, -365 * DAY].into_iter().enumerate() {
        lab.off_by(off);
        let invocation = Invocation {
            target,
            command: command.to_owned(),
            payload: at.to_string(),
            ttl: None,
        };
        lab.accounts
            .invoke(DeviceOwner::Session(&one), invocation)
            .await
            .unwrap();
    }
    // A browser without push that registered just now is left in peace for a moment.
    lab.clock.advance_millis(5000);
    let sent = lab.accounts.commands(owner, 0, None).await.unwrap().messages;
    let payloads: Vec<_> = sent.iter().map(|message| message.payload.as_str()).collect();
    assert_eq!(payloads, ["0", "1", "2"]);
}

/// A device without push that has just registered is left in peace for five seconds that pass, to whatever time the clock is
/// set.
#[tokio::test]
async fn a_clock_that_is_set_leaves_a_quiet_device_quiet_for_as_long() {
    for off in [400 * DAY, -365 * DAY, DAY - START] {
        let lab = Lab::new().await;
        let one = lab.session(&lab.create(ANN).await).await;
        let other = lab.session(&lab.login(ANN, PASSWORD).await.unwrap()).await;
        let command = "https://identity.mozilla.com/cmd/open-uri";
        let patch = DevicePatch {
            kind: Some("desktop".to_owned()),
            commands: Some([(command.to_owned(), "{}".to_owned())].into()),
            ..DevicePatch::default()
        };
        let owner = DeviceOwner::Session(&other);
        let target = lab.accounts.register_device(owner, patch).await.unwrap().id;
        lab.off_by(off);
        let invocation = Invocation {
            target,
            command: command.to_owned(),
            payload: "x".to_owned(),
            ttl: None,
        };
        lab.accounts
            .invoke(DeviceOwner::Session(&one), invocation)
            .await
            .unwrap();
        let waiting = async || {
            lab.accounts
                .commands(owner, 0, None)
                .await
                .unwrap()
                .messages
                .len()
        };
        assert_eq!(waiting().await, 0, "{off}");
        lab.clock.advance_millis(5000);
        assert_eq!(waiting().await, 1, "{off}");
    }
}
