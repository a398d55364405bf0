//! How a writer bars the entry of its user, and what becomes of the bar.

use std::sync::Arc;
use std::time::Duration;

use foxden_model::UserId;
use tokio::time::timeout;

use super::SharedCached;
use super::bars::{Bar, BarList, NoRoom};
use super::epoch::{EpochKeys, LIST_TTL};
use super::server::{CacheFault, CacheRead, Found};
use crate::engine::{Engine, EngineError};
use crate::page::Written;

/// How often a writer tries to take its bar off while others change the same list.
const ATTEMPTS: u32 = 32;
/// How often a writer tries to remove its entry.
const REMOVALS: u32 = 4;
/// The pauses of a writer that tries to reach the cache.
const PAUSE: Duration = Duration::from_millis(200);

/// An entry that a writer has barred.
pub(super) struct Barred {
    pub(super) keys: EpochKeys,
    pub(super) bar: Bar,
    /// Bars of the same user whose writes are shut out, or have landed, once this write has.
    old: Vec<Bar>,
    run: Arc<str>,
    /// The list with the bar.
    list: Found,
}

/// What became of a bar.
enum Unbarred {
    /// It was taken off, or is left for the next write of the user.
    Now,
    /// It was gone already in this run of the server: taken off by a call whose answer was lost, or too early, so that a reader may have
    /// filled the entry with what was there before the write.
    Before(Arc<str>),
}

/// Why an entry is not barred.
#[derive(Debug)]
pub(super) enum BarFault {
    /// Too many writes are under way. The cache is in use all the same.
    Busy,
    /// The cache cannot be used.
    Cache(CacheFault),
}

impl<E: Engine> SharedCached<E> {
    /// Bars the user's entry, or says why that is impossible.
    pub(super) async fn bar(&self, epoch: i64, user: UserId) -> Result<Barred, BarFault> {
        let bar = Bar {
            user,
            token: self.random(),
        };
        let mut fault = BarFault::from(too_slow());
        let barring = async {
            let mut attempt = 0;
            loop {
                let pause = match self.try_to_bar(EpochKeys(epoch), bar).await {
                    Ok(Some(barred)) => return Ok(barred),
                    Ok(None) => {
                        fault = BarFault::Busy;
                        self.short_pause(attempt)
                    }
                    Err(away @ BarFault::Cache(CacheFault::Away(_))) => {
                        fault = away;
                        PAUSE
                    }
                    Err(fault) => return Err(fault),
                };
                tokio::time::sleep(pause).await;
                attempt += 1;
            }
        };
        // A bar that was stored all the same is like one of a writer that has died.
        let barred = timeout(self.bar_limit, barring).await;
        barred.unwrap_or(Err(fault))
    }

    /// Bars the entry unless another writer changes the same list.
    async fn try_to_bar(&self, keys: EpochKeys, bar: Bar) -> Result<Option<Barred>, BarFault> {
        let (list, key) = (keys.list_of(bar.user), keys.user(bar.user));
        let (got, before, bars) = self.ask(bar.user, CacheRead::list(&list)).await?;
        let mut found = self.seen_bars.found(&bars, bar.user, self.clock.steady_millis());
        found.old.retain(|old| *old != bar);
        let list_found = if bars.has(bar) {
            // The answer to an earlier attempt was lost.
            self.server.remove(&got.run, std::slice::from_ref(&key)).await?;
            Some(before)
        } else {
            let value = found.list_with(bars, bar)?.write();
            let replaced = self
                .server
                .replace(&got.run, &list, &before, value, LIST_TTL, Some(&key));
            replaced.await?
        };
        Ok(list_found.map(|list| Barred {
            keys,
            bar,
            old: found.old,
            run: got.run,
            list,
        }))
    }

    /// Takes bars off. If that fails, the next write of the user does it.
    pub(super) async fn unbar(&self, barred: &Barred, ended: &[Bar]) -> Result<(), CacheFault> {
        let tried = timeout(self.bar_limit, self.try_to_unbar(barred, ended)).await;
        match tried.unwrap_or_else(|_| Err(too_slow()))? {
            Unbarred::Now => Ok(()),
            Unbarred::Before(run) => self.remove_entry(barred, &run).await,
        }
    }

    /// Removes the entry of a write whose bar was gone when it ended. If that is impossible, the entry may be older than the write.
    async fn remove_entry(&self, barred: &Barred, run: &Arc<str>) -> Result<(), CacheFault> {
        let key = barred.keys.user(barred.bar.user);
        for _ in 1..REMOVALS {
            match self.server.remove(run, std::slice::from_ref(&key)).await {
                Err(CacheFault::Away(_)) => tokio::time::sleep(PAUSE).await,
                removed => return removed,
            }
        }
        let removed = self.server.remove(run, &[key]).await;
        removed.map_err(|_| CacheFault::Lost)
    }

    async fn try_to_unbar(&self, barred: &Barred, ended: &[Bar]) -> Result<Unbarred, CacheFault> {
        let Barred { keys, bar, .. } = barred;
        let list = keys.list_of(bar.user);
        let (mut run, mut found) = (Arc::clone(&barred.run), barred.list.clone());
        let mut was_away = false;
        for attempt in 0..ATTEMPTS {
            let bars = BarList::read(&found.value).ok_or(CacheFault::Lost)?;
            if !bars.has(*bar) {
                return Ok(Unbarred::Before(run));
            }
            let value = bars.without(ended).write();
            let replaced = self.server.replace(&run, &list, &found, value, LIST_TTL, None);
            let pause = match replaced.await {
                // A connection that ends takes many calls with it. Whether this one was carried out, the list tells.
                Err(CacheFault::Away(_)) if !was_away => {
                    was_away = true;
                    PAUSE
                }
                replaced => match replaced? {
                    Some(_) => return Ok(Unbarred::Now),
                    None => self.short_pause(attempt),
                },
            };
            tokio::time::sleep(pause).await;
            let got;
            (got, found, _) = self.ask(bar.user, CacheRead::list(&list)).await?;
            run = got.run;
        }
        Ok(Unbarred::Now)
    }

    /// A random pause, longer after more attempts: those who change the same list do not meet again.
    fn short_pause(&self, attempt: u32) -> Duration {
        Duration::from_millis(self.unique() % u64::from(attempt.min(14) + 2))
    }

    /// What becomes of the bar of a write that has ended.
    pub(super) async fn ended(&self, barred: Barred, written: &Result<Written, EngineError>, is_all: bool) {
        let mut ended = vec![barred.bar];
        match written {
            // It may still land.
            Err(EngineError::OutcomeUnknown(_)) => return,
            // What has not landed before finds another state of the user, and changes nothing.
            Ok(written) if written.changed => ended.extend_from_slice(&barred.old),
            Ok(_) | Err(_) => {}
        }
        if is_all && written.is_ok() {
            // No reader finds them any more; they would only stay for a while.
            let objects = barred.keys.objects(barred.bar.user);
            drop(self.server.remove(&barred.run, &objects).await);
        }
        let unbarred = self.unbar(&barred, &ended).await;
        let is_lost = matches!(unbarred, Err(CacheFault::Lost));
        self.noted(unbarred, barred.keys.0).await;
        if is_lost {
            // Until no process reads entries any more. If the database does not answer, they cannot for long.
            drop(self.agreement.pass().await);
        }
    }
}

fn too_slow() -> CacheFault {
    CacheFault::Away("it does not answer in time".to_owned())
}

impl From<CacheFault> for BarFault {
    fn from(fault: CacheFault) -> Self {
        Self::Cache(fault)
    }
}

impl From<NoRoom> for BarFault {
    fn from(no_room: NoRoom) -> Self {
        match no_room {
            NoRoom::Busy => Self::Busy,
            NoRoom::Full => CacheFault::Away("too many writes have no known outcome".to_owned()).into(),
        }
    }
}
