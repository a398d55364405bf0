//! What the processes of a store agree on before one of them may answer from a cache.
//!
//! The agreement is one row in the store's database ([`CacheRow`]). A cache is *announced* there, *used* once every writer has had the
//! time to see that, and *paused* by any writer that cannot bar its entries. A process relies on what it last saw for a short time
//! only: it reads entries within [`CacheTimes::lease`] of a look, and begins writes within [`CacheTimes::write_lease`]. A write takes
//! what was seen along as a [`Pass`], and the database compares it where the write lands. So:
//!
//! 1. A write that begins without barring entries lands only if the row still has no cache then. What has been compared lands
//!    within seconds, before a cache that is announced meanwhile is used.
//! 2. A writer that meets a cache in use which it cannot bar pauses it, waits until no process reads entries any more, and only then
//!    writes.
//! 3. Each announcement has an epoch of its own, and entries of other epochs are never used.
//!
//! Nothing runs in the background: a call that finds the last look too old looks itself, and others wait for that. A look whose caller has
//! left is finished by the next one, so that its connection is not lost.

mod announce;
mod failures;
mod row;
mod times;

#[cfg(test)]
pub(super) mod tests;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::{Clock, Rng};

use self::announce::Turn;
use self::failures::Failures;
use super::EngineError;
use crate::command::Write;
use crate::pass::Pass;
pub use row::{CacheControl, CacheKind, CacheRow, Phase, SeenRow};
pub use times::CacheTimes;

/// How often a writer goes on when others change the row at the same time.
const ATTEMPTS: u32 = 16;
/// How often a write begins anew whose leave has ended.
pub(super) const ROUNDS: u32 = 4;
/// How often, in milliseconds, the log is told that writes do not land.
const WARNING_MILLIS: i64 = 60_000;
/// How long a reader waits for a look. It asks the engine then.
const READER_LIMIT: Duration = Duration::from_secs(1);
/// How long after a look that took longer readers wait for none.
const SLOW_MILLIS: i64 = 5000;

/// The part of one process in the agreement.
pub struct Agreement {
    control: Arc<dyn CacheControl>,
    cache: CacheKind,
    /// Begins epochs in a cache that processes share.
    server: Option<Arc<dyn EpochServer>>,
    times: CacheTimes,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    view: Mutex<Option<View>>,
    failures: Failures,
    /// Until when readers wait for no look.
    slow_until: AtomicI64,
    /// The epoch that this process announced last; 0 before.
    own_epoch: AtomicI64,
    is_closed: AtomicBool,
    /// When the log was last told that writes do not land, by the steady clock.
    warned: AtomicI64,
    /// One look or change at a time.
    turn: tokio::sync::Mutex<Turn>,
}

/// A cache that processes share.
#[async_trait]
pub trait EpochServer: Send + Sync + 'static {
    /// Marks the cache as the one of this epoch, or says why that is impossible.
    async fn begin(&self, epoch: i64) -> Result<(), String>;
}

/// What this process has seen of the agreement.
#[derive(Clone, Copy)]
struct View {
    row: CacheRow,
    /// When the last look began, by the steady clock and by the other one.
    looked: i64,
    looked_wall: i64,
    /// The database's clock, and when its answer had come, by the steady clock.
    clock: i64,
    answered: i64,
    /// When the row was first seen like this.
    first_seen: i64,
}

impl Agreement {
    /// The part of a process that has no cache.
    pub fn without_cache(
        control: Arc<dyn CacheControl>,
        times: CacheTimes,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            control,
            cache: CacheKind::None,
            server: None,
            times,
            clock,
            rng,
            view: Mutex::default(),
            failures: Failures::default(),
            slow_until: AtomicI64::new(i64::MIN),
            own_epoch: AtomicI64::new(0),
            is_closed: AtomicBool::new(false),
            warned: AtomicI64::new(i64::MIN / 2),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The part of a process that has a cache in its own memory.
    pub fn of_one_process(
        control: Arc<dyn CacheControl>,
        times: CacheTimes,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            cache: CacheKind::Local,
            ..Self::without_cache(control, times, clock, rng)
        }
    }

    /// The part of a process that has a cache which others share.
    pub fn of_shared_cache(
        control: Arc<dyn CacheControl>,
        cache: CacheKind,
        server: Arc<dyn EpochServer>,
        times: CacheTimes,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            cache,
            server: Some(server),
            ..Self::without_cache(control, times, clock, rng)
        }
    }

    /// The epoch whose entries this process may read and fill, if it may. What was found before the call may be used after it if the
    /// epoch is the same.
    pub(super) async fn serving(&self) -> Option<i64> {
        if let Some(view) = self.fresh(self.times.lease) {
            return self.served(view);
        }
        if self.is_slow() {
            return None;
        }
        let looked = async {
            let failures = self.failures.count();
            let turn = self.turn.lock().await;
            // Another one may have looked meanwhile.
            if let Some(view) = self.fresh(self.times.lease) {
                return Some((view, None));
            }
            if self.is_slow() {
                return None;
            }
            self.failures.since(failures).ok()?;
            let view = self.look().await.ok()?;
            Some((view, Some(turn)))
        };
        // The engine will tell why the database does not answer.
        let Ok(looked) = tokio::time::timeout(READER_LIMIT, looked).await else {
            let until = self.clock.steady_millis() + SLOW_MILLIS;
            self.slow_until.store(until, Ordering::SeqCst);
            return None;
        };
        let (view, turn) = looked?;
        let view = match turn {
            Some(turn) => {
                let advanced = self.advance(view, turn);
                tokio::time::timeout(READER_LIMIT, advanced).await.ok()?
            }
            None => view,
        };
        self.served(view)
    }

    /// Leave to write.
    pub(super) async fn pass(&self) -> Result<Pass, EngineError> {
        for _ in 0..ATTEMPTS {
            let view = self.seen_for_writing().await?;
            match view.row.phase {
                Phase::Free => return Ok(self.pass_of(view, 0)),
                Phase::Paused => self.free(view).await?,
                Phase::Starting | Phase::On if self.is_ours(view.row) => {
                    return Ok(self.pass_of(view, view.row.epoch));
                }
                Phase::Starting | Phase::On => self.object(view, self.foreign(view.row)).await?,
            }
        }
        Err(EngineError::Busy)
    }

    /// The cache of an epoch cannot be barred, for this reason: no process is to use it any more.
    pub(super) async fn cannot_bar(&self, epoch: i64, cause: &str) -> Result<(), EngineError> {
        match self.view().filter(|view| view.row.epoch == epoch) {
            Some(view) => self.object(view, cause).await,
            None => Ok(()),
        }
    }

    /// A write has found that its leave has ended, for this time: what it went by counts no more. Returns the write.
    pub(super) fn pass_ended(&self, round: u32, write: Write) -> Write {
        let answered = write.pass.map(|pass| pass.answered());
        self.outdate(|view| Some(view.answered) == answered);
        let now = self.clock.steady_millis();
        if round == ROUNDS && self.is_time_to_warn(now) {
            tracing::warn!(
                "writes do not land in the seconds that they are given: the database is slow, or the clocks of its servers differ"
            );
        }
        write
    }

    fn is_time_to_warn(&self, now: i64) -> bool {
        let warned = self.warned.load(Ordering::SeqCst);
        let is_time = warned.saturating_add(WARNING_MILLIS) <= now;
        is_time
            && self
                .warned
                .compare_exchange(warned, now, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }

    /// Withdraws a cache that ends with this process, which reads no entries from now on.
    pub(super) async fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let _turn = self.turn.lock().await;
        let Some(view) = self.view() else { return };
        if self.cache == CacheKind::Local && view.row.phase != Phase::Free && self.is_ours(view.row) {
            // If it fails, the next process waits a little longer.
            drop(self.replace(view, CacheRow::default()).await);
        }
    }

    fn pass_of(&self, view: View, epoch: i64) -> Pass {
        Pass::new(epoch, view.clock, view.answered, millis(self.times.write_limit))
    }

    async fn seen_for_writing(&self) -> Result<View, EngineError> {
        if let Some(view) = self.fresh(self.times.write_lease) {
            return Ok(view);
        }
        let failures = self.failures.count();
        let _turn = self.turn.lock().await;
        if let Some(view) = self.fresh(self.times.write_lease) {
            return Ok(view);
        }
        self.failures.since(failures)?;
        self.look().await
    }

    /// Whether a reader has lately waited in vain for a look.
    fn is_slow(&self) -> bool {
        self.clock.steady_millis() < self.slow_until.load(Ordering::SeqCst)
    }

    /// What was seen within this time.
    fn fresh(&self, within: Duration) -> Option<View> {
        let view = self.view()?;
        let (passed, wall) = (
            self.clock.steady_millis() - view.looked,
            self.clock.millis() - view.looked_wall,
        );
        // The steady clock stands still while a machine sleeps; a jump of the other one costs a look.
        (passed < millis(within) && wall.abs() < millis(within)).then_some(view)
    }

    fn served(&self, view: View) -> Option<i64> {
        let is_closed = self.is_closed.load(Ordering::SeqCst);
        (!is_closed && view.row.phase == Phase::On && self.is_ours(view.row)).then_some(view.row.epoch)
    }

    /// Whether this process can bar the entries of the cache that is announced.
    fn is_ours(&self, row: CacheRow) -> bool {
        match self.cache {
            CacheKind::None => false,
            CacheKind::Local => self.own_epoch.load(Ordering::SeqCst) == row.epoch,
            CacheKind::Redis | CacheKind::Memcached => row.cache == self.cache,
        }
    }

    /// Why a cache that is announced is not one of this process.
    fn foreign(&self, row: CacheRow) -> &'static str {
        match (row.cache, self.cache) {
            (CacheKind::Local, _) => {
                "another process serves this store with storage.cache = \"local\", which only a process alone may have"
            }
            (_, CacheKind::None | CacheKind::Local) => {
                "another process of this store has a shared cache, and this one has not"
            }
            _ => "the processes of this store name different caches",
        }
    }

    /// Looks at the row. To be called in turn.
    async fn look(&self) -> Result<View, EngineError> {
        let (looked, looked_wall) = (self.clock.steady_millis(), self.clock.millis());
        let seen = self.control.look().await;
        if let Err(error) = &seen {
            self.failures.note(error);
        }
        let SeenRow { row, clock } = seen?;
        Ok(self.note(View {
            row,
            looked,
            looked_wall,
            clock,
            answered: self.clock.steady_millis(),
            first_seen: 0,
        }))
    }

    /// Changes the row unless it has changed; what it is then is seen by the next look. To be called in turn.
    async fn replace(&self, seen: View, next: CacheRow) -> Result<Option<View>, EngineError> {
        let (looked, looked_wall) = (self.clock.steady_millis(), self.clock.millis());
        let replaced = self.control.replace(seen.row.version, next).await;
        if let Ok(true) = replaced {
            let version = seen.row.version + 1;
            return Ok(Some(self.note(View {
                row: CacheRow { version, ..next },
                looked,
                looked_wall,
                ..seen
            })));
        }
        if let Err(error) = &replaced {
            self.failures.note(error);
        }
        self.outdate(|_| true);
        replaced.map(|_| None)
    }

    /// Of a view like this the next one who needs to know looks again.
    fn outdate(&self, is_it: impl Fn(&View) -> bool) {
        if let Some(view) = self.locked_view().as_mut().filter(|view| is_it(view)) {
            view.looked = i64::MIN / 2;
        }
    }

    fn note(&self, view: View) -> View {
        let mut seen = self.locked_view();
        let before = *seen;
        let first_seen = match before {
            Some(before) if before.row == view.row => before.first_seen,
            _ => self.clock.steady_millis(),
        };
        let view = View { first_seen, ..view };
        *seen = Some(view);
        drop(seen);
        self.tell(before, view);
        view
    }

    /// Logs when the cache begins or ceases to be used.
    fn tell(&self, before: Option<View>, now: View) {
        let cache = self.cache.name();
        let was_used = before.is_some_and(|before| self.served(before).is_some());
        match (was_used, self.served(now).is_some()) {
            (false, true) => tracing::info!(cache, "the cache is in use"),
            (true, false) => tracing::warn!(cache, "the cache is not in use any more"),
            (true, true) | (false, false) => {}
        }
        let is_announced = now.row.phase == Phase::Starting && self.is_ours(now.row);
        if is_announced && before.is_none_or(|before| before.row.version != now.row.version) {
            let seconds = self.times.settle.as_secs();
            tracing::info!(cache, seconds, "the cache is announced, and used after that time");
        }
    }

    /// Ends the use of a cache that this process cannot bar.
    async fn object(&self, view: View, cause: &str) -> Result<(), EngineError> {
        let failures = self.failures.count();
        let _turn = self.turn.lock().await;
        if self.view().is_none_or(|now| now.row.version != view.row.version) {
            return Ok(());
        }
        self.failures.since(failures)?;
        let phase = match view.row.phase {
            // No process reads it yet.
            Phase::Starting => Phase::Free,
            Phase::On => Phase::Paused,
            Phase::Free | Phase::Paused => return Ok(()),
        };
        let next = CacheRow {
            phase,
            ..CacheRow::default()
        };
        if self.replace(view, next).await?.is_some() {
            let cache = view.row.cache.name();
            tracing::warn!(cache, cause, "this process ends the use of the cache");
        }
        Ok(())
    }

    /// Waits until no process uses a paused cache any more.
    async fn free(&self, view: View) -> Result<(), EngineError> {
        let passed = self.clock.steady_millis() - view.first_seen;
        let left = millis(self.times.hold) - passed;
        tokio::time::sleep(Duration::from_millis(u64::try_from(left).unwrap_or(0))).await;
        let failures = self.failures.count();
        let _turn = self.turn.lock().await;
        if self.view().is_some_and(|now| now.row.version == view.row.version) {
            self.failures.since(failures)?;
            self.replace(view, CacheRow::default()).await?;
        }
        Ok(())
    }

    fn view(&self) -> Option<View> {
        *self.locked_view()
    }

    fn locked_view(&self) -> MutexGuard<'_, Option<View>> {
        // No code panics under this lock.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
