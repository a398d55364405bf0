//! Tests of bars: what a missing one does, how many there are, and what becomes of one that others may have taken off.

use tokio::task::JoinSet;

use super::*;

impl Pair {
    fn epoch(&self) -> i64 {
        self.row.row().epoch
    }

    /// The engine of a process.
    fn engine(&self, process: usize) -> &Slow {
        &self.processes[process].engine
    }

    fn spawn_put(&self, tasks: &mut JoinSet<Option<SyncTime>>, process: usize) {
        let process = Arc::clone(&self.processes[process]);
        tasks.spawn(async move { Some(process.write(USER, put("two")).await.ok()?.modified) });
    }

    fn spawn_read(&self, tasks: &mut JoinSet<Option<SyncTime>>, process: usize) {
        let process = Arc::clone(&self.processes[process]);
        tasks.spawn(async move { Some(process.summary(USER, Detail::Times).await.ok()?.modified) });
    }
}

/// What readers find when a reader with an answer from before a write fills the entry after it: how far the reader is when the write
/// bars the entry, and the mistake that this order of steps would show.
#[tokio::test]
async fn a_reader_that_was_overtaken_fills_nothing() {
    for (reads_first, mistake) in [(false, Mistake::NoBar), (true, Mistake::KeptClaim)] {
        for planted in [Mistake::None, mistake] {
            let pair = Pair::mistaken(HOLD, planted).await;
            pair.put(0, "one").await;
            let entry = EpochKeys(pair.epoch()).user(USER);
            pair.server.state().keyed.remove(&entry);
            let (reader, writer) = (pair.engine(0), pair.engine(1));
            reader.read.shut();
            writer.write.shut();
            let (mut reads, mut puts) = (JoinSet::new(), JoinSet::new());
            if reads_first {
                pair.spawn_read(&mut reads, 0);
                reader.read.arrival().await;
            }
            pair.spawn_put(&mut puts, 1);
            writer.write.arrival().await;
            if !reads_first {
                pair.spawn_read(&mut reads, 0);
                reader.read.arrival().await;
            }
            writer.write.open();
            let written = puts.join_all().await.pop().flatten();
            reader.read.open();
            let read = reads.join_all().await.pop().flatten();
            assert!(read < written, "it was read before");
            let seen = Some(pair.modified(1).await);
            assert_eq!(seen == written, planted == Mistake::None, "{planted:?}");
        }
    }
}

#[tokio::test]
async fn a_user_with_too_many_writes_is_busy_and_no_other_one_is() {
    let pair = Pair::in_use().await;
    let gate = &pair.engine(0).write;
    gate.shut();
    let mut writes = JoinSet::new();
    for _ in 0..16 {
        pair.spawn_put(&mut writes, 0);
        gate.arrival().await;
    }
    for process in &pair.processes {
        let refused = process.write(USER, put("three")).await;
        assert!(matches!(refused, Err(EngineError::Busy)));
        // Another one of the same list.
        let neighbour = process.bar(pair.epoch(), UserId(USER.0 + 64)).await;
        assert!(neighbour.is_ok());
    }
    gate.open();
    let written = writes.join_all().await;
    assert!(written.iter().all(Option::is_some));
    pair.put(1, "four").await;
    assert_eq!(pair.phase(), Phase::On);
}

#[tokio::test]
async fn a_cache_that_hangs_holds_a_write_for_a_bounded_time() {
    let pair = Pair::in_use().await;
    pair.clients[0].gate.shut();
    let barred = pair.processes[0].bar(pair.epoch(), USER).await;
    assert!(matches!(barred, Err(BarFault::Cache(CacheFault::Away(_)))));
    pair.put(0, "one").await;
    assert_ne!(pair.phase(), Phase::On);
}

/// Lists of users who do nothing would be the first that a full server removes, and the epoch with them.
#[tokio::test]
async fn each_minute_all_lists_count_as_used() {
    let pair = Pair::in_use().await;
    let touched = || pair.server.state().touched;
    for times in 1..4 {
        for _ in 0..3 {
            pair.modified(0).await;
            assert_eq!(touched(), 64 * times);
        }
        pair.clock.as_ref().unwrap().advance_millis(60_000);
    }
}
