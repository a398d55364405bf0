//! A few threads for long reads, so that they do not hold up the small ones, and no user's the others'.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use foxden_model::UserId;
use foxden_model::thread::lower_priority;
use tokio::sync::oneshot;

use super::fault::Trouble;
use crate::engine::EngineError;

/// The threads, for all files together.
const THREADS: usize = 2;
/// The reads that may wait.
const QUEUE: usize = 256;
/// A user has one part in so many of the places that others have left. One read more is carried out meanwhile.
const PARTS: usize = 8;

type Scan = Box<dyn FnOnce() + Send>;

/// The threads. Stopped or dropped, they finish what waits.
pub(super) struct Scanners {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The reads that wait, and whose are being carried out.
#[derive(Default)]
struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<(UserId, Scan)>,
    served: Vec<UserId>,
    is_closed: bool,
}

impl Scanners {
    pub(super) fn start() -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let threads = (0..THREADS).map(|_| {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name("sqlite-scan".into())
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

    /// Takes nothing more in, and waits until what waits is carried out.
    pub(super) fn stop(&self) {
        self.queue.line().is_closed = true;
        self.queue.moved.notify_all();
        // Held while waiting, so that whoever stops them as well waits, too.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reading thread has panicked");
            }
        }
    }

    /// Has a user's read carried out, one at a time of each user.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        user: UserId,
        scan: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let scan: Scan = Box::new(move || {
            if !reply.is_closed() {
                // The caller may go meanwhile.
                let _ = reply.send(scan());
            }
        });
        self.queue.add(user, scan)?;
        answer.await.unwrap_or_else(|_| Err(Trouble::NoReader.into()))
    }
}

impl Queue {
    fn add(&self, user: UserId, scan: Scan) -> Result<(), EngineError> {
        let mut line = self.line();
        if line.is_closed {
            return Err(Trouble::NoReader.into());
        }
        let own = line.waiting.iter().filter(|(other, _)| *other == user).count();
        if own >= share(line.waiting.len() - own) || line.waiting.len() >= QUEUE {
            return Err(EngineError::Busy);
        }
        line.waiting.push_back((user, scan));
        drop(line);
        self.moved.notify_one();
        Ok(())
    }

    /// Carries reads out until there are none and none will come.
    fn serve(&self) {
        while let Some((user, scan)) = self.next() {
            // It costs the one who asked; the thread goes on for all others.
            if catch_unwind(AssertUnwindSafe(scan)).is_err() {
                tracing::error!("a look panicked in a reading thread");
            }
            let mut line = self.line();
            line.served.retain(|other| *other != user);
            drop(line);
            // Another thread may have passed over what waits of this user.
            self.moved.notify_one();
        }
    }

    /// The first that waits of a user who is not being served.
    fn next(&self) -> Option<(UserId, Scan)> {
        let mut line = self.line();
        loop {
            let is_next = |(user, _): &(UserId, Scan)| !line.served.contains(user);
            if let Some(at) = line.waiting.iter().position(is_next)
                && let Some((user, scan)) = line.waiting.remove(at)
            {
                line.served.push(user);
                return Some((user, scan));
            }
            if line.is_closed && line.waiting.is_empty() {
                return None;
            }
            line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // What is done under this lock cannot leave it half done.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many reads of a user may wait while so many of others do. It shrinks as the queue fills, so that few users do not
/// fill it: it takes 38, and eight leave a third.
const fn share(others: usize) -> usize {
    let left = QUEUE.saturating_sub(others) / PARTS;
    if left == 0 { 1 } else { left }
}

impl Drop for Scanners {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// What one user may have alone.
    const SHARE: usize = share(0);
    const GREEDY: UserId = UserId(1);
    const MODEST: UserId = UserId(2);

    #[tokio::test]
    async fn one_user_takes_one_thread_and_part_of_the_queue() {
        let scanners = Arc::new(Scanners::start().unwrap());
        let (go_on, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let mut greedy = tokio::task::JoinSet::new();
        for number in 0..=SHARE {
            // The first is being carried out before the others wait: else it takes a place of theirs.
            while number == 1 && scanners.queue.line().served.is_empty() {
                tokio::task::yield_now().await;
            }
            let (scanners, gate) = (Arc::clone(&scanners), Arc::clone(&gate));
            greedy.spawn(async move {
                let scan = move || {
                    // Goes on once the sender is gone.
                    let _ = gate.lock().unwrap().recv();
                    Ok(())
                };
                scanners.run(GREEDY, scan).await
            });
        }
        while scanners.queue.line().waiting.len() < SHARE {
            tokio::task::yield_now().await;
        }
        let more = scanners.run(GREEDY, || Ok(())).await;
        assert!(matches!(more, Err(EngineError::Busy)));
        scanners.run(MODEST, || Ok(())).await.unwrap();
        drop(go_on);
        let done = greedy.join_all().await;
        let done = done.into_iter().flatten().count();
        assert!(done >= SHARE, "{done}");
        scanners.run(GREEDY, || Ok(())).await.unwrap();
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
        assert_eq!((fill(38), queue.line().waiting.len()), (0, QUEUE));
    }
}
