//! Moves between engines: what arrives is what was there, whatever the engines are and wherever the move was interrupted.
//!
//! Moves that involve a database server are ignored unless `cargo xtask test` has started the servers.

#![allow(clippy::unwrap_used, reason = "a test ends where its script cannot go on")]

#[path = "moving/interrupted.rs"]
mod interrupted;
#[path = "moving/on_servers.rs"]
mod on_servers;
#[path = "moving/stores.rs"]
mod stores;

use std::sync::Arc;

use foxden_model::{SeededRng, UserId};
use foxden_storage::conformance::{collection, id, payload};
use foxden_storage::engine::movable::{MovableStore, MoveFlag, MoveRole, UserHead};
use foxden_storage::moving::{self, Move, MoveError, MoveProgress, MoveState, NamedStore};
use foxden_storage::{Budget, Change, Cursor, Detail, EngineError, Field, Fields, Patch, Query, Ttl, Write};

use interrupted::{
    a_move_that_is_given_up_leaves_the_source_as_it_was, a_move_that_was_compared_is_opened,
    a_target_that_lost_its_end_is_completed, an_interrupted_move_goes_on_where_it_was,
};
use stores::{Kind, TestStore, snapshot};

/// Defines each test for each pair of engines.
macro_rules! between_engines {
    ($($(#[$about:meta])* $name:ident;)*) => {
        $(
            $(#[$about])*
            mod $name {
                use super::*;
                between_engines!(@pair $name sqlite_to_sqlite Sqlite Sqlite);
                between_engines!(@pair $name sqlite_to_postgres Sqlite Postgres ignore = "needs a server: cargo xtask test starts one");
                between_engines!(@pair $name postgres_to_mariadb Postgres Mariadb ignore = "needs a server: cargo xtask test starts one");
                between_engines!(@pair $name mariadb_to_sqlite Mariadb Sqlite ignore = "needs a server: cargo xtask test starts one");
            }
        )*
    };
    (@pair $name:ident $pair:ident $from:ident $to:ident $($ignored:meta)?) => {
        $(#[$ignored])?
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $pair() {
            let from = Box::pin(TestStore::new(Kind::$from)).await;
            let to = Box::pin(TestStore::new(Kind::$to)).await;
            Box::pin(super::$name(&from, &to)).await;
        }
    };
}

between_engines! {
    all_that_clients_see_arrives_as_it_was;
    /// The source goes on to be refused, the target to be written.
    times_go_on_to_rise_and_batches_can_be_committed_afterwards;
    many_objects_arrive;
    a_client_that_reads_on_after_the_move_misses_nothing;
    neither_store_is_served_meanwhile;
    an_interrupted_move_goes_on_where_it_was;
    a_move_that_is_given_up_leaves_the_source_as_it_was;
    a_store_with_users_is_no_target;
    a_difference_is_found;
    a_target_that_lost_its_end_is_completed;
    a_move_that_was_compared_is_opened;
    a_user_with_nothing_but_a_batch_that_ended_is_not_moved;
    what_was_written_just_before_the_target_was_closed_stays;
}

/// Fills a store with everything that an engine keeps of users.
async fn fill(store: &TestStore) {
    let ctx = store.context().await;
    let longest = "🦊".repeat(64);
    for object in ["a", "A", "a ", "ä~", "z", &longest] {
        ctx.put("bookmarks", object, "p{}'\"\\ öffentlich 🦊\0").await;
    }
    let full = Patch {
        payload: Field::Set("x".repeat(70_000)),
        sortindex: Field::Set(-999_999_999),
        parent_id: Field::Set("parent ü".to_owned()),
        predecessor_id: Field::Set(String::new()),
        ttl: Ttl::In(1000),
        renews: true,
        ..Patch::empty(id("full"))
    };
    ctx.upsert("bookmarks", [full]).await;
    ctx.upsert("tabs", [Patch::empty(id("empty"))]).await;
    // Made and left empty; deleted with and without its name.
    ctx.upsert("forms", []).await;
    for (name, keeps_name) in [("gone", false), ("named", true)] {
        ctx.put(name, "a", "deleted").await;
        ctx.delete_collection(name, keeps_name).await;
    }
    // An object that expires soon, so that it has expired and is not purged when it is moved.
    ctx.put_for("clients", "short", "expires", 1).await;
    // The clock was ahead once: times are later than it.
    let ahead = ctx.of_user(43);
    ctx.wait(3600);
    ahead.put("history", "a", "from the future").await;
    ctx.wait(-3600);
    ahead.put("history", "b", "a hundredth later").await;
    ctx.of_user(44)
        .put("crypto", "keys", "before the store was emptied")
        .await;
    ctx.of_user(44).write(Change::DeleteAll).await;
    ctx.of_user(45)
        .put("crypto", "keys", "before it was closed")
        .await;
    ctx.of_user(45).write(Change::Close).await;
    ctx.of_user(46).write(Change::Close).await;
    for user in [u64::MAX, 1 << 63, 0] {
        ctx.of_user(user)
            .put("meta", "global", "uids are numbers of any size")
            .await;
    }
    ctx.wait(2);
}

/// Opens batches, in the order of their ids.
async fn open_batches(store: &TestStore) -> Vec<(u64, foxden_storage::BatchId)> {
    let ctx = store.context().await;
    let mut batches = Vec::new();
    // The last of them has no write.
    for user in [42, 42, 43, 47] {
        let ctx = ctx.of_user(user);
        let batch = ctx
            .open(
                "bookmarks",
                [payload("staged", "first"), payload("other", "kept")],
            )
            .await;
        for part in ["second", "third"] {
            let ttl = Patch {
                ttl: Ttl::In(50),
                ..payload("staged", part)
            };
            ctx.append("bookmarks", &batch, [ttl]).await;
        }
        batches.push((user, batch));
    }
    batches
}

/// Both stores, opened for a move.
struct Opened {
    source: Arc<dyn MovableStore>,
    target: Arc<dyn MovableStore>,
}

impl Opened {
    /// Opens both; no engine has them open any more.
    async fn new(from: &TestStore, to: &TestStore) -> Self {
        from.close().await;
        to.close().await;
        Self {
            source: from.movable().await,
            target: to.movable().await,
        }
    }

    /// Opens both, and begins a move.
    async fn begun(from: &TestStore, to: &TestStore) -> Self {
        let opened = Self::new(from, to).await;
        let state = moving::begin(opened.stores(), &SeededRng::new(7)).await;
        assert_eq!(state.unwrap(), MoveState::New);
        opened
    }

    fn stores(&self) -> Move<'_> {
        Move {
            from: named(&*self.source, "from"),
            to: named(&*self.target, "to"),
        }
    }

    async fn close(self) {
        self.source.close().await;
        self.target.close().await;
    }
}

fn named<'a>(store: &'a dyn MovableStore, shown: &'a str) -> NamedStore<'a> {
    NamedStore { store, shown }
}

async fn copy_and_compare(opened: &Opened) -> Result<(), MoveError> {
    moving::copy(opened.stores(), &MoveProgress::default()).await?;
    moving::compare(opened.stores(), &MoveProgress::default()).await
}

async fn move_all(from: &TestStore, to: &TestStore) -> Result<MoveState, MoveError> {
    let opened = Opened::new(from, to).await;
    let stores = opened.stores();
    let moved = async {
        let stage = moving::begin(stores, &SeededRng::new(7)).await?;
        if [MoveState::New, MoveState::Resumed].contains(&stage) {
            copy_and_compare(&opened).await?;
        }
        if stage != MoveState::Ended {
            moving::finish(stores).await?;
        }
        Ok(stage)
    };
    let moved = moved.await;
    opened.close().await;
    moved
}

async fn all_that_clients_see_arrives_as_it_was(from: &TestStore, to: &TestStore) {
    fill(from).await;
    let before = snapshot(&from.context().await).await;
    assert!(before.len() >= 8, "{} users", before.len());
    assert_eq!(move_all(from, to).await.unwrap(), MoveState::New);
    to.same_time_as(from);
    assert_eq!(snapshot(&to.context().await).await, before);
}

async fn times_go_on_to_rise_and_batches_can_be_committed_afterwards(from: &TestStore, to: &TestStore) {
    fill(from).await;
    let batches = open_batches(from).await;
    from.wait(100);
    let expired = from.context().await.open("history", [payload("a", "b")]).await;
    move_all(from, to).await.unwrap();
    to.same_time_as(from);
    let ctx = to.context().await;
    let ahead = ctx.of_user(43);
    let last = ahead.store_time().await;
    assert_eq!(ahead.put("history", "c", "one").await, last.next());
    // Two hours after it was opened, but for a second.
    to.wait(7200 - 101);
    for (user, batch) in &batches {
        let ctx = ctx.of_user(*user);
        ctx.append("bookmarks", batch, [payload("late", "after the move")])
            .await;
        let time = ctx.commit("bookmarks", batch).await;
        let staged = ctx.get("bookmarks", "staged").await.unwrap();
        assert_eq!((staged.payload.as_str(), staged.modified), ("third", time));
        assert_eq!(ctx.payload("bookmarks", "other").await, "kept");
        assert_eq!(ctx.payload("bookmarks", "late").await, "after the move");
    }
    to.wait(102);
    let refused = ctx.try_commit("history", &expired).await;
    assert!(matches!(refused, Err(EngineError::NoSuchBatch)), "{refused:?}");
    let closed = ctx.of_user(45).try_write(Write::new(Change::DeleteAll)).await;
    closed.unwrap();
    let closed = ctx.engine.summary(UserId(45), Detail::Times).await;
    assert!(matches!(closed, Err(EngineError::Closed)), "{closed:?}");
}

async fn many_objects_arrive(from: &TestStore, to: &TestStore) {
    let ctx = from.context().await;
    for user in 1..4 {
        let ctx = ctx.of_user(user);
        for hundred in 0..11 {
            let patch = |number| payload(&format!("{hundred:04}{number:04}"), &"x".repeat(300));
            ctx.upsert("history", (0..100).map(patch).collect::<Vec<_>>())
                .await;
        }
        // More than one page by their bytes.
        for number in 0..5 {
            ctx.put("large", &number.to_string(), &"y".repeat(1 << 20)).await;
        }
    }
    let before = snapshot(&ctx).await;
    move_all(from, to).await.unwrap();
    to.same_time_as(from);
    assert!(
        snapshot(&to.context().await).await == before,
        "the snapshots differ"
    );
}

/// The token of its next page is refused, so that it begins anew, or leads to all other objects.
async fn a_client_that_reads_on_after_the_move_misses_nothing(from: &TestStore, to: &TestStore) {
    let ctx = from.context().await;
    // One time, and another order than that of the ids.
    let ids = ["3", "1", "2"];
    ctx.upsert("history", ids.map(|id| payload(id, "x"))).await;
    let mut query = Query::all(collection("history"), Fields::Ids);
    query.limit = Some(1);
    let page = ctx.page(&query).await;
    let mut seen: Vec<_> = page.rows.iter().map(|row| row.id.to_owned()).collect();
    query.cursor = Cursor::After(page.next.unwrap());
    query.limit = None;
    from.close().await;
    move_all(from, to).await.unwrap();
    let ctx = to.context().await;
    match ctx.engine.read(ctx.user, &query).await {
        Ok(page) => seen.extend(page.rows.iter().map(|row| row.id.to_owned())),
        refused => {
            assert!(matches!(refused, Err(EngineError::BadCursor)), "{refused:?}");
            return;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["1", "2", "3"]);
}

async fn neither_store_is_served_meanwhile(from: &TestStore, to: &TestStore) {
    fill(from).await;
    Opened::begun(from, to).await.close().await;
    let refused = from.open_error().await;
    assert!(refused.contains("its objects are being moved to to"), "{refused}");
    let refused = to.open_error().await;
    assert!(
        refused.contains("objects are being moved here from from"),
        "{refused}"
    );
    move_all(from, to).await.unwrap();
    let refused = from.open_error().await;
    assert!(refused.contains("its objects were moved to to"), "{refused}");
    assert_eq!(move_all(from, to).await.unwrap(), MoveState::Ended);
    to.context().await.put("history", "served", "again").await;
    assert_eq!(move_all(from, to).await.unwrap(), MoveState::Ended);
    // Nothing is said to be at a store that holds nothing.
    let third = Box::pin(TestStore::new(Kind::Sqlite)).await;
    let elsewhere = move_all(from, &third).await;
    assert!(
        matches!(elsewhere, Err(MoveError::AlreadyMoved { .. })),
        "{elsewhere:?}"
    );
}

/// Expired batches are purged, and leave no user behind whom other engines do not have.
async fn a_user_with_nothing_but_a_batch_that_ended_is_not_moved(from: &TestStore, to: &TestStore) {
    let ctx = from.context().await;
    ctx.put("history", "a", "one").await;
    ctx.of_user(47).open("history", [payload("a", "staged")]).await;
    move_all(from, to).await.unwrap();
    to.same_time_as(from);
    let ctx = to.context().await;
    to.wait(3 * 3600);
    while ctx.engine.purge(Budget::of(1000)).await.unwrap().has_more {}
    to.close().await;
    let third = Box::pin(TestStore::new(Kind::Sqlite)).await;
    move_all(to, &third).await.unwrap();
    let ctx = third.context().await;
    assert_eq!(snapshot(&ctx).await.into_keys().collect::<Vec<_>>(), [42]);
}

/// A program that has the target open may write until it is closed, unseen behind a pooler.
async fn what_was_written_just_before_the_target_was_closed_stays(from: &TestStore, to: &TestStore) {
    fill(from).await;
    let before = snapshot(&from.context().await).await;
    to.context().await.put("history", "a", "late").await;
    let opened = Opened::new(from, to).await;
    // As if the target had been empty a moment before, and the program killed then.
    let flag = |role, peer: &str| MoveFlag {
        id: "move".to_owned(),
        role,
        peer: peer.to_owned(),
    };
    let (source_flag, target_flag) = (flag(MoveRole::Source, "to"), flag(MoveRole::Unseen, "from"));
    opened.source.set_flag(Some(&source_flag)).await.unwrap();
    opened.target.set_flag(Some(&target_flag)).await.unwrap();
    let refused = moving::begin(opened.stores(), &SeededRng::new(7)).await;
    assert!(matches!(refused, Err(MoveError::NotEmpty(_))), "{refused:?}");
    opened.close().await;
    assert_eq!(to.context().await.payload("history", "a").await, "late");
    assert_eq!(snapshot(&from.context().await).await, before);
}

async fn a_store_with_users_is_no_target(from: &TestStore, to: &TestStore) {
    let nothing = move_all(from, to).await;
    assert!(matches!(nothing, Err(MoveError::NothingToMove(_))), "{nothing:?}");
    fill(from).await;
    to.context().await.put("history", "a", "one").await;
    let refused = move_all(from, to).await;
    assert!(matches!(refused, Err(MoveError::NotEmpty(_))), "{refused:?}");
    // Neither was touched.
    from.context().await.put("history", "a", "one").await;
    assert_eq!(to.context().await.payload("history", "a").await, "one");
}

async fn a_difference_is_found(from: &TestStore, to: &TestStore) {
    let ctx = from.context().await;
    ctx.put("history", "a", "one").await;
    ctx.put("history", "b", "two").await;
    ctx.upsert("tabs", []).await;
    ctx.open("history", [payload("a", "staged")]).await;
    let opened = Opened::begun(from, to).await;
    let (source, target) = (&opened.source, &opened.target);
    let stores = opened.stores();
    let user = UserId(42);
    let head = source.head(user).await.unwrap();
    let page = source.objects(user, &head.collections[0], None).await.unwrap();
    let spoil: [fn(&mut foxden_model::Bso); 6] = [
        |object| object.payload.push('x'),
        |object| object.modified = object.modified.next(),
        |object| object.sortindex = Some(0),
        |object| object.expiry = Some(object.modified),
        |object| object.parent_id = Some(String::new()),
        |object| object.id = id("other"),
    ];
    for spoil in spoil {
        target.clear().await.unwrap();
        let keys = target.begin_user(user, &head).await.unwrap();
        let mut objects = page.objects.clone();
        spoil(&mut objects[1]);
        let bytes = objects.iter().map(|object| object.payload.len() as u64).sum();
        let rows = objects.into_iter().map(|object| (keys.collections[0], object));
        target.add_objects(user, rows.collect()).await.unwrap();
        let parts = source.parts(user, head.batches[0].key, 0).await.unwrap();
        target.add_parts(user, keys.batches[0], parts).await.unwrap();
        let mut there = head.clone();
        (there.collections[0].key, there.collections[0].bytes) = (keys.collections[0], bytes);
        target.finish_user(user, &there).await.unwrap();
        let compared = moving::compare(stores, &MoveProgress::default()).await;
        let Err(MoveError::Different(what)) = compared else {
            panic!("no difference")
        };
        assert!(what.contains("of collection history of user 42"), "{what}");
    }
    // No user, one object too few, and other heads.
    let spoil: [fn(&mut UserHead); 6] = [
        |head| head.modified = head.modified.next(),
        |head| head.is_closed = true,
        |head| head.collections[0].modified = head.modified.next(),
        |head| head.collections.truncate(1),
        |head| head.batches[0].opened = head.batches[0].opened.next(),
        |head| head.batches.clear(),
    ];
    for spoil in std::iter::once(None).chain(spoil.map(Some)) {
        target.clear().await.unwrap();
        if let Some(spoil) = spoil {
            let mut spoilt = head.clone();
            spoil(&mut spoilt);
            target.begin_user(user, &spoilt).await.unwrap();
            target.finish_user(user, &spoilt).await.unwrap();
        }
        let compared = moving::compare(stores, &MoveProgress::default()).await;
        assert!(matches!(compared, Err(MoveError::Different(_))), "{compared:?}");
    }
    opened.close().await;
}

/// The first file has the flag, and says that the others are not to be touched: the release that began the move goes on with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_another_release_flagged_is_not_migrated() {
    let from = TestStore::new(Kind::Sqlite).await;
    let to = TestStore::new(Kind::Sqlite).await;
    from.context().await.put("history", "a", "one").await;
    Opened::begun(&from, &to).await.close().await;
    // As if this program had tables of a later version.
    let file = |number: u32| rusqlite::Connection::open(from.file(number)).unwrap();
    file(0).pragma_update(None, "user_version", 1_000_001).unwrap();
    file(1)
        .execute_batch("alter table store drop column closed; pragma user_version = 1")
        .unwrap();
    let refused = from.open_error().await;
    assert!(refused.contains("its objects are being moved to to"), "{refused}");
    let refused = from.movable_error().await;
    assert!(refused.contains("another release began"), "{refused}");
    let version: u32 = file(1)
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 1);
}
