//! Users with all that a store keeps, and everything that a store holds, to be compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use foxden_model::{
    Bso, Clock, CollectionName, ManualClock, ObjectId, SeededRng, SyncTime, SystemClock, UserId,
};
use foxden_storage::engine::movable::{BatchHead, CollectionHead, MovableStore, UserHead};
use foxden_storage::{
    BatchPart, CacheTimes, CacheUrl, Change, Detail, Engine, EngineError, Field, Fields, MoveSide,
    OpenOptions, Patch, Query, StoreUrl, Ttl, Write, open, open_movable,
};

/// The collections of a user with objects.
const COLLECTIONS: [&str; 4] = ["bookmarks", "history", "forms", "X-Own.Stuff_1"];

/// How many users there are, and how many objects each has.
#[derive(Clone, Copy)]
pub struct Size {
    pub users: u64,
    pub objects_each: u64,
}

impl Size {
    pub const fn objects(self) -> u64 {
        self.users * self.objects_each
    }
}

/// All that a store holds.
#[derive(PartialEq)]
pub struct Dump {
    /// The rows of each user.
    rows: BTreeMap<i64, UserRows>,
    /// What the engine says of each user now, and an hour later, when some objects have expired.
    seen: [BTreeMap<u64, Option<Vec<SeenCollection>>>; 2],
}

/// The rows of a user, without the keys that each store gives.
type UserRows = (UserHead, Vec<Vec<Bso>>, Vec<Vec<Vec<u8>>>);
/// A collection as the engine answers.
type SeenCollection = (
    CollectionName,
    SyncTime,
    u64,
    u64,
    Vec<(String, SyncTime, String)>,
);

impl Dump {
    /// Users and objects.
    pub fn totals(&self) -> (u64, u64) {
        let objects = self.rows.values().flat_map(|(_, objects, _)| objects);
        (
            self.rows.len() as u64,
            objects.map(|objects| objects.len() as u64).sum(),
        )
    }

    /// Panics with the first user that differs.
    #[track_caller]
    pub fn assert_same_as(&self, other: &Self) {
        assert_eq!(
            self.rows.keys().collect::<Vec<_>>(),
            other.rows.keys().collect::<Vec<_>>()
        );
        for (user, rows) in &self.rows {
            let (head, objects, parts) = &other.rows[user];
            assert_eq!(&rows.0, head, "user {user}");
            assert!(&rows.1 == objects, "the objects of user {user}");
            assert!(&rows.2 == parts, "the parts of user {user}");
        }
        assert!(self.seen == other.seen, "what the engine says");
    }
}

fn run<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

fn options() -> OpenOptions {
    OpenOptions {
        default_folder: "unused".into(),
        cache: CacheUrl::None,
        cache_times: CacheTimes::default(),
    }
}

async fn engine(url: &str, clock: Arc<ManualClock>) -> Arc<dyn Engine> {
    let url: StoreUrl = url.parse().unwrap();
    open(&url, &options(), clock, Arc::new(SeededRng::new(5)))
        .await
        .unwrap()
}

/// Whole seconds, so that all dumps of a test see the same objects expire.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_millis(
        SystemClock.now().hundredths() / 360_000 * 3_600_000,
    ))
}

/// Fills a new store.
pub fn seed(url: &str, size: Size) {
    run(async {
        let clock = clock();
        let engine = engine(url, Arc::clone(&clock)).await;
        for number in 0..size.users {
            // Uids of all sizes.
            let user = match number % 10 {
                9 => UserId(u64::MAX - number),
                8 => UserId((1 << 40) + number),
                _ => UserId(number),
            };
            seed_user(&*engine, user, size.objects_each).await;
            clock.advance_millis(10);
        }
        engine.close().await;
    });
}

async fn seed_user(engine: &dyn Engine, user: UserId, objects: u64) {
    let mut left = objects;
    for (at, name) in COLLECTIONS.iter().enumerate() {
        let count = if at + 1 == COLLECTIONS.len() {
            left
        } else {
            objects / 4
        };
        left -= count;
        let patches: Vec<Patch> = (0..count).map(|number| patch(user, number)).collect();
        for some in patches.chunks(250) {
            upsert(engine, user, name, some.to_vec()).await;
        }
    }
    upsert(engine, user, "empty", Vec::new()).await;
    upsert(engine, user, "deleted", vec![patch(user, 1)]).await;
    let delete = Change::DeleteCollection {
        collection: CollectionName::new("deleted").unwrap(),
        keeps_name: user.0.is_multiple_of(2),
    };
    engine.write(user, Write::new(delete)).await.unwrap();
    if user.0.is_multiple_of(3) {
        let mut batch = None;
        for number in 0..5 {
            let part = BatchPart {
                collection: CollectionName::new("bookmarks").unwrap(),
                batch: batch.clone(),
                guard: None,
                patches: (0..20).map(|at| patch(user, number * 10 + at)).collect(),
                max_objects: 10_000,
                max_bytes: 262_144_000,
                max_open_bytes: 524_288_000,
                quota: None,
            };
            batch = Some(engine.stage(user, part).await.unwrap().batch);
        }
    }
}

async fn upsert(engine: &dyn Engine, user: UserId, name: &str, patches: Vec<Patch>) {
    let change = Change::Upsert {
        collection: CollectionName::new(name).unwrap(),
        patches,
    };
    engine.write(user, Write::new(change)).await.unwrap();
}

/// Fields that differ from object to object.
fn patch(user: UserId, number: u64) -> Patch {
    let size = usize::try_from((number * 37 + user.0 % 97) % 600).unwrap();
    let some = |is_given: bool, text: String| if is_given { Field::Set(text) } else { Field::Keep };
    Patch {
        payload: Field::Set(format!("{{\"ciphertext\":\"{}ü🦊\"}}", "x".repeat(size))),
        sortindex: if number.is_multiple_of(4) {
            Field::Keep
        } else {
            Field::Set(i64::try_from(number).unwrap() - 50)
        },
        parent_id: some(number.is_multiple_of(7), format!("parent {number}")),
        predecessor_id: some(number.is_multiple_of(11), String::new()),
        ttl: match number % 5 {
            0 => Ttl::In(1800),
            1 => Ttl::In(31_536_000),
            _ => Ttl::Keep,
        },
        renews: true,
        ..Patch::empty(
            ObjectId::new(format!(
                "{number:06}~{}",
                if number.is_multiple_of(2) { "a" } else { "A" }
            ))
            .unwrap(),
        )
    }
}

/// Reads all that a store holds.
pub fn dump(url: &str) -> Dump {
    run(async {
        let clock = clock();
        let opened = engine(url, Arc::clone(&clock)).await;
        let now = seen(&*opened).await;
        clock.advance_millis(2 * 3_600_000);
        let later = seen(&*opened).await;
        opened.close().await;
        let parsed: StoreUrl = url.parse().unwrap();
        let store = open_movable(
            &parsed,
            std::path::Path::new("unused"),
            MoveSide::From,
            Arc::new(SeededRng::new(5)),
        );
        let store = store.await.unwrap();
        let mut rows = BTreeMap::new();
        let mut last = None;
        loop {
            let users = store.users(last, 100).await.unwrap();
            let Some(user) = users.last() else { break };
            last = Some(*user);
            for user in users {
                rows.insert(user.0.cast_signed(), user_rows(&*store, user).await);
            }
        }
        store.close().await;
        Dump {
            rows,
            seen: [now, later],
        }
    })
}

async fn user_rows(store: &dyn MovableStore, user: UserId) -> UserRows {
    let mut head = store.head(user).await.unwrap();
    let mut objects = Vec::new();
    for collection in &head.collections {
        let mut all: Vec<Bso> = Vec::new();
        loop {
            let after = all.last().map(|object| object.id.clone());
            let page = store.objects(user, collection, after.as_ref()).await.unwrap();
            all.extend(page.objects);
            if !page.has_more {
                break;
            }
        }
        objects.push(all);
    }
    let mut parts = Vec::new();
    for batch in &head.batches {
        let (mut all, mut last) = (Vec::new(), 0);
        loop {
            let some = store.parts(user, batch.key, last).await.unwrap();
            let Some(part) = some.last() else { break };
            last = part.number;
            all.extend(some.into_iter().map(|part| part.patches));
        }
        parts.push(all);
    }
    let collections = head.collections.into_iter();
    head.collections = collections
        .map(|collection| CollectionHead { key: 0, ..collection })
        .collect();
    let batches = head.batches.into_iter();
    head.batches = batches.map(|batch| BatchHead { key: 0, ..batch }).collect();
    (head, objects, parts)
}

async fn seen(engine: &dyn Engine) -> BTreeMap<u64, Option<Vec<SeenCollection>>> {
    let mut all = BTreeMap::new();
    for user in engine.users(None, 10_000).await.unwrap() {
        let summary = match engine.summary(user, Detail::Full).await {
            Err(EngineError::Closed) => {
                all.insert(user.0, None);
                continue;
            }
            summary => summary.unwrap(),
        };
        let mut collections = Vec::new();
        for listed in summary.collections.iter() {
            let mut query = Query::all(listed.name, Fields::Whole);
            let mut objects = Vec::new();
            loop {
                let page = engine.read(user, &query).await.unwrap();
                let rows = page.rows.iter();
                objects.extend(rows.map(|row| (row.id.to_owned(), row.modified, row.payload.to_owned())));
                let Some(next) = page.next else { break };
                query.cursor = foxden_storage::Cursor::After(next);
            }
            objects.sort();
            collections.push((listed.name, listed.modified, listed.count, listed.bytes, objects));
        }
        all.insert(user.0, Some(collections));
    }
    all
}
