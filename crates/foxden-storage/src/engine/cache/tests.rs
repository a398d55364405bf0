//! Caches under races, and their bounds.

mod interleaving;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use foxden_model::{ObjectId, SyncTime, UserId};

use super::{ObjectCache, UserCache};
use crate::page::{Row, Rows};

const USER: UserId = UserId(5);

fn get(cache: &UserCache<i64>, user: UserId) -> Option<i64> {
    cache.get(user).map(|state| *state)
}

#[test]
fn a_read_from_before_a_write_fills_no_entry_after_it() {
    let cache = UserCache::new(100);
    let ticket = cache.ticket(USER);
    cache.invalidate(USER);
    cache.fill(USER, ticket, Arc::new(1));
    assert_eq!(get(&cache, USER), None);
    cache.resolve(USER, Some(Arc::new(2)));
    cache.fill(USER, ticket, Arc::new(1));
    assert_eq!(get(&cache, USER), Some(2));
}

#[test]
fn an_invalidated_user_is_not_cached_until_resolved() {
    let cache = UserCache::new(100);
    cache.resolve(USER, Some(Arc::new(1)));
    cache.invalidate(USER);
    assert_eq!(get(&cache, USER), None);
    cache.fill(USER, cache.ticket(USER), Arc::new(1));
    assert_eq!(get(&cache, USER), None);
    cache.resolve(USER, None);
    assert_eq!(get(&cache, USER), None);
    cache.fill(USER, cache.ticket(USER), Arc::new(1));
    assert_eq!(get(&cache, USER), Some(1));
}

#[test]
fn each_write_is_resolved_for_itself() {
    let cache = UserCache::new(100);
    cache.invalidate(USER);
    cache.invalidate(USER);
    cache.resolve(USER, Some(Arc::new(2)));
    cache.fill(USER, cache.ticket(USER), Arc::new(1));
    assert_eq!(get(&cache, USER), None);
    // Which of both writes was committed last is unknown.
    cache.resolve(USER, Some(Arc::new(1)));
    assert_eq!(get(&cache, USER), None);
    cache.fill(USER, cache.ticket(USER), Arc::new(2));
    assert_eq!(get(&cache, USER), Some(2));
}

#[test]
fn clearing_drops_entries_and_refuses_older_tickets() {
    let cache = UserCache::new(100);
    cache.resolve(USER, Some(Arc::new(1)));
    let ticket = cache.ticket(USER);
    cache.clear();
    cache.fill(USER, ticket, Arc::new(1));
    assert_eq!(get(&cache, USER), None);
}

#[test]
fn users_who_are_not_read_are_dropped() {
    let cache = UserCache::new(160);
    for user in 0..10_000 {
        cache.resolve(UserId(user), Some(Arc::new(1)));
        // Read all the time.
        cache.fill(USER, cache.ticket(USER), Arc::new(1));
        assert!(cache.get(USER).is_some());
    }
    let cached = (0..10_000).filter(|&user| cache.get(UserId(user)).is_some());
    assert!(cached.count() <= 160);
}

/// The store shows a state from its commit on. From then on the cache shows no older one, on real threads.
#[test]
fn it_never_lags_behind_the_store() {
    let (cache, store, is_over) = (UserCache::new(100), AtomicI64::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let shown = store.load(Ordering::SeqCst);
                    if let Some(cached) = get(&cache, USER) {
                        assert!(cached >= shown, "{cached} after {shown}");
                    }
                    let ticket = cache.ticket(USER);
                    let seen = store.load(Ordering::SeqCst);
                    cache.fill(USER, ticket, Arc::new(seen));
                }
            });
        }
        for time in 1..30_000 {
            cache.invalidate(USER);
            store.store(time, Ordering::SeqCst);
            // Sometimes the writer does not know the state that it made.
            cache.resolve(USER, (time % 3 != 0).then(|| Arc::new(time)));
        }
        is_over.store(true, Ordering::SeqCst);
    });
}

fn object(id: &str, payload: &str) -> Arc<Rows> {
    let mut rows = Rows::default();
    rows.push(Row {
        id,
        payload,
        modified: SyncTime::ZERO,
        sortindex: None,
        parent_id: None,
        predecessor_id: None,
    });
    Arc::new(rows)
}

#[test]
fn the_object_cache_is_bounded_and_holds_what_is_read() {
    let (cache, state) = (ObjectCache::new(), Arc::new(()));
    let id = |number: u32| ObjectId::new(format!("object{number}")).unwrap();
    let get = |number| cache.get(&state, 1, &id(number), SyncTime::ZERO);
    for number in 0..20_000 {
        cache.insert(&state, 1, &object(id(number).as_str(), &"x".repeat(300)), None);
        cache.insert(&state, 1, &object(id(0).as_str(), "read all the time"), None);
        assert!(get(0).is_some());
    }
    let held = (0..20_000).filter(|&number| get(number).is_some()).count();
    assert!((1600..=8000).contains(&held), "{held}");
    cache.insert(&state, 1, &object("large", &"x".repeat(5000)), None);
    let large = ObjectId::new("large").unwrap();
    assert!(cache.get(&state, 1, &large, SyncTime::ZERO).is_none());
}

#[test]
fn an_object_belongs_to_its_collection_and_state() {
    let (cache, before, after) = (ObjectCache::new(), Arc::new(0), Arc::new(0));
    let id = ObjectId::new("a").unwrap();
    cache.insert(&before, 1, &object("a", "x"), None);
    assert!(cache.get(&before, 1, &id, SyncTime::ZERO).is_some());
    assert!(cache.get(&before, 2, &id, SyncTime::ZERO).is_none());
    assert!(cache.get(&after, 1, &id, SyncTime::ZERO).is_none());
}
