//! Moving committed pages from the log into the file, on a thread and connections of its own, so that no
//! writer waits for it.

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

/// The pages in the log that are worth a checkpoint while nobody writes.
const PAGES_WHEN_IDLE: i64 = 1000;
/// The pages in the log that are worth one in any case.
const PAGES_WHEN_BUSY: i64 = 2000;
/// The pages after which that is tried again if a reader stood in the way.
const PAGES_BETWEEN: i64 = 1000;
/// How long the writing thread waits for readers then. Our own are done with a page long before; a
/// backup by a foreign process may take minutes, and writers must not wait for it.
const READER_PATIENCE: Duration = Duration::from_millis(500);

/// Watches the length of a file's log for its writing thread.
pub(super) struct LogWatch {
    /// The pages at which the log is to begin anew.
    renews_at: i64,
    /// How long the connection waits otherwise.
    lock_patience: Duration,
}

/// The thread that makes checkpoints. Stopped or dropped once no writing thread asks for any, it waits for the thread.
pub(super) struct Checkpointer {
    checkpoints: Checkpoints,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The way to ask for checkpoints.
#[derive(Clone)]
pub(super) struct Checkpoints(SyncSender<Option<Request>>);

struct Request {
    file: Arc<DataFile>,
    done: Option<oneshot::Sender<()>>,
}

impl Checkpointer {
    /// Starts the thread for so many files.
    pub(super) fn start(files: usize) -> io::Result<(Self, Checkpoints)> {
        // Each file asks for one at a time, and a purge for one more.
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
    /// Makes the checkpoints that were asked for, and closes the thread's connections.
    pub(super) fn stop(&self) {
        // Held while waiting, so that whoever stops it as well waits, too.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that the thread has ended.
        let _ = self.checkpoints.0.send(None);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpointing thread has panicked");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Checkpoints {
    /// Asks for a checkpoint, unless one is coming anyway.
    pub(super) fn request(&self, file: &Arc<DataFile>) {
        if !file.awaits_checkpoint.swap(true, Ordering::AcqRel) {
            let request = Request {
                file: Arc::clone(file),
                done: None,
            };
            if self.0.try_send(Some(request)).is_err() {
                // The next transaction asks again.
                file.awaits_checkpoint.store(false, Ordering::Release);
            }
        }
    }

    /// Has one made and waits for it, as far as the thread has room for another request.
    pub(super) async fn make(&self, file: &Arc<DataFile>) {
        let (done, is_done) = oneshot::channel();
        let request = Request {
            file: Arc::clone(file),
            done: Some(done),
        };
        if self.0.try_send(Some(request)).is_ok() {
            // An error means that the thread is ending; the files are being closed, which does it as well.
            let _ = is_done.await;
        }
    }
}

impl LogWatch {
    pub(super) const fn new(lock_patience: Duration) -> Self {
        Self {
            renews_at: MAX_WAL_PAGES,
            lock_patience,
        }
    }

    /// Sees how long the log is, and begins it anew if it is too long. Whether it needs a checkpoint.
    pub(super) fn tend(
        &mut self,
        writer: &Connection,
        file: &DataFile,
        is_idle: bool,
    ) -> rusqlite::Result<bool> {
        let log = state(writer, "noop")?;
        if log.pages >= self.renews_at {
            // Most of it has been done by the thread, which may be at it still: a disk that is slower than the
            // writers makes them wait here. This does the rest, waits for readers of the old log to finish
            // their page, and lets the next write begin at the front.
            let _turn = file.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
            writer.busy_timeout(READER_PATIENCE)?;
            let renewed = state(writer, "restart");
            writer.busy_timeout(self.lock_patience)?;
            self.renews_at = if renewed?.is_busy {
                log.pages + PAGES_BETWEEN
            } else {
                MAX_WAL_PAGES
            };
            return Ok(false);
        }
        let open = log.pages - log.moved;
        Ok(open >= if is_idle { PAGES_WHEN_IDLE } else { PAGES_WHEN_BUSY })
    }
}

/// The pages in the log, and how many of them are in the file already.
struct Log {
    is_busy: bool,
    pages: i64,
    moved: i64,
}

fn state(connection: &Connection, mode: &str) -> rusqlite::Result<Log> {
    let sql = match mode {
        "noop" => "pragma wal_checkpoint(noop)",
        "restart" => "pragma wal_checkpoint(restart)",
        _ => "pragma wal_checkpoint(passive)",
    };
    connection.prepare_cached(sql)?.query_row((), |row| {
        Ok(Log {
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
                tracing::warn!(%error, %path, "cannot move the log into the file");
                *slot = None;
            }
            Err(_) => {
                tracing::error!(%path, "moving the log into the file panicked");
                *slot = None;
            }
        }
        // The asker may have gone.
        done.map(|done| done.send(()));
    }
}

fn checkpoint(file: &DataFile, slot: &mut Option<Connection>) -> rusqlite::Result<()> {
    let _turn = file.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
    let connection = match slot {
        Some(connection) => connection,
        None => slot.insert(open::connect_writer(&file.path, Duration::ZERO)?),
    };
    state(connection, "passive").map(drop)
}
