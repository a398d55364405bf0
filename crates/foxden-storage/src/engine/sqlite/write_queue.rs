//! The queue of the writer thread: a queue for each user, served in turn. A user with many writes waits longer, and the
//! others wait for at most one write of each user.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use foxden_model::UserId;

use super::errors::EngineFault;
use super::queued_command::PendingWrite;
use super::writer_connection::WriterConnection;
use crate::engine::{EngineError, QueuedWrites};

/// The most commands of one transaction.
const MAX_COMMANDS: usize = 32;
/// The most weight of one transaction, unless a single command weighs more.
const MAX_WEIGHT: usize = 1600;
/// The weight of one user's commands after which a transaction takes no more of the same user.
const MAX_USER_WEIGHT: usize = 200;
/// The most commands that may wait.
const MAX_QUEUED: usize = 1024;
/// The most bytes of payload that may wait.
const MAX_QUEUED_BYTES: usize = 64 << 20;
/// One user may hold this share (1/n) of the queue that others leave.
const USER_SHARE: usize = 8;

/// Maintenance work, between two transactions.
pub(super) type MaintenanceTask = Box<dyn FnOnce(&mut WriterConnection) + Send>;

/// The next job of the writer thread.
pub(super) enum NextJob {
    /// Commands for one transaction.
    Writes(Vec<Box<dyn PendingWrite>>),
    /// Maintenance.
    Maintenance(MaintenanceTask),
}

/// Everything that waits for the writer thread.
#[derive(Default)]
pub(super) struct WriteQueue {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    queues: HashMap<Submitter, UserQueue>,
    /// Users with waiting commands, in the order of their turns.
    order: VecDeque<Submitter>,
    count: usize,
    bytes: usize,
    is_closed: bool,
}

/// The submitter of a job.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Submitter {
    User(UserId),
    Maintenance,
}

/// The waiting jobs of one submitter, never empty.
#[derive(Default)]
struct UserQueue {
    jobs: VecDeque<Job>,
    bytes: usize,
}

enum Job {
    Write(Box<dyn PendingWrite>),
    Maintenance(MaintenanceTask),
}

/// The commands of the next transaction.
#[derive(Default)]
struct WriteGroup {
    writes: Vec<Box<dyn PendingWrite>>,
    weight: usize,
    commits_batch: bool,
    /// The weight of each user.
    own: Vec<(Submitter, usize)>,
}

impl WriteQueue {
    /// Adds a command behind the others of its user.
    pub(super) fn add(&self, write: Box<dyn PendingWrite>) -> Result<(), EngineError> {
        let (submitter, bytes) = (Submitter::User(write.user()), write.bytes());
        self.push(submitter, Job::Write(write), bytes)
    }

    /// Adds maintenance work.
    pub(super) fn add_task(&self, task: MaintenanceTask) -> Result<(), EngineError> {
        self.push(Submitter::Maintenance, Job::Maintenance(task), 0)
    }

    fn push(&self, submitter: Submitter, job: Job, bytes: usize) -> Result<(), EngineError> {
        let mut queue = self.queue();
        if queue.is_closed {
            return Err(EngineFault::NoWriter.into());
        }
        if !queue.accepts(submitter, bytes) {
            return Err(EngineError::Busy);
        }
        queue.push(submitter, job, bytes);
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for the next job. `None`: the queue is closed and empty.
    pub(super) fn next(&self) -> Option<NextJob> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.next() {
                return Some(job);
            }
            if queue.is_closed {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue().order.is_empty()
    }

    /// Returns whether the queue is closed and empty.
    pub(super) fn has_ended(&self) -> bool {
        let queue = self.queue();
        queue.is_closed && queue.order.is_empty()
    }

    /// Closes the queue; waiting jobs are still served.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.changed.notify_all();
    }

    /// Drops all waiting jobs, after the thread has ended.
    pub(super) fn abandon(&self) {
        let mut queue = self.queue();
        let left = std::mem::replace(
            &mut *queue,
            Queue {
                is_closed: true,
                ..Queue::default()
            },
        );
        drop(queue);
        drop(left);
    }

    /// How many jobs wait, and their bytes.
    pub(super) fn depth(&self) -> QueuedWrites {
        let queue = self.queue();
        QueuedWrites {
            count: queue.count,
            bytes: queue.bytes,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code under this lock can panic halfway through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Returns whether the submitter may add one more job.
    fn accepts(&self, submitter: Submitter, bytes: usize) -> bool {
        let own = self.queues.get(&submitter);
        let (own_count, own_bytes) = own.map_or((0, 0), |own| (own.jobs.len(), own.bytes));
        let left = MAX_QUEUED.saturating_sub(self.count - own_count);
        if own_count * USER_SHARE >= left {
            return false;
        }
        // A command that would wait alone is accepted whatever its size: if it were refused, its client would retry in vain.
        if self.bytes == 0 {
            return true;
        }
        let left = MAX_QUEUED_BYTES.saturating_sub(self.bytes - own_bytes);
        let share = if own_bytes == 0 { left } else { left / USER_SHARE };
        own_bytes.saturating_add(bytes) <= share
    }

    fn push(&mut self, submitter: Submitter, job: Job, bytes: usize) {
        let own = match self.queues.entry(submitter) {
            Entry::Occupied(own) => own.into_mut(),
            Entry::Vacant(own) => {
                self.order.push_back(submitter);
                own.insert(UserQueue::default())
            }
        };
        own.jobs.push_back(job);
        own.bytes += bytes;
        self.count += 1;
        self.bytes += bytes;
    }

    /// Takes maintenance work, or one command of each user in turn and then more, as many as fit in one transaction.
    fn next(&mut self) -> Option<NextJob> {
        let mut group = WriteGroup::default();
        // Users who have had a turn and get no other one in this transaction, and users who have had none.
        let (mut served, mut skipped) = (Vec::new(), Vec::new());
        while !group.is_full()
            && let Some(submitter) = self.order.pop_front()
        {
            let own = group.own(submitter);
            let fits = match self.queues.get(&submitter).and_then(|own| own.jobs.front()) {
                Some(Job::Write(write)) => group.takes(&**write, own),
                Some(Job::Maintenance(_)) => group.writes.is_empty(),
                None => continue,
            };
            if !fits {
                if own > 0 {
                    served.push(submitter);
                } else {
                    skipped.push(submitter);
                }
                continue;
            }
            match self.pop(submitter)? {
                Job::Write(write) => group.push(submitter, write),
                Job::Maintenance(task) => return Some(NextJob::Maintenance(task)),
            }
        }
        for submitter in skipped.into_iter().rev() {
            self.order.push_front(submitter);
        }
        self.order.extend(served);
        (!group.writes.is_empty()).then_some(NextJob::Writes(group.writes))
    }

    /// Takes the first job of a submitter, whose next turn then comes after those of all others.
    fn pop(&mut self, submitter: Submitter) -> Option<Job> {
        let Entry::Occupied(mut own) = self.queues.entry(submitter) else {
            return None;
        };
        let job = own.get_mut().jobs.pop_front()?;
        let bytes = match &job {
            Job::Write(write) => write.bytes(),
            Job::Maintenance(_) => 0,
        };
        own.get_mut().bytes -= bytes;
        self.bytes -= bytes;
        self.count -= 1;
        if own.get().jobs.is_empty() {
            own.remove();
        } else {
            self.order.push_back(submitter);
        }
        Some(job)
    }
}

impl WriteGroup {
    const fn is_full(&self) -> bool {
        self.writes.len() >= MAX_COMMANDS || self.weight >= MAX_WEIGHT
    }

    /// The weight of a user's commands.
    fn own(&self, submitter: Submitter) -> usize {
        let own = self.own.iter().find(|(other, _)| *other == submitter);
        own.map_or(0, |(_, weight)| *weight)
    }

    /// Returns whether it takes a command of a user with this weight. The size of a batch is known only later, so it takes at
    /// most one commit of a batch.
    fn takes(&self, write: &dyn PendingWrite, own: usize) -> bool {
        self.writes.is_empty()
            || own < MAX_USER_WEIGHT
                && self.weight.saturating_add(write.weight()) <= MAX_WEIGHT
                && !(self.commits_batch && write.commits_batch())
    }

    fn push(&mut self, submitter: Submitter, write: Box<dyn PendingWrite>) {
        let weight = write.weight();
        self.weight = self.weight.saturating_add(weight);
        self.commits_batch |= write.commits_batch();
        match self.own.iter_mut().find(|(other, _)| *other == submitter) {
            Some((_, own)) => *own = own.saturating_add(weight),
            None => self.own.push((submitter, weight)),
        }
        self.writes.push(write);
    }
}
