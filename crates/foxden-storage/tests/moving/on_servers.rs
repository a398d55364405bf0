//! Moves from and to database servers that other programs have open.

use std::sync::Arc;

use foxden_model::SeededRng;
use foxden_storage::conformance::payload;
use foxden_storage::engine::agreement::{CacheKind, CacheRow, Phase};
use foxden_storage::moving::{self, MoveError, MoveProgress, MoveState};
use foxden_storage::{Change, Detail, EngineError, Write};

use super::stores::{Kind, TestStore, snapshot};
use super::{Opened, copy_and_compare, fill, move_all, named};

/// A pooler hides the sessions of programs that have the database open. Such a program can neither read nor write from the flag on,
/// and serves again where the users have arrived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn a_program_that_goes_on_to_serve_is_cut_off() {
    let mut from = Box::pin(TestStore::new(Kind::Postgres)).await;
    from.hide_sessions();
    let to = Box::pin(TestStore::new(Kind::Sqlite)).await;
    let ctx = from.context().await;
    let time = ctx.put("history", "a", "one").await;
    let before = snapshot(&ctx).await;
    from.leave_open();
    assert_eq!(move_all(&from, &to).await.unwrap(), MoveState::New);
    let batch = foxden_storage::BatchPart {
        collection: foxden_storage::conformance::collection("history"),
        batch: None,
        guard: None,
        patches: vec![payload("a", "two")],
        max_objects: 100,
        max_bytes: 1000,
        max_open_bytes: 1000,
        quota: None,
    };
    for user in [42, 43] {
        let ctx = ctx.of_user(user);
        let refused = [
            ctx.try_write(Write::new(Change::DeleteAll)).await.map(drop),
            ctx.upsert_if(
                "history",
                [payload("a", "two")],
                foxden_storage::Target::Store,
                time,
            )
            .await
            .map(drop),
            ctx.try_stage(batch.clone()).await.map(drop),
            ctx.engine.summary(ctx.user, Detail::Times).await.map(drop),
            ctx.engine.users(None, 10).await.map(drop),
        ];
        for refused in refused {
            let Err(EngineError::Unavailable(cause)) = &refused else {
                panic!("{refused:?}")
            };
            assert!(
                cause
                    .to_string()
                    .contains("its rows are being moved to another database or were moved"),
                "{cause}"
            );
        }
    }
    to.same_time_as(&from);
    assert_eq!(snapshot(&to.context().await).await, before);
    give_up(&from).await;
    assert_eq!(snapshot(&ctx).await, before);
    ctx.put("history", "a", "three").await;
}

async fn give_up(store: &TestStore) {
    let rows = store.movable().await;
    moving::give_up(named(&*rows, "from")).await.unwrap();
    rows.close().await;
}

/// Neither in the target nor in a source that is opened again is a cache used that was agreed on before.
async fn caches_are_withdrawn(kind: Kind) {
    let from = Box::pin(TestStore::new(kind)).await;
    let to = Box::pin(TestStore::new(kind)).await;
    from.context().await.put("history", "a", "one").await;
    let used = CacheRow {
        phase: Phase::On,
        epoch: 7,
        cache: CacheKind::Redis,
        version: 0,
    };
    let mut versions = Vec::new();
    for store in [&from, &to] {
        store.context().await;
        store.close().await;
        let control = store.cache_control().await;
        let before = control.look().await.unwrap().row.version;
        assert!(control.replace(before, used).await.unwrap());
        versions.push(before + 1);
    }
    move_all(&from, &to).await.unwrap();
    give_up(&from).await;
    for (store, version) in [&from, &to].into_iter().zip(versions) {
        let row = store.cache_control().await.look().await.unwrap().row;
        assert_eq!(
            (row.phase, row.epoch, row.cache),
            (Phase::Paused, 0, CacheKind::None)
        );
        assert!(row.version > version, "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn caches_are_withdrawn_from_postgres() {
    Box::pin(caches_are_withdrawn(Kind::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn caches_are_withdrawn_from_mariadb() {
    Box::pin(caches_are_withdrawn(Kind::Mariadb)).await;
}

/// A run that was forgotten, on another machine perhaps, has the store open while another one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn a_run_that_was_forgotten_changes_nothing() {
    let from = Box::pin(TestStore::new(Kind::Sqlite)).await;
    let mut to = Box::pin(TestStore::new(Kind::Postgres)).await;
    to.hide_sessions();
    fill(&from).await;
    let before = snapshot(&from.context().await).await;
    let Opened {
        source,
        target: forgotten,
    } = Opened::begun(&from, &to).await;
    let users = source.users(None, 2).await.unwrap();
    let head = source.head(users[0]).await.unwrap();
    forgotten.begin_user(users[0], &head).await.unwrap();
    source.close().await;
    assert_eq!(move_all(&from, &to).await.unwrap(), MoveState::Resumed);
    // The other one has ended: there is nothing that this one could change.
    assert!(forgotten.finish_user(users[0], &head).await.is_err());
    assert!(forgotten.set_flag(None).await.is_err());
    assert!(forgotten.clear().await.is_err());
    to.same_time_as(&from);
    assert_eq!(snapshot(&to.context().await).await, before);
    to.close().await;
    // And while the other one goes on.
    let mut again = Box::pin(TestStore::new(Kind::Postgres)).await;
    again.hide_sessions();
    let source = from.movable().await;
    source.set_flag(None).await.unwrap();
    let runs = [again.movable().await, again.movable().await].map(|target| Opened {
        source: Arc::clone(&source),
        target,
    });
    for (run, state) in runs.iter().zip([MoveState::New, MoveState::Resumed]) {
        let begun = moving::begin(run.stores(), &SeededRng::new(8)).await;
        assert_eq!(begun.unwrap(), state);
    }
    let [forgotten, other] = runs.map(|run| run.target);
    for refused in [
        forgotten.begin_user(users[0], &head).await.map(drop),
        forgotten.clear().await,
        forgotten.set_flag(None).await,
        forgotten.set_flag(forgotten.flag().await.unwrap().as_ref()).await,
    ] {
        let Err(EngineError::Unavailable(cause)) = refused else {
            panic!("{refused:?}")
        };
        assert!(cause.to_string().contains("another run of this move"), "{cause}");
    }
    // A user who is there is never begun anew.
    other.begin_user(users[0], &head).await.unwrap();
    other.finish_user(users[0], &head).await.unwrap();
    assert!(other.begin_user(users[0], &head).await.is_err());
}

/// Quotas and pages go by the sizes that a server keeps beside the payloads.
async fn a_wrong_size_is_found(kind: Kind) {
    let from = Box::pin(TestStore::new(Kind::Sqlite)).await;
    let to = Box::pin(TestStore::new(kind)).await;
    from.context()
        .await
        .upsert("history", ["a", "b"].map(|id| payload(id, "x")))
        .await;
    let opened = Opened::begun(&from, &to).await;
    copy_and_compare(&opened).await.unwrap();
    let spoil = "UPDATE moving_object SET size = size + 1 WHERE id = 'b'";
    to.database().run(spoil).await;
    let compared = moving::compare(opened.stores(), &MoveProgress::default()).await;
    let Err(MoveError::Different(what)) = compared else {
        panic!("{compared:?}")
    };
    assert_eq!(what, "the size of object b of collection history of user 42");
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn a_wrong_size_is_found_in_postgres() {
    Box::pin(a_wrong_size_is_found(Kind::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn a_wrong_size_is_found_in_mariadb() {
    Box::pin(a_wrong_size_is_found(Kind::Mariadb)).await;
}

/// A write whose connection was cut before the move may arrive after it, through a pooler. It lands only while its user has the mark
/// that it knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn a_source_that_is_opened_again_shuts_out_what_was_under_way() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let from = Box::pin(TestStore::new(kind)).await;
        let to = Box::pin(TestStore::new(Kind::Sqlite)).await;
        from.context().await.put("history", "a", "one").await;
        let mark = || from.database().number("SELECT mark FROM sync_user");
        let before = mark().await;
        Opened::begun(&from, &to).await.close().await;
        give_up(&from).await;
        assert_ne!(mark().await, before);
        assert_eq!(from.context().await.payload("history", "a").await, "one");
    }
}
