//! A cache server in memory, and an engine that others overtake.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use foxden_model::SeededRng;

use super::super::*;
use super::USER;
use crate::engine::MemoryEngine;
use crate::engine::agreement::tests::{Gate, Row};

pub(super) type Keyed = BTreeMap<String, (Vec<u8>, u64)>;

/// A server in memory.
#[derive(Default)]
pub(super) struct FakeServer {
    pub(super) state: Mutex<Values>,
    pub(super) pace: Pace,
    pub(super) mistake: Mistake,
}

/// A mistake that a test plants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mistake {
    #[default]
    None,
    /// A list that is missing, or is of another run, is one without bars.
    MissingList,
    /// A bar leaves the claims of readers.
    KeptClaim,
    /// A write removes the entry, and leaves no bar.
    NoBar,
}

#[derive(Clone, Default)]
pub(super) struct Values {
    run: u64,
    next: u64,
    pub(super) keyed: Keyed,
    /// How often values were counted as used.
    pub(super) touched: usize,
}

/// The connection of one process.
pub(super) struct Client {
    pub(super) server: Arc<FakeServer>,
    pub(super) is_cut: AtomicBool,
    /// Where calls are stopped.
    pub(super) gate: Gate,
}

/// Lets other tasks go on at random places.
pub(super) struct Pace(pub(super) SeededRng);

impl Default for Pace {
    fn default() -> Self {
        Self(SeededRng::new(0))
    }
}

impl Pace {
    pub(super) fn random(&self) -> u64 {
        let mut random = [0; 8];
        self.0.fill(&mut random);
        u64::from_le_bytes(random)
    }

    pub(super) async fn step(&self) {
        for _ in 0..self.random() % 4 {
            tokio::task::yield_now().await;
        }
    }
}

impl FakeServer {
    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, Values> {
        self.state.lock().unwrap()
    }

    /// Ends, and begins again with these values.
    pub(super) fn restart(&self, values: Keyed) {
        let mut state = self.state();
        state.run += 1;
        state.keyed = values;
    }
}

impl Client {
    async fn call<T>(
        &self,
        call: impl FnOnce(&mut Values) -> Result<T, CacheFault>,
    ) -> Result<T, CacheFault> {
        self.gate.pass().await;
        self.server.pace.step().await;
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(CacheFault::Away("it is cut off".to_owned()));
        }
        let answer = call(&mut self.server.state());
        self.server.pace.step().await;
        answer
    }
}

impl Values {
    pub(super) fn put(&mut self, key: &str, value: &[u8]) -> u64 {
        self.next += 1;
        self.keyed.insert(key.to_owned(), (value.to_vec(), self.next));
        self.next
    }

    pub(super) fn is_same(&self, key: &str, found: &Found) -> bool {
        self.keyed
            .get(key)
            .is_some_and(|(_, version)| *version == found.number)
    }

    pub(super) fn found(&self, key: &str) -> Option<Found> {
        let (value, number) = self.keyed.get(key).cloned()?;
        Some(Found { value, number })
    }

    pub(super) fn is_run(&self, run: &str) -> Result<(), CacheFault> {
        if run == self.run.to_string() {
            Ok(())
        } else {
            Err(CacheFault::Lost)
        }
    }

    /// Removes one value.
    pub(super) fn evict(&mut self, random: u64) {
        let at = usize::try_from(random).unwrap_or_default() % self.keyed.len().max(1);
        if let Some(key) = self.keyed.keys().nth(at).cloned() {
            self.keyed.remove(&key);
        }
    }
}

#[async_trait]
impl CacheServer for Client {
    fn place(&self) -> &'static str {
        "memory"
    }

    async fn look(&self) -> Result<CacheLook, CacheFault> {
        Err(CacheFault::Away("no test looks".to_owned()))
    }

    async fn run(&self) -> Result<Arc<str>, CacheFault> {
        self.call(|values| Ok(values.run.to_string().into())).await
    }

    fn is_same_run(&self, one: &str, other: &str) -> bool {
        one == other
    }

    async fn store(
        &self,
        run: &Arc<str>,
        stored: &[(String, Vec<u8>)],
        _ttl: Duration,
    ) -> Result<(), CacheFault> {
        self.call(|values| {
            values.is_run(run)?;
            for (key, value) in stored {
                values.put(key, value);
            }
            Ok(())
        })
        .await
    }

    async fn get(&self, read: CacheRead<'_>) -> Result<Got, CacheFault> {
        // In three steps, as memcached does.
        let object = self
            .call(|values| Ok(read.object.and_then(|object| Some(values.found(object)?.value))))
            .await?;
        let value = self
            .call(|values| {
                if let (Some(key), Some((claim, _))) = (read.key, read.claim)
                    && !values.keyed.contains_key(key)
                {
                    values.put(key, claim);
                }
                Ok(read.key.and_then(|key| values.found(key)))
            })
            .await?;
        let mistake = self.server.mistake;
        self.call(|values| {
            let run = values.run.to_string();
            if mistake == Mistake::MissingList {
                let list = values.found(read.list);
                let list = list.and_then(|found| BarList::read(&found.value));
                if list.is_none_or(|list| list.run != run) {
                    values.put(read.list, &BarList::empty(BarList::number_of(USER), &run).write());
                }
            }
            Ok(Got {
                list: values.found(read.list),
                value,
                object,
                run: run.into(),
            })
        })
        .await
    }

    async fn replace(
        &self,
        run: &Arc<str>,
        key: &str,
        before: &Found,
        value: Vec<u8>,
        _ttl: Duration,
        removed: Option<&str>,
    ) -> Result<Option<Found>, CacheFault> {
        let mistake = self.server.mistake;
        let stored = self
            .call(|values| {
                values.is_run(run)?;
                if !values.is_same(key, before) {
                    return Ok(None);
                }
                if removed.is_some() && mistake == Mistake::NoBar {
                    let number = before.number;
                    return Ok(Some(Found { value, number }));
                }
                let number = values.put(key, &value);
                Ok(Some(Found { value, number }))
            })
            .await?;
        if let (Some(removed), true) = (removed, mistake != Mistake::KeptClaim) {
            self.call(|values| Ok(values.keyed.remove(removed))).await?;
        }
        Ok(stored)
    }

    async fn remove(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault> {
        self.call(|values| {
            values.is_run(run)?;
            values.keyed.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await
    }

    async fn fill(
        &self,
        run: &Arc<str>,
        key: &str,
        found: &Found,
        value: &[u8],
        _ttl: Duration,
    ) -> Result<(), CacheFault> {
        self.call(|values| {
            values.is_run(run)?;
            if values.is_same(key, found) {
                values.put(key, value);
            }
            Ok(())
        })
        .await
    }

    async fn touch(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault> {
        self.call(|values| {
            values.is_run(run)?;
            values.touched += keys.iter().filter(|key| values.keyed.contains_key(*key)).count();
            Ok(())
        })
        .await
    }

    async fn put(&self, run: &Arc<str>, key: &str, value: &[u8], _ttl: Duration) -> Result<(), CacheFault> {
        self.call(|values| {
            values.is_run(run)?;
            values.put(key, value);
            Ok(())
        })
        .await
    }
}

/// An engine that others overtake at every step, and that counts its reads.
pub(super) struct Slow {
    pub(super) engine: Arc<MemoryEngine>,
    pub(super) pace: Pace,
    pub(super) reads: Arc<AtomicUsize>,
    /// The row that leaves to write are compared with where a write lands.
    pub(super) row: Arc<Row>,
    /// Where a read is stopped that has its answer.
    pub(super) read: Gate,
    /// Where a write is stopped that has not landed.
    pub(super) write: Gate,
}

#[async_trait]
impl Engine for Slow {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.pace.step().await;
        let answer = self.engine.summary(user, detail).await;
        self.read.pass().await;
        self.pace.step().await;
        answer
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.pace.step().await;
        let answer = self.engine.read(user, query).await;
        self.pace.step().await;
        answer
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        self.write.pass().await;
        self.pace.step().await;
        if !self.row.lets_land(write.pass.as_ref()) {
            return Err(EngineError::PassEnded(Box::new(write)));
        }
        // What was compared has yet to be committed.
        if self.pace.random().is_multiple_of(4) {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        self.pace.step().await;
        let answer = self.engine.write(user, write).await;
        self.pace.step().await;
        answer
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.engine.stage(user, part).await
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        self.engine.purge(budget).await
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
