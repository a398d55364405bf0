//! Moves from and to database servers that other programs have open.

use foxden_model::SeededRng;
use foxden_storage::conformance::payload;
use foxden_storage::engine::agreement::{CacheKind, CacheRow, Phase};
use foxden_storage::moving::{self, MoveState, NamedStore};
use foxden_storage::{Change, Cursor, Detail, EngineError, Fields, Query, Write};

use super::stores::{Kind, TestStore, snapshot};
use super::{between, fill, move_all};

/// A pooler hides the sessions of programs that have the database open. Such a program can neither read nor write from the mark on,
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
    // The engine stays open.
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
    let source = from.movable().await;
    let place = NamedStore {
        store: &*source,
        shown: "from",
    };
    moving::give_up(place).await.unwrap();
    source.close().await;
    assert_eq!(snapshot(&ctx).await, before);
    ctx.put("history", "a", "three").await;
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
    let source = from.movable().await;
    let place = NamedStore {
        store: &*source,
        shown: "from",
    };
    moving::give_up(place).await.unwrap();
    source.close().await;
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
    let from = Box::pin(TestStore::new(Kind::Memory)).await;
    let mut to = Box::pin(TestStore::new(Kind::Postgres)).await;
    to.hide_sessions();
    fill(&from).await;
    let before = snapshot(&from.context().await).await;
    let (source, forgotten) = (from.movable().await, to.movable().await);
    moving::begin(between(&*source, &*forgotten), &SeededRng::new(7))
        .await
        .unwrap();
    let users = source.users(None, 2).await.unwrap();
    let head = source.head(users[0]).await.unwrap();
    forgotten.begin_user(users[0], &head).await.unwrap();
    assert_eq!(move_all(&from, &to).await.unwrap(), MoveState::Resumed);
    // The other one has ended: there is nothing that this one could change.
    assert!(forgotten.finish_user(users[0], &head).await.is_err());
    assert!(forgotten.set_mark(None).await.is_err());
    assert!(forgotten.clear().await.is_err());
    to.same_time_as(&from);
    assert_eq!(snapshot(&to.context().await).await, before);
    to.close().await;
    // And while the other one goes on.
    let again = Box::pin(TestStore::new(Kind::Postgres)).await;
    let mut again = again;
    again.hide_sessions();
    source.set_mark(None).await.unwrap();
    let (forgotten, other) = (again.movable().await, again.movable().await);
    moving::begin(between(&*source, &*forgotten), &SeededRng::new(8))
        .await
        .unwrap();
    let stage = moving::begin(between(&*source, &*other), &SeededRng::new(9))
        .await
        .unwrap();
    assert_eq!(stage, MoveState::Resumed);
    for refused in [
        forgotten.begin_user(users[0], &head).await.map(drop),
        forgotten.clear().await,
        forgotten.set_mark(None).await,
        forgotten.set_mark(forgotten.mark().await.unwrap().as_ref()).await,
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

/// A client that reads on where it stopped before the move begins anew: objects would be left out if the token were taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn page_tokens_of_the_source_are_refused() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let from = Box::pin(TestStore::new(Kind::Sqlite)).await;
        let to = Box::pin(TestStore::new(kind)).await;
        let ctx = from.context().await;
        ctx.upsert("history", ["1", "2", "3"].map(|id| payload(id, "x")))
            .await;
        let name = foxden_storage::conformance::collection("history");
        let mut query = Query::all(name, Fields::Whole);
        query.limit = Some(1);
        let next = ctx.page(&query).await.next.unwrap();
        query.cursor = Cursor::After(next);
        from.close().await;
        move_all(&from, &to).await.unwrap();
        let ctx = to.context().await;
        let refused = ctx.engine.read(ctx.user, &query).await;
        assert!(matches!(refused, Err(EngineError::BadCursor)), "{refused:?}");
    }
}
