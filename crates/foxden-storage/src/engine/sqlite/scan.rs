//! A few threads for long reads, so that they do not hold up the small ones.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::fault::Trouble;
use crate::engine::EngineError;

/// The threads, for all files together.
const THREADS: usize = 2;
/// The reads that may wait.
const QUEUE: usize = 256;

type Scan = Box<dyn FnOnce() + Send>;

/// The threads. Dropped, they finish what waits.
pub(super) struct Scanners {
    queue: Option<SyncSender<Scan>>,
    threads: Vec<JoinHandle<()>>,
}

impl Scanners {
    pub(super) fn start() -> io::Result<Self> {
        let (queue, scans) = sync_channel(QUEUE);
        let scans = Arc::new(Mutex::new(scans));
        let threads = (0..THREADS).map(|_| {
            let scans = Arc::clone(&scans);
            std::thread::Builder::new()
                .name("sqlite-scan".into())
                .spawn(move || {
                    while let Some(scan) = next(&scans) {
                        // It costs the one who asked; the thread goes on for all others.
                        if catch_unwind(AssertUnwindSafe(scan)).is_err() {
                            tracing::error!("a look panicked in a reading thread");
                        }
                    }
                })
        });
        Ok(Self {
            queue: Some(queue),
            threads: threads.collect::<io::Result<_>>()?,
        })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        scan: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let scan: Scan = Box::new(move || {
            if !reply.is_closed() {
                // The caller may go meanwhile.
                let _ = reply.send(scan());
            }
        });
        let queue = self.queue.as_ref().ok_or(Trouble::NoReader)?;
        queue.try_send(scan).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::Busy,
            TrySendError::Disconnected(_) => Trouble::NoReader.into(),
        })?;
        answer.await.unwrap_or_else(|_| Err(Trouble::NoReader.into()))
    }
}

fn next(scans: &Mutex<Receiver<Scan>>) -> Option<Scan> {
    // Nothing runs under this lock but the wait itself.
    scans.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl Drop for Scanners {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reading thread has panicked");
            }
        }
    }
}
