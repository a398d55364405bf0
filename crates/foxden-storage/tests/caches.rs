//! Two processes with one store and one cache, while the cache server is killed, comes back empty or with old values, hangs, or is
//! out of reach for one of them: no answer is older than one before.
//!
//! A cache that does not answer in time is no fault: the database answers then. So a test that needs an answer of the cache tries
//! more than once.
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
    bar_limit: Duration::from_millis(500),
};
const USERS: usize = 3;
/// How often a cache may fail to answer in time.
const TRIES: u64 = 20;

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

    /// Writes an object and reads it, so that the cache has it. The database says something else from then on: the next hundredth.
    /// No process is told that.
    async fn put_behind_the_cache(&self, user: u64) -> SyncTime {
        self.wait_for_the_cache().await;
        let [first, _] = &self.processes;
        let written = put(first, user).await;
        assert_eq!(modified(first, user).await, written);
        assert_eq!(modified_object(first, user).await, written);
        let changes = ["sync_user", "sync_collection", "sync_object"]
            .map(|table| format!("UPDATE {table} SET modified = modified + 1 WHERE uid = {user}"));
        self.namespace.run(&changes.join("; ")).await;
        written
    }

    /// Waits until the cache is in use: until answers need no database. Returns the epoch.
    async fn wait_for_the_cache(&self) -> i64 {
        let begin = Instant::now();
        loop {
            let epoch = self.epoch_in_use().await;
            if epoch != 0 {
                return epoch;
            }
            for process in &self.processes {
                modified(process, 0).await;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "the cache is not used");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The epoch whose entries may be read; zero for none.
    async fn epoch_in_use(&self) -> i64 {
        let query = "SELECT COALESCE(MAX(epoch), 0) FROM sync_cache WHERE phase = 2";
        self.namespace.number(query).await
    }

    /// Runs writers and readers in both processes while `events` happen, and until they have done much.
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
        let begin = Instant::now();
        while !seen.is_much() {
            let (answers, writes) = (&seen.answers, &seen.writes);
            let is_slow = begin.elapsed() > Duration::from_secs(60);
            assert!(!is_slow, "{answers:?} answers, {writes:?} writes");
            pass(20).await;
        }
        seen.ends.store(true, Ordering::SeqCst);
        tasks.join_all().await;
    }
}

impl Seen {
    fn is_much(&self) -> bool {
        self.answers.load(Ordering::SeqCst) > 100 && self.writes.load(Ordering::SeqCst) > 20
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

async fn put(process: &Arc<dyn Engine>, user: u64) -> SyncTime {
    let written = process.write(UserId(user), an_object()).await;
    written.expect("the database answers").modified
}

async fn modified(process: &Arc<dyn Engine>, user: u64) -> SyncTime {
    let summary = process.summary(UserId(user), Detail::Times).await;
    summary.expect("the database answers").modified
}

/// When the object of [`put`] changed.
async fn modified_object(process: &Arc<dyn Engine>, user: u64) -> SyncTime {
    let query = Query::one(collection("meta"), ObjectId::new("global").expect("it is an id"));
    let page = process.read(UserId(user), &query).await;
    let page = page.expect("the database answers");
    let row = page.rows.iter().next().expect("it is there");
    row.modified
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
    let [first, second] = &two.processes;
    let answers_from_the_cache = async |user| {
        let written = two.put_behind_the_cache(user).await;
        modified(first, user).await == written
    };
    let user = first_of_tries(answers_from_the_cache).await;
    let epoch = two.epoch_in_use().await;
    cache.save();
    let written = put(second, user).await;
    cache.kill();
    cache.start_again();
    assert!(cache.keys() > 64, "the old values are back");
    for process in &two.processes {
        assert_eq!(modified(process, user).await, written);
    }
    assert_ne!(two.epoch_in_use().await, epoch);
}

/// The first user with whom it is so.
async fn first_of_tries(is_so: impl AsyncFn(u64) -> bool) -> u64 {
    for user in 0..TRIES {
        if is_so(user).await {
            return user;
        }
    }
    panic!("the cache is of no use")
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
        for user in 0..TRIES * 3000 {
            let process = &two.processes[usize::from(user % 2 == 0)];
            modified(process, 1000 + user).await;
            if user % 3000 == 2999 && cache.statistic("evicted_keys") > 0 {
                return;
            }
        }
        panic!("it was large enough");
    };
    Box::pin(two.load(others)).await;
}

/// Lists of users who do nothing count as used, so that a full server removes other values first.
async fn idle_lists_count_as_used(server: TestServer, kind: Kind) {
    let options = ["--maxmemory-policy", "allkeys-lfu", "--lfu-decay-time", "0"];
    let cache = OwnCache::with(kind, if kind == Kind::Redis { &options } else { &[] });
    let url = cache.url();
    let two = Box::pin(Two::new(server, [&url, &url])).await;
    two.wait_for_the_cache().await;
    let epoch = two.namespace.number("SELECT epoch FROM sync_cache").await;
    let is_used = |list: u64| match kind {
        // The count of a value that was stored and not read is five.
        Kind::Redis => cache.ask(&format!("OBJECT FREQ foxden1:{epoch:x}:b{list}\r\n")) != ":5",
        Kind::Memcached => cache
            .ask(&format!("me foxden1:{epoch:x}:b{list}\r\n"))
            .contains("fetch=yes"),
    };
    let begin = Instant::now();
    while !(0..64).all(is_used) {
        modified(&two.processes[0], 0).await;
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "a list counts as unused"
        );
        pass(20).await;
    }
}

/// A process that starts later answers from what others have stored.
async fn warm_for_another_process(server: TestServer, kind: Kind) {
    let cache = OwnCache::start(kind);
    let url = cache.url();
    let two = Box::pin(Two::new(server, [&url, &url])).await;
    let [first, _] = &two.processes;
    let answers_from_the_cache = async |user| {
        let written = two.put_behind_the_cache(user).await;
        let later = two.process(&url, 9 + user).await;
        let told = [modified(&later, user).await, modified_object(&later, user).await];
        assert!(told.iter().all(|told| [written, written.next()].contains(told)));
        // A write is seen by all, wherever it came from.
        let again = put(&later, user).await;
        for process in [first, &later] {
            assert_eq!(modified(process, user).await, again);
            assert_eq!(modified_object(process, user).await, again);
        }
        told == [written; 2]
    };
    first_of_tries(answers_from_the_cache).await;
}

/// One process cannot reach the cache that the other one uses.
async fn out_of_reach_for_one(server: TestServer, kind: Kind) {
    let cache = OwnCache::start(kind);
    let (url, cut) = (cache.url(), cache.url_of_nothing());
    let together = Box::pin(Two::new(server, [&url, &url])).await;
    let epoch = together.wait_for_the_cache().await;
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
    let now = two.epoch_in_use().await;
    assert_ne!(now, epoch, "a writer that cannot bar has ended its use");
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
        idle_lists_count_as_used(TestServer::Postgres, Kind::Redis);
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
        idle_lists_count_as_used(TestServer::Mariadb, Kind::Memcached);
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
        modified(&two.processes[0], 0).await;
        let epoch = two.wait_for_the_cache().await;
        Box::pin(two.load(pass(1200))).await;
        assert_ne!(two.epoch_in_use().await, epoch);
    }
}
