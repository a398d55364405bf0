//! Checks whether an order of atomic steps explains a history. The times of the writes are that order, so one pass suffices:
//! replaying the writes gives the state after each, and every other answer must fit a state that was visible during its call.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use foxden_model::SyncTime;

use super::explain::explain;
use super::state::State;
use super::{Call, Effect, Event, GuardRecord, Rules, Violation};
use crate::BatchId;

/// Finds the first fault of a history of one user.
///
/// A write whose outcome is unknown may have happened once, or never: what others saw must be explained by one of both.
pub fn check(history: &[Call]) -> Result<(), Violation> {
    check_with(history, Rules::default())
}

/// The same by other rules.
pub fn check_with(history: &[Call], rules: Rules) -> Result<(), Violation> {
    explain(history, rules).map_err(|fault| fault.text)
}

/// A write that happened, or is supposed to have.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) effect: &'a Effect,
    pub(super) guard: Option<GuardRecord>,
    /// Its time, if any answer told it.
    pub(super) time: Option<SyncTime>,
    pub(super) bytes: Option<(u64, u64)>,
    pub(super) start: u64,
    /// When it had ended at the latest: never, if its outcome was unknown.
    pub(super) end: u64,
    /// When its client had an answer, or gave up.
    pub(super) given_up: u64,
}

/// What cannot be explained.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) text: Violation,
    /// When the call began and ended that cannot be explained.
    pub(super) call: (u64, u64),
    /// How many writes came before it at most.
    pub(super) position: usize,
}

/// The calls that are no writes, in the order in which they began. A commit that came too late says nothing more if another one
/// may have succeeded.
pub(super) fn readers(history: &[Call]) -> Vec<&Call> {
    let unknown: BTreeSet<_> = history
        .iter()
        .filter_map(|call| match &call.event {
            Event::Unknown {
                effect: Effect::Put { batch, .. },
                ..
            } => batch.as_ref(),
            _ => None,
        })
        .collect();
    let mut readers: Vec<_> = history
        .iter()
        .filter(|call| match &call.event {
            Event::Wrote { .. } | Event::Unknown { .. } => false,
            Event::Lost { batch } => !unknown.contains(batch),
            _ => true,
        })
        .collect();
    readers.sort_by_key(|call| call.start);
    readers
}

/// Drops the guards of writes that land again: they are compared when it lands first.
pub(super) fn drop_guards_of_repeats(writes: &mut [Written<'_>]) {
    let mut landed = BTreeSet::new();
    for write in writes {
        if !landed.insert(std::ptr::from_ref(write.effect)) {
            write.guard = None;
        }
    }
}

/// Checks these writes, in their order, and the calls that saw their outcome. The fault is the one whose call began first.
pub(super) fn pass(writes: &[Written<'_>], readers: &[&Call]) -> Option<Fault> {
    let (states, faults) = replay(writes);
    let mut faults: Vec<_> = faults.into_iter().collect();
    faults.extend(times_follow_the_order_of_calls(writes));
    faults.extend(commits_are_single(writes));
    faults.extend(nothing_comes_between_repeats(writes));
    let windows = Windows::of(writes);
    let mut seen = Vec::new();
    for call in readers {
        match fitting(call, windows.of_call(call), writes, &states) {
            Ok(fitting) => seen.extend(fitting.map(|fitting| (*call, fitting))),
            Err(fault) => {
                // Those after it began later.
                faults.push(fault);
                break;
            }
        }
    }
    faults.extend(reads_do_not_go_back(seen));
    faults.into_iter().min_by_key(|fault| fault.call)
}

/// The first and the last state that the answer fits; `None` if it tells no state.
fn fitting(
    call: &Call,
    window: RangeInclusive<usize>,
    writes: &[Written<'_>],
    states: &[State],
) -> Result<Option<RangeInclusive<usize>>, Fault> {
    let fault = |text| Fault {
        text,
        call: (call.start, call.end),
        position: *window.end(),
    };
    if let Event::Lost { batch } = &call.event {
        let has_ended = is_committed(writes, batch) || was_emptied(writes, call);
        return if has_ended {
            Ok(None)
        } else {
            Err(fault(format!("{batch:?} was lost")))
        };
    }
    let mut fits = window.clone().filter(|at| states[*at].explains(&call.event));
    let first = fits.next();
    let first = first.ok_or_else(|| fault(format!("{call:?} fits no state of {window:?}")))?;
    let last = fits.next_back().unwrap_or(first);
    as_of_is_kept(call, writes, last).map_err(fault)?;
    Ok(Some(first..=last))
}

/// Times are unique, and a write that ended before another began has the lower time.
fn times_follow_the_order_of_calls(writes: &[Written<'_>]) -> Option<Fault> {
    let mut latest_start = 0;
    for (at, write) in writes.iter().enumerate() {
        if at > 0 && write.time.is_some() && writes[at - 1].time == write.time {
            return Some(write.fault(at, "has the time of another one"));
        }
        if write.end < latest_start {
            return Some(write.fault(at, "ended before an earlier one began"));
        }
        latest_start = latest_start.max(write.start);
    }
    None
}

/// The states before the first write and after each write, and the first write whose answer they do not explain.
fn replay(writes: &[Written<'_>]) -> (Vec<State>, Option<Fault>) {
    let mut states = vec![State::empty()];
    let mut first = None;
    for (at, write) in writes.iter().enumerate() {
        let mut state = states[at].clone();
        let before = state.bytes();
        let mut what = None;
        if write.guard.is_some_and(|guard| !state.passes(guard)) {
            what = Some(format!("passed its guard {:?}", write.guard));
        }
        if !state.has_target_of(write.effect) {
            what = Some("had nothing to delete".to_owned());
        }
        state.apply(write.effect, write.time);
        if write.bytes.is_some_and(|bytes| bytes != (before, state.bytes())) {
            what = Some("tells wrong bytes".to_owned());
        }
        first = first.or_else(|| what.map(|what| write.fault(at, &what)));
        states.push(state);
    }
    (states, first)
}

fn is_committed(writes: &[Written<'_>], batch: &BatchId) -> bool {
    writes
        .iter()
        .any(|write| matches!(write.effect, Effect::Put { batch: Some(committed), .. } if committed == batch))
}

fn was_emptied(writes: &[Written<'_>], call: &Call) -> bool {
    let mut emptied = writes
        .iter()
        .filter(|write| matches!(write.effect, Effect::DeleteAll));
    emptied.any(|write| write.start < call.end)
}

/// A batch is committed once.
fn commits_are_single(writes: &[Written<'_>]) -> Option<Fault> {
    let mut committed = BTreeSet::new();
    for (at, write) in writes.iter().enumerate() {
        if let Effect::Put {
            batch: Some(batch), ..
        } = write.effect
            && !committed.insert(batch)
        {
            return Some(write.fault(at, "commits a batch for the second time"));
        }
    }
    None
}

/// A write that lands again does so before any other.
fn nothing_comes_between_repeats(writes: &[Written<'_>]) -> Option<Fault> {
    let mut landed = BTreeMap::new();
    for (at, write) in writes.iter().enumerate() {
        let before = landed.insert(std::ptr::from_ref(write.effect), at);
        if before.is_some_and(|before| before + 1 < at) {
            return Some(write.fault(at, "landed again after another one"));
        }
    }
    None
}

/// Which writes had begun and ended when.
struct Windows {
    /// When the latest began of those up to each write.
    begun: Vec<u64>,
    /// When the earliest ended of those from each write on.
    ended: Vec<u64>,
}

impl Windows {
    fn of(writes: &[Written<'_>]) -> Self {
        let mut begun: Vec<_> = writes.iter().map(|write| write.start).collect();
        let mut ended: Vec<_> = writes.iter().map(|write| write.end).collect();
        for at in 1..writes.len() {
            begun[at] = begun[at].max(begun[at - 1]);
        }
        for at in (1..writes.len()).rev() {
            ended[at - 1] = ended[at - 1].min(ended[at]);
        }
        Self { begun, ended }
    }

    /// The states that a call may have seen: after all writes that ended before it began, and before the first that began after it
    /// had ended.
    fn of_call(&self, call: &Call) -> RangeInclusive<usize> {
        let first = self.ended.partition_point(|end| *end < call.start);
        first..=self.begun.partition_point(|start| *start < call.end)
    }
}

/// A write that a read has not seen has a later time than its *as of*.
fn as_of_is_kept(call: &Call, writes: &[Written<'_>], last_fitting: usize) -> Result<(), Violation> {
    let (Event::Read { as_of, .. } | Event::Summary { as_of, .. }) = &call.event else {
        return Ok(());
    };
    let unseen = writes.get(last_fitting).and_then(|write| write.time);
    match (unseen, as_of) {
        (Some(time), Some(as_of)) if time <= *as_of => {
            Err(format!("a write at {time} came after a read as of {as_of}"))
        }
        _ => Ok(()),
    }
}

/// Of two consecutive calls, the second sees the same state or a later one.
fn reads_do_not_go_back(reads: Vec<(&Call, RangeInclusive<usize>)>) -> Option<Fault> {
    let mut ended: Vec<_> = reads
        .iter()
        .map(|(call, fitting)| (call.end, *fitting.start()))
        .collect();
    ended.sort_unstable();
    let mut ended = ended.into_iter().peekable();
    let mut seen = 0;
    for (call, fitting) in reads {
        while let Some((_, state)) = ended.next_if(|(end, _)| *end < call.start) {
            seen = seen.max(state);
        }
        if *fitting.end() < seen {
            return Some(Fault {
                text: format!("{call:?} goes back behind what was seen before"),
                call: (call.start, call.end),
                position: *fitting.end(),
            });
        }
    }
    None
}

impl Written<'_> {
    /// A fault of the write at this place.
    fn fault(&self, at: usize, what: &str) -> Fault {
        let time = self
            .time
            .map_or("a time that is not known".to_owned(), |time| time.to_string());
        Fault {
            text: format!("the write at {time} {what}: {:?}", self.effect),
            call: (self.start, self.given_up),
            position: at,
        }
    }
}
