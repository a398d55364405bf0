//! Checks whether an order of atomic steps explains a history. The times of the writes are that order, so one pass suffices:
//! replaying the writes gives the state after each, and every other answer must fit a state that was visible during its call.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use foxden_model::SyncTime;

use crate::load::{Call, Effect, Event, GuardRecord, Rows};

/// The description of a fault in a history.
pub(crate) type Violation = String;

/// The store after some writes.
#[derive(Clone, Default)]
struct State {
    modified: SyncTime,
    collections: BTreeMap<&'static str, CollectionState>,
}

#[derive(Clone)]
struct CollectionState {
    modified: SyncTime,
    rows: Rows,
}

/// A write that happened.
struct Written<'a> {
    call: &'a Call,
    effect: &'a Effect,
    guard: Option<GuardRecord>,
    time: SyncTime,
    before: u64,
    after: u64,
}

/// Finds the first fault of a history.
pub(crate) fn check(history: &[Call]) -> Result<(), Violation> {
    let writes = in_order_of_time(history);
    times_follow_the_order_of_calls(&writes)?;
    let states = replay(&writes)?;
    commits_are_single(&writes, history)?;
    let mut reads = Vec::new();
    for call in history {
        let window = window(&writes, call);
        let fitting = fitting(call, &states, window.clone());
        if let Event::Wrote { .. } | Event::Lost { .. } = call.event {
            continue;
        }
        let fitting = fitting.ok_or_else(|| format!("{call:?} fits no state of {window:?}"))?;
        as_of_is_kept(call, &writes, *fitting.end())?;
        reads.push((call, fitting));
    }
    reads_do_not_go_back(reads)
}

fn in_order_of_time(history: &[Call]) -> Vec<Written<'_>> {
    let written = history.iter().filter_map(|call| match &call.event {
        Event::Wrote {
            effect,
            guard,
            time,
            before,
            after,
        } => Some(Written {
            call,
            effect,
            guard: *guard,
            time: *time,
            before: *before,
            after: *after,
        }),
        _ => None,
    });
    let mut writes: Vec<_> = written.collect();
    writes.sort_by_key(|write| write.time);
    writes
}

/// Times are unique, and a write that ended before another began has the lower time.
fn times_follow_the_order_of_calls(writes: &[Written<'_>]) -> Result<(), Violation> {
    let mut latest_start = 0;
    for (at, write) in writes.iter().enumerate() {
        if at > 0 && writes[at - 1].time == write.time {
            return Err(format!("two writes at {}", write.time));
        }
        if write.call.end < latest_start {
            return Err(format!(
                "the write at {} ended before an earlier one began",
                write.time
            ));
        }
        latest_start = latest_start.max(write.call.start);
    }
    Ok(())
}

/// The states before the first write and after each write, compared with the answers of the writes.
fn replay(writes: &[Written<'_>]) -> Result<Vec<State>, Violation> {
    let mut states = vec![State::default()];
    for write in writes {
        let mut state = states.last().cloned().unwrap_or_default();
        if let Some(guard) = write.guard
            && state.time_of(guard.collection) > guard.since
        {
            return Err(format!(
                "the write at {} passed a guard of {}",
                write.time, guard.since
            ));
        }
        let before = state.bytes();
        state.apply(write.effect, write.time);
        if (before, state.bytes()) != (write.before, write.after) {
            return Err(format!("the write at {} tells wrong bytes", write.time));
        }
        states.push(state);
    }
    Ok(states)
}

/// A batch is committed once, and a commit is refused only if there was another one or the store was emptied.
fn commits_are_single(writes: &[Written<'_>], history: &[Call]) -> Result<(), Violation> {
    let mut committed = BTreeSet::new();
    for write in writes {
        if let Effect::Put {
            batch: Some(batch), ..
        } = write.effect
            && !committed.insert(batch)
        {
            return Err(format!("{batch:?} was committed twice"));
        }
    }
    let was_emptied = |call: &Call| {
        let emptied = writes
            .iter()
            .filter(|write| matches!(write.effect, Effect::DeleteAll));
        emptied.into_iter().any(|write| write.call.start < call.end)
    };
    for call in history {
        if let Event::Lost { batch } = &call.event
            && !committed.contains(batch)
            && !was_emptied(call)
        {
            return Err(format!("{batch:?} was lost"));
        }
    }
    Ok(())
}

/// The states that a call may have seen: at least the writes that ended before it began, at most those that began before it
/// ended.
fn window(writes: &[Written<'_>], call: &Call) -> RangeInclusive<usize> {
    let ended = writes.iter().rposition(|write| write.call.end < call.start);
    let begun = writes.iter().rposition(|write| write.call.start < call.end);
    ended.map_or(0, |at| at + 1)..=begun.map_or(0, |at| at + 1)
}

/// The first and the last state of the window that the answer fits.
fn fitting(call: &Call, states: &[State], window: RangeInclusive<usize>) -> Option<RangeInclusive<usize>> {
    let mut fits = window.filter(|at| states[*at].explains(&call.event));
    let first = fits.next()?;
    Some(first..=fits.next_back().unwrap_or(first))
}

/// A write that a read has not seen has a later time than its *as of*.
fn as_of_is_kept(call: &Call, writes: &[Written<'_>], last_fitting: usize) -> Result<(), Violation> {
    let (Event::Read { as_of, .. } | Event::Summary { as_of, .. }) = &call.event else {
        return Ok(());
    };
    let unseen = writes.get(last_fitting).map(|write| write.time);
    match unseen {
        Some(time) if time <= *as_of => Err(format!("a write at {time} came after a read as of {as_of}")),
        _ => Ok(()),
    }
}

/// Of two consecutive calls, the second sees the same state or a later one.
fn reads_do_not_go_back(mut reads: Vec<(&Call, RangeInclusive<usize>)>) -> Result<(), Violation> {
    reads.sort_by_key(|(call, _)| call.start);
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
            return Err(format!("{call:?} goes back behind event was seen before"));
        }
    }
    Ok(())
}

impl State {
    fn time_of(&self, collection: &str) -> SyncTime {
        self.collections
            .get(collection)
            .map_or(SyncTime::ZERO, |held| held.modified)
    }

    fn bytes(&self) -> u64 {
        let rows = self.collections.values().flat_map(|held| held.rows.values());
        rows.map(|text| text.len() as u64).sum()
    }

    fn apply(&mut self, effect: &Effect, time: SyncTime) {
        self.modified = time;
        match effect {
            Effect::Put { collection, rows, .. } => {
                let held = self
                    .collections
                    .entry(collection)
                    .or_insert_with(|| CollectionState::empty(time));
                held.modified = time;
                held.rows.extend(rows.clone());
            }
            Effect::DeleteObject { collection, object } => {
                if let Some(held) = self.collections.get_mut(collection) {
                    held.modified = time;
                    held.rows.remove(*object);
                }
            }
            Effect::DeleteCollection {
                collection,
                keeps_name,
            } => {
                self.collections.remove(collection);
                if *keeps_name {
                    self.collections.insert(collection, CollectionState::empty(time));
                }
            }
            Effect::DeleteAll => self.collections.clear(),
        }
    }

    /// Returns whether this state explains the answer.
    fn explains(&self, event: &Event) -> bool {
        match event {
            Event::Wrote { .. } | Event::Lost { .. } => true,
            Event::Refused { guard, modified } => {
                *modified > guard.since && self.time_of(guard.collection) == *modified
            }
            Event::Idle { effect, time } => self.modified == *time && !self.has_target_of(effect),
            Event::Read {
                collection,
                seen,
                rows,
                ..
            } => match self.collections.get(collection) {
                Some(held) => *seen == Some(held.modified) && *rows == held.rows,
                None => seen.is_none() && rows.is_empty(),
            },
            Event::Summary {
                modified,
                collections,
                ..
            } => {
                let mine = self.collections.iter().map(|(name, held)| (*name, held.modified));
                let told = collections.iter().map(|(name, time)| (name.as_str(), *time));
                self.modified == *modified && mine.eq(told)
            }
        }
    }

    fn has_target_of(&self, effect: &Effect) -> bool {
        match effect {
            Effect::DeleteObject { collection, object } => self
                .collections
                .get(collection)
                .is_some_and(|held| held.rows.contains_key(*object)),
            Effect::DeleteCollection { collection, .. } => self.collections.contains_key(collection),
            Effect::Put { .. } | Effect::DeleteAll => true,
        }
    }
}

impl CollectionState {
    fn empty(modified: SyncTime) -> Self {
        Self {
            modified,
            rows: Rows::new(),
        }
    }
}
