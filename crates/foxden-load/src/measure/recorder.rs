//! Takes what users see. Users write into a few lists, and one task empties them several times a second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::{Fault, FaultKind};
use crate::protocol::RequestKind;

/// How many lists there are. Users of different lists never wait for each other.
const LISTS: usize = 16;
/// The most entries of a list. More come only if the machine is too busy to empty it.
const MOST_ENTRIES: usize = 1 << 18;
/// The most faults of each kind that are kept whole.
const MOST_EXAMPLES: usize = 5;

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub struct RequestSample {
    /// What it asked for.
    pub kind: RequestKind,
    /// When it was answered, after the start of the run.
    pub at: Duration,
    /// From sending the request to the end of the answer.
    pub took: Duration,
    /// How much later it was sent than planned.
    pub late: Duration,
    /// The bytes of both bodies.
    pub bytes: u64,
}

/// One operation: a few requests that belong together.
#[derive(Clone, Copy, Debug)]
pub struct OperationSample {
    /// Its number in the scenario.
    pub operation: usize,
    /// When it was done, after the start of the run.
    pub at: Duration,
    /// From its begin to its end.
    pub took: Duration,
    /// How much later it began than planned.
    pub late: Duration,
}

/// What came together since it was last taken.
#[derive(Debug, Default)]
pub struct Samples {
    /// Answered requests.
    pub requests: Vec<RequestSample>,
    /// Operations that are done.
    pub operations: Vec<OperationSample>,
    /// Faults by their kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Some faults as a whole.
    pub examples: Vec<Fault>,
    /// Samples for which there was no room.
    pub dropped: u64,
}

/// Takes what users see.
#[derive(Debug)]
pub struct Recorder {
    start: Mutex<Instant>,
    is_measuring: AtomicBool,
    lists: Vec<Mutex<Samples>>,
    /// How many faults of each kind were kept whole.
    kept: Vec<AtomicUsize>,
    /// How many objects were read and found as they were stored.
    compared: AtomicU64,
}

impl Recorder {
    /// One that waits for the start of the run.
    pub fn new() -> Self {
        Self {
            start: Mutex::new(Instant::now()),
            is_measuring: AtomicBool::new(false),
            lists: (0..LISTS).map(|_| Mutex::default()).collect(),
            kept: FaultKind::ALL.iter().map(|_| AtomicUsize::new(0)).collect(),
            compared: AtomicU64::new(0),
        }
    }

    /// Begins to keep samples.
    pub fn start(&self, start: Instant) {
        *lock(&self.start) = start;
        self.is_measuring.store(true, Ordering::SeqCst);
    }

    /// Keeps no more samples.
    pub fn stop(&self) {
        self.is_measuring.store(false, Ordering::SeqCst);
    }

    /// A place to write for one user.
    pub fn handle(self: &std::sync::Arc<Self>, user: u32) -> Handle {
        let list = usize::try_from(user).unwrap_or_default() % LISTS;
        Handle {
            recorder: std::sync::Arc::clone(self),
            list,
        }
    }

    /// Takes what came together.
    pub fn take(&self) -> Samples {
        let mut all = Samples::default();
        for list in &self.lists {
            let part = std::mem::take(&mut *lock(list));
            all.requests.extend(part.requests);
            all.operations.extend(part.operations);
            all.examples.extend(part.examples);
            all.dropped += part.dropped;
            for (kind, count) in part.faults {
                *all.faults.entry(kind).or_default() += count;
            }
        }
        all
    }

    /// How many objects were read and found as they were stored.
    pub fn compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }
}

/// Where one user writes.
#[derive(Clone, Debug)]
pub struct Handle {
    recorder: std::sync::Arc<Recorder>,
    list: usize,
}

impl Handle {
    fn list(&self) -> MutexGuard<'_, Samples> {
        lock(&self.recorder.lists[self.list])
    }

    /// An answered request that was sent at that time.
    pub fn request(&self, kind: RequestKind, sent: Instant, late: Duration, bytes: u64) {
        if !self.recorder.is_measuring.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let sample = RequestSample {
            kind,
            at: now.saturating_duration_since(*lock(&self.recorder.start)),
            took: now.saturating_duration_since(sent),
            late,
            bytes,
        };
        let mut list = self.list();
        if list.requests.len() < MOST_ENTRIES {
            list.requests.push(sample);
        } else {
            list.dropped += 1;
        }
    }

    /// An operation that began at that time.
    pub fn operation(&self, operation: usize, began: Instant, late: Duration) {
        if !self.recorder.is_measuring.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let sample = OperationSample {
            operation,
            at: now.saturating_duration_since(*lock(&self.recorder.start)),
            took: now.saturating_duration_since(began),
            late,
        };
        let mut list = self.list();
        if list.operations.len() < MOST_ENTRIES {
            list.operations.push(sample);
        } else {
            list.dropped += 1;
        }
    }

    /// A fault.
    pub fn fault(&self, fault: Fault) {
        let number = FaultKind::ALL.iter().position(|kind| *kind == fault.kind);
        let kept = &self.recorder.kept[number.unwrap_or_default()];
        let is_kept = kept.fetch_add(1, Ordering::Relaxed) < MOST_EXAMPLES;
        let mut list = self.list();
        *list.faults.entry(fault.kind).or_default() += 1;
        if is_kept {
            list.examples.push(fault);
        }
    }

    /// Objects that were as they were stored.
    pub fn compared(&self, objects: u64) {
        self.recorder.compared.fetch_add(objects, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
