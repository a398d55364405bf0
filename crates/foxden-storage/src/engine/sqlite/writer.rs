//! The writer thread of a file. It takes waiting commands, by user in turn, makes one transaction of them, and answers after
//! the commit is on the disk: many commands share one flush, and no command waits for others to come.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use foxden_model::UserId;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::errors::EngineFault;
use super::queued_command::{PendingWrite, QueuedCommand, WriteCommand};
use super::write_queue::{NextJob, WriteQueue};
use super::writer_connection::{TxError, WriterConnection};
use crate::engine::{EngineError, QueuedWrites};

/// The handle of the writer thread. `stop` and drop wait until the thread has finished its queue.
pub(super) struct Writer {
    queue: Arc<WriteQueue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    timeout: Duration,
}

impl Writer {
    /// Starts the thread. A command that is not started within `timeout` is given up.
    pub(super) fn start(writer: WriterConnection, timeout: Duration) -> io::Result<Self> {
        let queue = Arc::<WriteQueue>::default();
        let taken_from = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name(format!("sqlite-{}", writer.number()))
            .spawn(move || serve(writer, &taken_from))?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
            timeout,
        })
    }

    /// Queues a command and waits until it is on the disk.
    pub(super) async fn submit<C: WriteCommand>(
        &self,
        user: UserId,
        command: C,
    ) -> Result<C::Answer, EngineError> {
        let (waiting, mut answer, start) = QueuedCommand::new(user, command);
        self.queue.add(Box::new(waiting))?;
        // The thread drops a command without an answer only if it panics or ends. A command that was not started is not
        // written.
        let lost = || {
            let is_begun = !start.take();
            let fault = if is_begun {
                EngineFault::WriterLost
            } else {
                EngineFault::NoWriter
            };
            Err(fault.into())
        };
        if let Ok(answer) = timeout(self.timeout, &mut answer).await {
            return answer.unwrap_or_else(|_| lost());
        }
        if start.take() {
            // The writer thread will not start it any more.
            return Err(EngineError::Busy);
        }
        // It has started and may still be committed; a disk that hangs must not block the caller for ever.
        match timeout(2 * self.timeout, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| lost()),
            Err(_) => Err(EngineFault::Overdue.into()),
        }
    }

    /// The jobs that wait for the thread.
    pub(super) fn queued_writes(&self) -> QueuedWrites {
        self.queue.depth()
    }

    /// Closes the queue and waits until it is written and the file is closed.
    pub(super) fn stop(&self) {
        self.queue.close();
        // The lock is held during the join, so that a concurrent `stop` waits, too.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a writer thread has panicked");
        }
    }

    /// Runs maintenance work between two transactions.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut WriterConnection) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.queue.add_task(Box::new(move |writer| {
            // The work is done even if its caller has gone.
            let _ = reply.send(task(writer));
        }))?;
        match timeout(3 * self.timeout, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(EngineFault::NoWriter.into())),
            Err(_) => Err(EngineFault::Unresponsive.into()),
        }
    }
}

#[cfg(test)]
impl Writer {
    /// Empties the queue as the thread does when it ends.
    pub(super) fn abandon(&self) {
        self.queue.abandon();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(mut writer: WriterConnection, queue: &WriteQueue) {
    let _abandon = AbandonOnExit(queue);
    while let Some(job) = queue.next() {
        match job {
            NextJob::Maintenance(task) => catch_panic(|| task(&mut writer)),
            NextJob::Writes(group) => catch_panic(|| run(&mut writer, group)),
        }
        catch_panic(|| writer.maintain_wal(queue.is_empty()));
        // One chunk at once; more while the queue is empty, or if too much is owed.
        let mut owes = writer.debt.is_payable();
        while owes {
            catch_panic(|| writer.pay());
            let is_idle = queue.is_empty();
            catch_panic(|| writer.maintain_wal(is_idle));
            let is_due = is_idle || writer.debt.is_pressing();
            // `stop` does not wait for the purge.
            owes = writer.debt.is_payable() && is_due && !queue.has_ended();
        }
    }
}

/// Abandons the queue when the thread ends, even by a panic.
struct AbandonOnExit<'a>(&'a WriteQueue);

impl Drop for AbandonOnExit<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Runs work that may panic. A panic drops the commands of that transaction, whose callers get an error, and the connection,
/// whose closing rolls the transaction back. The next transaction opens another connection.
fn catch_panic(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a write panicked in the writer thread");
    }
}

fn run(writer: &mut WriterConnection, mut group: Vec<Box<dyn PendingWrite>>) {
    group.retain(|write| write.start());
    if group.is_empty() {
        return;
    }
    for write in group.iter().filter(|write| write.objects() > 0) {
        writer.debt.grow(write.objects() as u64, write.bytes() as u64);
    }
    match run_in_one_transaction(writer, &mut group) {
        Ok(()) => group.into_iter().for_each(PendingWrite::answer),
        Err(TxError::CommitFailed(fault)) => group.into_iter().for_each(|write| write.fail(fault.into())),
        // Nothing was committed. All commands waited for the lock of another process together, so none waits again.
        Err(TxError::RolledBack(EngineError::Busy)) => {
            for write in group {
                write.fail(EngineError::Busy);
            }
        }
        // One of the commands may be the cause, so each gets a transaction of its own.
        Err(TxError::RolledBack(_)) if group.len() > 1 => {
            for write in group {
                run_alone(writer, write);
            }
        }
        Err(TxError::RolledBack(error)) => {
            if let Some(write) = group.pop() {
                write.fail(error);
            }
        }
    }
}

fn run_in_one_transaction(
    writer: &mut WriterConnection,
    group: &mut [Box<dyn PendingWrite>],
) -> Result<(), TxError> {
    writer.transact(|tx| group.iter_mut().try_for_each(|write| write.apply(tx)))
}

fn run_alone(writer: &mut WriterConnection, mut write: Box<dyn PendingWrite>) {
    match writer.transact(|tx| write.apply(tx)) {
        Ok(()) => write.answer(),
        Err(failed) => write.fail(failed.into()),
    }
}
