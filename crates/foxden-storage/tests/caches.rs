//! Two processes with one store and one cache, while the cache server is killed, comes back empty or with old values, hangs, or is
//! out of reach for one of them: no answer is older than one before.
//!
//! The tests are ignored unless `cargo xtask test` has started the database servers; they start cache servers of their own.

#[path = "caches/own_cache.rs"]
mod own_cache;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foxden_model::{ObjectId, SeededRng, SyncTime, SystemClock, UserId};
use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_storage::conformance::{collection, payload};
use foxden_storage::{CacheTimes, Change, Detail, Engine, EngineError, OpenOptions, Query, Write, open};
use tokio::task::JoinSet;

use own_cache::{Kind, OwnCache};

/// Times at which a cache is in use soon after it is announced. A write of a test lands within the second.
const TIMES: CacheTimes = CacheTimes {
    lease: Duration::from_millis(200),
    hold: Duration::from_millis(300),
    write_lease: Duration::from_millis(200),
    write_limit: Duration::from_secs(2),
    settle: Duration::from_secs(4),
    retry: Duration::from_millis(100),
    bar_limit: Duration::ZERO,
};
const USERS: usize = 3;

/// Two processes with one store.
struct Two {
    processes: [Arc<dyn Engine>; 2],
    namespace: TestNamespace,
}

/// What every task has seen of each user: no later answer may be older.
#[derive(Default)]
struct Seen {
    users: [AtomicI64; USERS],
    answers: AtomicU64,
    writes: AtomicU64,
    ends: AtomicBool,
}

impl Two {
    /// Processes whose caches are at these URLs.
    async fn new(server: TestServer, caches: [&str; 2]) -> Self {
        let namespace = Box::pin(server.fresh("caches"))
            .await
            .expect("the server is there");
        let [first, second] = caches;
        let processes = [
            process(&namespace, first, 1).await,
            process(&namespace, second, 2).await,
        ];
        Self { processes, namespace }
    }

    /// Another process.
    async fn process(&self, cache: &str, seed: u64) -> Arc<dyn Engine> {
        process(&self.namespace, cache, seed).await
    }

    /// What the database says of the user of [`put`].
    async fn modified_behind_the_cache(&self) -> SyncTime {
        let query = "SELECT modified FROM sync_user WHERE uid = 0";
        SyncTime::from_hundredths(self.namespace.number(query).await)
    }

    /// Waits until the cache is in use: until answers need no database.
    async fn wait_for_the_cache(&self) {
        let begin = Instant::now();
        while self.phase().await != 2 {
            for process in &self.processes {
                process
                    .summary(UserId(0), Detail::Times)
                    .await
                    .expect("the database answers");
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "the cache is not used");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The number of the phase in the database.
    async fn phase(&self) -> i64 {
        self.namespace.number("SELECT phase FROM sync_cache").await
    }

    /// Runs writers and readers in both processes while `events` happen.
    async fn load(&self, events: impl Future<Output = ()>) {
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        for process in &self.processes {
            for user in 0..USERS as u64 {
                tasks.spawn(write(Arc::clone(process), user, Arc::clone(&seen)));
                tasks.spawn(read(Arc::clone(process), user, Arc::clone(&seen)));
            }
        }
        events.await;
        seen.ends.store(true, Ordering::SeqCst);
        tasks.join_all().await;
        let (answers, writes) = (
            seen.answers.load(Ordering::SeqCst),
            seen.writes.load(Ordering::SeqCst),
        );
        assert!(answers > 100 && writes > 20, "{answers} answers, {writes} writes");
    }
}

async fn process(namespace: &TestNamespace, cache: &str, seed: u64) -> Arc<dyn Engine> {
    let options = OpenOptions {
        default_folder: std::env::temp_dir(),
        cache: cache.parse().expect("it names a cache"),
        cache_times: TIMES,
    };
    let url = namespace.url().parse().expect("the URL is one of a server");
    let (clock, rng) = (Arc::new(SystemClock), Arc::new(SeededRng::new(seed)));
    let engine = open(&url, &options, clock, rng).await;
    engine.expect("the server can be used")
}

fn an_object() -> Write {
    Write::new(Change::Upsert {
        collection: collection("meta"),
        patches: vec![payload("global", "x")],
    })
}

async fn put(process: &Arc<dyn Engine>) -> SyncTime {
    let written = process.write(UserId(0), an_object()).await;
    written.expect("the database answers").modified
}

async fn modified(process: &Arc<dyn Engine>) -> SyncTime {
    let summary = process.summary(UserId(0), Detail::Times).await;
    summary.expect("the database answers").modified
}

async fn write(process: Arc<dyn Engine>, user: u64, seen: Arc<Seen>) {
    while !seen.ends.load(Ordering::SeqCst) {
        match process.write(UserId(user), an_object()).await {
            Ok(written) => {
                seen.users[usize::try_from(user).unwrap_or_default()]
                    .fetch_max(written.modified.hundredths(), Ordering::SeqCst);
                seen.writes.fetch_add(1, Ordering::SeqCst);
            }
            Err(EngineError::Busy) => {}
            Err(error) => panic!("a write fails: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
}

async fn read(process: Arc<dyn Engine>, user: u64, seen: Arc<Seen>) {
    let highest = &seen.users[usize::try_from(user).unwrap_or_default()];
    while !seen.ends.load(Ordering::SeqCst) {
        let floor = highest.load(Ordering::SeqCst);
        let summary = process.summary(UserId(user), Detail::Times).await;
        let modified = summary.expect("the database answers").modified.hundredths();
        assert!(modified >= floor, "{modified} after {floor} was seen");
        highest.fetch_max(modified, Ordering::SeqCst);
        seen.answers.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

async fn killed_and_restarted_empty(server: TestServer, kind: Kind) {
    let mut cache = OwnCache::start(kind);
    let url = cache.url();
    let two = Box::pin(Two::new(server, [&url, &url])).await;
    two.wait_for_the_cache().await;
    let events = async {
        pass(400).await;
        cache.kill();
        pass(800).await;
        cache.start_again();
        pass(400).await;
    };
    Box::pin(two.load(events)).await;
    // Then it is used again.
    two.wait_for_the_cache().await;
    Box::pin(two.load(pass(300))).await;
}

/// The values of an earlier state of the store are back, and no process has met the server meanwhile.
async fn restored_from_an_old_snapshot(server: TestServer) {
    let mut cache = OwnCache::start(Kind::Redis);
    let url = cache.url();
    let two = Box::pin(Two::new(server, [&url, &url])).await;
    two.wait_for_the_cache().await;
    let [first, second] = &two.processes;
    put(first).await;
    assert_eq!(two.modified_behind_the_cache().await, modified(first).await);
    cache.save();
    let written = put(second).await;
    cache.kill();
    cache.start_again();
    assert!(cache.keys() > 64, "the old values are back");
    for process in &two.processes {
        assert_eq!(modified(process).await, written);
    }
    assert_ne!(two.phase().await, 2);
}

async fn hung(server: TestServer, kind: Kind) {
    let cache = OwnCache::start(kind);
    let url = cache.url();
    let two = Box::pin(Two::new(server, [&url, &url])).await;
    two.wait_for_the_cache().await;
    let events = async {
        pass(200).await;
        cache.signal("STOP");
        pass(1500).await;
        cache.signal("CONT");
        pass(300).await;
    };
    Box::pin(two.load(events)).await;
}

async fn emptied(server: TestServer, kind: Kind) {
    let cache = OwnCache::start(kind);
    let url = cache.url();
    let two = Box::pin(Two::new(server, [&url, &url])).await;
    two.wait_for_the_cache().await;
    let events = async {
        pass(200).await;
        cache.empty();
        pass(800).await;
    };
    Box::pin(two.load(events)).await;
}

/// The cache holds a part of what it is given, and removes what it likes.
async fn too_small(server: TestServer) {
    let options = ["--maxmemory", "1500kb", "--maxmemory-policy", "allkeys-lru"];
    let cache = OwnCache::with(Kind::Redis, &options);
    let url = cache.url();
    let two = Box::pin(Two::new(server, [&url, &url])).await;
    two.wait_for_the_cache().await;
    let others = async {
        for user in 0..3000 {
            let process = &two.processes[usize::from(user % 2 == 0)];
            let summary = process.summary(UserId(1000 + user), Detail::Times).await;
            summary.expect("the database answers");
        }
    };
    Box::pin(two.load(others)).await;
    assert!(cache.statistic("evicted_keys") > 0, "it was too small");
}

/// A process that starts later answers from what others have stored.
async fn warm_for_another_process(server: TestServer, kind: Kind) {
    let cache = OwnCache::start(kind);
    let url = cache.url();
    let two = Box::pin(Two::new(server, [&url, &url])).await;
    two.wait_for_the_cache().await;
    let [first, _] = &two.processes;
    let written = put(first).await;
    assert_eq!(modified(first).await, written);
    let query = Query::one(collection("meta"), ObjectId::new("global").expect("it is an id"));
    first.read(UserId(0), &query).await.expect("the database answers");
    // The database says something else from now on: no process is told.
    let change =
        "UPDATE sync_user SET modified = modified + 1; UPDATE sync_collection SET modified = modified + 1;
                  UPDATE sync_object SET modified = modified + 1";
    two.namespace.run(change).await;
    let later = two.process(&url, 9).await;
    assert_eq!(modified(&later).await, written);
    let page = later.read(UserId(0), &query).await.expect("the cache answers");
    assert_eq!(page.rows.iter().next().map(|row| row.modified), Some(written));
    // A write is seen by all, wherever it came from.
    let again = put(&later).await;
    for process in [first, &later] {
        assert_eq!(modified(process).await, again);
        let page = process
            .read(UserId(0), &query)
            .await
            .expect("the database answers");
        assert_eq!(page.modified, Some(again));
    }
}

/// One process cannot reach the cache that the other one uses.
async fn out_of_reach_for_one(server: TestServer, kind: Kind) {
    let cache = OwnCache::start(kind);
    let (url, cut) = (cache.url(), cache.url_of_nothing());
    let together = Box::pin(Two::new(server, [&url, &url])).await;
    together.wait_for_the_cache().await;
    let alone = together.process(&cut, 3).await;
    let Two {
        processes: [first, _],
        namespace,
    } = together;
    let two = Two {
        processes: [first, alone],
        namespace,
    };
    Box::pin(two.load(pass(1500))).await;
    assert_ne!(two.phase().await, 2, "a writer that cannot bar has ended its use");
}

macro_rules! tests {
    ($($name:ident($($argument:expr),*);)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs a server: cargo xtask test starts one"]
        async fn $name() {
            Box::pin(super::$name($($argument),*)).await;
        })*
    };
}

mod postgres_redis {
    use super::*;
    tests! {
        killed_and_restarted_empty(TestServer::Postgres, Kind::Redis);
        restored_from_an_old_snapshot(TestServer::Postgres);
        hung(TestServer::Postgres, Kind::Redis);
        emptied(TestServer::Postgres, Kind::Redis);
        too_small(TestServer::Postgres);
        warm_for_another_process(TestServer::Postgres, Kind::Redis);
        out_of_reach_for_one(TestServer::Postgres, Kind::Redis);
    }
}

mod mariadb_memcached {
    use super::*;
    tests! {
        killed_and_restarted_empty(TestServer::Mariadb, Kind::Memcached);
        hung(TestServer::Mariadb, Kind::Memcached);
        emptied(TestServer::Mariadb, Kind::Memcached);
        warm_for_another_process(TestServer::Mariadb, Kind::Memcached);
        out_of_reach_for_one(TestServer::Mariadb, Kind::Memcached);
    }
}

/// Two processes that both think to be alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn a_local_cache_is_not_used_while_another_process_writes() {
    for other in ["local", "none"] {
        let two = Box::pin(Two::new(TestServer::Postgres, ["local", other])).await;
        two.processes[0]
            .summary(UserId(0), Detail::Times)
            .await
            .expect("the database answers");
        two.wait_for_the_cache().await;
        Box::pin(two.load(pass(1200))).await;
        assert_ne!(two.phase().await, 2);
    }
}
