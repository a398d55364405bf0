//! The speed of the SQLite engine, in process: `cargo bench -p foxden-storage`.
//!
//! Tasks send requests as fast as answers come, for a hundred users, with objects of 300 bytes. For comparison it measures
//! the disk alone: appends to one file with a flush after each.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers to be read by people, far from any limit"
)]

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foxden_model::{CollectionName, ObjectId, Rng, SeededRng, SystemClock, UserId};
use foxden_storage::{
    BatchPart, Change, Detail, Engine, Field, Fields, Patch, Query, SqliteEngine, SqliteOptions, Write,
};
use tokio::task::JoinSet;

const USERS: u64 = 100;
const WINDOW: Duration = Duration::from_secs(2);
const CLIENTS: [u64; 3] = [1, 16, 64];
/// The number of objects on the disk.
const OBJECTS: u64 = 400_000;

/// The repeated request of a task.
#[derive(Clone, Copy, Debug)]
enum Load {
    Post(usize),
    Overwrite(usize),
    Stage(usize),
    Summary,
    Poll,
    One,
    Page,
}

fn main() {
    let only = std::env::args().nth(1).filter(|word| !word.starts_with('-'));
    let is_wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    for bytes in [400, 4_000, 40_000] {
        if is_wanted("raw") {
            print_line(format!(
                "append and flush {bytes} bytes: {:.0}/s",
                appends(&folder, bytes)
            ));
        }
    }
    for load in [
        Load::Post(1),
        Load::Post(5),
        Load::Post(100),
        Load::Overwrite(1),
        Load::Overwrite(100),
        Load::Stage(100),
        Load::Summary,
        Load::Poll,
        Load::One,
        Load::Page,
    ] {
        let name = format!("{load:?}").to_lowercase();
        if is_wanted(&name) {
            for clients in CLIENTS {
                print_line(format!(
                    "{name:15} {clients:2} clients: {}",
                    strain(&folder, load, clients)
                ));
            }
        }
    }
    if is_wanted("commit") {
        commit(&folder);
    }
    if is_wanted("fresh") {
        let before = memory();
        fresh(&folder);
        let engine = open(&folder);
        let opened = memory();
        runtime().block_on(async {
            for user in 0..USERS {
                let patches = vec![patch(ObjectId::new("a").expect("a plain id"))];
                engine
                    .write(UserId(user), upsert(patches))
                    .await
                    .expect("room for it");
            }
        });
        print_line(format!(
            "memory: {before} KB, {opened} KB opened, {} KB after {USERS} writes",
            memory()
        ));
    }
    if is_wanted("disk") {
        disk(&folder);
    }
}

/// Runs tasks for a while, on a folder with a thousand objects for each user.
fn strain(folder: &Path, load: Load, clients: u64) -> String {
    fresh(folder);
    let runtime = runtime();
    let engine = Arc::new(open(folder));
    runtime.block_on(fill(&engine));
    let is_over = Arc::new(AtomicBool::new(false));
    let known: Arc<Vec<_>> = Arc::new((0..USERS).map(ids).collect());
    let (before, cpu, began) = (memory() / 1024, cpu_seconds(), Instant::now());
    let mut latencies: Vec<f32> = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let (engine, is_over, known) = (engine.clone(), is_over.clone(), known.clone());
            tasks.spawn(async move {
                let mut client = Client::new(client, known);
                let mut latencies = Vec::<f32>::new();
                while !is_over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    client.load(&engine, load).await;
                    latencies.push(began.elapsed().as_secs_f32());
                    // A read never yields, so it would keep the thread from the other tasks.
                    tokio::task::yield_now().await;
                }
                latencies
            });
        }
        tokio::time::sleep(WINDOW).await;
        is_over.store(true, Ordering::Relaxed);
        tasks.join_all().await.into_iter().flatten().collect()
    });
    let (seconds, asked) = (began.elapsed().as_secs_f64(), latencies.len() as f64);
    latencies.sort_by(f32::total_cmp);
    let micros = |share: f64| latencies[(asked * share) as usize] * 1e6;
    format!(
        "{:8.0}/s  {:7.1} us cpu  p50 {:6.0} us  p99 {:6.0} us  {before} MB filled",
        asked / seconds,
        (cpu_seconds() - cpu) / asked * 1e6,
        micros(0.5),
        micros(0.99),
    )
}

struct Client {
    rng: SeededRng,
    user: UserId,
    known: Arc<Vec<Vec<ObjectId>>>,
}

impl Client {
    fn new(number: u64, known: Arc<Vec<Vec<ObjectId>>>) -> Self {
        Self {
            rng: SeededRng::new(number.wrapping_mul(0x1234_5678_9abc_def1)),
            user: UserId(0),
            known,
        }
    }

    async fn load(&mut self, engine: &SqliteEngine, load: Load) {
        self.user = UserId(self.number() % USERS);
        match load {
            Load::Post(objects) => {
                let patches = (0..objects).map(|_| patch(self.id())).collect();
                engine
                    .write(self.user, upsert(patches))
                    .await
                    .expect("room for it");
            }
            Load::Overwrite(objects) => {
                let first = self.number() as usize % (1000 - objects);
                let ids = &self.known[self.user.0 as usize][first..first + objects];
                let patches = ids.iter().cloned().map(patch).collect();
                engine
                    .write(self.user, upsert(patches))
                    .await
                    .expect("room for it");
            }
            Load::Stage(objects) => {
                let part = BatchPart {
                    collection: collection(),
                    batch: None,
                    guard: None,
                    patches: (0..objects).map(|_| patch(self.id())).collect(),
                    max_objects: 10_000,
                    max_bytes: 1 << 30,
                    max_open_bytes: u64::MAX,
                    quota: None,
                };
                engine.stage(self.user, part).await.expect("room for it");
            }
            Load::Summary => {
                engine
                    .summary(self.user, Detail::Times)
                    .await
                    .expect("it is there");
            }
            Load::Poll => {
                let summary = engine
                    .summary(self.user, Detail::Times)
                    .await
                    .expect("it is there");
                let mut query = Query::all(collection(), Fields::Whole);
                query.selection.newer = Some(summary.modified);
                let page = engine.read(self.user, &query).await.expect("it is there");
                assert!(page.rows.is_empty());
            }
            Load::One => {
                let known = &self.known[self.user.0 as usize];
                let id = known[self.number() as usize % known.len()].clone();
                let query = Query::one(collection(), id);
                let page = engine.read(self.user, &query).await.expect("it is there");
                assert_eq!(page.rows.len(), 1);
            }
            Load::Page => {
                let query = Query::all(collection(), Fields::Whole);
                let page = engine.read(self.user, &query).await.expect("it is there");
                assert_eq!(page.rows.len(), 1000);
            }
        }
    }

    fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn id(&self) -> ObjectId {
        let id = format!("{:012x}", self.number() >> 16);
        ObjectId::new(id).expect("a plain id")
    }
}

async fn fill(engine: &SqliteEngine) {
    for user in 0..USERS {
        for ids in ids(user).chunks(100) {
            let patches = ids.iter().cloned().map(patch).collect();
            engine
                .write(UserId(user), upsert(patches))
                .await
                .expect("room for it");
        }
    }
}

fn ids(user: u64) -> Vec<ObjectId> {
    let rng = SeededRng::new(user + 77);
    let id = |_| {
        let mut bytes = [0; 8];
        rng.fill(&mut bytes);
        let id = format!("{:08x}{user:04}", u64::from_le_bytes(bytes) as u32);
        ObjectId::new(id).expect("a plain id")
    };
    (0..1000).map(id).collect()
}

/// Commits a batch of ten thousand.
fn commit(folder: &Path) {
    fresh(folder);
    let engine = open(folder);
    let client = Client::new(1, Arc::default());
    runtime().block_on(async {
        let mut batch = None;
        for _ in 0..100 {
            let part = BatchPart {
                collection: collection(),
                batch,
                guard: None,
                patches: (0..100).map(|_| patch(client.id())).collect(),
                max_objects: 10_000,
                max_bytes: 1 << 30,
                max_open_bytes: u64::MAX,
                quota: None,
            };
            batch = Some(engine.stage(UserId(1), part).await.expect("room for it").batch);
        }
        let began = Instant::now();
        let change = Change::CommitBatch {
            collection: collection(),
            batch: batch.expect("parts were staged"),
            patches: Vec::new(),
            max_objects: 10_000,
            max_bytes: 1 << 30,
        };
        engine
            .write(UserId(1), Write::new(change))
            .await
            .expect("room for it");
        print_line(format!(
            "commit of 10,000: {:.1} ms",
            began.elapsed().as_secs_f64() * 1e3
        ));
    });
}

/// The bytes of an object on the disk, after a checkpoint.
fn disk(folder: &Path) {
    fresh(folder);
    let engine = open(folder);
    let client = Client::new(1, Arc::default());
    runtime().block_on(async {
        for at in 0..OBJECTS / 100 {
            let patches = (0..100).map(|_| patch(client.id())).collect();
            engine
                .write(UserId(at % USERS), upsert(patches))
                .await
                .expect("room for it");
        }
    });
    drop(engine);
    let files = folder.read_dir().expect("it was made").map(|entry| {
        let metadata = entry.and_then(|entry| entry.metadata());
        metadata.expect("it is readable").len()
    });
    print_line(format!(
        "disk: {:.1} bytes for an object of 300",
        files.sum::<u64>() as f64 / OBJECTS as f64
    ));
}

/// The speed of the disk for one writer.
fn appends(folder: &Path, bytes: usize) -> f64 {
    fresh(folder);
    std::fs::create_dir_all(folder).expect("room for it");
    let mut file = std::fs::File::create(folder.join("raw")).expect("room for it");
    let piece = vec![b'x'; bytes];
    let (began, mut count) = (Instant::now(), 0.0);
    while began.elapsed() < WINDOW {
        file.write_all(&piece)
            .and_then(|()| file.sync_data())
            .expect("room for it");
        count += 1.0;
    }
    count / began.elapsed().as_secs_f64()
}

fn upsert(patches: Vec<Patch>) -> Write {
    Write::new(Change::Upsert {
        collection: collection(),
        patches,
    })
}

fn patch(id: ObjectId) -> Patch {
    Patch {
        payload: Field::Set("x".repeat(300)),
        sortindex: Field::Set(100),
        renews: true,
        ..Patch::empty(id)
    }
}

fn collection() -> CollectionName {
    CollectionName::new("history").expect("a plain name")
}

fn open(folder: &Path) -> SqliteEngine {
    let rng = Arc::new(SeededRng::new(1));
    SqliteEngine::open(SqliteOptions::new(folder), Arc::new(SystemClock), rng).expect("a fresh folder")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("threads can be started")
}

fn fresh(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("the folder is ours");
    }
}

/// Processor time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    // The state is not a number, so user and system time are the eleventh and twelfth numbers.
    fields
        .get(10)
        .zip(fields.get(11))
        .map_or(0.0, |(user, system)| (user + system) / 100.0)
}

/// Kilobytes of memory in use.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0)
}

fn print_line(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
