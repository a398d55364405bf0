//! The one thread that writes a file. It takes all that waits, makes one transaction of it, and answers
//! once that is on the disk: many requests share one flush, and none waits for company.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use foxden_model::UserId;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::fault::Trouble;
use super::hand::{Failed, Hand};
use super::step::{Command, Step, Waiting};
use crate::engine::EngineError;

/// The requests one transaction takes.
const GROUP: usize = 32;
/// The objects after which a transaction takes no further request.
const GROUP_OBJECTS: usize = 1600;
/// The requests that may wait.
const QUEUE: usize = 1024;
/// The bytes of payload that may wait.
const QUEUE_BYTES: usize = 64 << 20;

/// What the thread is asked to do.
pub(super) enum Job {
    /// A command, one of many in a transaction.
    Step(Box<dyn Step>),
    /// Upkeep, with the file for itself.
    Alone(Box<dyn FnOnce(&mut Hand) + Send>),
}

/// The way to the writing thread. Dropped, it lets the thread finish what waits, and waits for it.
pub(super) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    waiting_bytes: Arc<AtomicUsize>,
    patience: Duration,
}

impl Writer {
    /// Starts the thread. A command that is not begun within `patience` is given up.
    pub(super) fn start(hand: Hand, patience: Duration) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let taken_from = Arc::clone(&waiting_bytes);
        let thread = std::thread::Builder::new()
            .name(format!("sqlite-{}", hand.number()))
            .spawn(move || serve(hand, &jobs, &taken_from))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            waiting_bytes,
            patience,
        })
    }

    /// Has a command carried out and waits until it is on the disk.
    pub(super) async fn ask<C: Command>(&self, user: UserId, command: C) -> Result<C::Answer, EngineError> {
        let bytes = command.bytes();
        let waiting_bytes = self.waiting_bytes.load(Ordering::Relaxed);
        // Alone, a command may wait whatever it brings: refused, it would come again and again for nothing.
        if waiting_bytes > 0 && waiting_bytes + bytes > QUEUE_BYTES {
            return Err(EngineError::Busy);
        }
        let (waiting, mut answer, claim) = Waiting::new(user, command);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Err(error) = self.send(Job::Step(Box::new(waiting))) {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(error);
        }
        if let Ok(answer) = timeout(self.patience, &mut answer).await {
            return answer.unwrap_or_else(|_| Err(Trouble::NoWriter.into()));
        }
        if claim.take() {
            // It will not be begun any more.
            return Err(EngineError::Busy);
        }
        // It is under way and may happen yet; a disk that hangs must not hold the caller for ever.
        match timeout(2 * self.patience, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(Trouble::NoWriter.into())),
            Err(_) => Err(Trouble::Silent.into()),
        }
    }

    /// Has upkeep done, between two transactions.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Hand) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Alone(Box::new(move |hand| {
            // Whoever asked may have gone; upkeep is worth doing all the same.
            let _ = reply.send(task(hand));
        })))?;
        match timeout(3 * self.patience, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(Trouble::NoWriter.into())),
            Err(_) => Err(Trouble::Silent.into()),
        }
    }

    fn send(&self, job: Job) -> Result<(), EngineError> {
        let queue = self.queue.as_ref().ok_or(Trouble::NoWriter)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::Busy,
            TrySendError::Disconnected(_) => Trouble::NoWriter.into(),
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a writing thread has panicked");
        }
    }
}

fn serve(mut hand: Hand, jobs: &Receiver<Job>, waiting_bytes: &AtomicUsize) {
    let mut held = None;
    loop {
        let Some(job) = held.take().or_else(|| jobs.recv().ok()) else {
            break;
        };
        match job {
            Job::Alone(task) => survive(|| task(&mut hand)),
            Job::Step(first) => {
                let group = gather(first, jobs, &mut held);
                let bytes = group.iter().map(|step| step.bytes()).sum();
                waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
                survive(|| run(&mut hand, group));
            }
        }
        if held.is_none() {
            held = jobs.try_recv().ok();
        }
        survive(|| hand.tend(held.is_none()));
        // One instalment at once. The next ones while nobody waits, or where too much is owed.
        let mut owes = hand.debt.is_payable();
        while owes {
            survive(|| hand.pay());
            let next = held.take().map_or_else(|| jobs.try_recv(), Ok);
            // A stop does not wait for it.
            let is_stopping = matches!(next, Err(TryRecvError::Disconnected));
            held = next.ok();
            survive(|| hand.tend(held.is_none()));
            let is_due = held.is_none() || hand.debt.is_pressing();
            owes = hand.debt.is_payable() && is_due && !is_stopping;
        }
    }
}

/// A panic costs those whose work it was, who are left without an answer, and the connection, whose closing
/// undoes what was begun. The hand opens another, and everybody else is served.
fn survive(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a change panicked in the writing thread");
    }
}

/// All that waits, as far as one transaction takes it: at most one commit of a batch among it, as how much
/// a batch holds is known only later.
pub(super) fn gather(
    first: Box<dyn Step>,
    jobs: &Receiver<Job>,
    held: &mut Option<Job>,
) -> Vec<Box<dyn Step>> {
    let mut objects = first.objects();
    let mut has_batch = first.commits_batch();
    let mut group = vec![first];
    while group.len() < GROUP && objects < GROUP_OBJECTS {
        match jobs.try_recv() {
            Ok(Job::Step(step)) if !(has_batch && step.commits_batch()) => {
                objects += step.objects();
                has_batch |= step.commits_batch();
                group.push(step);
            }
            Ok(next) => {
                *held = Some(next);
                break;
            }
            Err(_) => break,
        }
    }
    group
}

fn run(hand: &mut Hand, mut group: Vec<Box<dyn Step>>) {
    group.retain(|step| step.claim());
    if group.is_empty() {
        return;
    }
    for step in &group {
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
