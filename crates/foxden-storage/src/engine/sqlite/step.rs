//! A command on its way through the writing thread, and whoever waits for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foxden_model::UserId;
use tokio::sync::oneshot;

use super::fault::is_fault;
use super::work::Work;
use super::{batch, write};
use crate::command::{BatchPart, Change, Patch, Write};
use crate::engine::EngineError;
use crate::page::{Staged, Written};

/// The bytes of payload that cost as much as one more object.
const OBJECT_BYTES: usize = 8 << 10;

/// What can be carried out within a transaction.
pub(super) trait Command: Send + 'static {
    type Answer: Send + 'static;

    fn apply(&self, work: &mut Work<'_>, user: UserId) -> Result<Self::Answer, EngineError>;
    fn patches(&self) -> &[Patch];

    /// The objects of the store that it looks at or removes, besides those it brings.
    fn looks_at(&self) -> usize {
        0
    }

    /// Whether it commits a batch, which may hold far more than the command brings.
    fn commits_batch(&self) -> bool {
        false
    }

    /// The memory it holds while it waits.
    fn bytes(&self) -> usize {
        let bytes = self.patches().iter().map(Patch::bytes).sum::<u64>();
        usize::try_from(bytes).unwrap_or(usize::MAX / 2)
    }
}

/// A command of any kind.
pub(super) trait Step: Send {
    fn user(&self) -> UserId;
    /// The objects it brings.
    fn objects(&self) -> usize;
    fn commits_batch(&self) -> bool;
    /// What it costs, in objects.
    fn weight(&self) -> usize;
    fn bytes(&self) -> usize;
    /// Whether it is still to be carried out. To be asked once.
    fn claim(&self) -> bool;
    /// Carries it out and keeps the answer. An error means that the file failed; a refusal is an answer.
    fn apply(&mut self, work: &mut Work<'_>) -> Result<(), EngineError>;
    /// Gives the answer that was kept.
    fn answer(self: Box<Self>);
    /// Says that it came to nothing, or that nobody can tell.
    fn fail(self: Box<Self>, error: EngineError);
}

pub(super) struct Waiting<C: Command> {
    user: UserId,
    command: C,
    bytes: usize,
    answer: Option<Result<C::Answer, EngineError>>,
    reply: oneshot::Sender<Result<C::Answer, EngineError>>,
    claim: Claim,
}

/// Decides between the thread that wants to begin a command and the caller who wants to give it up.
#[derive(Clone)]
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    /// True for the first who asks.
    pub(super) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

type Reply<C> = oneshot::Receiver<Result<<C as Command>::Answer, EngineError>>;

impl<C: Command> Waiting<C> {
    pub(super) fn new(user: UserId, command: C) -> (Self, Reply<C>, Claim) {
        let (reply, answer) = oneshot::channel();
        let claim = Claim(Arc::new(AtomicBool::new(false)));
        let waiting = Self {
            user,
            bytes: command.bytes(),
            command,
            answer: None,
            reply,
            claim: claim.clone(),
        };
        (waiting, answer, claim)
    }
}

impl<C: Command> Step for Waiting<C> {
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
        let objects = self.objects().saturating_add(self.command.looks_at());
        objects.saturating_add(self.bytes / OBJECT_BYTES).max(1)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn claim(&self) -> bool {
        // Nobody waits any more: the client has gone, and knows that it cannot tell.
        !self.reply.is_closed() && self.claim.take()
    }

    fn apply(&mut self, work: &mut Work<'_>) -> Result<(), EngineError> {
        match self.command.apply(work, self.user) {
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

impl Command for Write {
    type Answer = Written;

    fn apply(&self, work: &mut Work<'_>, user: UserId) -> Result<Written, EngineError> {
        write::write(work, user, self, None)
    }

    fn patches(&self) -> &[Patch] {
        self.change.patches()
    }

    fn commits_batch(&self) -> bool {
        matches!(self.change, Change::CommitBatch { .. })
    }
}

impl Command for BatchPart {
    type Answer = Staged;

    fn apply(&self, work: &mut Work<'_>, user: UserId) -> Result<Staged, EngineError> {
        batch::stage(work, user, self)
    }

    fn patches(&self) -> &[Patch] {
        &self.patches
    }
}
