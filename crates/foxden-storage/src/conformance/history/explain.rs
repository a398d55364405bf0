//! Finds out which of the writes happened whose outcome is unknown.
//!
//! What a read saw of such a write tells its time. Each time that was seen belongs to a write; where several may have it, the likeliest
//! is supposed first. While a call cannot be explained, other suppositions are tried: another write for a time, or a deletion whose
//! time was not seen. One that explains more is kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use foxden_model::SyncTime;

use super::check::{Fault, Written, pass, readers};
use super::{Call, Effect, Event};
use crate::BatchId;

/// How many suppositions are tried. Those of a history that can be explained are few.
const TRIALS: u32 = 2000;
/// How many of the times before a call that cannot be explained are tried with other writes, and how many places for a deletion.
const NEAR: usize = 12;

pub(super) fn explain(history: &[Call]) -> Result<(), Fault> {
    let mut search = Search::new(history)?;
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

/// What is supposed: which call had each time that was seen, and after which time each deletion landed whose own time was not seen.
#[derive(Clone, Default)]
struct Guess {
    times: BTreeMap<SyncTime, usize>,
    unseen: BTreeMap<usize, SyncTime>,
}

struct Search<'a> {
    history: &'a [Call],
    readers: Vec<&'a Call>,
    /// The writes whose time was told, and the calls that they are.
    told: Vec<Written<'a>>,
    told_calls: BTreeSet<usize>,
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
    fn new(history: &'a [Call]) -> Result<Self, Fault> {
        let mut search = Self {
            history,
            readers: readers(history),
            told: Vec::new(),
            told_calls: BTreeSet::new(),
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

    /// The calls that may have this time and are supposed to be nothing else: a deletion that was told it, then what began last.
    fn candidates(&self, seen: &SeenTime, guess: &Guess) -> Vec<usize> {
        let is_used = |at: &usize| {
            self.told_calls.contains(at)
                || guess.times.values().any(|used| used == at)
                || guess.unseen.contains_key(at)
        };
        let mut candidates: Vec<_> = (0..self.history.len())
            .filter(|at| seen.may_be_of(&self.history[*at]) && !is_used(at))
            .collect();
        candidates.sort_by_key(|at| {
            let call = &self.history[*at];
            (matches!(call.event, Event::Unknown { .. }), Reverse(call.start))
        });
        candidates
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
            let write = supposed(&self.history[*at], Some(*time));
            writes.extend(write.map(|write| ((*time, false), write)));
        }
        for (at, after) in &guess.unseen {
            let write = supposed(&self.history[*at], None);
            writes.extend(write.map(|write| ((*after, true), write)));
        }
        writes.sort_by_key(|(place, _)| *place);
        let writes: Vec<_> = writes.into_iter().map(|(_, write)| write).collect();
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
        let before = self.times.iter().filter(|seen| seen.until <= fault.call.1);
        for seen in before.rev().take(NEAR) {
            for at in self.candidates(seen, guess) {
                let mut other = guess.clone();
                other.times.insert(seen.time, at);
                others.push(other);
            }
        }
        let mut places: Vec<_> = self.told.iter().filter_map(|write| write.time).collect();
        places.extend(guess.times.keys());
        places.push(SyncTime::ZERO);
        places.sort_unstable();
        places.truncate(fault.position + 1);
        for (at, call) in self.history.iter().enumerate() {
            let is_used = guess.unseen.contains_key(&at) || guess.times.values().any(|used| *used == at);
            if is_used || call.start >= fault.call.1 || !is_unseen_deletion(call) {
                continue;
            }
            for after in places.iter().rev().take(NEAR) {
                let mut other = guess.clone();
                other.unseen.insert(at, *after);
                others.push(other);
            }
        }
        others
    }

    /// The writes whose time was told, to their client or by objects that were read, in the order of their times, and the calls
    /// that they are.
    fn told(&self) -> Result<(Vec<Written<'a>>, BTreeSet<usize>), Fault> {
        let mut seen: BTreeMap<&str, SyncTime> = BTreeMap::new();
        for call in &self.readers {
            let Event::Read { rows, .. } = &call.event else {
                continue;
            };
            for row in rows.values() {
                let first = *seen.entry(&row.payload).or_insert(row.modified);
                if first != row.modified {
                    let text = format!("{row:?} was seen with the time {first}, too: a write landed twice");
                    return Err(Fault {
                        text,
                        call: (call.start, call.end),
                        position: 0,
                    });
                }
            }
        }
        let (mut writes, mut used) = (Vec::new(), BTreeSet::new());
        let mut calls: Vec<_> = self.history.iter().enumerate().collect();
        // Whether a batch was committed is known before those calls whose outcome is unknown.
        calls.sort_by_key(|(_, call)| (matches!(call.event, Event::Unknown { .. }), call.start));
        let mut committed = BTreeSet::new();
        for (at, call) in calls {
            let before = writes.len();
            match &call.event {
                Event::Wrote {
                    effect,
                    guard,
                    time,
                    bytes,
                } => writes.push(Written {
                    effect,
                    guard: *guard,
                    time: Some(*time),
                    bytes: *bytes,
                    start: call.start,
                    end: call.end,
                }),
                Event::Unknown { effect, .. } => {
                    let Effect::Put { rows, batch, .. } = effect else {
                        continue;
                    };
                    if batch.as_ref().is_some_and(|batch| committed.contains(batch)) {
                        continue;
                    }
                    let time = rows.values().find_map(|payload| seen.get(payload.as_str()));
                    writes.extend(time.and_then(|time| supposed(call, Some(*time))));
                }
                _ => {}
            }
            if writes.len() > before {
                used.insert(at);
                committed.extend(batch_of(call));
            }
        }
        writes.sort_by_key(|write| write.time);
        Ok((writes, used))
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
        Event::Wrote { .. } | Event::Unknown { .. } | Event::Lost { .. } => Vec::new(),
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

fn is_unseen_deletion(call: &Call) -> bool {
    matches!(
        &call.event,
        Event::Unknown {
            effect: Effect::DeleteObject { .. } | Effect::DeleteCollection { .. } | Effect::DeleteAll,
            ..
        }
    )
}

/// A call as a write that happened; `None` if it cannot be one.
fn supposed(call: &Call, time: Option<SyncTime>) -> Option<Written<'_>> {
    let (effect, guard, end) = match &call.event {
        // It may land after the client has given up.
        Event::Unknown { effect, guard } => (effect, guard, u64::MAX),
        Event::Deleted { effect, guard, .. } => (effect, guard, call.end),
        _ => return None,
    };
    Some(Written {
        effect,
        guard: *guard,
        time,
        bytes: None,
        start: call.start,
        end,
    })
}
