//! The origin of a query, for a fair queue.
//!
//! A database has one thread that writes and one that reads, each with a queue. Origins belong to groups (for a
//! server, the networks of its clients). Each group has few slots in a queue at once. Its other queries wait in a queue
//! of the group, so groups share the thread, however many queries one of them sends.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::SqlError;

/// Queue slots of a group, by its width. A thread runs one query at a time, so one slot would suffice if no other group sent
/// queries.
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

    /// The origin of the work on this thread; `None` for work of the server itself.
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Runs a future with this origin, on whichever thread it continues.
    pub async fn carry<F: Future>(self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| self.within(|| work.as_mut().poll(cx))).await
    }

    /// Runs work that serves all origins, such as reading changes: it waits for no slot.
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

/// The group queues before the queue of one thread. Groups that neither wait nor hold a slot are not in the map.
#[derive(Default)]
pub(crate) struct FairQueue(Mutex<HashMap<Group, GroupQueue>>);

/// The queue of a group.
struct GroupQueue {
    slots: Arc<Semaphore>,
    /// The number of the group's slots.
    limit: usize,
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
            let limit = SLOTS[width].saturating_mul(origin.times) as usize;
            let group = (width, number);
            slots.groups[width] = Some(group);
            let semaphore = self.group_queue(group, limit);
            let permit = semaphore.acquire_owned().await;
            slots.permits[width] = Some(permit.map_err(|closed| SqlError::Unavailable(Box::new(closed)))?);
        }
        Ok(slots)
    }

    fn group_queue(&self, group: Group, limit: usize) -> Arc<Semaphore> {
        let mut all = self.all();
        let queue = all.entry(group).or_insert_with(|| GroupQueue {
            slots: Arc::new(Semaphore::new(limit)),
            limit,
        });
        Arc::clone(&queue.slots)
    }

    /// Returns the number of queries that wait for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.all().values().map(GroupQueue::waiting).sum()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Group, GroupQueue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GroupQueue {
    /// Returns the number of waiting queries. Each of them, and each that has a slot, holds the semaphore, as does the map.
    fn waiting(&self) -> usize {
        let users = Arc::strong_count(&self.slots) - 1;
        users.saturating_sub(self.limit.saturating_sub(self.slots.available_permits()))
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
            // Each query that has a slot or waits for one holds the semaphore, too.
            if all
                .get(&group)
                .is_some_and(|queue| Arc::strong_count(&queue.slots) == 1)
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

    /// Returns the slots that `count` queries get without waiting.
    async fn enter_now(queue: &Arc<FairQueue>, origin: QueryOrigin, count: usize) -> Vec<QueueSlots> {
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
    async fn a_group_leaves_slots_to_others() {
        let queue = Arc::<FairQueue>::default();
        let one = enter_now(&queue, origin(1), 100).await;
        assert_eq!((one.len(), queue.waiting()), (4, 0));
        let neighbours = [2, 3, 4].map(origin);
        let mut beside = Vec::new();
        for neighbour in neighbours {
            beside.extend(enter_now(&queue, neighbour, 100).await);
        }
        assert_eq!(beside.len(), 4, "the wide group has eight slots");
        assert_eq!(enter_now(&queue, origin(1000), 100).await.len(), 4);
        drop(one);
        assert_eq!(enter_now(&queue, origin(5), 100).await.len(), 4);
        drop(beside);
        assert!(queue.all().is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn queries_of_the_server_itself_do_not_wait() {
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
    async fn a_released_slot_goes_to_a_waiting_query() {
        let queue = Arc::<FairQueue>::default();
        let mut held = enter_now(&queue, origin(1), 4).await;
        let mut waiting = Box::pin(origin(1).carry(queue.enter()));
        assert!(poll_once(&mut waiting).await.is_none());
        assert_eq!(queue.waiting(), 1);
        held.pop();
        assert!(poll_once(&mut waiting).await.is_some());
        drop((waiting, held));
        let held = enter_now(&queue, origin(1), 4).await;
        let mut cancelled = Box::pin(origin(1).carry(queue.enter()));
        assert!(poll_once(&mut cancelled).await.is_none());
        drop((held, cancelled));
        assert!(queue.all().is_empty());
    }
}
