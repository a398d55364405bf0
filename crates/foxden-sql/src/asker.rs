//! On whose behalf a question is asked, so that nobody takes all turns.
//!
//! A database has one thread that writes and one that reads, each with a queue. Those who ask come from groups (for a server,
//! the networks of its clients); each group has few places in a queue at once, and waits in a line of its own for more.
//! Turns are therefore shared among groups, however much one of them asks.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::SqlError;

/// Places in a queue for a group, by how wide it is. One would do where nobody else asks: a thread does one thing at a time.
const PLACES: [u32; 3] = [4, 6, 8];

/// Who asks: the groups it belongs to, the narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Each group by a number that is its own among those as wide.
    pub groups: [Option<u64>; 3],
    /// How many times as many places its groups have as others.
    pub times: u32,
}

thread_local! {
    static CURRENT: Cell<Option<Asker>> = const { Cell::new(None) };
}

impl Asker {
    /// Does something on behalf of this one: the questions that are begun meanwhile are its own.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        on_behalf_of(Some(self), work)
    }

    /// On whose behalf this thread works; `None`: the program's own.
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Carries out work on behalf of this one, on whichever thread it goes on.
    pub async fn carry<F: Future>(self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| self.within(|| work.as_mut().poll(cx))).await
    }

    /// Carries out work that serves all, whoever had it begun: it waits in nobody's line.
    pub async fn for_all<F: Future>(work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| on_behalf_of(None, || work.as_mut().poll(cx))).await
    }
}

fn on_behalf_of<T>(asker: Option<Asker>, work: impl FnOnce() -> T) -> T {
    struct Before(Option<Asker>);
    impl Drop for Before {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _before = Before(CURRENT.replace(asker));
    work()
}

/// The lines before one queue. It holds no group that has nobody there.
#[derive(Default)]
pub(crate) struct Lines(Mutex<HashMap<Group, Arc<Semaphore>>>);

/// A group: how wide it is, and its number.
type Group = (usize, u64);

/// Places of one asker, given back when dropped.
pub(crate) struct Places {
    lines: Arc<Lines>,
    groups: [Option<Group>; 3],
    permits: [Option<OwnedSemaphorePermit>; 3],
}

impl Lines {
    /// Waits until there is a place for whoever asks here and now.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Places, SqlError> {
        let mut places = Places {
            lines: Arc::clone(self),
            groups: [None; 3],
            permits: [None, None, None],
        };
        let Some(asker) = Asker::current() else {
            return Ok(places);
        };
        for (width, number) in asker.groups.into_iter().enumerate() {
            let Some(number) = number else { continue };
            let most = PLACES[width].saturating_mul(asker.times) as usize;
            let group = (width, number);
            places.groups[width] = Some(group);
            let line = Arc::clone(
                self.all()
                    .entry(group)
                    .or_insert_with(|| Arc::new(Semaphore::new(most))),
            );
            let permit = line.acquire_owned().await;
            places.permits[width] = Some(permit.map_err(|closed| SqlError::Unavailable(Box::new(closed)))?);
        }
        Ok(places)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Group, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.permits = [None, None, None];
        if self.groups == [None; 3] {
            return;
        }
        let mut all = self.lines.all();
        for group in self.groups.into_iter().flatten() {
            // Whoever has a place there, or waits for one, has the line too.
            if all.get(&group).is_some_and(|line| Arc::strong_count(line) == 1) {
                all.remove(&group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn asker(address: u64) -> Asker {
        Asker {
            groups: [Some(address), None, Some(address / 256)],
            times: 1,
        }
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::time::timeout(Duration::ZERO, future).await.ok()
    }

    /// Those of so many who get a place at once.
    async fn let_in(lines: &Arc<Lines>, asker: Asker, count: usize) -> Vec<Places> {
        let mut places = Vec::new();
        for _ in 0..count {
            let entering = asker.carry(lines.enter());
            if let Ok(place) = tokio::time::timeout(Duration::ZERO, entering).await {
                places.push(place.unwrap());
            }
        }
        places
    }

    #[tokio::test]
    async fn a_group_leaves_places_to_others() {
        let lines = Arc::<Lines>::default();
        let one = let_in(&lines, asker(1), 100).await;
        assert_eq!(one.len(), 4);
        let neighbours = [2, 3, 4].map(asker);
        let mut beside = Vec::new();
        for neighbour in neighbours {
            beside.extend(let_in(&lines, neighbour, 100).await);
        }
        assert_eq!(beside.len(), 4, "all of the neighbourhood together have eight");
        assert_eq!(let_in(&lines, asker(1000), 100).await.len(), 4);
        drop(one);
        assert_eq!(let_in(&lines, asker(5), 100).await.len(), 4);
        drop(beside);
        assert!(lines.all().is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn the_programs_own_questions_wait_in_no_line() {
        let lines = Arc::<Lines>::default();
        let mut own = Vec::new();
        for _ in 0..100 {
            own.push(lines.enter().await.unwrap());
        }
        assert!(lines.all().is_empty());
    }

    #[tokio::test]
    async fn work_for_all_is_nobodys() {
        let within = asker(1).carry(async {
            tokio::task::yield_now().await;
            let for_all = Asker::for_all(async {
                tokio::task::yield_now().await;
                Asker::current()
            });
            (for_all.await, Asker::current())
        });
        assert_eq!(within.await, (None, Some(asker(1))));
        assert_eq!(Asker::current(), None);
    }

    /// Who waits gets the place that is given back, and who gives up leaves nothing.
    #[tokio::test]
    async fn a_place_that_is_given_back_is_taken() {
        let lines = Arc::<Lines>::default();
        let mut held = let_in(&lines, asker(1), 4).await;
        let mut waiting = Box::pin(asker(1).carry(lines.enter()));
        assert!(poll_once(&mut waiting).await.is_none());
        held.pop();
        assert!(poll_once(&mut waiting).await.is_some());
        drop((waiting, held));
        let held = let_in(&lines, asker(1), 4).await;
        let mut given_up = Box::pin(asker(1).carry(lines.enter()));
        assert!(poll_once(&mut given_up).await.is_none());
        drop((held, given_up));
        assert!(lines.all().is_empty());
    }
}
