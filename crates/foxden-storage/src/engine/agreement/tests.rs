//! Tests of what processes see of an agreement and when they may read and write.

use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use foxden_model::{ManualClock, SeededRng};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::*;

/// A row in memory, in the place of a database.
pub(in crate::engine) struct Row {
    now: Mutex<CacheRow>,
    /// How many of the next calls fail.
    fails: AtomicUsize,
    pub(in crate::engine) gate: Gate,
    calls: AtomicUsize,
    answers: AtomicUsize,
    began: Instant,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            now: Mutex::default(),
            fails: AtomicUsize::default(),
            gate: Gate::default(),
            calls: AtomicUsize::default(),
            answers: AtomicUsize::default(),
            began: Instant::now(),
        }
    }
}

/// Where a test stops calls until it opens the gate.
pub(in crate::engine) struct Gate {
    is_shut: watch::Sender<bool>,
    arrived: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            is_shut: watch::Sender::new(false),
            arrived: Semaphore::new(0),
        }
    }
}

impl Gate {
    pub(in crate::engine) fn shut(&self) {
        self.is_shut.send_replace(true);
    }

    pub(in crate::engine) fn open(&self) {
        self.is_shut.send_replace(false);
    }

    /// Waits until a call stands at the shut gate.
    pub(in crate::engine) async fn arrival(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    pub(in crate::engine) async fn pass(&self) {
        let mut is_shut = self.is_shut.subscribe();
        if *is_shut.borrow_and_update() {
            self.arrived.add_permits(1);
            is_shut.wait_for(|is_shut| !is_shut).await.unwrap();
        }
    }
}

impl Row {
    pub(in crate::engine) fn row(&self) -> CacheRow {
        *self.now.lock().unwrap()
    }

    /// What a database compares where a write lands.
    pub(in crate::engine) fn lets_land(&self, pass: Option<&Pass>) -> bool {
        let row = self.row();
        pass.is_none_or(|pass| {
            let landing = pass.landing(pass.answered(), i64::MAX);
            row.phase != Phase::Paused && row.epoch == landing.epoch && self.clock() < landing.until
        })
    }

    fn clock(&self) -> i64 {
        millis(self.began.elapsed())
    }

    /// So many of the next calls fail.
    pub(in crate::engine) fn fail(&self, calls: usize) {
        self.fails.store(calls, Ordering::SeqCst);
    }

    /// Calls so far, and those that were not dropped before their end.
    fn calls(&self) -> [usize; 2] {
        [&self.calls, &self.answers].map(|count| count.load(Ordering::SeqCst))
    }

    async fn answer(&self) -> Result<CacheRow, EngineError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.gate.pass().await;
        self.answers.fetch_add(1, Ordering::SeqCst);
        let fails = |left: usize| left.checked_sub(1);
        match self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails) {
            Ok(_) => Err(EngineError::Busy),
            Err(_) => Ok(self.row()),
        }
    }
}

#[async_trait]
impl CacheControl for Row {
    async fn look(&self) -> Result<SeenRow, EngineError> {
        let row = self.answer().await?;
        Ok(SeenRow {
            row,
            clock: self.clock(),
        })
    }

    async fn replace(&self, version: i64, next: CacheRow) -> Result<bool, EngineError> {
        let before = self.answer().await?;
        let is_replaced = before.version == version;
        if is_replaced {
            let version = version + 1;
            *self.now.lock().unwrap() = CacheRow { version, ..next };
        }
        Ok(is_replaced)
    }
}

struct Store {
    row: Arc<Row>,
    clock: Arc<ManualClock>,
    processes: u64,
}

const TIMES: CacheTimes = CacheTimes {
    lease: Duration::from_secs(2),
    // It is waited for.
    hold: Duration::from_millis(20),
    write_lease: Duration::from_secs(15),
    write_limit: Duration::from_secs(50),
    settle: Duration::from_secs(80),
    retry: Duration::from_secs(60),
    bar_limit: Duration::ZERO,
};

impl Store {
    fn new() -> Self {
        Self {
            row: Arc::default(),
            clock: Arc::new(ManualClock::at_millis(1_700_000_000_000)),
            processes: 0,
        }
    }

    fn process(&mut self, cache: CacheKind) -> Agreement {
        self.processes += 1;
        let rng = Arc::new(SeededRng::new(self.processes));
        Agreement {
            cache,
            ..Agreement::without_cache(self.row.clone(), TIMES, self.clock.clone(), rng)
        }
    }

    fn pass_seconds(&self, seconds: i64) {
        self.clock.advance_millis(seconds * 1000);
    }

    fn phase(&self) -> Phase {
        self.row.row().phase
    }

    /// A process whose cache is in use.
    async fn serving(&mut self, cache: CacheKind) -> (Agreement, i64) {
        let process = self.process(cache);
        assert_eq!(process.serving().await, None);
        self.pass_seconds(81);
        let epoch = process.serving().await.expect("it has settled");
        (process, epoch)
    }
}

#[tokio::test]
async fn a_cache_is_announced_before_it_is_used() {
    let mut store = Store::new();
    let process = store.process(CacheKind::Local);
    assert_eq!(process.pass().await.unwrap().bar(), None);
    // What a writer has seen is older than what a reader goes by.
    store.pass_seconds(3);
    for _ in 0..39 {
        assert_eq!(process.serving().await, None);
        assert_eq!(store.phase(), Phase::Starting);
        assert!(process.pass().await.unwrap().bar().is_some());
        store.pass_seconds(2);
    }
    store.pass_seconds(2);
    let epoch = process.serving().await;
    assert!(epoch.is_some());
    assert_eq!(process.pass().await.unwrap().bar(), epoch);
    // The next process need not wait for one that has ended well.
    process.close().await;
    assert_eq!(store.phase(), Phase::Free);
}

#[tokio::test]
async fn a_writer_that_cannot_bar_ends_the_use_of_the_cache() {
    for other in [CacheKind::None, CacheKind::Local, CacheKind::Memcached] {
        for first in [CacheKind::Local, CacheKind::Redis] {
            let mut store = Store::new();
            let (cached, epoch) = store.serving(first).await;
            let writer = store.process(other);
            assert_eq!(writer.pass().await.unwrap().bar(), None);
            assert_eq!(store.phase(), Phase::Free);
            // It had to wait until this one looks again.
            assert_eq!(cached.serving().await, Some(epoch));
            store.pass_seconds(2);
            assert_eq!(cached.serving().await, None);
        }
    }
}

#[tokio::test]
async fn a_writer_objects_to_a_cache_before_it_is_used() {
    let mut store = Store::new();
    let (cached, writer) = (store.process(CacheKind::Redis), store.process(CacheKind::None));
    cached.serving().await;
    store.pass_seconds(70);
    assert_eq!(writer.pass().await.unwrap().bar(), None);
    assert_eq!(store.phase(), Phase::Free);
    // Then the cache is announced anew, under another epoch.
    let announced = store.row.row().version;
    store.pass_seconds(11);
    assert_eq!(cached.serving().await, None);
    let row = store.row.row();
    assert_eq!((row.phase, row.version), (Phase::Starting, announced + 1));
    store.pass_seconds(79);
    assert_eq!(
        cached.serving().await,
        None,
        "it settles from the new announcement on"
    );
}

#[tokio::test]
async fn processes_with_the_same_shared_cache_use_it_together() {
    let mut store = Store::new();
    let (first, epoch) = store.serving(CacheKind::Redis).await;
    let second = store.process(CacheKind::Redis);
    assert_eq!(second.serving().await, Some(epoch));
    assert_eq!(second.pass().await.unwrap().bar(), Some(epoch));
    // One of them loses the cache.
    second.cannot_bar(epoch, "it is away").await.unwrap();
    assert_eq!(second.serving().await, None);
    assert_eq!(store.phase(), Phase::Paused);
    store.pass_seconds(2);
    assert_eq!(first.serving().await, None);
    // This may be the first look of a process: it waits, too.
    assert_eq!(first.pass().await.unwrap().bar(), None);
    assert_eq!(store.phase(), Phase::Free);
    // An old epoch is paused once.
    second.cannot_bar(epoch, "it is away").await.unwrap();
    assert_eq!(store.phase(), Phase::Free);
}

#[tokio::test]
async fn a_process_that_cannot_look_neither_reads_entries_nor_writes() {
    let mut store = Store::new();
    let (process, epoch) = store.serving(CacheKind::Redis).await;
    store.row.fail(usize::MAX);
    store.pass_seconds(1);
    assert_eq!(process.serving().await, Some(epoch));
    store.pass_seconds(1);
    assert_eq!(process.serving().await, None);
    assert_eq!(process.pass().await.unwrap().bar(), Some(epoch));
    store.pass_seconds(13);
    assert!(process.pass().await.is_err());
    store.row.fail(0);
    assert_eq!(process.serving().await, Some(epoch));
}

#[tokio::test]
async fn a_process_that_slept_looks_again() {
    let mut store = Store::new();
    let (slept, epoch) = store.serving(CacheKind::Local).await;
    let other = store.process(CacheKind::None);
    assert_eq!(other.pass().await.unwrap().bar(), None);
    assert_eq!(slept.serving().await, Some(epoch));
    assert_eq!(slept.pass().await.unwrap().bar(), Some(epoch));
    // Its steady clock stood still.
    let now = 1_700_000_081_000;
    store.clock.set_millis(now + 20_000);
    assert_eq!(slept.pass().await.unwrap().bar(), None);
    assert_eq!(slept.serving().await, None);
}

#[tokio::test]
async fn of_two_processes_with_a_local_cache_none_uses_it_while_both_write() {
    let mut store = Store::new();
    let (first, _) = store.serving(CacheKind::Local).await;
    let second = store.process(CacheKind::Local);
    for _ in 0..200 {
        second.pass().await.unwrap();
        store.pass_seconds(2);
        assert_eq!(first.serving().await, None);
        first.pass().await.unwrap();
        store.pass_seconds(2);
        assert_eq!(second.serving().await, None);
    }
    // One of them ends, without a word.
    drop(second);
    for _ in 0..80 {
        first.pass().await.unwrap();
        first.serving().await;
        store.pass_seconds(2);
    }
    assert!(first.serving().await.is_some());
}

#[tokio::test]
async fn the_next_process_takes_over_from_one_that_was_killed() {
    let mut store = Store::new();
    let (killed, _) = store.serving(CacheKind::Local).await;
    drop(killed);
    let next = store.process(CacheKind::Local);
    assert_eq!(next.serving().await, None);
    assert_eq!(store.phase(), Phase::On, "reading alone ends nothing");
    assert_eq!(next.pass().await.unwrap().bar(), None);
    store.pass_seconds(2);
    next.serving().await;
    store.pass_seconds(81);
    assert!(next.serving().await.is_some());
}

#[tokio::test]
async fn readers_wait_once_for_looks_that_are_slow() {
    let mut store = Store::new();
    let (process, epoch) = store.serving(CacheKind::Redis).await;
    store.row.gate.shut();
    store.pass_seconds(2);
    let [calls, answers] = store.row.calls();
    for _ in 0..4 {
        assert_eq!(process.serving().await, None);
        assert_eq!(store.row.calls(), [calls + 1, answers]);
    }
    store.row.gate.open();
    store.pass_seconds(5);
    assert_eq!(process.serving().await, Some(epoch));
    assert_eq!(store.row.calls(), [calls + 2, answers + 1]);
}

/// Writers that wait for their turn would else wait for the database one after the other.
#[tokio::test]
async fn those_who_waited_for_a_change_that_failed_share_the_failure() {
    for phase in [Phase::On, Phase::Paused] {
        let mut store = Store::new();
        let (process, epoch) = store.serving(CacheKind::Redis).await;
        store.row.now.lock().unwrap().phase = phase;
        store.pass_seconds(15);
        process.serving().await;
        store.row.gate.shut();
        store.row.fail(usize::MAX);
        let [calls, _] = store.row.calls();
        let process = Arc::new(process);
        let mut writers = JoinSet::new();
        for _ in 0..9 {
            let process = Arc::clone(&process);
            writers.spawn(async move {
                match phase {
                    Phase::On => process.cannot_bar(epoch, "it is away").await,
                    _ => process.pass().await.map(drop),
                }
            });
        }
        store.row.gate.arrival().await;
        // All others wait for their turn.
        tokio::task::yield_now().await;
        store.row.gate.open();
        for ended in writers.join_all().await {
            assert!(matches!(ended, Err(EngineError::Busy)));
        }
        assert_eq!(store.row.calls()[0], calls + 1);
    }
}

/// A cache that is asked to begin an epoch.
#[derive(Default)]
struct Beginning(Gate);

#[async_trait]
impl EpochServer for Beginning {
    async fn begin(&self, _epoch: i64) -> Result<(), String> {
        self.0.pass().await;
        Ok(())
    }
}

#[tokio::test]
async fn others_do_not_wait_for_a_cache_that_is_to_begin_an_epoch() {
    let mut store = Store::new();
    let server = Arc::new(Beginning::default());
    let process = Arc::new(Agreement {
        server: Some(server.clone()),
        ..store.process(CacheKind::Redis)
    });
    server.0.shut();
    let mut readers = JoinSet::new();
    let reader = Arc::clone(&process);
    readers.spawn(async move { reader.serving().await });
    server.0.arrival().await;
    store.pass_seconds(15);
    let [calls, _] = store.row.calls();
    process.pass().await.unwrap();
    store.pass_seconds(2);
    assert_eq!(process.serving().await, None);
    assert_eq!(store.row.calls()[0], calls + 2, "both looked");
    assert_eq!(readers.len(), 1);
    assert_eq!(store.phase(), Phase::Free);
    server.0.open();
    readers.join_all().await;
    assert_eq!(store.phase(), Phase::Starting);
}
