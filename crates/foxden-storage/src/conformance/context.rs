//! The context of a test: an engine, one user, a manual clock, and helpers for common steps.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use foxden_model::{CollectionName, ManualClock, ObjectId, Rng, SeededRng, SyncTime, UserId};

use crate::command::{
    BatchId, BatchPart, Change, Cursor, Detail, Field, Fields, Guard, Order, Patch, Query, Selection, Target,
    Ttl, Write,
};
use crate::engine::{Engine, EngineError};
use crate::page::{CollectionSummary, Page, Row, Staged, Summary, Written};

/// The environment of an engine under test. Its folder is removed on drop.
pub struct EngineFixture {
    /// A clock that only tests move.
    pub clock: Arc<ManualClock>,
    /// Random bytes, the same in each run.
    pub rng: Arc<dyn Rng>,
    namespace: String,
    folder: PathBuf,
    shared: OnceLock<Arc<dyn Engine>>,
    resource: tokio::sync::OnceCell<Box<dyn Any + Send + Sync>>,
}

/// An engine and one of its users.
#[derive(Clone)]
pub struct TestContext {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// The user of the helpers below.
    pub user: UserId,
    fixture: Arc<EngineFixture>,
    opener: Option<Opener>,
}

/// Opens a handle on the store in a fixture.
pub type Opener = fn(Arc<EngineFixture>) -> Pin<Box<dyn Future<Output = Arc<dyn Engine>> + Send>>;

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// Its payload.
    pub payload: String,
    /// When it last changed.
    pub modified: SyncTime,
    /// Its ordering number.
    pub sortindex: Option<i64>,
    /// The parent, used by old clients only.
    pub parent_id: Option<String>,
    /// The predecessor, used by old clients only.
    pub predecessor_id: Option<String>,
}

impl EngineFixture {
    /// A clock in the year 2025 and an empty folder.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("foxden_engine_{}_{number}", std::process::id());
        let folder = std::env::temp_dir().join(&namespace);
        std::fs::create_dir_all(&folder).expect("temporary files can be made");
        Self {
            clock: Arc::new(ManualClock::at_millis(1_763_690_000_000)),
            rng: Arc::new(SeededRng::new(number)),
            namespace,
            folder,
            shared: OnceLock::new(),
            resource: tokio::sync::OnceCell::new(),
        }
    }

    /// The engine of a store in this process. It is created once, so that all handles show the same objects.
    pub fn shared(&self, make: impl FnOnce() -> Arc<dyn Engine>) -> Arc<dyn Engine> {
        Arc::clone(self.shared.get_or_init(make))
    }

    /// What the handles on a store share outside this process, such as a database of a server. It is made once, and dropped after
    /// the handles.
    ///
    /// # Panics
    ///
    /// If it was made as another type.
    pub async fn resource<T: Send + Sync + 'static>(&self, make: impl Future<Output = T>) -> &T {
        let make = async { Box::new(make.await) as Box<dyn Any + Send + Sync> };
        let resource = self.resource.get_or_init(|| make).await;
        resource.downcast_ref().expect("a fixture has one resource")
    }

    /// A name that only this engine uses, for a schema, a keyspace or the prefix of keys: fewer than 48 lower-case letters,
    /// digits and underscores.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A folder that only this engine uses.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Default for EngineFixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for EngineFixture {
    fn drop(&mut self) {
        // The system cleans temporary files that cannot be removed here.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A collection name given as a literal.
pub fn collection(name: &str) -> CollectionName {
    CollectionName::new(name).expect("tests use names that are allowed")
}

/// An object id given as a literal.
pub fn id(id: &str) -> ObjectId {
    ObjectId::new(id).expect("tests use ids that are allowed")
}

/// A patch that sets a payload and the object's time.
pub fn payload(object: &str, text: &str) -> Patch {
    Patch {
        payload: Field::Set(text.to_owned()),
        renews: true,
        ..Patch::empty(id(object))
    }
}

/// Sorts texts, to compare them as sets.
pub fn sorted<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut texts: Vec<String> = texts.into_iter().map(Into::into).collect();
    texts.sort();
    texts
}

impl TestContext {
    /// The context of an engine in this fixture.
    pub fn new(fixture: EngineFixture, engine: Arc<dyn Engine>) -> Self {
        Self {
            engine,
            clock: Arc::clone(&fixture.clock),
            user: UserId(42),
            fixture: Arc::new(fixture),
            opener: None,
        }
    }

    /// The context of the engine that `opener` opens in a new fixture.
    pub async fn open_with(opener: Opener) -> Self {
        let fixture = Arc::new(EngineFixture::new());
        Self {
            engine: opener(Arc::clone(&fixture)).await,
            clock: Arc::clone(&fixture.clock),
            user: UserId(42),
            fixture,
            opener: Some(opener),
        }
    }

    /// The same store and user through another handle, as another process would have.
    #[must_use]
    pub async fn another_handle(&self) -> Self {
        let engine = match self.opener {
            Some(opener) => opener(Arc::clone(&self.fixture)).await,
            None => Arc::clone(&self.engine),
        };
        Self {
            engine,
            ..self.clone()
        }
    }

    /// The same engine, for another user.
    #[must_use]
    pub fn of_user(&self, user: u64) -> Self {
        Self {
            user: UserId(user),
            ..self.clone()
        }
    }

    /// Writes, and returns the result.
    pub async fn try_write(&self, write: Write) -> Result<Written, EngineError> {
        self.engine.write(self.user, write).await
    }

    /// Makes a change that must succeed.
    pub async fn write(&self, change: Change) -> Written {
        self.try_write(Write::new(change))
            .await
            .expect("the write succeeds")
    }

    /// Applies patches to a collection.
    pub async fn upsert(&self, name: &str, patches: impl Into<Vec<Patch>>) -> SyncTime {
        self.write(upsert(name, patches)).await.modified
    }

    /// Applies patches to a collection if the target has not changed since.
    pub async fn upsert_if(
        &self,
        name: &str,
        patches: impl Into<Vec<Patch>>,
        target: Target,
        unmodified_since: SyncTime,
    ) -> Result<Written, EngineError> {
        let guard = Guard {
            target,
            unmodified_since,
        };
        self.try_write(Write::new(upsert(name, patches)).guarded_by(Some(guard)))
            .await
    }

    /// Stores a payload and returns the time of the write.
    pub async fn put(&self, name: &str, object: &str, text: &str) -> SyncTime {
        self.upsert(name, [payload(object, text)]).await
    }

    /// Stores a payload that expires after this many seconds.
    pub async fn put_for(&self, name: &str, object: &str, text: &str, seconds: u32) -> SyncTime {
        let patch = Patch {
            ttl: Ttl::In(seconds),
            ..payload(object, text)
        };
        self.upsert(name, [patch]).await
    }

    /// Stores an object with a payload and an ordering number.
    pub async fn put_at(&self, name: &str, object: &str, sortindex: i64) -> SyncTime {
        let patch = Patch {
            sortindex: Field::Set(sortindex),
            ..payload(object, object)
        };
        self.upsert(name, [patch]).await
    }

    /// Deletes the selected objects.
    pub async fn delete(&self, name: &str, selection: Selection) -> Written {
        self.write(delete(name, selection, false)).await
    }

    /// Deletes one object, or changes nothing if there is none.
    pub async fn delete_one(&self, name: &str, object: &str) -> Written {
        let selection = Selection {
            ids: Some(vec![id(object)]),
            ..Selection::default()
        };
        self.write(delete(name, selection, true)).await
    }

    /// Deletes a collection.
    pub async fn delete_collection(&self, name: &str, keeps_name: bool) -> Written {
        self.write(Change::DeleteCollection {
            collection: collection(name),
            keeps_name,
        })
        .await
    }

    /// One page.
    pub async fn page(&self, query: &Query) -> Page {
        self.engine
            .read(self.user, query)
            .await
            .expect("the page can be read")
    }

    /// All objects of a query without a limit, page by page.
    pub async fn all(&self, query: &Query) -> Vec<Stored> {
        let mut query = query.clone();
        let mut all = Vec::new();
        loop {
            let page = self.page(&query).await;
            assert!(
                page.rows.len() <= crate::engine::MAX_PAGE_OBJECTS,
                "{} objects",
                page.rows.len()
            );
            all.extend(page.rows.iter().map(Stored::from));
            let Some(next) = page.next else { return all };
            assert!(!page.rows.is_empty(), "an empty page goes on");
            query.cursor = Cursor::After(next);
        }
    }

    /// The ids of all selected objects, sorted by text.
    pub async fn ids(&self, name: &str, selection: Selection) -> Vec<String> {
        let query = Query {
            selection,
            ..Query::all(collection(name), Fields::Ids)
        };
        sorted(self.all(&query).await.into_iter().map(|object| object.id))
    }

    /// The ids of a whole collection in an order.
    pub async fn ids_in(&self, name: &str, order: Order) -> Vec<String> {
        let query = Query {
            order,
            ..Query::all(collection(name), Fields::Ids)
        };
        self.all(&query)
            .await
            .into_iter()
            .map(|object| object.id)
            .collect()
    }

    /// One object.
    pub async fn get(&self, name: &str, object: &str) -> Option<Stored> {
        let page = self.page(&Query::one(collection(name), id(object))).await;
        page.rows.iter().next().map(Stored::from)
    }

    /// The payload of an object that must exist.
    pub async fn payload(&self, name: &str, object: &str) -> String {
        self.get(name, object).await.expect("the object is there").payload
    }

    /// The user's summary.
    pub async fn summary(&self, detail: Detail) -> Summary {
        self.engine
            .summary(self.user, detail)
            .await
            .expect("the summary can be read")
    }

    /// The exact summary of one collection.
    pub async fn held(&self, name: &str) -> Option<CollectionSummary> {
        let summary = self.summary(Detail::Full).await;
        summary
            .collections
            .iter()
            .copied()
            .find(|held| held.name == collection(name))
    }

    /// The time of a collection; zero if there is none.
    pub async fn modified(&self, name: &str) -> SyncTime {
        let summary = self.summary(Detail::Times).await;
        let found = summary
            .collections
            .iter()
            .find(|held| held.name == collection(name));
        found.map_or(SyncTime::ZERO, |held| held.modified)
    }

    /// The highest time of the user's writes.
    pub async fn store_time(&self) -> SyncTime {
        self.summary(Detail::Times).await.modified
    }

    /// Stages a part and returns the result.
    pub async fn try_stage(&self, part: BatchPart) -> Result<Staged, EngineError> {
        self.engine.stage(self.user, part).await
    }

    /// Opens a batch with these patches.
    pub async fn open(&self, name: &str, patches: impl Into<Vec<Patch>>) -> BatchId {
        let staged = self.try_stage(part(name, None, patches)).await;
        staged.expect("a batch can be opened").batch
    }

    /// Appends patches to a batch.
    pub async fn append(&self, name: &str, batch: &BatchId, patches: impl Into<Vec<Patch>>) {
        let staged = self.try_stage(part(name, Some(batch), patches)).await;
        assert_eq!(&staged.expect("the part is taken").batch, batch);
    }

    /// Commits a batch and returns the result.
    pub async fn try_commit(&self, name: &str, batch: &BatchId) -> Result<Written, EngineError> {
        self.try_write(Write::new(commit(name, batch, []))).await
    }

    /// Commits a batch and returns the time of the commit.
    pub async fn commit(&self, name: &str, batch: &BatchId) -> SyncTime {
        self.try_commit(name, batch)
            .await
            .expect("the batch can be committed")
            .modified
    }

    /// Moves the clock by this many seconds.
    pub fn wait(&self, seconds: i64) {
        self.clock.advance_millis(seconds * 1000);
    }
}

impl From<Row<'_>> for Stored {
    fn from(row: Row<'_>) -> Self {
        Self {
            id: row.id.to_owned(),
            payload: row.payload.to_owned(),
            modified: row.modified,
            sortindex: row.sortindex,
            parent_id: row.parent_id.map(str::to_owned),
            predecessor_id: row.predecessor_id.map(str::to_owned),
        }
    }
}

pub(super) fn upsert(name: &str, patches: impl Into<Vec<Patch>>) -> Change {
    Change::Upsert {
        collection: collection(name),
        patches: patches.into(),
    }
}

pub(super) fn delete(name: &str, selection: Selection, or_refuse: bool) -> Change {
    Change::DeleteObjects {
        collection: collection(name),
        selection,
        order: Order::default(),
        limit: None,
        or_refuse,
    }
}

/// A commit with limits that no test reaches.
pub(super) fn commit(name: &str, batch: &BatchId, patches: impl Into<Vec<Patch>>) -> Change {
    commit_within(name, batch, patches, (10_000, 262_144_000))
}

/// A commit with these limits.
pub(super) fn commit_within(
    name: &str,
    batch: &BatchId,
    patches: impl Into<Vec<Patch>>,
    (max_objects, max_bytes): (u64, u64),
) -> Change {
    Change::CommitBatch {
        collection: collection(name),
        batch: batch.clone(),
        patches: patches.into(),
        max_objects,
        max_bytes,
    }
}

/// A part with limits that no test reaches.
pub(super) fn part(name: &str, batch: Option<&BatchId>, patches: impl Into<Vec<Patch>>) -> BatchPart {
    BatchPart {
        collection: collection(name),
        batch: batch.cloned(),
        guard: None,
        patches: patches.into(),
        max_objects: 10_000,
        max_bytes: 262_144_000,
        max_open_bytes: 524_288_000,
        quota: None,
    }
}
