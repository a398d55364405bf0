//! Checkpoints: committed pages move from the WAL into the file, on a thread with connections of its own, so that writers do
//! not wait.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::file::DataFile;
use super::open::{self, MAX_WAL_PAGES};

/// The pages in the WAL from which a checkpoint is made while the writer is idle.
const PAGES_WHEN_IDLE: i64 = 1000;
/// The pages in the WAL from which a checkpoint is made in any case.
const PAGES_WHEN_BUSY: i64 = 2000;
/// The further pages after which a restart of the WAL is tried again if a reader prevented it.
const PAGES_BETWEEN: i64 = 1000;
/// How long the writer thread waits for readers to restart the WAL. Own readers finish a page much sooner; a backup by
/// another process may take minutes, and writers must not wait for it.
const READER_TIMEOUT: Duration = Duration::from_millis(500);

/// Watches the length of a file's WAL for its writer thread.
pub(super) struct WalMonitor {
    /// The pages from which the WAL is restarted.
    restarts_at: i64,
    /// The connection's usual timeout for locks.
    lock_timeout: Duration,
}

/// The thread that makes checkpoints. `stop` and drop wait for the thread; they must come after the last writer thread has
/// ended.
pub(super) struct Checkpointer {
    checkpoints: Checkpoints,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Sends requests to the checkpoint thread.
#[derive(Clone)]
pub(super) struct Checkpoints(SyncSender<Option<Request>>);

struct Request {
    file: Arc<DataFile>,
    done: Option<oneshot::Sender<()>>,
}

impl Checkpointer {
    /// Starts the thread for this many files.
    pub(super) fn start(files: usize) -> io::Result<(Self, Checkpoints)> {
        // Each file requests one checkpoint at a time, and a purge one more.
        let (queue, requests) = sync_channel(2 * files);
        let thread = std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || serve(files, &requests))?;
        let checkpoints = Checkpoints(queue);
        let checkpointer = Self {
            checkpoints: checkpoints.clone(),
            thread: Mutex::new(Some(thread)),
        };
        Ok((checkpointer, checkpoints))
    }
}

impl Checkpointer {
    /// Finishes the requested checkpoints and ends the thread.
    pub(super) fn stop(&self) {
        // The lock is held during the join, so that a concurrent `stop` waits, too.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that the thread has ended.
        let _ = self.checkpoints.0.send(None);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread has panicked");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Checkpoints {
    /// Requests a checkpoint, unless one is already requested.
    pub(super) fn request(&self, file: &Arc<DataFile>) {
        if !file.awaits_checkpoint.swap(true, Ordering::AcqRel) {
            let request = Request {
                file: Arc::clone(file),
                done: None,
            };
            if self.0.try_send(Some(request)).is_err() {
                // The next transaction requests it again.
                file.awaits_checkpoint.store(false, Ordering::Release);
            }
        }
    }

    /// Requests a checkpoint and waits for it, if the queue has room for the request.
    pub(super) async fn make(&self, file: &Arc<DataFile>) {
        let (done, is_done) = oneshot::channel();
        let request = Request {
            file: Arc::clone(file),
            done: Some(done),
        };
        if self.0.try_send(Some(request)).is_ok() {
            // An error means that the thread is ending; closing the files makes a checkpoint as well.
            let _ = is_done.await;
        }
    }
}

impl WalMonitor {
    pub(super) const fn new(lock_timeout: Duration) -> Self {
        Self {
            restarts_at: MAX_WAL_PAGES,
            lock_timeout,
        }
    }

    /// Restarts the WAL if it is too long. Returns whether a checkpoint is needed.
    pub(super) fn maintain_wal(
        &mut self,
        writer: &Connection,
        file: &DataFile,
        is_idle: bool,
    ) -> rusqlite::Result<bool> {
        let wal = wal_state(writer, "noop")?;
        if wal.pages >= self.restarts_at {
            // The checkpoint thread has moved most pages and may still be at work: here writers wait for a disk that is
            // slower than they are. The restart moves the remaining pages, waits for readers of the old WAL to finish their
            // page, and lets the next write begin at the front.
            let _checkpoint = file.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
            writer.busy_timeout(READER_TIMEOUT)?;
            let restarted = wal_state(writer, "restart");
            writer.busy_timeout(self.lock_timeout)?;
            self.restarts_at = if restarted?.is_busy {
                wal.pages + PAGES_BETWEEN
            } else {
                MAX_WAL_PAGES
            };
            return Ok(false);
        }
        let open = wal.pages - wal.moved;
        Ok(open >= if is_idle { PAGES_WHEN_IDLE } else { PAGES_WHEN_BUSY })
    }
}

/// The pages in the WAL, and how many of them are already in the file.
struct WalState {
    is_busy: bool,
    pages: i64,
    moved: i64,
}

fn wal_state(connection: &Connection, mode: &str) -> rusqlite::Result<WalState> {
    let sql = match mode {
        "noop" => "pragma wal_checkpoint(noop)",
        "restart" => "pragma wal_checkpoint(restart)",
        _ => "pragma wal_checkpoint(passive)",
    };
    connection.prepare_cached(sql)?.query_row((), |row| {
        Ok(WalState {
            is_busy: row.get(0)?,
            pages: row.get(1)?,
            moved: row.get(2)?,
        })
    })
}

fn serve(files: usize, requests: &Receiver<Option<Request>>) {
    let mut connections: Vec<Option<Connection>> = (0..files).map(|_| None).collect();
    while let Ok(Some(Request { file, done })) = requests.recv() {
        file.awaits_checkpoint.store(false, Ordering::Release);
        let Some(slot) = connections.get_mut(file.number) else {
            continue;
        };
        let path = file.path.display();
        match catch_unwind(AssertUnwindSafe(|| checkpoint(&file, slot))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, %path, "cannot checkpoint the WAL");
                *slot = None;
            }
            Err(_) => {
                tracing::error!(%path, "a checkpoint panicked");
                *slot = None;
            }
        }
        // The caller may have gone.
        done.map(|done| done.send(()));
    }
}

fn checkpoint(file: &DataFile, slot: &mut Option<Connection>) -> rusqlite::Result<()> {
    let _checkpoint = file.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
    let connection = match slot {
        Some(connection) => connection,
        None => slot.insert(open::connect_writer(&file.path, Duration::ZERO)?),
    };
    wal_state(connection, "passive").map(drop)
}
