//! A call, from its caller to the connection and back.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::CacheFault;

/// The answers to the commands of a call, and the run of the server that gave them.
pub(in super::super) type Answer<R> = (Vec<R>, Arc<str>);

/// How often a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    Once,
    /// A second time, if the connection ends before the answers have come.
    Repeatable,
}

/// Commands and who waits for the answers.
pub(super) struct Call<R> {
    pub(super) request: Vec<u8>,
    /// How many answers there will be.
    pub(super) answers: usize,
    /// The only run of the server that may get it.
    pub(super) run: Option<Arc<str>>,
    pub(super) began: Instant,
    sending: Sending,
    /// Whether a connection has ended that had it.
    is_again: bool,
    /// None if no call waits.
    caller: Option<oneshot::Sender<Result<Answer<R>, CacheFault>>>,
}

impl<R> Call<R> {
    pub(super) fn new(
        request: Vec<u8>,
        answers: usize,
        sending: Sending,
        run: Option<Arc<str>>,
    ) -> (Self, oneshot::Receiver<Result<Answer<R>, CacheFault>>) {
        let (caller, answer) = oneshot::channel();
        let call = Self {
            request,
            answers,
            run,
            began: Instant::now(),
            sending,
            is_again: false,
            caller: Some(caller),
        };
        (call, answer)
    }

    /// Commands whose answers no call needs.
    pub(super) fn told(request: Vec<u8>, answers: usize, run: Arc<str>) -> Self {
        Self {
            request,
            answers,
            run: Some(run),
            began: Instant::now(),
            sending: Sending::Once,
            is_again: false,
            caller: None,
        }
    }

    /// Whether the caller no longer waits.
    pub(super) fn is_abandoned(&self) -> bool {
        self.caller.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// The call for another connection, once, after the one that had it has ended. What was sent and may have been done is sent again
    /// only if it is repeatable; else it has failed.
    pub(super) fn again(mut self, was_sent: bool, cause: &str) -> Option<Self> {
        let may_go = self.sending == Sending::Repeatable || !was_sent;
        if self.caller.is_none() || self.is_again || !may_go {
            self.fail(CacheFault::Away(cause.to_owned()));
            return None;
        }
        self.is_again = true;
        Some(self)
    }

    pub(super) fn answer(self, replies: Vec<R>, run: &Arc<str>) {
        self.end(Ok((replies, Arc::clone(run))));
    }

    pub(super) fn fail(self, fault: CacheFault) {
        self.end(Err(fault));
    }

    fn end(self, outcome: Result<Answer<R>, CacheFault>) {
        if let Some(caller) = self.caller {
            // A caller that is gone needs no answer.
            drop(caller.send(outcome));
        }
    }
}
