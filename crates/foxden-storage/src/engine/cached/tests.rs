//! Tests of answers from the cache, and of when it reads from the engine again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use foxden_model::{ManualClock, ObjectId, SeededRng};

use super::unknown_outcomes::MAX_USERS;
use super::*;
use crate::command::{Change, Field, Fields, Patch, Ttl};
use crate::engine::MemoryEngine;

const USER: UserId = UserId(7);

/// Counts the reads of an engine. Its writes can be made to hang or to end with an unknown outcome.
struct CountingEngine {
    engine: MemoryEngine,
    reads: AtomicUsize,
    hangs: AtomicBool,
    loses_outcomes: AtomicBool,
}

#[async_trait]
impl Engine for CountingEngine {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.engine.summary(user, detail).await
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.engine.read(user, query).await
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.loses_outcomes.load(Ordering::SeqCst) {
            return Err(EngineError::OutcomeUnknown("the connection broke".into()));
        }
        self.engine.write(user, write).await
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.engine.stage(user, part).await
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        let purged = self.engine.purge(budget).await;
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        purged
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        self.engine.users(after, limit).await
    }

    async fn check(&self) -> Result<(), EngineError> {
        self.engine.check().await
    }

    fn queued_writes(&self) -> QueuedWrites {
        self.engine.queued_writes()
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

struct TestContext {
    cached: Cached<CountingEngine>,
    clock: Arc<ManualClock>,
}

impl TestContext {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at_millis(1_763_690_000_000));
        let engine = CountingEngine {
            engine: MemoryEngine::new(clock.clone(), Arc::new(SeededRng::new(1))),
            reads: AtomicUsize::new(0),
            hangs: AtomicBool::new(false),
            loses_outcomes: AtomicBool::new(false),
        };
        Self {
            cached: Cached::new(engine, clock.clone(), 100),
            clock,
        }
    }

    fn reads(&self) -> usize {
        self.cached.engine.reads.load(Ordering::SeqCst)
    }

    async fn put(&self, object: &str, ttl: Ttl) -> Written {
        let patch = Patch {
            payload: Field::Set("x".to_owned()),
            ttl,
            renews: true,
            ..Patch::empty(id(object))
        };
        let change = Change::Upsert {
            collection: name("meta"),
            patches: vec![patch],
        };
        self.cached.write(USER, Write::new(change)).await.unwrap()
    }

    async fn summary(&self) -> Summary {
        self.cached.summary(USER, Detail::Times).await.unwrap()
    }

    async fn get(&self, object: &str) -> Page {
        let query = Query::one(name("meta"), id(object));
        self.cached.read(USER, &query).await.unwrap()
    }
}

fn name(name: &str) -> CollectionName {
    CollectionName::new(name).unwrap()
}

fn id(id: &str) -> ObjectId {
    ObjectId::new(id).unwrap()
}

#[tokio::test]
async fn repeated_reads_ask_the_engine_once() {
    let ctx = TestContext::new();
    let written = ctx.put("global", Ttl::Keep).await;
    let first = ctx.summary().await;
    let object = ctx.get("global").await;
    assert_eq!(ctx.reads(), 2);
    ctx.clock.advance_millis(5000);
    let now = ctx.clock.now();
    let second = ctx.summary().await;
    assert_eq!((first.modified, second.as_of), (written.modified, now.before()));
    let again = ctx.get("global").await;
    assert_eq!((again.rows, again.modified), (object.rows, object.modified));
    let mut newer = Query::all(name("meta"), Fields::Whole);
    newer.selection.newer = Some(written.modified);
    assert!(ctx.cached.read(USER, &newer).await.unwrap().rows.is_empty());
    let missing = Query::all(name("missing"), Fields::Whole);
    assert_eq!(ctx.cached.read(USER, &missing).await.unwrap().modified, None);
    assert_eq!(ctx.reads(), 2);
    newer.selection.newer = Some(written.modified.before());
    assert_eq!(ctx.cached.read(USER, &newer).await.unwrap().rows.len(), 1);
    assert_eq!(ctx.reads(), 3);
}

#[tokio::test]
async fn a_write_is_seen_at_once() {
    let ctx = TestContext::new();
    ctx.put("global", Ttl::Keep).await;
    for _ in 0..3 {
        ctx.summary().await;
        ctx.get("global").await;
        let written = ctx.put("global", Ttl::Keep).await;
        assert_eq!(ctx.summary().await.modified, written.modified);
        assert_eq!(ctx.get("global").await.modified, Some(written.modified));
    }
}

#[tokio::test]
async fn cached_objects_expire() {
    let ctx = TestContext::new();
    ctx.put("global", Ttl::In(10)).await;
    ctx.summary().await;
    for (millis, count) in [(0, 1), (9990, 1), (10, 0)] {
        ctx.clock.advance_millis(millis);
        assert_eq!(ctx.get("global").await.rows.len(), count, "{millis}");
    }
}

/// The write may be carried out although its caller has gone, so readers ask the engine for a while.
#[tokio::test]
async fn a_cancelled_write_keeps_the_user_uncached_for_a_minute() {
    for loses_outcomes in [false, true] {
        let ctx = TestContext::new();
        ctx.put("global", Ttl::Keep).await;
        ctx.summary().await;
        ctx.cached.engine.hangs.store(!loses_outcomes, Ordering::SeqCst);
        ctx.cached
            .engine
            .loses_outcomes
            .store(loses_outcomes, Ordering::SeqCst);
        {
            let mut write = ctx.cached.write(USER, Write::new(Change::DeleteAll));
            let poll = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(matches!(poll, Poll::Ready(Err(_))), loses_outcomes);
        }
        let before = ctx.reads();
        for _ in 0..3 {
            ctx.summary().await;
        }
        assert_eq!(ctx.reads(), before + 3);
        // Another write of the user does not end it.
        ctx.cached.engine.hangs.store(false, Ordering::SeqCst);
        ctx.cached.engine.loses_outcomes.store(false, Ordering::SeqCst);
        ctx.put("global", Ttl::Keep).await;
        ctx.summary().await;
        ctx.summary().await;
        assert_eq!(ctx.reads(), before + 5);
        ctx.clock.advance_millis(UNKNOWN_MILLIS + 1);
        ctx.summary().await;
        ctx.summary().await;
        assert_eq!(ctx.reads(), before + 6);
    }
}

/// With more unknown outcomes than are recorded, entries stay in use and no entry is added.
#[tokio::test]
async fn too_many_unknown_outcomes_end_the_filling_of_the_cache() {
    let ctx = TestContext::new();
    ctx.put("global", Ttl::Keep).await;
    ctx.summary().await;
    let others = 1000..1000 + MAX_USERS as u64;
    let last = UserId(others.end);
    let lose_outcome = async |user: UserId| {
        let write = ctx.cached.write(user, Write::new(Change::DeleteAll));
        assert!(matches!(write.await, Err(EngineError::OutcomeUnknown(_))));
    };
    ctx.cached.engine.loses_outcomes.store(true, Ordering::SeqCst);
    for user in others.clone() {
        lose_outcome(UserId(user)).await;
    }
    // A user with many unknown outcomes takes one entry.
    for _ in 0..3 {
        lose_outcome(UserId(others.start)).await;
    }
    // A read of the last user begins before its write, and another one after it.
    let reads = ctx.reads();
    ctx.cached.summary(USER, Detail::Times).await.unwrap();
    ctx.cached.summary(last, Detail::Times).await.unwrap();
    ctx.cached.summary(last, Detail::Times).await.unwrap();
    assert_eq!(ctx.reads(), reads + 1);
    lose_outcome(last).await;
    for user in [last, UserId(others.end + 1), UserId(others.start)] {
        let reads = ctx.reads();
        for _ in 0..2 {
            ctx.cached.summary(user, Detail::Times).await.unwrap();
        }
        assert_eq!(ctx.reads(), reads + 2, "{user:?}");
    }
    let reads = ctx.reads();
    ctx.summary().await;
    assert_eq!(ctx.reads(), reads);
    ctx.clock.advance_millis(UNKNOWN_MILLIS + 1);
    for user in [last, UserId(others.end + 1), UserId(others.start)] {
        let reads = ctx.reads();
        for _ in 0..2 {
            ctx.cached.summary(user, Detail::Times).await.unwrap();
        }
        assert_eq!(ctx.reads(), reads + 1, "{user:?}");
    }
}

#[tokio::test]
async fn the_log_says_once_that_no_entry_is_added() {
    let ctx = TestContext::new();
    let end_fills = || ctx.cached.end_fills(ctx.clock.steady_millis() + UNKNOWN_MILLIS);
    for _ in 0..2 {
        assert!(end_fills());
        assert!(!end_fills());
        ctx.clock.advance_millis(UNKNOWN_MILLIS);
    }
    // A purge ends it for a minute, and silently.
    ctx.clock.advance_millis(UNKNOWN_MILLIS);
    ctx.cached.engine.hangs.store(true, Ordering::SeqCst);
    {
        let mut purge = ctx.cached.purge(Budget::of(10));
        let poll = purge.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
    }
    assert!(end_fills());
}

/// The engine may go on with a purge whose caller has gone.
#[tokio::test]
async fn a_cancelled_purge_clears_the_cache() {
    let ctx = TestContext::new();
    ctx.put("expiring", Ttl::In(10)).await;
    assert_eq!(ctx.summary().await.collections[0].count, 1);
    ctx.clock.advance_millis(11_000);
    ctx.cached.engine.hangs.store(true, Ordering::SeqCst);
    {
        let mut purge = ctx.cached.purge(Budget::of(10));
        let poll = purge.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
    }
    assert_eq!(ctx.summary().await.collections[0].count, 0);
    let reads = ctx.reads();
    ctx.summary().await;
    assert_eq!(ctx.reads(), reads + 1, "nothing is cached yet");
    ctx.clock.advance_millis(UNKNOWN_MILLIS + 1);
    ctx.summary().await;
    ctx.summary().await;
    assert_eq!(ctx.reads(), reads + 2);
}

#[tokio::test]
async fn entries_end_after_an_hour_or_with_a_purge() {
    let ctx = TestContext::new();
    ctx.put("expiring", Ttl::In(10)).await;
    assert_eq!(ctx.summary().await.collections[0].count, 1);
    ctx.clock.advance_millis(11_000);
    assert_eq!(ctx.summary().await.collections[0].count, 1);
    assert_eq!(ctx.cached.purge(Budget::of(10)).await.unwrap().rows, 1);
    assert_eq!(ctx.summary().await.collections[0].count, 0);
    let before = ctx.reads();
    ctx.clock.advance_millis(ENTRY_MILLIS + 1);
    ctx.summary().await;
    assert_eq!(ctx.reads(), before + 1);
}
