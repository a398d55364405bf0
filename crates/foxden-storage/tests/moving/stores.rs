//! Stores of every engine, opened by the engine and for a move in turn, and what clients see of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use foxden_model::{Clock, CollectionName, ManualClock, Rng, SeededRng, SyncTime, UserId};
use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_storage::conformance::{EngineFixture, Stored, TestContext};
use foxden_storage::engine::agreement::CacheControl;
use foxden_storage::engine::movable::MovableStore;
use foxden_storage::{
    CacheTimes, CacheUrl, Detail, Engine, EngineError, Fields, MoveSide, OpenOptions, Query, SqlEngine,
    StoreUrl, open, open_movable,
};

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    Mariadb,
}

/// A store of its own, which is deleted with this.
pub struct TestStore {
    clock: Arc<ManualClock>,
    rng: Arc<dyn Rng>,
    fixture: EngineFixture,
    url: String,
    open: Mutex<Option<Arc<dyn Engine>>>,
    namespace: Option<TestNamespace>,
}

impl TestStore {
    pub async fn new(kind: Kind) -> Self {
        let fixture = EngineFixture::new();
        let server = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(TestServer::Postgres),
            Kind::Mariadb => Some(TestServer::Mariadb),
        };
        let namespace = match server {
            Some(server) => Some(server.fresh("move").await.expect("the server is there")),
            None => None,
        };
        let url = match &namespace {
            Some(namespace) => namespace.url().to_owned(),
            None => format!("sqlite:{}?shards=2", fixture.folder().join("storage").display()),
        };
        Self {
            clock: Arc::clone(&fixture.clock),
            rng: Arc::new(SeededRng::new(11)),
            fixture,
            url,
            open: Mutex::default(),
            namespace,
        }
    }

    /// From here on as behind a pooler, which hides the sessions of programs.
    pub fn hide_sessions(&mut self) {
        self.url.push_str("&pgbouncer=true");
    }

    fn store_url(&self) -> StoreUrl {
        self.url.parse().expect("it is the URL of a store")
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            default_folder: self.fixture.folder().join("unused"),
            cache: CacheUrl::None,
            cache_times: CacheTimes::default(),
        }
    }

    /// The engine, opened unless it is open.
    pub async fn context(&self) -> TestContext {
        let opened = self.open.lock().unwrap().clone();
        let engine = if let Some(engine) = opened {
            engine
        } else {
            let (clock, rng) = (self.clock.clone(), self.rng.clone());
            let opened = open(&self.store_url(), &self.options(), clock, rng).await;
            opened.expect("the store can be opened")
        };
        *self.open.lock().unwrap() = Some(Arc::clone(&engine));
        let mut ctx = TestContext::new(EngineFixture::new(), engine);
        ctx.clock = Arc::clone(&self.clock);
        ctx
    }

    /// Why the engine does not open.
    pub async fn open_error(&self) -> String {
        let opened = open(
            &self.store_url(),
            &self.options(),
            self.clock.clone(),
            self.rng.clone(),
        )
        .await;
        let mut error: &dyn std::error::Error = &opened.err().expect("the store is not opened");
        let mut text = error.to_string();
        while let Some(source) = error.source() {
            text = format!("{text}: {source}");
            error = source;
        }
        text
    }

    /// Closes the engine.
    pub async fn close(&self) {
        let engine = self.open.lock().unwrap().take();
        if let Some(engine) = engine {
            engine.close().await;
        }
    }

    /// Leaves the engine open, as a program that was overlooked.
    pub fn leave_open(&self) {
        drop(self.open.lock().unwrap().take());
    }

    /// The database of the server.
    pub fn database(&self) -> &TestNamespace {
        self.namespace.as_ref().expect("it is on a server")
    }

    /// The rows, for a move. The engine must be closed.
    pub async fn movable(&self) -> Arc<dyn MovableStore> {
        let opened = open_movable(
            &self.store_url(),
            self.fixture.folder(),
            MoveSide::To,
            self.rng.clone(),
        )
        .await;
        opened.expect("the store can be opened for a move")
    }

    /// Why the store does not open for a move.
    pub async fn movable_error(&self) -> String {
        let opened = open_movable(
            &self.store_url(),
            self.fixture.folder(),
            MoveSide::From,
            self.rng.clone(),
        )
        .await;
        opened.err().expect("the store is not opened").to_string()
    }

    /// One of the files of SQLite.
    pub fn file(&self, number: u32) -> std::path::PathBuf {
        self.fixture.folder().join(format!("storage/{number}.sqlite"))
    }

    /// The agreement on a cache of a store on a server. Its connections end with this.
    pub async fn cache_control(&self) -> Arc<dyn CacheControl> {
        let url = self.url.parse().expect("it is the URL of a server");
        let engine = SqlEngine::open(&url, self.clock.clone(), self.rng.clone()).await;
        engine.expect("the store can be opened").cache_control()
    }

    /// Moves the clock by this many seconds.
    pub fn wait(&self, seconds: i64) {
        self.clock.advance_millis(seconds * 1000);
    }

    /// Sets the clock as that of another store.
    pub fn same_time_as(&self, other: &Self) {
        let ahead = other.clock.now().hundredths() - self.clock.now().hundredths();
        self.clock.advance_millis(ahead * 10);
    }
}

/// What a client sees of a user.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Closed,
    Open(SyncTime, BTreeMap<CollectionName, SeenCollection>),
}

/// Time, count, bytes and objects of a collection, each with its expiry.
pub type SeenCollection = (SyncTime, u64, u64, Vec<(Stored, Option<SyncTime>)>);

/// What clients see of all users.
pub async fn snapshot(ctx: &TestContext) -> BTreeMap<u64, Seen> {
    let mut all = BTreeMap::new();
    for user in ctx.engine.users(None, 1000).await.expect("users can be listed") {
        all.insert(user.0, seen(&ctx.of_user(user.0), user).await);
    }
    all
}

async fn seen(ctx: &TestContext, user: UserId) -> Seen {
    let summary = match ctx.engine.summary(user, Detail::Full).await {
        Err(EngineError::Closed) => return Seen::Closed,
        summary => summary.expect("the summary can be read"),
    };
    let mut collections = BTreeMap::new();
    for collection in summary.collections.iter() {
        let mut objects = Vec::new();
        for object in ctx.all(&Query::all(collection.name, Fields::Whole)).await {
            let expiry = match objects.len() {
                // One read for each: enough to see them all.
                0..100 => {
                    let one = foxden_model::ObjectId::new(object.id.as_str()).expect("it was stored");
                    ctx.page(&Query::one(collection.name, one)).await.expiry
                }
                _ => None,
            };
            objects.push((object, expiry));
        }
        // Ties are broken as each engine does.
        objects.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
        let seen = (collection.modified, collection.count, collection.bytes, objects);
        collections.insert(collection.name, seen);
    }
    Seen::Open(summary.modified, collections)
}
