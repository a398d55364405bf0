//! What waits for the writing thread: a line for each user, from which it takes in turn. Whoever asks for much waits
//! longer, and everybody else for one write of each user at most.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use foxden_model::UserId;

use super::fault::Trouble;
use super::hand::Hand;
use super::step::Step;
use crate::engine::EngineError;

/// The requests one transaction takes.
const GROUP: usize = 32;
/// The weight that a transaction takes, but for a request that weighs more by itself.
const GROUP_WEIGHT: usize = 1600;
/// The weight of one user's requests after which a transaction takes no further one of the same user.
const OWN_WEIGHT: usize = 200;
/// The requests that may wait.
const QUEUE: usize = 1024;
/// The bytes of payload that may wait.
const QUEUE_BYTES: usize = 64 << 20;
/// The part of what others left of the queue that one user may hold.
const SHARE: usize = 8;

/// Upkeep, with the file for itself.
pub(super) type Task = Box<dyn FnOnce(&mut Hand) + Send>;

/// What the thread is to do next.
pub(super) enum Turn {
    /// Commands for one transaction.
    Group(Vec<Box<dyn Step>>),
    /// Upkeep.
    Alone(Task),
}

/// All that waits.
#[derive(Default)]
pub(super) struct Turns {
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: HashMap<Owner, Line>,
    /// Those who have a line, the one whose turn comes first in front.
    order: VecDeque<Owner>,
    count: usize,
    bytes: usize,
    is_closed: bool,
}

/// Who is given a turn.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    User(UserId),
    Upkeep,
}

/// What waits of one owner, never empty.
#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    bytes: usize,
}

enum Job {
    Step(Box<dyn Step>),
    Alone(Task),
}

/// A group under construction.
#[derive(Default)]
struct Group {
    steps: Vec<Box<dyn Step>>,
    weight: usize,
    commits_batch: bool,
    /// What it holds of each user.
    own: Vec<(Owner, usize)>,
}

impl Turns {
    /// Adds a command, behind the others of its user.
    pub(super) fn add(&self, step: Box<dyn Step>) -> Result<(), EngineError> {
        let (owner, bytes) = (Owner::User(step.user()), step.bytes());
        self.push(owner, Job::Step(step), bytes)
    }

    /// Adds upkeep.
    pub(super) fn add_task(&self, task: Task) -> Result<(), EngineError> {
        self.push(Owner::Upkeep, Job::Alone(task), 0)
    }

    fn push(&self, owner: Owner, job: Job, bytes: usize) -> Result<(), EngineError> {
        let mut queue = self.queue();
        if queue.is_closed {
            return Err(Trouble::NoWriter.into());
        }
        if !queue.has_room(owner, bytes) {
            return Err(EngineError::Busy);
        }
        queue.push(owner, job, bytes);
        drop(queue);
        self.moved.notify_one();
        Ok(())
    }

    /// Waits for what is next. `None`: nothing is left, and nothing will come.
    pub(super) fn next(&self) -> Option<Turn> {
        let mut queue = self.queue();
        loop {
            if let Some(turn) = queue.next() {
                return Some(turn);
            }
            if queue.is_closed {
                return None;
            }
            queue = self.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue().order.is_empty()
    }

    /// Whether nothing is left, and nothing will come.
    pub(super) fn has_ended(&self) -> bool {
        let queue = self.queue();
        queue.is_closed && queue.order.is_empty()
    }

    /// Takes nothing more in; what waits is still given out.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.moved.notify_all();
    }

    /// Leaves nobody waiting for a thread that has ended.
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

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.queue().count
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // What is done under this lock cannot leave it half done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Whether the owner may have one more wait.
    fn has_room(&self, owner: Owner, bytes: usize) -> bool {
        let own = self.lines.get(&owner);
        let (own_count, own_bytes) = own.map_or((0, 0), |line| (line.jobs.len(), line.bytes));
        let left = QUEUE.saturating_sub(self.count - own_count);
        if own_count * SHARE >= left {
            return false;
        }
        // Alone, a command may wait whatever it brings: refused, it would come again and again for nothing.
        if self.bytes == 0 {
            return true;
        }
        let left = QUEUE_BYTES.saturating_sub(self.bytes - own_bytes);
        let share = if own_bytes == 0 { left } else { left / SHARE };
        own_bytes.saturating_add(bytes) <= share
    }

    fn push(&mut self, owner: Owner, job: Job, bytes: usize) {
        let line = match self.lines.entry(owner) {
            Entry::Occupied(line) => line.into_mut(),
            Entry::Vacant(line) => {
                self.order.push_back(owner);
                line.insert(Line::default())
            }
        };
        line.jobs.push_back(job);
        line.bytes += bytes;
        self.count += 1;
        self.bytes += bytes;
    }

    /// Upkeep, or one command of each user in turn and then more of them, as far as one transaction takes it.
    fn next(&mut self) -> Option<Turn> {
        let mut group = Group::default();
        // Who has had a turn and may have no other in this group, and who has not had one.
        let (mut had_enough, mut passed_over) = (Vec::new(), Vec::new());
        while !group.is_full()
            && let Some(owner) = self.order.pop_front()
        {
            let own = group.own(owner);
            let fits = match self.lines.get(&owner).and_then(|line| line.jobs.front()) {
                Some(Job::Step(step)) => group.takes(&**step, own),
                Some(Job::Alone(_)) => group.steps.is_empty(),
                None => continue,
            };
            if !fits {
                if own > 0 {
                    had_enough.push(owner);
                } else {
                    passed_over.push(owner);
                }
                continue;
            }
            match self.pop(owner)? {
                Job::Step(step) => group.push(owner, step),
                Job::Alone(task) => return Some(Turn::Alone(task)),
            }
        }
        for owner in passed_over.into_iter().rev() {
            self.order.push_front(owner);
        }
        self.order.extend(had_enough);
        (!group.steps.is_empty()).then_some(Turn::Group(group.steps))
    }

    /// Takes the first of an owner, whose next turn comes after those of all others.
    fn pop(&mut self, owner: Owner) -> Option<Job> {
        let Entry::Occupied(mut line) = self.lines.entry(owner) else {
            return None;
        };
        let job = line.get_mut().jobs.pop_front()?;
        let bytes = match &job {
            Job::Step(step) => step.bytes(),
            Job::Alone(_) => 0,
        };
        line.get_mut().bytes -= bytes;
        self.bytes -= bytes;
        self.count -= 1;
        if line.get().jobs.is_empty() {
            line.remove();
        } else {
            self.order.push_back(owner);
        }
        Some(job)
    }
}

impl Group {
    const fn is_full(&self) -> bool {
        self.steps.len() >= GROUP || self.weight >= GROUP_WEIGHT
    }

    /// The weight of what it holds of a user.
    fn own(&self, owner: Owner) -> usize {
        let own = self.own.iter().find(|(other, _)| *other == owner);
        own.map_or(0, |(_, weight)| *weight)
    }

    /// Whether a command may be in it, of a user of whom it holds so much. How much a batch holds is known only later,
    /// so one commit of a batch is among it at most.
    fn takes(&self, step: &dyn Step, own: usize) -> bool {
        self.steps.is_empty()
            || own < OWN_WEIGHT
                && self.weight.saturating_add(step.weight()) <= GROUP_WEIGHT
                && !(self.commits_batch && step.commits_batch())
    }

    fn push(&mut self, owner: Owner, step: Box<dyn Step>) {
        let weight = step.weight();
        self.weight = self.weight.saturating_add(weight);
        self.commits_batch |= step.commits_batch();
        match self.own.iter_mut().find(|(other, _)| *other == owner) {
            Some((_, own)) => *own = own.saturating_add(weight),
            None => self.own.push((owner, weight)),
        }
        self.steps.push(step);
    }
}
