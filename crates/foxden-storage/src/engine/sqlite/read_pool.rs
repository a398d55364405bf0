//! A few threads for long reads, so that they delay neither small reads nor the reads of other users.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use foxden_model::UserId;
use foxden_model::thread::lower_priority;
use tokio::sync::oneshot;

use super::errors::EngineFault;
use crate::engine::EngineError;

/// The number of threads, for all files together.
const THREADS: usize = 2;
/// The most reads that may wait.
const MAX_QUEUED: usize = 256;
/// A user may have this share (1/n) of the places that other users leave, and one more read that is running.
const USER_SHARE: usize = 8;

type Job = Box<dyn FnOnce() + Send>;

/// The threads. When stopped or dropped, they finish the queue.
pub(super) struct ReadPool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The waiting reads, and the users whose reads are running.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<(UserId, Job)>,
    running: Vec<UserId>,
    is_closed: bool,
}

impl ReadPool {
    pub(super) fn start() -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let threads = (0..THREADS).map(|_| {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name("sqlite-job".into())
                .spawn(move || {
                    lower_priority();
                    queue.serve();
                })
        });
        Ok(Self {
            threads: Mutex::new(threads.collect::<io::Result<_>>()?),
            queue,
        })
    }

    /// Closes the queue and waits until it is finished.
    pub(super) fn stop(&self) {
        self.queue.state().is_closed = true;
        self.queue.changed.notify_all();
        // The lock is held during the joins, so that a concurrent `stop` waits, too.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the read pool has panicked");
            }
        }
    }

    /// Runs a user's read in the pool, one at a time for each user.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        user: UserId,
        job: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !reply.is_closed() {
                // The caller may have gone meanwhile.
                let _ = reply.send(job());
            }
        });
        self.queue.add(user, job)?;
        answer.await.unwrap_or_else(|_| Err(EngineFault::NoReader.into()))
    }
}

impl Queue {
    fn add(&self, user: UserId, job: Job) -> Result<(), EngineError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(EngineFault::NoReader.into());
        }
        let own = state.waiting.iter().filter(|(other, _)| *other == user).count();
        if own >= share(state.waiting.len() - own) || state.waiting.len() >= MAX_QUEUED {
            return Err(EngineError::Busy);
        }
        state.waiting.push_back((user, job));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Runs reads until the queue is closed and empty.
    fn serve(&self) {
        while let Some((user, job)) = self.next() {
            // Only the caller of this read gets an error; the thread continues.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a read panicked in the read pool");
            }
            let mut state = self.state();
            state.running.retain(|other| *other != user);
            drop(state);
            // Another thread may have skipped waiting reads of this user.
            self.changed.notify_one();
        }
    }

    /// The first waiting read of a user whose reads are not running.
    fn next(&self) -> Option<(UserId, Job)> {
        let mut state = self.state();
        loop {
            let is_next = |(user, _): &(UserId, Job)| !state.running.contains(user);
            if let Some(at) = state.waiting.iter().position(is_next)
                && let Some((user, job)) = state.waiting.remove(at)
            {
                state.running.push(user);
                return Some((user, job));
            }
            if state.is_closed && state.waiting.is_empty() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        // No code under this lock can panic halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many reads of a user may wait, given how many of others do. The number shrinks as the queue fills, so that a few users
/// cannot fill it: that takes 38 users, and eight leave a third.
const fn share(others: usize) -> usize {
    let left = MAX_QUEUED.saturating_sub(others) / USER_SHARE;
    if left == 0 { 1 } else { left }
}

impl Drop for ReadPool {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// How many reads a single user may queue.
    const SHARE: usize = share(0);
    const GREEDY: UserId = UserId(1);
    const MODEST: UserId = UserId(2);

    #[tokio::test]
    async fn one_user_takes_one_thread_and_part_of_the_queue() {
        let read_pool = Arc::new(ReadPool::start().unwrap());
        let (go_on, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let mut greedy = tokio::task::JoinSet::new();
        for number in 0..=SHARE {
            // The first read must be running before the others wait, or it takes one of their places.
            while number == 1 && read_pool.queue.state().running.is_empty() {
                tokio::task::yield_now().await;
            }
            let (read_pool, gate) = (Arc::clone(&read_pool), Arc::clone(&gate));
            greedy.spawn(async move {
                let job = move || {
                    // Continues once the sender is dropped.
                    let _ = gate.lock().unwrap().recv();
                    Ok(())
                };
                read_pool.run(GREEDY, job).await
            });
        }
        while read_pool.queue.state().waiting.len() < SHARE {
            tokio::task::yield_now().await;
        }
        let more = read_pool.run(GREEDY, || Ok(())).await;
        assert!(matches!(more, Err(EngineError::Busy)));
        read_pool.run(MODEST, || Ok(())).await.unwrap();
        drop(go_on);
        let done = greedy.join_all().await;
        let done = done.into_iter().flatten().count();
        assert!(done >= SHARE, "{done}");
        read_pool.run(GREEDY, || Ok(())).await.unwrap();
    }

    #[test]
    fn a_few_users_do_not_fill_the_queue() {
        let queue = Queue::default();
        let fill = |user| {
            let scans = std::iter::from_fn(|| queue.add(UserId(user), Box::new(|| ())).ok());
            scans.count()
        };
        let taken: Vec<_> = (0..8).map(fill).collect();
        assert_eq!(taken, [32, 28, 24, 21, 18, 16, 14, 12]);
        for user in 8..38 {
            assert!(fill(user) >= 1, "user {user}");
        }
        assert_eq!((fill(38), queue.state().waiting.len()), (0, MAX_QUEUED));
    }
}
