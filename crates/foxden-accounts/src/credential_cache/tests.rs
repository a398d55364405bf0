//! When cached log-ins are invalidated.

use foxden_model::SeededRng;

use super::*;

const NOW: i64 = 1_763_690_000_000;

fn key(cache: &CredentialCache, name: &str, password: &str) -> CacheKey {
    cache.key(&SeededRng::new(1), name, password)
}

const fn read(seq: i64, changes: &[Change]) -> ChangePage<'_> {
    ChangePage {
        seq,
        changes,
        is_last: true,
    }
}

/// A cache that read the register's changes up to number 10 just now.
fn fresh() -> CredentialCache {
    let cache = CredentialCache::default();
    cache.apply_changes(cache.position(), read(10, &[]), NOW);
    cache
}

fn good(account: u8) -> CachedResult {
    CachedResult::Verified(Arc::new(VerifiedLogin {
        account: AccountId([account; 16]),
        store: None,
    }))
}

fn put(cache: &CredentialCache, name: &str, outcome: CachedResult) {
    cache.insert(key(cache, name, "password"), cache.epoch(), outcome, NOW);
}

fn has(cache: &CredentialCache, name: &str, now: i64) -> bool {
    cache.lookup(&key(cache, name, "password"), now).is_some()
}

fn account(number: u8) -> AccountId {
    AccountId([number; 16])
}

fn alias(number: u8) -> AccountDigest {
    AccountDigest::of(account(number))
}

#[test]
fn names_and_passwords_do_not_run_together() {
    let cache = fresh();
    let keys = [
        key(&cache, "ann", "secret"),
        key(&cache, "anns", "ecret"),
        key(&cache, "", "annsecret"),
    ];
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    assert!(key(&cache, " ANN ", "secret") == keys[0] && key(&cache, "ann", "Secret") != keys[0]);
    let other = CredentialCache::default();
    assert!(other.key(&SeededRng::new(2), "ann", "secret") != keys[0]);
}

#[test]
fn nothing_is_recalled_until_the_changes_are_read_again() {
    let cache = fresh();
    put(&cache, "ann", good(1));
    assert!(has(&cache, "ann", NOW + 999));
    assert!(!has(&cache, "ann", NOW + 1000) && !has(&cache, "ann", NOW - 1));
    cache.mark_stale();
    assert!(!has(&cache, "ann", NOW));
}

#[test]
fn a_change_invalidates_its_account_alone() {
    let cache = fresh();
    put(&cache, "ann", good(1));
    put(&cache, "bea", good(2));
    put(
        &cache,
        "wrong",
        CachedResult::Failed(LoginFailure::WrongPassword(account(1))),
    );
    put(
        &cache,
        "other",
        CachedResult::Failed(LoginFailure::WrongPassword(account(2))),
    );
    put(
        &cache,
        "unknown",
        CachedResult::Failed(LoginFailure::UnknownAccount),
    );
    cache.apply_changes(cache.position(), read(11, &[(11, Some(alias(1)))]), NOW);
    let left = ["ann", "bea", "wrong", "other", "unknown"].map(|name| has(&cache, name, NOW));
    assert_eq!(left, [false, true, false, true, true]);
}

#[test]
fn a_gap_forgets_everything() {
    for changes in [
        &[(12, Some(alias(9)))][..],
        &[(11, Some(alias(9))), (13, Some(alias(9)))],
    ] {
        let cache = fresh();
        put(&cache, "ann", good(1));
        put(
            &cache,
            "wrong",
            CachedResult::Failed(LoginFailure::WrongPassword(account(1))),
        );
        cache.apply_changes(cache.position(), read(13, changes), NOW);
        assert!(!has(&cache, "ann", NOW) && !has(&cache, "wrong", NOW));
    }
}

#[test]
fn a_change_of_all_accounts_forgets_everything() {
    let cache = fresh();
    put(&cache, "ann", good(1));
    cache.apply_changes(
        cache.position(),
        read(12, &[(11, Some(alias(9))), (12, None)]),
        NOW,
    );
    assert!(!has(&cache, "ann", NOW));
}

/// The proof began before the change and ended after it was read: what it proved may be the old password. Other
/// people's changes do not matter.
#[test]
fn a_login_verified_before_a_change_is_not_cached_after_it() {
    let cache = fresh();
    let since = cache.epoch();
    cache.apply_changes(cache.position(), read(11, &[(11, Some(alias(1)))]), NOW);
    let outcomes = [
        ("ann", good(1)),
        (
            "wrong",
            CachedResult::Failed(LoginFailure::WrongPassword(account(1))),
        ),
        ("unknown", CachedResult::Failed(LoginFailure::UnknownAccount)),
        ("bea", good(2)),
    ];
    for (name, outcome) in outcomes {
        cache.insert(key(&cache, name, "password"), since, outcome, NOW);
    }
    let kept = ["ann", "wrong", "unknown", "bea"].map(|name| has(&cache, name, NOW));
    assert_eq!(kept, [false, false, true, true]);
    put(&cache, "ann", good(1));
    assert!(has(&cache, "ann", NOW));
}

/// Nor is anything remembered of which it is not known any more whether it should have been forgotten.
#[test]
fn a_login_verified_long_before_is_not_cached() {
    let cache = fresh();
    let since = cache.epoch();
    for number in 0..=i64::try_from(INVALIDATED).unwrap() {
        cache.apply_changes(
            cache.position(),
            read(11 + number, &[(11 + number, Some(alias(9)))]),
            NOW,
        );
    }
    cache.insert(key(&cache, "ann", "password"), since, good(1), NOW);
    assert!(!has(&cache, "ann", NOW));
    let since = cache.epoch();
    cache.apply_changes(cache.position(), read(5000, &[(5000, Some(alias(9)))]), NOW);
    cache.insert(key(&cache, "ann", "password"), since, good(1), NOW);
    assert!(!has(&cache, "ann", NOW), "a gap hides whose it was");
    put(&cache, "ann", good(1));
    assert!(has(&cache, "ann", NOW));
}

/// This process changed something while the register was being asked: the answer may not have it.
#[test]
fn a_change_made_while_reading_makes_the_next_request_read_again() {
    let cache = fresh();
    let position = cache.position();
    cache.mark_stale();
    cache.apply_changes(position, read(10, &[]), NOW);
    assert!(!cache.is_fresh(NOW));
    cache.apply_changes(cache.position(), read(10, &[]), NOW);
    assert!(cache.is_fresh(NOW));
}

/// Between two pages of changes the cache answers nothing: the second page may undo it.
#[test]
fn a_page_of_changes_that_is_not_the_last_lets_nothing_be_recalled() {
    let cache = fresh();
    put(&cache, "ann", good(1));
    let page = ChangePage {
        seq: 11,
        changes: &[(11, Some(alias(9)))],
        is_last: false,
    };
    cache.apply_changes(cache.position(), page, NOW);
    assert!(!cache.is_fresh(NOW) && !has(&cache, "ann", NOW));
    cache.apply_changes(cache.position(), read(12, &[(12, Some(alias(1)))]), NOW);
    assert!(cache.is_fresh(NOW) && !has(&cache, "ann", NOW));
}

/// An expired entry still names its account, until a change or a refusal removes it.
#[test]
fn that_it_was_proven_is_known_until_it_may_be_wrong() {
    let cache = fresh();
    let ann = key(&cache, "ann", "password");
    put(&cache, "ann", good(1));
    assert!(
        cache.was_verified_before(&ann, NOW + VERIFIED_BEFORE_MILLIS)
            && !cache.was_verified_before(&ann, NOW + 2 * VERIFIED_BEFORE_MILLIS)
    );
    cache.apply_changes(cache.position(), read(11, &[(11, Some(alias(1)))]), NOW);
    assert!(!cache.was_verified_before(&ann, NOW));
    put(&cache, "ann", good(1));
    cache.apply_changes(cache.position(), read(13, &[(13, Some(alias(9)))]), NOW);
    assert!(!cache.was_verified_before(&ann, NOW), "a gap hides whose it was");
    put(&cache, "ann", good(1));
    let later = NOW + 2 * VERIFIED_MILLIS;
    let wrong = CachedResult::Failed(LoginFailure::WrongPassword(account(1)));
    cache.insert(ann, cache.epoch(), wrong, later);
    assert!(!cache.was_verified_before(&ann, later));
}

#[tokio::test]
async fn those_with_one_password_take_turns_and_leave_nothing_behind() {
    let cache = fresh();
    let key = key(&cache, "ann", "password");
    let first = cache.join(key).unwrap();
    let turn = first.turn().await;
    let second = cache.join(key).unwrap();
    {
        let mut waiting = std::pin::pin!(second.turn());
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context)));
        assert!(poll.await.is_pending());
        drop(turn);
        drop(first);
        drop(waiting.await);
    }
    // One that gives up waiting leaves its place, too.
    let third = cache.join(key).unwrap();
    drop(second);
    drop(third);
    assert!(cache.flights.under_way.lock().unwrap().is_empty());
    assert_eq!(cache.flights.inside.load(Ordering::Relaxed), 0);
}

#[test]
fn a_bounded_number_waits() {
    let cache = fresh();
    let key = key(&cache, "ann", "password");
    let places: Vec<_> = (0..WAITING).map(|_| cache.join(key).unwrap()).collect();
    assert!(matches!(cache.join(key), Err(Unavailable::Busy)));
    drop(places);
    assert!(cache.join(key).is_ok());
}
