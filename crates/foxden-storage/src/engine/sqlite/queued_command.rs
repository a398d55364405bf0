//! A command in the queue of the writer thread, and the channel to its caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foxden_model::UserId;
use tokio::sync::oneshot;

use super::errors::is_fault;
use super::write_tx::WriteTx;
use super::{batch, write};
use crate::command::{BatchPart, Change, Patch, Write};
use crate::engine::EngineError;
use crate::page::{Staged, Written};

/// The bytes of payload that weigh as much as one object.
const OBJECT_BYTES: usize = 8 << 10;

/// A command that can run within a transaction.
pub(super) trait WriteCommand: Send + 'static {
    type Answer: Send + 'static;

    fn apply(&self, tx: &mut WriteTx<'_>, user: UserId) -> Result<Self::Answer, EngineError>;
    fn patches(&self) -> &[Patch];

    /// The stored objects that it searches or removes, besides its own.
    fn scanned_objects(&self) -> usize {
        0
    }

    /// Whether it commits a batch, which may be much larger than the command.
    fn commits_batch(&self) -> bool {
        false
    }

    /// The memory that it takes in the queue.
    fn bytes(&self) -> usize {
        let bytes = self.patches().iter().map(Patch::bytes).sum::<u64>();
        usize::try_from(bytes).unwrap_or(usize::MAX / 2)
    }
}

/// A queued command, whatever its answer.
pub(super) trait PendingWrite: Send {
    fn user(&self) -> UserId;
    /// The objects of the command.
    fn objects(&self) -> usize;
    fn commits_batch(&self) -> bool;
    /// Its cost, in objects.
    fn weight(&self) -> usize;
    fn bytes(&self) -> usize;
    /// Marks it as started; returns `false` if its caller has given it up. To be called once.
    fn start(&self) -> bool;
    /// Runs it and keeps the answer. An error means that the file failed; a refusal is an answer.
    fn apply(&mut self, tx: &mut WriteTx<'_>) -> Result<(), EngineError>;
    /// Sends the answer to the caller.
    fn answer(self: Box<Self>);
    /// Sends an error to the caller.
    fn fail(self: Box<Self>, error: EngineError);
}

pub(super) struct QueuedCommand<C: WriteCommand> {
    user: UserId,
    command: C,
    bytes: usize,
    answer: Option<Result<C::Answer, EngineError>>,
    reply: oneshot::Sender<Result<C::Answer, EngineError>>,
    start: StartFlag,
}

/// Decides between the writer thread, which starts the command, and its caller, who gives it up.
#[derive(Clone)]
pub(super) struct StartFlag(Arc<AtomicBool>);

impl StartFlag {
    /// Returns `true` to the first caller only.
    pub(super) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

type Reply<C> = oneshot::Receiver<Result<<C as WriteCommand>::Answer, EngineError>>;

impl<C: WriteCommand> QueuedCommand<C> {
    pub(super) fn new(user: UserId, command: C) -> (Self, Reply<C>, StartFlag) {
        let (reply, answer) = oneshot::channel();
        let start = StartFlag(Arc::new(AtomicBool::new(false)));
        let waiting = Self {
            user,
            bytes: command.bytes(),
            command,
            answer: None,
            reply,
            start: start.clone(),
        };
        (waiting, answer, start)
    }
}

impl<C: WriteCommand> PendingWrite for QueuedCommand<C> {
    fn user(&self) -> UserId {
        self.user
    }

    fn objects(&self) -> usize {
        self.command.patches().len()
    }

    fn commits_batch(&self) -> bool {
        self.command.commits_batch()
    }

    fn weight(&self) -> usize {
        let objects = self.objects().saturating_add(self.command.scanned_objects());
        objects.saturating_add(self.bytes / OBJECT_BYTES).max(1)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn start(&self) -> bool {
        // A closed channel means that the client has disconnected and expects no answer.
        !self.reply.is_closed() && self.start.take()
    }

    fn apply(&mut self, tx: &mut WriteTx<'_>) -> Result<(), EngineError> {
        match self.command.apply(tx, self.user) {
            Err(error) if is_fault(&error) => Err(error),
            answer => {
                self.answer = Some(answer);
                Ok(())
            }
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(answer) = self.answer {
            // The caller may have gone meanwhile.
            let _ = self.reply.send(answer);
        }
    }

    fn fail(self: Box<Self>, error: EngineError) {
        let _ = self.reply.send(Err(error));
    }
}

impl WriteCommand for Write {
    type Answer = Written;

    fn apply(&self, tx: &mut WriteTx<'_>, user: UserId) -> Result<Written, EngineError> {
        write::write(tx, user, self, None)
    }

    fn patches(&self) -> &[Patch] {
        self.change.patches()
    }

    fn commits_batch(&self) -> bool {
        matches!(self.change, Change::CommitBatch { .. })
    }
}

impl WriteCommand for BatchPart {
    type Answer = Staged;

    fn apply(&self, tx: &mut WriteTx<'_>, user: UserId) -> Result<Staged, EngineError> {
        batch::stage(tx, user, self)
    }

    fn patches(&self) -> &[Patch] {
        &self.patches
    }
}
