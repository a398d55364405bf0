//! What the memo forgets, and when.

use foxden_model::SeededRng;

use super::*;

const NOW: i64 = 1_763_690_000_000;

fn key(memo: &Memo, name: &str, password: &str) -> Key {
    memo.key(&SeededRng::new(1), name, password)
}

const fn read(seq: i64, changes: &[Change]) -> Reading<'_> {
    Reading {
        seq,
        changes,
        is_last: true,
    }
}

/// A memo that read the register's changes up to number 10 just now.
fn fresh() -> Memo {
    let memo = Memo::default();
    memo.take_in(memo.position(), read(10, &[]), NOW);
    memo
}

fn good(account: u8) -> Remembered {
    Remembered::Good(Arc::new(Known {
        account: AccountId([account; 16]),
        store: None,
    }))
}

fn put(memo: &Memo, name: &str, outcome: Remembered) {
    memo.remember(key(memo, name, "password"), memo.moment(), outcome, NOW);
}

fn has(memo: &Memo, name: &str, now: i64) -> bool {
    memo.recall(&key(memo, name, "password"), now).is_some()
}

fn account(number: u8) -> AccountId {
    AccountId([number; 16])
}

fn alias(number: u8) -> Alias {
    Alias::of(account(number))
}

#[test]
fn names_and_passwords_do_not_run_together() {
    let memo = fresh();
    let keys = [
        key(&memo, "ann", "secret"),
        key(&memo, "anns", "ecret"),
        key(&memo, "", "annsecret"),
    ];
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    assert!(key(&memo, " ANN ", "secret") == keys[0] && key(&memo, "ann", "Secret") != keys[0]);
    let other = Memo::default();
    assert!(other.key(&SeededRng::new(2), "ann", "secret") != keys[0]);
}

#[test]
fn nothing_is_recalled_until_the_changes_are_read_again() {
    let memo = fresh();
    put(&memo, "ann", good(1));
    assert!(has(&memo, "ann", NOW + 999));
    assert!(!has(&memo, "ann", NOW + 1000) && !has(&memo, "ann", NOW - 1));
    memo.mark_changed();
    assert!(!has(&memo, "ann", NOW));
}

#[test]
fn a_change_forgets_its_account_and_nobody_else() {
    let memo = fresh();
    put(&memo, "ann", good(1));
    put(&memo, "bea", good(2));
    put(
        &memo,
        "wrong",
        Remembered::Bad(LoginFailure::WrongPassword(account(1))),
    );
    put(
        &memo,
        "other",
        Remembered::Bad(LoginFailure::WrongPassword(account(2))),
    );
    put(&memo, "nobody", Remembered::Bad(LoginFailure::UnknownAccount));
    memo.take_in(memo.position(), read(11, &[(11, Some(alias(1)))]), NOW);
    let left = ["ann", "bea", "wrong", "other", "nobody"].map(|name| has(&memo, name, NOW));
    assert_eq!(left, [false, true, false, true, true]);
}

#[test]
fn a_gap_forgets_everything() {
    for changes in [
        &[(12, Some(alias(9)))][..],
        &[(11, Some(alias(9))), (13, Some(alias(9)))],
    ] {
        let memo = fresh();
        put(&memo, "ann", good(1));
        put(
            &memo,
            "wrong",
            Remembered::Bad(LoginFailure::WrongPassword(account(1))),
        );
        memo.take_in(memo.position(), read(13, changes), NOW);
        assert!(!has(&memo, "ann", NOW) && !has(&memo, "wrong", NOW));
    }
}

#[test]
fn a_change_of_all_accounts_forgets_everything() {
    let memo = fresh();
    put(&memo, "ann", good(1));
    memo.take_in(
        memo.position(),
        read(12, &[(11, Some(alias(9))), (12, None)]),
        NOW,
    );
    assert!(!has(&memo, "ann", NOW));
}

/// The proof began before the change and ended after it was read: what it proved may be the old password. Other
/// people's changes do not matter.
#[test]
fn what_was_proven_before_a_change_is_not_remembered_after_it() {
    let memo = fresh();
    let since = memo.moment();
    memo.take_in(memo.position(), read(11, &[(11, Some(alias(1)))]), NOW);
    let outcomes = [
        ("ann", good(1)),
        ("wrong", Remembered::Bad(LoginFailure::WrongPassword(account(1)))),
        ("nobody", Remembered::Bad(LoginFailure::UnknownAccount)),
        ("bea", good(2)),
    ];
    for (name, outcome) in outcomes {
        memo.remember(key(&memo, name, "password"), since, outcome, NOW);
    }
    let kept = ["ann", "wrong", "nobody", "bea"].map(|name| has(&memo, name, NOW));
    assert_eq!(kept, [false, false, true, true]);
    put(&memo, "ann", good(1));
    assert!(has(&memo, "ann", NOW));
}

/// Nor is anything remembered of which it is not known any more whether it should have been forgotten.
#[test]
fn what_was_proven_long_before_is_not_remembered() {
    let memo = fresh();
    let since = memo.moment();
    for number in 0..=i64::try_from(LATELY).unwrap() {
        memo.take_in(
            memo.position(),
            read(11 + number, &[(11 + number, Some(alias(9)))]),
            NOW,
        );
    }
    memo.remember(key(&memo, "ann", "password"), since, good(1), NOW);
    assert!(!has(&memo, "ann", NOW));
    let since = memo.moment();
    memo.take_in(memo.position(), read(5000, &[(5000, Some(alias(9)))]), NOW);
    memo.remember(key(&memo, "ann", "password"), since, good(1), NOW);
    assert!(!has(&memo, "ann", NOW), "a gap hides whose it was");
    put(&memo, "ann", good(1));
    assert!(has(&memo, "ann", NOW));
}

/// This process changed something while the register was being asked: the answer may not have it.
#[test]
fn a_change_made_while_reading_makes_the_next_request_read_again() {
    let memo = fresh();
    let position = memo.position();
    memo.mark_changed();
    memo.take_in(position, read(10, &[]), NOW);
    assert!(!memo.is_fresh(NOW));
    memo.take_in(memo.position(), read(10, &[]), NOW);
    assert!(memo.is_fresh(NOW));
}

/// Between two pages of changes nobody is let in by what the second may undo.
#[test]
fn a_page_of_changes_that_is_not_the_last_lets_nothing_be_recalled() {
    let memo = fresh();
    put(&memo, "ann", good(1));
    let page = Reading {
        seq: 11,
        changes: &[(11, Some(alias(9)))],
        is_last: false,
    };
    memo.take_in(memo.position(), page, NOW);
    assert!(!memo.is_fresh(NOW) && !has(&memo, "ann", NOW));
    memo.take_in(memo.position(), read(12, &[(12, Some(alias(1)))]), NOW);
    assert!(memo.is_fresh(NOW) && !has(&memo, "ann", NOW));
}

/// What was proven is known for longer than it is good; a change or a refusal ends that, too.
#[test]
fn that_it_was_proven_is_known_until_it_may_be_wrong() {
    let memo = fresh();
    let ann = key(&memo, "ann", "password");
    put(&memo, "ann", good(1));
    assert!(memo.was_proven(&ann, NOW + PROVEN_MILLIS) && !memo.was_proven(&ann, NOW + 2 * PROVEN_MILLIS));
    memo.take_in(memo.position(), read(11, &[(11, Some(alias(1)))]), NOW);
    assert!(!memo.was_proven(&ann, NOW));
    put(&memo, "ann", good(1));
    memo.take_in(memo.position(), read(13, &[(13, Some(alias(9)))]), NOW);
    assert!(!memo.was_proven(&ann, NOW), "a gap hides whose it was");
    put(&memo, "ann", good(1));
    let later = NOW + 2 * GOOD_MILLIS;
    let wrong = Remembered::Bad(LoginFailure::WrongPassword(account(1)));
    memo.remember(ann, memo.moment(), wrong, later);
    assert!(!memo.was_proven(&ann, later));
}

#[tokio::test]
async fn those_with_one_password_take_turns_and_leave_nothing_behind() {
    let memo = fresh();
    let key = key(&memo, "ann", "password");
    let first = memo.board(key).unwrap();
    let turn = first.turn().await;
    let second = memo.board(key).unwrap();
    {
        let mut waiting = std::pin::pin!(second.turn());
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context)));
        assert!(poll.await.is_pending());
        drop(turn);
        drop(first);
        drop(waiting.await);
    }
    // One that gives up waiting leaves its place, too.
    let third = memo.board(key).unwrap();
    drop(second);
    drop(third);
    assert!(memo.flights.under_way.lock().unwrap().is_empty());
    assert_eq!(memo.flights.inside.load(Ordering::Relaxed), 0);
}

#[test]
fn a_bounded_number_waits() {
    let memo = fresh();
    let key = key(&memo, "ann", "password");
    let places: Vec<_> = (0..WAITING).map(|_| memo.board(key).unwrap()).collect();
    assert!(matches!(memo.board(key), Err(Unavailable::Busy)));
    drop(places);
    assert!(memo.board(key).is_ok());
}
