//! The origin of a query, for a fair queue.
//!
//! A database has one thread that writes and one that reads, each with a queue. Origins belong to groups (for a
//! server, the networks of its clients). Each group has few slots in a queue at once and waits in a line of its own
//! for more, so turns are shared among groups, however much one of them asks.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::SqlError;

/// Queue slots of a group, by its width. One would do if no other group asked: a thread does one thing at a time.
const SLOTS: [u32; 3] = [4, 6, 8];

/// The origin of a query: the groups it belongs to, the narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryOrigin {
    /// The number of each group, unique among groups of the same width.
    pub groups: [Option<u64>; 3],
    /// The factor by which its groups have more slots than others.
    pub times: u32,
}

thread_local! {
    static CURRENT: Cell<Option<QueryOrigin>> = const { Cell::new(None) };
}

impl QueryOrigin {
    /// Runs work with this origin: queries that begin in it belong to it.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        on_behalf_of(Some(self), work)
    }

    /// The origin of the work on this thread; `None`: the program itself.
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Runs a future with this origin, on whichever thread it continues.
    pub async fn carry<F: Future>(self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| self.within(|| work.as_mut().poll(cx))).await
    }

    /// Runs work that serves all origins, such as reading changes: it waits in no line.
    pub async fn unscoped<F: Future>(work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| on_behalf_of(None, || work.as_mut().poll(cx))).await
    }
}

fn on_behalf_of<T>(origin: Option<QueryOrigin>, work: impl FnOnce() -> T) -> T {
    struct Before(Option<QueryOrigin>);
    impl Drop for Before {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _before = Before(CURRENT.replace(origin));
    work()
}

/// The lines before one queue. Groups that neither wait nor hold a slot are not in the map.
#[derive(Default)]
pub(crate) struct FairQueue(Mutex<HashMap<Group, Line>>);

/// The line of a group.
struct Line {
    slots: Arc<Semaphore>,
    /// How many slots the group has.
    most: usize,
}

/// A group: its width and its number.
type Group = (usize, u64);

/// The slots of one origin, released when dropped.
pub(crate) struct QueueSlots {
    queue: Arc<FairQueue>,
    groups: [Option<Group>; 3],
    permits: [Option<OwnedSemaphorePermit>; 3],
}

impl FairQueue {
    /// Waits for a slot for the current origin.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<QueueSlots, SqlError> {
        let mut slots = QueueSlots {
            queue: Arc::clone(self),
            groups: [None; 3],
            permits: [None, None, None],
        };
        let Some(origin) = QueryOrigin::current() else {
            return Ok(slots);
        };
        for (width, number) in origin.groups.into_iter().enumerate() {
            let Some(number) = number else { continue };
            let most = SLOTS[width].saturating_mul(origin.times) as usize;
            let group = (width, number);
            slots.groups[width] = Some(group);
            let line = self.line(group, most);
            let permit = line.acquire_owned().await;
            slots.permits[width] = Some(permit.map_err(|closed| SqlError::Unavailable(Box::new(closed)))?);
        }
        Ok(slots)
    }

    fn line(&self, group: Group, most: usize) -> Arc<Semaphore> {
        let mut all = self.all();
        let line = all.entry(group).or_insert_with(|| Line {
            slots: Arc::new(Semaphore::new(most)),
            most,
        });
        Arc::clone(&line.slots)
    }

    /// How many queries wait for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.all().values().map(Line::waiting).sum()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Group, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// How many queries wait in this line. Each of them, and each that has a slot, holds the semaphore, as does the map.
    fn waiting(&self) -> usize {
        let users = Arc::strong_count(&self.slots) - 1;
        users.saturating_sub(self.most.saturating_sub(self.slots.available_permits()))
    }
}

impl Drop for QueueSlots {
    fn drop(&mut self) {
        self.permits = [None, None, None];
        if self.groups == [None; 3] {
            return;
        }
        let mut all = self.queue.all();
        for group in self.groups.into_iter().flatten() {
            // Each holder of a slot, and each that waits for one, holds the line, too.
            if all
                .get(&group)
                .is_some_and(|line| Arc::strong_count(&line.slots) == 1)
            {
                all.remove(&group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn origin(address: u64) -> QueryOrigin {
        QueryOrigin {
            groups: [Some(address), None, Some(address / 256)],
            times: 1,
        }
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::time::timeout(Duration::ZERO, future).await.ok()
    }

    /// Returns the slots that so many queries get at once.
    async fn let_in(queue: &Arc<FairQueue>, origin: QueryOrigin, count: usize) -> Vec<QueueSlots> {
        let mut slots = Vec::new();
        for _ in 0..count {
            let entering = origin.carry(queue.enter());
            if let Ok(slot) = tokio::time::timeout(Duration::ZERO, entering).await {
                slots.push(slot.unwrap());
            }
        }
        slots
    }

    #[tokio::test]
    async fn a_group_leaves_places_to_others() {
        let queue = Arc::<FairQueue>::default();
        let one = let_in(&queue, origin(1), 100).await;
        assert_eq!((one.len(), queue.waiting()), (4, 0));
        let neighbours = [2, 3, 4].map(origin);
        let mut beside = Vec::new();
        for neighbour in neighbours {
            beside.extend(let_in(&queue, neighbour, 100).await);
        }
        assert_eq!(beside.len(), 4, "all of the neighbourhood together have eight");
        assert_eq!(let_in(&queue, origin(1000), 100).await.len(), 4);
        drop(one);
        assert_eq!(let_in(&queue, origin(5), 100).await.len(), 4);
        drop(beside);
        assert!(queue.all().is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn the_programs_own_questions_wait_in_no_line() {
        let queue = Arc::<FairQueue>::default();
        let mut own = Vec::new();
        for _ in 0..100 {
            own.push(queue.enter().await.unwrap());
        }
        assert!(queue.all().is_empty());
    }

    #[tokio::test]
    async fn shared_work_has_no_origin() {
        let within = origin(1).carry(async {
            tokio::task::yield_now().await;
            let unscoped = QueryOrigin::unscoped(async {
                tokio::task::yield_now().await;
                QueryOrigin::current()
            });
            (unscoped.await, QueryOrigin::current())
        });
        assert_eq!(within.await, (None, Some(origin(1))));
        assert_eq!(QueryOrigin::current(), None);
    }

    /// A released slot goes to a waiting query, and a cancelled one leaves nothing behind.
    #[tokio::test]
    async fn a_place_that_is_given_back_is_taken() {
        let queue = Arc::<FairQueue>::default();
        let mut held = let_in(&queue, origin(1), 4).await;
        let mut waiting = Box::pin(origin(1).carry(queue.enter()));
        assert!(poll_once(&mut waiting).await.is_none());
        assert_eq!(queue.waiting(), 1);
        held.pop();
        assert!(poll_once(&mut waiting).await.is_some());
        drop((waiting, held));
        let held = let_in(&queue, origin(1), 4).await;
        let mut given_up = Box::pin(origin(1).carry(queue.enter()));
        assert!(poll_once(&mut given_up).await.is_none());
        drop((held, given_up));
        assert!(queue.all().is_empty());
    }
}
