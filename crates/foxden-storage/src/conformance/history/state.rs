//! The store after some writes.

use std::collections::BTreeMap;

use foxden_model::SyncTime;

use super::{Effect, Event, GuardRecord, SeenRow, SeenRows};

/// The store after some writes. A time is `None` where no answer told it: no answer fits it.
#[derive(Clone)]
pub(super) struct State {
    modified: Option<SyncTime>,
    collections: BTreeMap<&'static str, CollectionState>,
}

#[derive(Clone)]
struct CollectionState {
    modified: Option<SyncTime>,
    rows: SeenRows,
}

impl State {
    pub(super) const fn empty() -> Self {
        Self {
            modified: Some(SyncTime::ZERO),
            collections: BTreeMap::new(),
        }
    }

    /// Whether a guard lets a write pass.
    pub(super) fn passes(&self, guard: GuardRecord) -> bool {
        // A time that no client has seen is later than those that its guard may name.
        self.time_of(guard.collection)
            .is_some_and(|time| time <= guard.since)
    }

    fn time_of(&self, collection: &str) -> Option<SyncTime> {
        let held = self.collections.get(collection);
        held.map_or(Some(SyncTime::ZERO), |held| held.modified)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.collections.values().map(CollectionState::bytes).sum()
    }

    pub(super) fn apply(&mut self, effect: &Effect, time: Option<SyncTime>) {
        self.modified = time;
        match effect {
            Effect::Put { collection, rows, .. } => {
                let held = self.made(collection, time);
                for (id, payload) in rows {
                    let row = SeenRow {
                        payload: payload.clone(),
                        // A write whose rows were seen has a time.
                        modified: time.unwrap_or_default(),
                    };
                    held.rows.insert(id.clone(), row);
                }
            }
            Effect::DeleteObject {
                collection, object, ..
            } => {
                self.made(collection, time).rows.remove(object);
            }
            Effect::DeleteCollection {
                collection,
                keeps_name,
            } => {
                self.collections.remove(collection);
                if *keeps_name {
                    self.made(collection, time);
                }
            }
            Effect::DeleteAll => self.collections.clear(),
        }
    }

    fn made(&mut self, collection: &'static str, time: Option<SyncTime>) -> &mut CollectionState {
        let empty = CollectionState {
            modified: time,
            rows: SeenRows::new(),
        };
        let held = self.collections.entry(collection).or_insert(empty);
        held.modified = time;
        held
    }

    /// Returns whether this state explains the answer.
    pub(super) fn explains(&self, event: &Event) -> bool {
        match event {
            Event::Wrote { .. } | Event::Unknown { .. } | Event::Lost { .. } => true,
            Event::Refused { guard, modified } => {
                *modified > guard.since && fits(self.time_of(guard.collection), *modified)
            }
            Event::Idle { effect, time } => {
                time.is_none_or(|time| fits(self.modified, time)) && !self.has_target_of(effect)
            }
            Event::Deleted { effect, time, .. } => fits(self.modified, *time) && !self.has_target_of(effect),
            Event::Read {
                collection,
                newer,
                seen,
                rows,
                ..
            } => match (self.collections.get(collection), seen) {
                (Some(held), Some(seen)) => fits(held.modified, *seen) && held.has(*newer, rows),
                (None, None) => rows.is_empty(),
                (Some(_), None) | (None, Some(_)) => false,
            },
            Event::ReadObject {
                collection,
                object,
                row,
            } => {
                let held = self.collections.get(collection);
                held.and_then(|held| held.rows.get(object)) == row.as_ref()
            }
            Event::Counts { modified, objects } => {
                let mine = self.each(|held| held.rows.len() as u64);
                fits(self.modified, *modified) && are_told(mine, objects)
            }
            Event::Usage { modified, bytes } => {
                fits(self.modified, *modified) && are_told(self.each(CollectionState::bytes), bytes)
            }
            Event::Summary {
                modified,
                collections,
                ..
            } => {
                let mine = self.collections.iter();
                fits(self.modified, *modified)
                    && self.collections.len() == collections.len()
                    && mine
                        .zip(collections)
                        .all(|((name, held), (told, time))| name == told && fits(held.modified, *time))
            }
        }
    }

    fn each(&self, number: impl Fn(&CollectionState) -> u64) -> impl Iterator<Item = (&str, u64)> {
        self.collections
            .iter()
            .map(move |(name, held)| (*name, number(held)))
    }

    /// Whether the effect changes this store.
    pub(super) fn has_target_of(&self, effect: &Effect) -> bool {
        match effect {
            Effect::DeleteObject {
                collection,
                object,
                or_refuse,
            } => self
                .collections
                .get(collection)
                .is_some_and(|held| !or_refuse || held.rows.contains_key(object)),
            Effect::DeleteCollection { collection, .. } => self.collections.contains_key(collection),
            Effect::Put { .. } | Effect::DeleteAll => true,
        }
    }
}

impl CollectionState {
    fn bytes(&self) -> u64 {
        self.rows.values().map(|row| row.payload.len() as u64).sum()
    }

    /// Whether these are its rows that are newer.
    fn has(&self, newer: Option<SyncTime>, rows: &SeenRows) -> bool {
        let mine = self.rows.iter();
        let mine = mine.filter(|(_, row)| newer.is_none_or(|newer| row.modified > newer));
        mine.eq(rows)
    }
}

fn fits(time: Option<SyncTime>, told: SyncTime) -> bool {
    time == Some(told)
}

/// Whether these are the numbers that a store has, of which none is said where it is zero.
fn are_told<'a>(mine: impl Iterator<Item = (&'a str, u64)>, told: &'a BTreeMap<String, u64>) -> bool {
    let told = told.iter().map(|(name, number)| (name.as_str(), *number));
    let has_any = |(_, number): &(&str, u64)| *number > 0;
    mine.filter(has_any).eq(told.filter(has_any))
}
