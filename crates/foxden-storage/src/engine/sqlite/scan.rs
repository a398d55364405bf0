//! A few threads for long reads, so that they do not hold up the small ones, and no user's the others'.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use foxden_model::UserId;
use tokio::sync::oneshot;

use super::fault::Trouble;
use crate::engine::EngineError;

/// The threads, for all files together.
const THREADS: usize = 2;
/// The reads that may wait.
const QUEUE: usize = 256;
/// Of them, those of one user. One more is carried out meanwhile.
const SHARE: usize = 32;

type Scan = Box<dyn FnOnce() + Send>;

/// The threads. Dropped, they finish what waits.
pub(super) struct Scanners {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
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
                .spawn(move || queue.serve())
        });
        Ok(Self {
            threads: threads.collect::<io::Result<_>>()?,
            queue,
        })
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
        let own = line.waiting.iter().filter(|(other, _)| *other == user).count();
        if own >= SHARE || line.waiting.len() >= QUEUE {
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

impl Drop for Scanners {
    fn drop(&mut self) {
        self.queue.line().is_closed = true;
        self.queue.moved.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reading thread has panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

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
}
