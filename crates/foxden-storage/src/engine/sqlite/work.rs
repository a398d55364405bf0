//! What the writing thread works on: one transaction, and the users it touches.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::Arc;

use foxden_model::{Rng, SyncTime, UserId};
use rusqlite::Connection;

use super::file::DataFile;
use super::known::{Draft, Known};
use super::objects::Moment;
use crate::command::{Guard, Target};
use crate::engine::EngineError;
use crate::engine::cache::UserCache;

/// A transaction under way. What it changes of its users is kept in drafts, which become known to
/// readers once it is committed.
pub(super) struct Work<'a> {
    pub(super) connection: &'a Connection,
    file: &'a DataFile,
    drafts: HashMap<UserId, Opened>,
    part: Option<i64>,
}

/// A user's draft and the time it began with.
struct Opened {
    draft: Draft,
    began: SyncTime,
    /// Whether readers had asked for the user lately.
    was_remembered: bool,
    /// The user's highest time when what had expired was removed.
    cleared_at: Option<SyncTime>,
}

/// What a transaction leaves in the file, by which one sees whether it happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trace {
    /// The user's highest time.
    Time(UserId, SyncTime),
    /// A part of a batch.
    Part(i64),
}

/// A transaction whose changes are made and that is about to be committed.
pub(super) struct Outcome {
    /// Those it touched; without a state, those whom nobody need remember for it.
    users: Vec<(UserId, Option<Arc<Known>>)>,
    pub(super) traces: Vec<Trace>,
}

impl Outcome {
    /// Invalidates the cache entries of these users; readers use the database until `publish` or `discard` is called.
    pub(super) fn invalidate(&self, cache: &UserCache<Known>) {
        self.users.iter().for_each(|(user, _)| cache.invalidate(*user));
    }

    /// Puts the new states into the cache.
    pub(super) fn publish(self, cache: &UserCache<Known>) {
        for (user, known) in self.users {
            cache.resolve(user, known);
        }
    }

    /// Leaves it to readers to load the states from the file.
    pub(super) fn discard(self, cache: &UserCache<Known>) {
        for (user, _) in self.users {
            cache.resolve(user, None);
        }
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(connection: &'a Connection, file: &'a DataFile) -> Self {
        Self {
            connection,
            file,
            drafts: HashMap::new(),
            part: None,
        }
    }

    pub(super) fn now(&self) -> SyncTime {
        self.file.environment.now()
    }

    pub(super) fn rng(&self) -> &'a dyn Rng {
        &*self.file.environment.rng
    }

    /// What the user has, as this transaction sees it.
    pub(super) fn draft(&mut self, user: UserId) -> Result<&mut Draft, EngineError> {
        match self.drafts.entry(user) {
            hash_map::Entry::Occupied(entry) => Ok(&mut entry.into_mut().draft),
            hash_map::Entry::Vacant(entry) => {
                let known = self.file.users.get(user);
                let was_remembered = known.is_some();
                let draft = match known {
                    Some(known) => known.draft(),
                    None => Draft::load(self.connection, user)?,
                };
                let opened = Opened {
                    began: draft.modified,
                    draft,
                    was_remembered,
                    cleared_at: None,
                };
                Ok(&mut entry.insert(opened).draft)
            }
        }
    }

    /// Whether what has expired of this user may lie there still: it is removed once in a transaction, and again after the
    /// user's writes. The index of what expires holds everybody's, so to look is work.
    pub(super) fn may_hold_expired(&mut self, user: UserId) -> bool {
        let Some(opened) = self.drafts.get_mut(&user) else {
            return true;
        };
        let modified = opened.draft.modified;
        opened.cleared_at.replace(modified) != Some(modified)
    }

    /// When a write of this user happens if it happens now.
    pub(super) fn moment(&mut self, user: UserId, not_before: SyncTime) -> Result<Moment, EngineError> {
        let now = self.now();
        let earliest = self.file.earliest();
        let last = self.draft(user)?.modified;
        Ok(Moment {
            now,
            next: now.max(last.next()).max(earliest).max(not_before),
        })
    }

    /// Refuses if the guard's target has changed.
    pub(super) fn compare(
        &mut self,
        user: UserId,
        guard: Option<&Guard>,
        now: SyncTime,
    ) -> Result<(), EngineError> {
        let Some(guard) = guard else { return Ok(()) };
        let connection = self.connection;
        let draft = self.draft(user)?;
        let modified = match &guard.target {
            Target::Store => draft.modified,
            Target::Collection(name) => draft
                .get(*name)
                .map_or(SyncTime::ZERO, |entry| entry.listed.modified),
            Target::Object(name, id) => match draft.get(*name) {
                Some(entry) => modified_of(connection, entry.owner, id.as_str(), now)?,
                None => SyncTime::ZERO,
            },
        };
        if modified > guard.unmodified_since {
            return Err(EngineError::Stale { modified });
        }
        Ok(())
    }

    /// Notes the number of a part that was laid aside.
    pub(super) const fn note_part(&mut self, number: i64) {
        self.part = Some(number);
    }

    /// What is to be told of this transaction once it is committed.
    pub(super) fn into_outcome(self) -> Outcome {
        let changed = |(user, opened): (&UserId, &Opened)| {
            opened
                .has_written()
                .then_some(Trace::Time(*user, opened.draft.modified))
        };
        let traces = self.drafts.iter().filter_map(changed);
        let traces = traces.chain(self.part.map(Trace::Part)).collect();
        // A purge touches many who have not been here for long. They must not drive out those who are.
        let users = self.drafts.into_iter().map(|(user, opened)| {
            let is_here = opened.was_remembered || opened.has_written();
            (user, is_here.then(|| Arc::new(opened.draft.freeze())))
        });
        Outcome {
            users: users.collect(),
            traces,
        }
    }
}

impl Opened {
    /// Whether the user was given a time.
    fn has_written(&self) -> bool {
        self.draft.modified != self.began
    }
}

fn modified_of(
    connection: &Connection,
    owner: i64,
    id: &str,
    now: SyncTime,
) -> Result<SyncTime, EngineError> {
    let mut statement = connection.prepare_cached(
        "select modified from object
         where owner = ?1 and id = ?2 and (expiry is null or expiry > ?3)",
    )?;
    let mut rows = statement.query((owner, id, now.hundredths()))?;
    let modified = rows.next()?.map(|row| row.get(0)).transpose()?;
    Ok(SyncTime::from_hundredths(modified.unwrap_or(0)))
}
