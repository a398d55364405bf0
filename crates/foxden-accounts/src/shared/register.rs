//! Sharing by rows of the register.
//!
//! Each process has a row in the register. A process that sees no other row only looks, once a second. One that sees another raises
//! the beat in its own row every second, writes what it counted and reads what others did. Whether the others are alive is judged by
//! this process's steady clock alone, so clocks may differ.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use foxden_model::{Clock, Counters, LogThrottle, MemoryCounters, Rng, SharedCount, SharedCounters};
use foxden_sql::{Database, SqlError};

use super::pack::{self, pack, unpack};
use super::peers::Peers;
use super::{OnceKey, Shared, SharedValue};
use crate::Unavailable;
use crate::register::shared::{self as rows, ValueRow};

/// How long a process that has looked may count as alone, in milliseconds. It looks every second.
const LEASE: i64 = 3000;
/// How long what was counted is kept for the others.
const KEPT: i64 = 60_000;
/// How often what has expired is removed.
const PURGE: i64 = 30_000;
/// The number of rows of a kind that one transaction removes.
const PURGED: u32 = 1000;
/// How many such transactions a round has for what was used once: with a round each second they remove more than comes.
const PURGES: u32 = 4;
/// How long the purge of a round may take.
const PURGE_TIMEOUT: Duration = Duration::from_secs(1);
/// How much later what was used once is removed, for clocks that differ.
pub(crate) const LATE: i64 = 60 * 60_000;
/// The same of values, which are larger.
const VALUES_LATE: i64 = 5 * 60_000;
/// What a process that is alone used is remembered, up to this number, to be told to a process that starts.
const RECENT: usize = 4096;
/// How many of them are written in one transaction.
const TOLD: usize = 256;
/// The maximum number of rows of counts written in a second.
const ROWS: usize = 4;

/// What the processes on one register share.
pub(crate) struct RegisterShared {
    database: Database,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// Names this process, once it looks for others.
    id: OnceLock<String>,
    /// Until when this process knows that it is alone, by its steady clock.
    alone_until: AtomicI64,
    /// When another process was last seen to be alive.
    peer_seen_at: AtomicI64,
    counters: Mutex<Vec<Arc<SharedCounters>>>,
    /// What this process used while it was alone, and until when it matters. Its lock also guards the change from alone to not.
    recent: Mutex<VecDeque<(i64, OnceKey)>>,
    round: tokio::sync::Mutex<Round>,
    notice: LogThrottle,
}

/// What a process knows from one meeting to the next.
#[derive(Default)]
struct Round {
    peers: Peers,
    /// The number of the last row of counts that was written.
    seq: i64,
    /// When each row was written that is kept, and its number.
    written: VecDeque<(i64, i64)>,
    purged_at: i64,
}

impl RegisterShared {
    pub(crate) fn new(database: Database, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            database,
            clock,
            rng,
            id: OnceLock::new(),
            alone_until: AtomicI64::new(i64::MAX),
            peer_seen_at: AtomicI64::new(i64::MIN),
            counters: Mutex::default(),
            recent: Mutex::default(),
            round: tokio::sync::Mutex::default(),
            notice: LogThrottle::default(),
        }
    }

    fn all_counters(&self) -> Vec<Arc<SharedCounters>> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.clone()
    }

    /// Notes that something was used, if this process is alone.
    fn note_alone(&self, key: OnceKey, millis: i64) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if self.had_peers(millis) {
            return false;
        }
        let now = self.clock.millis();
        while recent.len() >= RECENT || recent.front().is_some_and(|(expires, _)| *expires + LATE < now) {
            recent.pop_front();
        }
        recent.push_back((now.saturating_add(millis), key));
        true
    }

    /// Tells the others what this process used while it was alone; from now on it asks the register.
    async fn tell_used(&self) -> Result<(), Unavailable> {
        let used: Vec<_> = {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            self.alone_until.store(i64::MIN, Ordering::Relaxed);
            recent.drain(..).collect()
        };
        for (number, some) in used.chunks(TOLD).enumerate() {
            let told = self.database.transact(|tx| async move {
                for (expires, key) in some {
                    rows::note_used(&tx, *key, *expires).await?;
                }
                Ok::<_, SqlError>(())
            });
            if let Err(error) = told.await {
                let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
                recent.extend(&used[number * TOLD..]);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Raises the beat, and writes what was counted.
    async fn tell_counts(&self, round: &mut Round, now: i64) -> Result<(), Unavailable> {
        let counters = self.all_counters();
        let share = ROWS * pack::ROW / counters.len().max(1);
        let taken: Vec<Vec<SharedCount>> = counters
            .iter()
            .map(|counters| counters.take(share, now))
            .collect();
        let dropped: u64 = counters.iter().map(|counters| counters.take_dropped()).sum();
        if dropped > 0
            && let Some(suppressed) = self.notice.should_log()
        {
            tracing::warn!(
                "{dropped} counts of tries and requests hold in this process alone: more than it tells the others{suppressed}"
            );
        }
        let all = taken.concat();
        let new: Vec<(i64, Vec<u8>)> = (round.seq + 1..).zip(all.chunks(pack::ROW).map(pack)).collect();
        let last = new.last().map_or(round.seq, |(seq, _)| *seq);
        let new = &new;
        let written = self.database.transact(|tx| async move {
            rows::beat(&tx, self.id(), last).await?;
            for (seq, counts) in new {
                rows::insert_counts(&tx, self.id(), *seq, counts).await?;
            }
            Ok::<_, SqlError>(())
        });
        if let Err(error) = written.await {
            for (counters, counts) in counters.iter().zip(&taken) {
                counters.give_back(counts, now);
            }
            // Whether a commit that failed was made is not known: its numbers are not used again.
            round.seq = last;
            return Err(error.into());
        }
        round.seq = last;
        round.written.push_back((now, last));
        Ok(())
    }

    /// Reads what others counted.
    async fn hear_counts(&self, round: &mut Round) -> Result<(), Unavailable> {
        let (counters, now) = (self.all_counters(), self.clock.steady_millis());
        for (id, read) in round.peers.unread() {
            for (seq, counts) in rows::counts_after(&self.database, &id, read).await? {
                for count in unpack(&counts) {
                    for counters in &counters {
                        counters.apply(count, now);
                    }
                }
                round.peers.set_read(&id, seq);
            }
        }
        Ok(())
    }

    /// Removes what has expired.
    async fn purge(&self, round: &mut Round, now: i64) -> Result<(), Unavailable> {
        if now - round.purged_at < PURGE {
            return Ok(());
        }
        let old = round.written.iter().take_while(|(at, _)| now - at >= KEPT);
        let old = old.last().map_or(0, |(_, seq)| *seq);
        // Also after a failure: who tries each second makes a database that is busy busier.
        round.purged_at = now;
        let purged = self
            .database
            .transact(|tx| async move { rows::purge_counts(&tx, self.id(), old).await });
        purged.await?;
        round.written.retain(|(at, _)| now - at < KEPT);
        let wall = self.clock.millis();
        let values = self
            .database
            .transact(|tx| async move { rows::purge_values(&tx, wall - VALUES_LATE, PURGED).await });
        // What keeps one kind from going keeps no other one.
        let values = values.await;
        let is_full = |rows: u64| rows >= u64::from(PURGED);
        let mut is_left = values.as_ref().is_ok_and(|rows| is_full(*rows));
        for _ in 0..PURGES {
            let used = self
                .database
                .transact(|tx| async move { rows::purge_used(&tx, wall - LATE, PURGED).await });
            if !is_full(used.await?) {
                break;
            }
            is_left = true;
        }
        values?;
        if is_left {
            // The next round goes on, so that no more rows come than go.
            round.purged_at = now - PURGE;
        }
        Ok(())
    }

    fn id(&self) -> &str {
        self.id.get_or_init(|| {
            let mut id = [0; 16];
            self.rng.fill(&mut id);
            HEXLOWER.encode(&id)
        })
    }

    fn version(&self) -> i64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        i64::from_le_bytes(bytes)
    }
}

#[async_trait]
impl Shared for RegisterShared {
    fn counters(&self, memory: MemoryCounters) -> Arc<dyn Counters> {
        let shared = Arc::new(SharedCounters::new(memory));
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.push(Arc::clone(&shared));
        shared
    }

    fn had_peers(&self, within_millis: i64) -> bool {
        let now = self.clock.steady_millis();
        let seen_at = self.peer_seen_at.load(Ordering::Relaxed);
        now >= self.alone_until.load(Ordering::Relaxed) || now.saturating_sub(seen_at) < within_millis
    }

    async fn use_once(&self, key: OnceKey, millis: i64) -> Result<bool, Unavailable> {
        if self.note_alone(key, millis) {
            return Ok(true);
        }
        let expires = self.clock.millis().saturating_add(millis);
        let used = self
            .database
            .transact(|tx| async move { rows::use_once(&tx, key, expires).await });
        match used.await {
            Err(SqlError::Conflict) => Ok(false),
            used => Ok(used.map(|()| true)?),
        }
    }

    async fn release(&self, key: OnceKey) -> Result<(), Unavailable> {
        let was_recent = {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            let before = recent.len();
            recent.retain(|(_, used)| *used != key);
            recent.len() < before
        };
        if was_recent {
            return Ok(());
        }
        let released = self
            .database
            .transact(|tx| async move { rows::release(&tx, key).await });
        Ok(released.await?)
    }

    async fn value(&self, name: &str) -> Result<Option<SharedValue>, Unavailable> {
        let row = rows::value(&self.database, name).await?;
        let row = row.filter(|row| self.clock.millis() < row.expires);
        Ok(row.map(|row| SharedValue {
            version: row.version,
            content: row.content,
        }))
    }

    async fn create(&self, name: &str, content: &[u8], millis: i64) -> Result<bool, Unavailable> {
        let row = ValueRow {
            version: self.version(),
            content: content.to_vec(),
            expires: self.clock.millis().saturating_add(millis),
        };
        let row = &row;
        let created = self
            .database
            .transact(|tx| async move { rows::insert_value(&tx, name, row).await });
        match created.await {
            Err(SqlError::Conflict) => Ok(false),
            created => Ok(created.map(|()| true)?),
        }
    }

    async fn replace(&self, name: &str, version: i64, content: &[u8]) -> Result<bool, Unavailable> {
        let new = self.version();
        let replaced = self
            .database
            .transact(|tx| async move { rows::replace_value(&tx, name, version, content, new).await });
        Ok(replaced.await?)
    }

    async fn remove(&self, name: &str, version: i64) -> Result<bool, Unavailable> {
        let removed = self
            .database
            .transact(|tx| async move { rows::delete_value(&tx, name, version).await });
        Ok(removed.await?)
    }

    fn start(&self) {
        // The register was not read yet.
        self.alone_until.store(i64::MIN, Ordering::Relaxed);
    }

    async fn meet(&self) -> Result<(), Unavailable> {
        let mut round = self.round.lock().await;
        let now = self.clock.steady_millis();
        let listed = rows::processes(&self.database).await?;
        let others = listed.iter().filter(|row| row.id != self.id());
        round.peers.observe(others.clone(), now);
        let has_peers = round.peers.are_alive(now);
        if round.peers.are_proven(now) {
            self.peer_seen_at.store(now, Ordering::Relaxed);
        }
        for counters in self.all_counters() {
            counters.set_heard(has_peers);
        }
        if has_peers {
            self.tell_used().await?;
        }
        if has_peers || others.count() == listed.len() {
            self.tell_counts(&mut round, now).await?;
        }
        self.hear_counts(&mut round).await?;
        let gone = round.peers.gone(now);
        if !gone.is_empty() {
            let gone = &gone;
            let removed = self.database.transact(|tx| async move {
                for id in gone {
                    rows::remove_process(&tx, id).await?;
                }
                Ok::<_, SqlError>(())
            });
            removed.await?;
        }
        if !has_peers {
            self.alone_until.store(now + LEASE, Ordering::Relaxed);
            return Ok(());
        }
        // The others must hear of this process again within seconds, however slow the database is.
        let purged = tokio::time::timeout(PURGE_TIMEOUT, self.purge(&mut round, now)).await;
        purged.unwrap_or(Ok(()))
    }

    async fn leave(&self) -> Result<(), Unavailable> {
        let mut round = self.round.lock().await;
        let now = self.clock.steady_millis();
        if round.peers.are_alive(now) {
            // The others read it before they remove the row.
            return self.tell_counts(&mut round, now).await;
        }
        let removed = self
            .database
            .transact(|tx| async move { rows::remove_process(&tx, self.id()).await });
        Ok(removed.await?)
    }
}
