//! Finds out which of the writes happened whose outcome is unknown.
//!
//! What a read saw of such a write tells its time. Each time that was seen belongs to a write; where several may have it, the likeliest
//! is supposed first. While a call cannot be explained, other suppositions are tried: another write for a time, or a write whose
//! time was not seen. One that explains more is kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use foxden_model::SyncTime;

use super::check::{Fault, Written, drop_guards_of_repeats, pass, readers};
use super::{Call, Effect, Event, Rules, SeenRow};
use crate::BatchId;

/// How many suppositions are tried. Those of a history that can be explained are few.
const TRIALS: u32 = 2000;
/// How many of the times before a call that cannot be explained are tried with other writes, and how many places for a write whose
/// time was not seen.
const NEAR: usize = 12;

pub(super) fn explain(history: &[Call], rules: Rules) -> Result<(), Fault> {
    let mut search = Search::new(history, rules)?;
    let mut guess = search.first_guess()?;
    let mut fault = search.fault_of(&guess);
    while let Some(current) = fault {
        let mut best: Option<(Guess, Fault)> = None;
        for other in search.others(&guess, &current) {
            let Some(fault) = search.fault_of(&other) else {
                return Ok(());
            };
            let reached = best.as_ref().map_or(current.call, |(_, fault)| fault.call);
            if fault.call > reached {
                best = Some((other, fault));
            }
        }
        let (better, next) = best.filter(|_| search.trials < TRIALS).ok_or(current)?;
        (guess, fault) = (better, Some(next));
    }
    Ok(())
}

/// What is supposed: which call had each time that was seen, and after which time each write landed whose own time was not seen.
#[derive(Clone, Default)]
struct Guess {
    times: BTreeMap<SyncTime, usize>,
    unseen: BTreeMap<usize, SyncTime>,
}

struct Search<'a> {
    history: &'a [Call],
    rules: Rules,
    readers: Vec<&'a Call>,
    /// The writes whose time was told, and the calls that they are, with their last times.
    told: Vec<Written<'a>>,
    told_calls: BTreeMap<usize, SyncTime>,
    /// The times that no such write has.
    times: Vec<SeenTime>,
    trials: u32,
}

/// A time that was seen.
struct SeenTime {
    time: SyncTime,
    /// Its collection, unless it was seen as that of the store alone.
    collection: Option<String>,
    /// When the first call ended that saw it.
    until: u64,
}

impl<'a> Search<'a> {
    fn new(history: &'a [Call], rules: Rules) -> Result<Self, Fault> {
        let mut search = Self {
            history,
            rules,
            readers: readers(history),
            told: Vec::new(),
            told_calls: BTreeMap::new(),
            times: Vec::new(),
            trials: 0,
        };
        (search.told, search.told_calls) = search.told()?;
        search.times = search.times_without_write(&search.told);
        Ok(search)
    }

    /// The likeliest call for each time.
    fn first_guess(&self) -> Result<Guess, Fault> {
        let mut guess = Guess::default();
        for seen in &self.times {
            let candidates = self.candidates(seen, &guess);
            let first = candidates.first().ok_or_else(|| Fault {
                text: format!("no write had the time {}, which was seen", seen.time),
                call: (seen.until, seen.until),
                position: 0,
            })?;
            guess.times.insert(seen.time, *first);
        }
        Ok(guess)
    }

    /// The calls that may have this time and are supposed to be nothing else: the first deletion that was told it, then what began
    /// last, then a write that landed again.
    fn candidates(&self, seen: &SeenTime, guess: &Guess) -> Vec<usize> {
        let is_used = |at: &usize| {
            let told = self.told_calls.get(at);
            told.is_some_and(|told| !self.may_land_again(&self.history[*at], seen.time, *told))
                || guess.times.values().any(|used| used == at)
                || guess.unseen.contains_key(at)
        };
        let mut candidates: Vec<_> = (0..self.history.len())
            .filter(|at| seen.may_be_of(&self.history[*at]) && !is_used(at))
            .collect();
        candidates.sort_by_key(|at| {
            let call = &self.history[*at];
            let is_told = self.told_calls.contains_key(at);
            let is_unknown = matches!(call.event, Event::Unknown { .. });
            let likely = if is_unknown {
                u64::MAX - call.start
            } else {
                call.start
            };
            (is_told, is_unknown, likely)
        });
        candidates
    }

    /// Whether a write may have this time besides the one that was told: no later one, if its client was told it.
    fn may_land_again(&self, call: &Call, time: SyncTime, told: SyncTime) -> bool {
        self.lands_again(call) && (time < told || matches!(call.event, Event::Unknown { .. }))
    }

    fn lands_again(&self, call: &Call) -> bool {
        let after = self.rules.lands_again_after;
        let is_plain = matches!(
            call.event,
            Event::Wrote {
                effect: Effect::Put { batch: None, .. },
                ..
            } | Event::Unknown {
                effect: Effect::Put { batch: None, .. },
                ..
            }
        );
        is_plain && after.is_some_and(|after| call.end - call.start >= after)
    }

    /// What cannot be explained under this supposition.
    fn fault_of(&mut self, guess: &Guess) -> Option<Fault> {
        self.trials += 1;
        let mut writes: Vec<_> = self
            .told
            .iter()
            .map(|write| ((write.time.unwrap_or_default(), false), *write))
            .collect();
        for (time, at) in &guess.times {
            let write = self.supposed(&self.history[*at], Some(*time));
            writes.extend(write.map(|write| ((*time, false), write)));
        }
        for (at, after) in &guess.unseen {
            let write = self.supposed(&self.history[*at], None);
            writes.extend(write.map(|write| ((*after, true), write)));
        }
        writes.sort_by_key(|(place, _)| *place);
        let mut writes: Vec<_> = writes.into_iter().map(|(_, write)| write).collect();
        drop_guards_of_repeats(&mut writes);
        // A deletion that is supposed to be a write is none that saw another one's time.
        let supposed: Vec<_> = guess.times.values().map(|at| &self.history[*at]).collect();
        let readers = self.readers.iter().copied();
        let readers: Vec<_> = readers
            .filter(|call| !supposed.iter().any(|supposed| std::ptr::eq(*supposed, *call)))
            .collect();
        pass(&writes, &readers)
    }

    /// Other suppositions that may explain this call.
    fn others(&self, guess: &Guess, fault: &Fault) -> Vec<Guess> {
        let mut others = Vec::new();
        let mut places: Vec<_> = self.told.iter().filter_map(|write| write.time).collect();
        places.extend(guess.times.keys());
        places.push(SyncTime::ZERO);
        places.sort_unstable();
        places.truncate(fault.position + 1);
        let place = places.last().copied().unwrap_or_default();
        // A call shows a write also before any other tells its time.
        let seen = self.times.partition_point(|seen| seen.time <= place);
        let near = seen.saturating_sub(NEAR)..(seen + NEAR).min(self.times.len());
        for seen in self.times[near].iter().rev() {
            for at in self.candidates(seen, guess) {
                let mut other = guess.clone();
                other.times.insert(seen.time, at);
                others.push(other);
            }
        }
        let mut unseen: Vec<_> = (0..self.history.len())
            .filter(|at| self.may_be_unseen(*at, guess) && self.history[*at].start < fault.call.1)
            .collect();
        // What began last is the likeliest; there are few deletions.
        unseen.sort_by_key(|at| Reverse(self.history[*at].start));
        let (deletions, puts): (Vec<_>, Vec<_>) =
            unseen.into_iter().partition(|at| !is_put(&self.history[*at]));
        for at in deletions.into_iter().chain(puts.into_iter().take(2 * NEAR)) {
            for after in places.iter().rev().take(NEAR) {
                let mut other = guess.clone();
                other.unseen.insert(at, *after);
                others.push(other);
            }
        }
        others
    }

    /// Whether a call may be a write that landed and whose time was not seen.
    fn may_be_unseen(&self, at: usize, guess: &Guess) -> bool {
        matches!(self.history[at].event, Event::Unknown { .. })
            && !self.told_calls.contains_key(&at)
            && !guess.unseen.contains_key(&at)
            && !guess.times.values().any(|used| *used == at)
    }

    /// The times at which payloads were seen.
    fn seen_payloads(&self) -> BTreeMap<&'a str, BTreeSet<SyncTime>> {
        let mut seen: BTreeMap<&str, BTreeSet<SyncTime>> = BTreeMap::new();
        let readers = self.readers.iter().copied();
        for row in readers.flat_map(|call: &'a Call| rows_in(&call.event)) {
            seen.entry(&row.payload).or_default().insert(row.modified);
        }
        seen
    }

    /// The writes whose time was told, to their client or by objects that were read, in the order of their times, and the calls
    /// that they are.
    fn told(&self) -> Result<(Vec<Written<'a>>, BTreeMap<usize, SyncTime>), Fault> {
        let seen = self.seen_payloads();
        let (mut writes, mut used) = (Vec::new(), BTreeMap::new());
        let mut calls: Vec<_> = self.history.iter().enumerate().collect();
        // Whether a batch was committed is known before those calls whose outcome is unknown.
        calls.sort_by_key(|(_, call)| (matches!(call.event, Event::Unknown { .. }), call.start));
        let mut committed = BTreeSet::new();
        for (at, call) in calls {
            let (effect, told, bytes) = match &call.event {
                Event::Wrote {
                    effect, time, bytes, ..
                } => (effect, Some(*time), *bytes),
                Event::Unknown { effect, .. } => (effect, None, None),
                _ => continue,
            };
            let batch = batch_of(call);
            if told.is_none() && batch.is_some_and(|batch| committed.contains(batch)) {
                continue;
            }
            let mut times = BTreeSet::from_iter(told);
            if let Effect::Put { rows, .. } = effect {
                times.extend(
                    rows.values()
                        .filter_map(|payload| seen.get(payload.as_str()))
                        .flatten(),
                );
            }
            let Some(last) = times.last().copied() else {
                continue;
            };
            let is_again = times.len() > 1;
            if is_again && !self.lands_again(call) || told.is_some_and(|told| told != last) {
                return Err(Fault {
                    text: format!("a write landed twice, at {times:?}: {call:?}"),
                    call: (call.start, call.end),
                    position: 0,
                });
            }
            for time in times {
                let write = self.supposed(call, Some(time));
                writes.extend(write.map(|write| Written { bytes, ..write }));
            }
            used.insert(at, last);
            committed.extend(batch);
        }
        writes.sort_by_key(|write| write.time);
        Ok((writes, used))
    }

    /// A call as a write that happened; `None` if it cannot be one.
    fn supposed(&self, call: &'a Call, time: Option<SyncTime>) -> Option<Written<'a>> {
        let (effect, guard, end) = match &call.event {
            // It may land after the client has given up.
            Event::Unknown { effect, guard } => {
                let within = self.rules.lands_within;
                (effect, guard, within.map_or(u64::MAX, |within| call.end + within))
            }
            Event::Wrote { effect, guard, .. } | Event::Deleted { effect, guard, .. } => {
                (effect, guard, call.end)
            }
            _ => return None,
        };
        Some(Written {
            effect,
            guard: *guard,
            time,
            bytes: None,
            start: call.start,
            end,
            given_up: call.end,
        })
    }

    /// The times that were seen and that no write has, in their order.
    fn times_without_write(&self, writes: &[Written<'a>]) -> Vec<SeenTime> {
        let known: BTreeSet<_> = writes.iter().filter_map(|write| write.time).collect();
        let mut times: BTreeMap<SyncTime, SeenTime> = BTreeMap::new();
        for call in &self.readers {
            for (time, collection) in times_in(&call.event) {
                if time == SyncTime::ZERO || known.contains(&time) {
                    continue;
                }
                let seen = times.entry(time).or_insert(SeenTime {
                    time,
                    collection: None,
                    until: call.end,
                });
                seen.until = seen.until.min(call.end);
                seen.collection = collection.or(seen.collection.take());
            }
        }
        times.into_values().collect()
    }
}

impl SeenTime {
    /// Whether it may be that of this call.
    fn may_be_of(&self, call: &Call) -> bool {
        let effect = match &call.event {
            Event::Deleted { effect, time, .. } if *time == self.time => effect,
            Event::Unknown { effect, .. } => effect,
            // It may have landed before, too.
            Event::Wrote { effect, time, .. } if *time > self.time => effect,
            _ => return false,
        };
        let touched = match effect {
            Effect::Put { collection, .. }
            | Effect::DeleteObject { collection, .. }
            | Effect::DeleteCollection {
                collection,
                keeps_name: true,
            } => Some(collection),
            Effect::DeleteCollection { .. } | Effect::DeleteAll => None,
        };
        let fits = match (&self.collection, touched) {
            (Some(seen), Some(touched)) => seen == touched,
            (Some(_), None) => false,
            (None, _) => true,
        };
        fits && call.start < self.until
    }
}

/// The times that an answer tells, with their collections.
fn times_in(event: &Event) -> Vec<(SyncTime, Option<String>)> {
    match event {
        Event::Wrote { .. } | Event::Unknown { .. } | Event::Lost { .. } | Event::ReadObject { .. } => {
            Vec::new()
        }
        Event::Counts { modified, .. } | Event::Usage { modified, .. } => vec![(*modified, None)],
        Event::Deleted { time, .. } => vec![(*time, None)],
        Event::Idle { time, .. } => time.iter().map(|time| (*time, None)).collect(),
        Event::Refused { guard, modified } => vec![(*modified, Some(guard.collection.to_owned()))],
        Event::Read { collection, seen, .. } => {
            let seen = seen.iter();
            seen.map(|time| (*time, Some((*collection).to_owned()))).collect()
        }
        Event::Summary {
            modified,
            collections,
            ..
        } => {
            let collections = collections.iter().map(|(name, time)| (*time, Some(name.clone())));
            collections.chain([(*modified, None)]).collect()
        }
    }
}

fn batch_of(call: &Call) -> Option<&BatchId> {
    match &call.event {
        Event::Wrote { effect, .. } | Event::Unknown { effect, .. } => match effect {
            Effect::Put { batch, .. } => batch.as_ref(),
            _ => None,
        },
        _ => None,
    }
}

/// The objects that an answer shows.
fn rows_in(event: &Event) -> Vec<&SeenRow> {
    match event {
        Event::Read { rows, .. } => rows.values().collect(),
        Event::ReadObject { row, .. } => row.iter().collect(),
        _ => Vec::new(),
    }
}

const fn is_put(call: &Call) -> bool {
    matches!(
        call.event,
        Event::Unknown {
            effect: Effect::Put { .. },
            ..
        }
    )
}
