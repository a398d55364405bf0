//! The one thread that writes a file. It takes what waits, in turns by user, makes one transaction of it, and answers
//! once that is on the disk: many requests share one flush, and none waits for company.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use foxden_model::UserId;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::fault::Trouble;
use super::hand::{Failed, Hand};
use super::step::{Command, Step, Waiting};
use super::turns::{Turn, Turns};
use crate::engine::EngineError;

/// The way to the writing thread. Stopped or dropped, it lets the thread finish what waits, and waits for it.
pub(super) struct Writer {
    turns: Arc<Turns>,
    thread: Mutex<Option<JoinHandle<()>>>,
    patience: Duration,
}

impl Writer {
    /// Starts the thread. A command that is not begun within `patience` is given up.
    pub(super) fn start(hand: Hand, patience: Duration) -> io::Result<Self> {
        let turns = Arc::<Turns>::default();
        let taken_from = Arc::clone(&turns);
        let thread = std::thread::Builder::new()
            .name(format!("sqlite-{}", hand.number()))
            .spawn(move || serve(hand, &taken_from))?;
        Ok(Self {
            turns,
            thread: Mutex::new(Some(thread)),
            patience,
        })
    }

    /// Has a command carried out and waits until it is on the disk.
    pub(super) async fn ask<C: Command>(&self, user: UserId, command: C) -> Result<C::Answer, EngineError> {
        let (waiting, mut answer, claim) = Waiting::new(user, command);
        self.turns.add(Box::new(waiting))?;
        // The thread drops a command without an answer only if it panics or ends. One that it had not begun is unwritten.
        let lost = || {
            let is_begun = !claim.take();
            let trouble = if is_begun {
                Trouble::WriterLost
            } else {
                Trouble::NoWriter
            };
            Err(trouble.into())
        };
        if let Ok(answer) = timeout(self.patience, &mut answer).await {
            return answer.unwrap_or_else(|_| lost());
        }
        if claim.take() {
            // It will not be begun any more.
            return Err(EngineError::Busy);
        }
        // It is under way and may happen yet; a disk that hangs must not hold the caller for ever.
        match timeout(2 * self.patience, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| lost()),
            Err(_) => Err(Trouble::Overdue.into()),
        }
    }

    /// Takes nothing more in, and waits until what waits is written and the file is closed.
    pub(super) fn stop(&self) {
        self.turns.close();
        // Held while waiting, so that whoever stops it as well waits, too.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a writing thread has panicked");
        }
    }

    /// Has upkeep done, between two transactions.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Hand) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.turns.add_task(Box::new(move |hand| {
            // Whoever asked may have gone; upkeep is worth doing all the same.
            let _ = reply.send(task(hand));
        }))?;
        match timeout(3 * self.patience, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(Trouble::NoWriter.into())),
            Err(_) => Err(Trouble::Silent.into()),
        }
    }
}

#[cfg(test)]
impl Writer {
    /// How many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.turns.count()
    }

    /// Empties the queue as the thread does when it ends.
    pub(super) fn abandon(&self) {
        self.turns.abandon();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(mut hand: Hand, turns: &Turns) {
    let _ended = Ended(turns);
    while let Some(turn) = turns.next() {
        match turn {
            Turn::Alone(task) => survive(|| task(&mut hand)),
            Turn::Group(group) => survive(|| run(&mut hand, group)),
        }
        survive(|| hand.tend(turns.is_empty()));
        // One instalment at once. The next ones while nobody waits, or where too much is owed.
        let mut owes = hand.debt.is_payable();
        while owes {
            survive(|| hand.pay());
            let is_idle = turns.is_empty();
            survive(|| hand.tend(is_idle));
            let is_due = is_idle || hand.debt.is_pressing();
            // A stop does not wait for it.
            owes = hand.debt.is_payable() && is_due && !turns.has_ended();
        }
    }
}

/// Ends the queue with the thread, however that ends.
struct Ended<'a>(&'a Turns);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// A panic costs those whose work it was, who are left without an answer, and the connection, whose closing
/// undoes what was begun. The hand opens another, and everybody else is served.
fn survive(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a change panicked in the writing thread");
    }
}

fn run(hand: &mut Hand, mut group: Vec<Box<dyn Step>>) {
    group.retain(|step| step.claim());
    if group.is_empty() {
        return;
    }
    for step in group.iter().filter(|step| step.objects() > 0) {
        hand.debt.grow(step.objects() as u64, step.bytes() as u64);
    }
    match together(hand, &mut group) {
        Ok(()) => group.into_iter().for_each(Step::answer),
        Err(Failed::Unsettled(trouble)) => group.into_iter().for_each(|step| step.fail(trouble.into())),
        // Nothing of it happened. Waiting for a foreign lock once is enough for all.
        Err(Failed::Undone(EngineError::Busy)) => {
            for step in group {
                step.fail(EngineError::Busy);
            }
        }
        // One of them may be to blame, so each gets a transaction of its own.
        Err(Failed::Undone(_)) if group.len() > 1 => {
            for step in group {
                alone(hand, step);
            }
        }
        Err(Failed::Undone(error)) => {
            if let Some(step) = group.pop() {
                step.fail(error);
            }
        }
    }
}

fn together(hand: &mut Hand, group: &mut [Box<dyn Step>]) -> Result<(), Failed> {
    hand.transact(|work| group.iter_mut().try_for_each(|step| step.apply(work)))
}

fn alone(hand: &mut Hand, mut step: Box<dyn Step>) {
    match hand.transact(|work| step.apply(work)) {
        Ok(()) => step.answer(),
        Err(failed) => step.fail(failed.into()),
    }
}
