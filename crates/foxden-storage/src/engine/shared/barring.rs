//! How a writer bars the entry of its user, and what becomes of the bar.

use std::sync::Arc;
use std::time::Duration;

use foxden_model::UserId;

use super::SharedCached;
use super::bars::{Bar, BarList};
use super::epoch::{EpochKeys, LIST_TTL};
use super::server::{CacheFault, CacheRead, Found};
use crate::engine::{Engine, EngineError};
use crate::page::Written;

/// How often a writer tries while others change the same list.
const ATTEMPTS: u32 = 32;
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

impl<E: Engine> SharedCached<E> {
    /// Bars the user's entry, or says why that is impossible.
    pub(super) async fn bar(&self, epoch: i64, user: UserId) -> Result<Barred, CacheFault> {
        let token = self.random();
        let mut pauses = self.bar_limit.as_millis() / PAUSE.as_millis();
        loop {
            match self.try_to_bar(EpochKeys(epoch), Bar { user, token }).await {
                Err(CacheFault::Away(_)) if pauses > 0 => tokio::time::sleep(PAUSE).await,
                barred => return barred,
            }
            pauses -= 1;
        }
    }

    async fn try_to_bar(&self, keys: EpochKeys, bar: Bar) -> Result<Barred, CacheFault> {
        let (list, key) = (keys.list_of(bar.user), keys.user(bar.user));
        for _ in 0..ATTEMPTS {
            let (got, found, bars) = self.ask(CacheRead::list(&list)).await?;
            let mut old = self.seen_bars.old(&bars, bar.user, self.clock.steady_millis());
            old.retain(|old| *old != bar);
            let list_found = if bars.has(bar) {
                // The answer to an earlier attempt was lost.
                self.server.remove(&got.run, std::slice::from_ref(&key)).await?;
                Some(found)
            } else {
                let Some(bars) = bars.with(bar) else {
                    return Err(CacheFault::Away(
                        "too many writes have no known outcome".to_owned(),
                    ));
                };
                let value = bars.write();
                let replaced = self
                    .server
                    .replace(&got.run, &list, &found, value, LIST_TTL, Some(&key));
                replaced.await?
            };
            if let Some(list) = list_found {
                return Ok(Barred {
                    keys,
                    bar,
                    old,
                    run: got.run,
                    list,
                });
            }
        }
        Err(CacheFault::Away("too many change the same list".to_owned()))
    }

    /// Takes bars off. If that fails, the next write of the user does it.
    pub(super) async fn unbar(&self, barred: &Barred, ended: &[Bar]) -> Result<(), CacheFault> {
        let Barred { keys, bar, .. } = barred;
        let list = keys.list_of(bar.user);
        let (mut run, mut found) = (Arc::clone(&barred.run), barred.list.clone());
        for _ in 0..ATTEMPTS {
            let bars = BarList::read(&found.value).ok_or(CacheFault::Lost)?;
            if !bars.has(*bar) {
                // It was taken off too early: a reader may have filled the entry with what was there before the write.
                let removed = self.server.remove(&run, &[keys.user(bar.user)]).await;
                return removed.map_err(|_| CacheFault::Lost);
            }
            let value = bars.without(ended).write();
            let replaced = self.server.replace(&run, &list, &found, value, LIST_TTL, None);
            if replaced.await?.is_some() {
                return Ok(());
            }
            let got;
            (got, found, _) = self.ask(CacheRead::list(&list)).await?;
            run = got.run;
        }
        Ok(())
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
