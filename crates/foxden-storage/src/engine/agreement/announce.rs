//! How a process announces its cache, and begins to use one that was announced.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::timeout;

use super::{Agreement, CacheKind, CacheRow, Phase, View, millis};

/// How long a reader waits until a cache has begun an epoch.
const BEGIN_LIMIT: Duration = Duration::from_secs(1);
/// How long, in milliseconds, others leave the announcement to one call.
const ANNOUNCING_MILLIS: i64 = 20_000;
/// The longest pause, in milliseconds, before a cache that cannot be reached is tried again.
const MOST_PAUSE_MILLIS: i64 = 30_000;

/// The turn of the one call that may look at the row or change it.
#[derive(Default)]
pub(super) struct Turn {
    /// When this process may announce its cache again.
    next: i64,
    /// How often in a row the cache could not be reached.
    failures: u32,
}

impl Agreement {
    /// Announces this process's cache, or begins to use one that was announced: at once if it need not settle.
    pub(super) async fn advance<'a>(&'a self, mut view: View, mut turn: MutexGuard<'a, Turn>) -> View {
        for _ in 0..2 {
            if self.is_closed.load(Ordering::SeqCst) {
                break;
            }
            let now = self.clock.steady_millis();
            let next = match view.row.phase {
                Phase::Free if self.cache != CacheKind::None && now >= turn.next => {
                    let next;
                    (next, turn) = self.announce(turn).await;
                    next
                }
                Phase::Starting
                    if self.is_ours(view.row) && now - view.first_seen >= millis(self.times.settle) =>
                {
                    Some(CacheRow {
                        phase: Phase::On,
                        ..view.row
                    })
                }
                Phase::Paused if now - view.first_seen >= millis(self.times.hold) => {
                    Some(CacheRow::default())
                }
                _ => None,
            };
            let Some(next) = next else { break };
            view = match self.replace(view, next).await {
                Ok(Some(view)) => view,
                // Others were quicker, or the database does not answer; the next look tells.
                Ok(None) | Err(_) => break,
            };
        }
        view
    }

    /// The row that announces the cache, unless that cannot be reached. Others have their turn while it is asked.
    async fn announce<'a>(
        &'a self,
        mut turn: MutexGuard<'a, Turn>,
    ) -> (Option<CacheRow>, MutexGuard<'a, Turn>) {
        let epoch = self.new_epoch();
        if let Some(server) = &self.server {
            let pause = (1000 << turn.failures.min(5)).min(MOST_PAUSE_MILLIS);
            // None of the others tries as well, until this one has had its turn again.
            turn.next = self.clock.steady_millis() + ANNOUNCING_MILLIS;
            drop(turn);
            let begun = timeout(BEGIN_LIMIT, server.begin(epoch)).await;
            turn = self.turn.lock().await;
            if let Err(cause) = begun.unwrap_or_else(|_| Err("it does not answer in time".to_owned())) {
                if turn.failures == 0 {
                    tracing::warn!(
                        cache = self.cache.name(),
                        cause,
                        "the cache cannot be used; it is tried again and again"
                    );
                }
                turn.failures += 1;
                turn.next = self.clock.steady_millis() + pause;
                return (None, turn);
            }
        }
        turn.failures = 0;
        // Unless others object, the next time is far off.
        turn.next = self.clock.steady_millis() + millis(self.times.retry);
        self.own_epoch.store(epoch, Ordering::SeqCst);
        let next = CacheRow {
            phase: Phase::Starting,
            epoch,
            cache: self.cache,
            ..CacheRow::default()
        };
        (Some(next), turn)
    }

    fn new_epoch(&self) -> i64 {
        let mut random = [0; 8];
        self.rng.fill(&mut random);
        // Zero is the epoch of no cache.
        (i64::from_le_bytes(random) & i64::MAX).max(1)
    }
}
