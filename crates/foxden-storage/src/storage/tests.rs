//! Tests of quota and closed users.

use foxden_model::UserId;

use super::*;
use crate::command::Fields;
use crate::conformance::{EngineFixture, TestContext, collection, payload};
use crate::engine::MemoryEngine;

const USER: UserId = UserId(42);

fn engine(ground: &EngineFixture) -> Arc<MemoryEngine> {
    Arc::new(MemoryEngine::new(ground.clock.clone(), ground.rng.clone()))
}

fn put(object: &str) -> Write {
    Write::new(Change::Upsert {
        collection: collection("bookmarks"),
        patches: vec![payload(object, "12345")],
    })
}

fn part(object: &str) -> BatchPart {
    BatchPart {
        collection: collection("bookmarks"),
        batch: None,
        guard: None,
        patches: vec![payload(object, "12345")],
        max_objects: 10,
        max_bytes: 100,
        max_open_bytes: 100,
        quota: None,
    }
}

#[tokio::test]
async fn the_servers_quota_holds_for_every_write() {
    let storage = Storage::new(engine(&EngineFixture::new()), Limits::default(), Some(5));
    assert!(storage.write(USER, &[], put("a")).await.is_ok());
    let unbounded = Write {
        quota: None,
        ..put("b")
    };
    let refused = storage.write(USER, &[], unbounded).await;
    assert!(matches!(
        refused,
        Err(StorageError::Engine(EngineError::OverQuota { used: 5, quota: 5 }))
    ));
}

#[tokio::test]
async fn the_stores_of_an_account_share_its_quota() {
    let other = UserId(43);
    let storage = Storage::new(engine(&EngineFixture::new()), Limits::default(), Some(10));
    storage.write(other, &[USER], put("a")).await.unwrap();
    let written = storage.write(USER, &[other], put("a")).await.unwrap();
    assert_eq!((written.bytes_before, written.bytes_after), (5, 10));
    for (user, other_uids) in [(USER, [other]), (other, [USER])] {
        let refused = storage.write(user, &other_uids, put("b")).await;
        assert!(matches!(
            refused,
            Err(StorageError::Engine(EngineError::OverQuota { .. }))
        ));
        let refused = storage.stage(user, &other_uids, part("b")).await;
        assert!(matches!(
            refused,
            Err(StorageError::Engine(EngineError::OverQuota { .. }))
        ));
        assert_eq!(storage.taken_by(&other_uids).await.unwrap(), 5);
    }
    assert!(storage.stage(USER, &[], part("b")).await.is_ok());
    storage.close(other).await.unwrap();
    assert!(storage.write(USER, &[other], put("b")).await.is_ok());

    let unbounded = Storage::new(engine(&EngineFixture::new()), Limits::default(), None);
    unbounded.write(other, &[], put("a")).await.unwrap();
    let written = unbounded.write(USER, &[other], put("a")).await.unwrap();
    assert_eq!((written.bytes_before, written.bytes_after), (0, 5));
}

/// Small objects count for the other store as they do for their own.
#[tokio::test]
async fn small_objects_of_another_store_count_with_their_overhead() {
    let other = UserId(43);
    let storage = Storage::new(engine(&EngineFixture::new()), Limits::default(), Some(2 << 20));
    let patches = (0..40_000).map(|id| payload(&id.to_string(), ""));
    let write = Write::new(Change::Upsert {
        collection: collection("bookmarks"),
        patches: patches.collect(),
    });
    storage.write(other, &[], write).await.unwrap();
    assert_eq!(
        storage.taken_by(&[other]).await.unwrap(),
        40_000 * 400 - (1 << 20)
    );
    let refused = storage.write(USER, &[other], put("a")).await;
    assert!(matches!(
        refused,
        Err(StorageError::Engine(EngineError::OverQuota { .. }))
    ));
}

#[tokio::test]
async fn a_closed_user_is_refused_and_has_nothing_left() {
    let ground = EngineFixture::new();
    let engine = engine(&ground);
    let storage = Storage::new(engine.clone(), Limits::default(), None);
    storage.write(USER, &[], put("a")).await.unwrap();
    storage.write(UserId(43), &[], put("a")).await.unwrap();
    let batch = storage.stage(USER, &[], part("b")).await.unwrap().batch;

    storage.clone().close(USER).await.unwrap();

    let query = Query::all(collection("bookmarks"), Fields::Ids);
    assert!(matches!(
        storage.read(USER, &query).await,
        Err(StorageError::Engine(EngineError::Closed))
    ));
    assert!(matches!(
        storage.summary(USER, Detail::Times).await,
        Err(StorageError::Engine(EngineError::Closed))
    ));
    assert!(matches!(
        storage.write(USER, &[], put("c")).await,
        Err(StorageError::Engine(EngineError::Closed))
    ));
    assert!(matches!(
        storage.stage(USER, &[], part("c")).await,
        Err(StorageError::Engine(EngineError::Closed))
    ));
    let lab = TestContext::new(ground, engine);
    assert!(lab.try_commit("bookmarks", &batch).await.is_err());
    assert!(storage.read(UserId(43), &query).await.is_ok());
}

#[tokio::test]
async fn a_closed_user_may_still_empty_the_store() {
    let storage = Storage::new(engine(&EngineFixture::new()), Limits::default(), None);
    storage.close(USER).await.unwrap();
    assert!(
        storage
            .write(USER, &[], Write::new(Change::DeleteAll))
            .await
            .is_ok()
    );
    storage.close(USER).await.unwrap();
}

/// A closed user is refused before the body of an upload is read.
#[tokio::test]
async fn a_closed_user_is_not_admitted() {
    let storage = Storage::new(engine(&EngineFixture::new()), Limits::default(), None);
    assert!(storage.admit(USER).await.is_ok());
    storage.close(USER).await.unwrap();
    let refused = storage.admit(USER).await;
    assert!(matches!(refused, Err(StorageError::Engine(EngineError::Closed))));
}

/// Small objects fill a store by their overhead, not by their payloads alone.
#[test]
fn small_objects_fill_a_store_that_an_empty_upload_finds() {
    let clock = Arc::new(foxden_model::ManualClock::at_millis(1_763_690_000_000));
    let rng = Arc::new(foxden_model::SeededRng::new(1));
    let engine = MemoryEngine::new(clock, rng);
    let storage = Storage::new(Arc::new(engine), Limits::default(), Some(2 << 20));
    let zero = foxden_model::SyncTime::ZERO;
    let summary = |count, bytes| Summary {
        modified: zero,
        as_of: zero,
        collections: Arc::from([crate::page::CollectionSummary {
            name: collection("tabs"),
            modified: zero,
            count,
            bytes,
        }]),
    };
    assert!(!storage.is_full(&summary(1000, 1000), 0));
    assert!(storage.is_full(&summary(10_000, 0), 0));
    assert!(storage.is_full(&summary(1, 1 << 20), 1 << 20));
}
