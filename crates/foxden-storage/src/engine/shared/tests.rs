//! Tests of two processes that share a cache which loses what it holds, comes back with old values, or is out of reach for one of
//! them.

mod barring;
mod fake;
mod pipeline;

use std::sync::atomic::{AtomicBool, AtomicUsize};

use foxden_model::{CollectionName, ManualClock, ObjectId, SeededRng, SystemClock};

use super::*;
use crate::command::{Change, Field, Fields, Patch};
use crate::engine::MemoryEngine;
use crate::engine::agreement::Phase;
use crate::engine::agreement::tests::{Gate, Row};

use self::fake::{Client, FakeServer, Keyed, Mistake, Pace, Slow};

const USER: UserId = UserId(7);
/// How long a writer waits that cannot bar.
const HOLD: Duration = Duration::from_millis(30);
/// How long a writer tries to bar.
const BAR_LIMIT: Duration = Duration::from_millis(300);

/// Two processes with one store and one cache.
struct Pair {
    processes: [Arc<SharedCached<Slow>>; 2],
    clients: [Arc<Client>; 2],
    server: Arc<FakeServer>,
    row: Arc<Row>,
    reads: Arc<AtomicUsize>,
    /// The clock, if it is one that a test moves.
    clock: Option<Arc<ManualClock>>,
}

impl Pair {
    fn new(clock: &Arc<dyn Clock>, times: CacheTimes, mistake: Mistake, seed: u64) -> Self {
        let server = Arc::new(FakeServer {
            pace: Pace(SeededRng::new(seed)),
            mistake,
            ..FakeServer::default()
        });
        let row = Arc::new(Row::default());
        let reads = Arc::new(AtomicUsize::new(0));
        let engine = Arc::new(MemoryEngine::new(
            Arc::clone(clock),
            Arc::new(SeededRng::new(seed)),
        ));
        let client = || {
            Arc::new(Client {
                server: Arc::clone(&server),
                is_cut: AtomicBool::new(false),
                gate: Gate::default(),
            })
        };
        let clients = [client(), client()];
        let process = |at: usize| {
            let slow = Slow {
                engine: Arc::clone(&engine),
                pace: Pace(SeededRng::new(seed + 100 + at as u64)),
                reads: Arc::clone(&reads),
                row: Arc::clone(&row),
                read: Gate::default(),
                write: Gate::default(),
            };
            let rng = Arc::new(SeededRng::new(seed * 2 + at as u64));
            Arc::new(SharedCached::new(
                slow,
                CacheKind::Redis,
                clients[at].clone(),
                row.clone(),
                times,
                Arc::clone(clock),
                rng,
            ))
        };
        let processes = [process(0), process(1)];
        Self {
            processes,
            clients,
            server,
            row,
            reads,
            clock: None,
        }
    }

    /// Two processes whose cache is in use at once.
    async fn in_use() -> Self {
        Self::in_use_with(HOLD).await
    }

    async fn in_use_with(hold: Duration) -> Self {
        Self::mistaken(hold, Mistake::None).await
    }

    async fn mistaken(hold: Duration, mistake: Mistake) -> Self {
        let manual = Arc::new(ManualClock::at_millis(1_700_000_000_000));
        let clock: Arc<dyn Clock> = manual.clone();
        let times = CacheTimes {
            hold,
            write_lease: Duration::ZERO,
            lease: Duration::from_millis(1),
            settle: Duration::ZERO,
            bar_limit: BAR_LIMIT,
            ..CacheTimes::default()
        };
        let mut pair = Self::new(&clock, times, mistake, 1);
        pair.clock = Some(manual);
        pair.modified(0).await;
        pair
    }

    async fn modified(&self, process: usize) -> SyncTime {
        let summary = self.processes[process].summary(USER, Detail::Times).await;
        summary.unwrap().modified
    }

    async fn put(&self, process: usize, text: &str) -> SyncTime {
        let written = self.processes[process].write(USER, put(text)).await;
        written.unwrap().modified
    }

    /// How often the engine was asked meanwhile.
    async fn engine_reads<T>(&self, work: impl Future<Output = T>) -> (T, usize) {
        let before = self.reads.load(Ordering::SeqCst);
        let done = work.await;
        (done, self.reads.load(Ordering::SeqCst) - before)
    }

    fn phase(&self) -> Phase {
        self.row.row().phase
    }
}

fn collection() -> CollectionName {
    CollectionName::new("meta").unwrap()
}

fn put(text: &str) -> Write {
    Write::new(Change::Upsert {
        collection: collection(),
        patches: vec![Patch {
            payload: Field::Set(text.to_owned()),
            renews: true,
            ..Patch::empty(ObjectId::new("global").unwrap())
        }],
    })
}

fn one() -> Query {
    Query::one(collection(), ObjectId::new("global").unwrap())
}

#[tokio::test]
async fn what_one_process_reads_the_other_need_not_read() {
    let pair = Pair::in_use().await;
    let first = pair.put(0, "one").await;
    assert_eq!(pair.engine_reads(pair.modified(0)).await, (first, 1));
    for process in [0, 1, 1, 0] {
        assert_eq!(pair.engine_reads(pair.modified(process)).await, (first, 0));
    }
    let second = pair.put(1, "two").await;
    assert_eq!(pair.engine_reads(pair.modified(0)).await, (second, 1));
    assert_eq!(pair.engine_reads(pair.modified(1)).await, (second, 0));
}

#[tokio::test]
async fn an_object_is_read_once_in_each_state() {
    let pair = Pair::in_use().await;
    for text in ["one", "two"] {
        pair.put(0, text).await;
        pair.modified(1).await;
        for (process, reads) in [(0, 1), (0, 0), (1, 0)] {
            let query = one();
            let (page, read) = pair
                .engine_reads(pair.processes[process].read(USER, &query))
                .await;
            assert_eq!(page.unwrap().rows.iter().next().unwrap().payload, text);
            assert_eq!(read, reads);
        }
        let nothing_new = Query {
            selection: crate::command::Selection {
                newer: Some(pair.modified(0).await),
                ..Default::default()
            },
            ..Query::all(collection(), Fields::Whole)
        };
        let (page, read) = pair
            .engine_reads(pair.processes[1].read(USER, &nothing_new))
            .await;
        assert_eq!((page.unwrap().rows.len(), read), (0, 0));
    }
}

#[tokio::test]
async fn a_cache_that_was_emptied_or_came_back_with_old_values_is_not_believed() {
    for comes_back in [false, true] {
        let pair = Pair::in_use().await;
        pair.put(0, "one").await;
        pair.modified(0).await;
        let snapshot = if comes_back {
            pair.server.state().keyed.clone()
        } else {
            Keyed::new()
        };
        let second = pair.put(0, "two").await;
        pair.server.restart(snapshot);
        assert_eq!(pair.engine_reads(pair.modified(1)).await, (second, 1));
        assert_ne!(pair.phase(), Phase::On);
        let third = pair.put(1, "three").await;
        for _ in 0..3 {
            assert_eq!(pair.modified(0).await, third);
        }
    }
}

#[tokio::test]
async fn a_bar_is_not_lost_alone() {
    let pair = Pair::in_use().await;
    let first = pair.put(0, "one").await;
    let barred = pair.processes[0].bar(pair.row.row().epoch, USER).await.unwrap();
    let list = barred.keys.list_of(USER);
    pair.server.state().keyed.remove(&list);
    // A reader sees that something is lost, and fills nothing.
    assert_eq!(pair.engine_reads(pair.modified(1)).await, (first, 1));
    assert_ne!(pair.phase(), Phase::On);
    let unbarred = pair.processes[0].unbar(&barred, &[barred.bar]).await;
    assert!(matches!(unbarred, Err(CacheFault::Lost)));
}

/// The write of a writer that died may land late, until a later write of the user has.
#[tokio::test]
async fn the_bar_of_a_writer_that_died_ends_with_a_later_write() {
    let pair = Pair::in_use().await;
    let first = pair.put(0, "one").await;
    let epoch = pair.row.row().epoch;
    let dead = pair.processes[0].bar(epoch, USER).await.unwrap();
    let clock = pair.clock.as_ref().unwrap();
    for millis in [0, 59_000, 3_600_000] {
        clock.advance_millis(millis);
        for _ in 0..2 {
            assert_eq!(pair.engine_reads(pair.modified(1)).await, (first, 1), "{millis}");
        }
    }
    // The other process sees the bar for the first time: its writer may live.
    let second = pair.put(1, "two").await;
    assert_eq!(pair.engine_reads(pair.modified(1)).await, (second, 1));
    clock.advance_millis(60_000);
    let third = pair.put(1, "three").await;
    for reads in [1, 0] {
        assert_eq!(pair.engine_reads(pair.modified(0)).await, (third, reads));
    }
    assert_eq!(pair.row.row().epoch, epoch);
    // If it lives, what was read meanwhile is removed.
    pair.processes[0].unbar(&dead, &[dead.bar]).await.unwrap();
    assert_eq!(pair.engine_reads(pair.modified(1)).await, (third, 1));
}

#[tokio::test]
async fn while_a_process_cannot_reach_the_cache_no_process_uses_it() {
    let pair = Pair::in_use().await;
    pair.put(0, "one").await;
    pair.modified(0).await;
    pair.clients[1].is_cut.store(true, Ordering::SeqCst);
    let began = std::time::Instant::now();
    let second = pair.put(1, "two").await;
    assert!(began.elapsed() >= HOLD, "the other one may still read");
    assert_ne!(pair.phase(), Phase::On);
    pair.clock.as_ref().unwrap().advance_millis(1);
    assert_eq!(pair.modified(0).await, second);
    assert_eq!(pair.modified(1).await, second);
}

/// What the writer of the test above waits for.
#[tokio::test]
async fn without_the_hold_the_other_process_reads_what_is_stale() {
    let pair = Pair::in_use_with(Duration::ZERO).await;
    let first = pair.put(0, "one").await;
    pair.modified(0).await;
    pair.clients[1].is_cut.store(true, Ordering::SeqCst);
    pair.put(1, "two").await;
    assert_eq!(pair.modified(0).await, first);
}

#[tokio::test]
async fn a_write_that_is_given_up_leaves_the_entry_barred() {
    let pair = Pair::in_use().await;
    let first = pair.put(0, "one").await;
    pair.modified(0).await;
    {
        let mut write = pair.processes[0].write(USER, put("two"));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..40 {
            if pair.reads.load(Ordering::SeqCst) > 10 || write.as_mut().poll(&mut context).is_ready() {
                break;
            }
            let list = EpochKeys(pair.row.row().epoch).list_of(USER);
            let list = pair.server.state().found(&list);
            let bars = list.and_then(|found| BarList::read(&found.value));
            if bars.is_some_and(|bars| bars.bars_user(USER)) {
                break;
            }
        }
    }
    for _ in 0..3 {
        let (modified, reads) = pair.engine_reads(pair.modified(1)).await;
        assert!(modified >= first && reads == 1, "nothing is filled");
    }
}

/// Times at which a test of a second has many epochs.
const QUICK: CacheTimes = CacheTimes {
    lease: Duration::from_millis(4),
    hold: Duration::from_millis(6),
    write_lease: Duration::from_millis(5),
    write_limit: Duration::from_millis(10),
    settle: Duration::from_millis(40),
    retry: Duration::from_millis(1),
    bar_limit: Duration::from_millis(5),
};

/// What the load found.
struct Outcome {
    /// An answer that is older than what some task had seen before it was asked for.
    fault: Option<String>,
    hits: usize,
}

/// Two processes write and read while the server loses values, comes back with old ones, and is out of reach.
async fn load(times: CacheTimes, mistake: Mistake, seed: u64) -> Outcome {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let pair = Arc::new(Pair::new(&clock, times, mistake, seed));
    // The highest time that any task has highest.
    let highest = Arc::new(AtomicI64::new(0));
    let calls = Arc::new(AtomicUsize::new(0));
    let ends = clock.steady_millis() + 400;
    let mut tasks = tokio::task::JoinSet::new();
    for process in 0..2 {
        for _ in 0..2 {
            let (pair, highest, clock) = (Arc::clone(&pair), Arc::clone(&highest), Arc::clone(&clock));
            let calls = Arc::clone(&calls);
            tasks.spawn(async move {
                while clock.steady_millis() < ends {
                    let floor = highest.load(Ordering::SeqCst);
                    let summary = pair.processes[process].summary(USER, Detail::Times).await;
                    let Ok(summary) = summary else { continue };
                    calls.fetch_add(1, Ordering::SeqCst);
                    let modified = summary.modified.hundredths();
                    if modified < floor {
                        return Some(format!("{modified} after {floor}"));
                    }
                    highest.fetch_max(modified, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
                None
            });
        }
        let (pair, highest, clock) = (Arc::clone(&pair), Arc::clone(&highest), Arc::clone(&clock));
        tasks.spawn(async move {
            while clock.steady_millis() < ends {
                if let Ok(written) = pair.processes[process].write(USER, put("x")).await {
                    highest.fetch_max(written.modified.hundredths(), Ordering::SeqCst);
                }
                for _ in 0..pair.server.pace.random() % 60 {
                    tokio::task::yield_now().await;
                }
                if pair.server.pace.random() % 4 == 0 {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
            None
        });
    }
    let chaos = Arc::clone(&pair);
    tasks.spawn(async move {
        let mut snapshot = Keyed::new();
        while clock.steady_millis() < ends {
            tokio::time::sleep(Duration::from_millis(8)).await;
            let server = &chaos.server;
            match server.pace.random() % 12 {
                0 => server.restart(Keyed::new()),
                1 => server.restart(snapshot.clone()),
                2 => server.state().keyed.clear(),
                7..=8 => {
                    let random = server.pace.random();
                    server.state().evict(random);
                }
                3..=5 => snapshot = server.state().keyed.clone(),
                6 => chaos.clients[1].is_cut.store(true, Ordering::SeqCst),
                _ => chaos.clients[1].is_cut.store(false, Ordering::SeqCst),
            }
        }
        None
    });
    let fault = tasks.join_all().await.into_iter().flatten().next();
    let asked = pair.reads.load(Ordering::SeqCst);
    Outcome {
        fault,
        hits: calls.load(Ordering::SeqCst).saturating_sub(asked),
    }
}

#[tokio::test]
async fn no_answer_is_older_than_one_before() {
    let mut hits = 0;
    for seed in 0..100 {
        let found = load(QUICK, Mistake::None, seed).await;
        assert_eq!(found.fault, None, "with {seed}");
        hits += found.hits;
        if seed >= 5 && hits > 0 {
            return;
        }
    }
    panic!("the cache has not answered");
}

/// The load above would find these mistakes.
#[tokio::test]
async fn mistakes_are_found() {
    let no_settling = CacheTimes {
        settle: Duration::ZERO,
        ..QUICK
    };
    for (name, times, mistake) in [
        ("no settling", no_settling, Mistake::None),
        ("a missing list", QUICK, Mistake::MissingList),
        ("kept claims", QUICK, Mistake::KeptClaim),
    ] {
        let mut is_found = false;
        for seed in 0..40 {
            is_found = load(times, mistake, seed).await.fault.is_some();
            if is_found {
                break;
            }
        }
        assert!(is_found, "{name}");
    }
}
