//! One transaction of the writer thread, and the states of the users that it touches.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::Arc;

use foxden_model::{Rng, SyncTime, UserId};
use rusqlite::Connection;

use super::file::DataFile;
use super::user_state::{UserState, UserStateMut};
use crate::command::{Guard, Target};
use crate::engine::EngineError;
use crate::engine::write_time::WriteTime;

/// A transaction. It keeps the changed states of its users, which readers see after the commit.
pub(super) struct WriteTx<'a> {
    pub(super) connection: &'a Connection,
    file: &'a Arc<DataFile>,
    users: HashMap<UserId, OpenUser>,
    part: Option<i64>,
}

/// A user's state in the transaction, and the time it began with.
struct OpenUser {
    state: UserStateMut,
    began: SyncTime,
    /// Whether the user was cached.
    was_cached: bool,
    /// The user's highest time when expired objects were removed.
    cleared_at: Option<SyncTime>,
}

/// Data in the file that shows whether a transaction was committed.
#[derive(Clone, Copy, Debug)]
pub(super) enum CommitMarker {
    /// The user's highest time.
    Time(UserId, SyncTime),
    /// A part of a batch.
    Part(i64),
}

/// The changes of a transaction outside the file. While this lives, the cache entries of its users are invalidated, and readers use
/// the database. Dropped without [`Self::publish`], even by a panic, it leaves it to readers to load the states from the file.
pub(super) struct TxEffects {
    file: Arc<DataFile>,
    /// The users it touched, with the states to cache.
    users: Vec<(UserId, Option<Arc<UserState>>)>,
    pub(super) markers: Vec<CommitMarker>,
}

impl TxEffects {
    /// Puts the new states into the cache, after the commit.
    pub(super) fn publish(mut self) {
        for (user, state) in self.users.drain(..) {
            self.file.users.resolve(user, state);
        }
    }
}

impl Drop for TxEffects {
    fn drop(&mut self) {
        for (user, _) in self.users.drain(..) {
            self.file.users.resolve(user, None);
        }
    }
}

impl<'a> WriteTx<'a> {
    pub(super) fn new(connection: &'a Connection, file: &'a Arc<DataFile>) -> Self {
        Self {
            connection,
            file,
            users: HashMap::new(),
            part: None,
        }
    }

    pub(super) fn now(&self) -> SyncTime {
        self.file.environment.now()
    }

    pub(super) fn rng(&self) -> &'a dyn Rng {
        &*self.file.environment.rng
    }

    /// The user's state, as this transaction sees it.
    pub(super) fn state(&mut self, user: UserId) -> Result<&mut UserStateMut, EngineError> {
        match self.users.entry(user) {
            hash_map::Entry::Occupied(entry) => Ok(&mut entry.into_mut().state),
            hash_map::Entry::Vacant(entry) => {
                let state = self.file.users.get(user);
                let was_cached = state.is_some();
                let state = match state {
                    Some(state) => state.for_update(),
                    None => UserStateMut::load(self.connection, user)?,
                };
                let opened = OpenUser {
                    began: state.modified,
                    state,
                    was_cached,
                    cleared_at: None,
                };
                Ok(&mut entry.insert(opened).state)
            }
        }
    }

    /// Returns whether this user may have expired objects that are not removed: they are removed once in a transaction, and
    /// again after the user's writes. The index holds the expired objects of all users, so that a search is expensive.
    pub(super) fn may_hold_expired(&mut self, user: UserId) -> bool {
        let Some(opened) = self.users.get_mut(&user) else {
            return true;
        };
        let modified = opened.state.modified;
        opened.cleared_at.replace(modified) != Some(modified)
    }

    /// The time of a write of this user.
    pub(super) fn time(&mut self, user: UserId, not_before: SyncTime) -> Result<WriteTime, EngineError> {
        let now = self.now();
        let earliest = self.file.earliest();
        let last = self.state(user)?.modified;
        Ok(WriteTime {
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
        let state = self.state(user)?;
        let modified = match &guard.target {
            Target::Store => state.modified,
            Target::Collection(name) => state
                .get(*name)
                .map_or(SyncTime::ZERO, |entry| entry.listed.modified),
            Target::Object(name, id) => match state.get(*name) {
                Some(entry) => modified_of(connection, entry.owner, id.as_str(), now)?,
                None => SyncTime::ZERO,
            },
        };
        if modified > guard.unmodified_since {
            return Err(EngineError::Stale { modified });
        }
        Ok(())
    }

    /// Notes the number of a staged part.
    pub(super) const fn note_part(&mut self, number: i64) {
        self.part = Some(number);
    }

    /// Invalidates the cache entries of the users and returns what to publish; to be called before the commit.
    pub(super) fn into_effects(self) -> TxEffects {
        let changed = |(user, opened): (&UserId, &OpenUser)| {
            opened
                .has_written()
                .then_some(CommitMarker::Time(*user, opened.state.modified))
        };
        let markers = self.users.iter().filter_map(changed);
        let markers = markers.chain(self.part.map(CommitMarker::Part)).collect();
        // A purge touches many users who have not synced for long; they must not evict active users from the cache.
        let users = self.users.into_iter().map(|(user, opened)| {
            let is_here = opened.was_cached || opened.has_written();
            (user, is_here.then(|| Arc::new(opened.state.to_shared())))
        });
        let effects = TxEffects {
            file: Arc::clone(self.file),
            users: users.collect(),
            markers,
        };
        let touched = effects.users.iter().map(|(user, _)| *user);
        touched.for_each(|user| effects.file.users.invalidate(user));
        effects
    }
}

impl OpenUser {
    /// Returns whether a write of the user took a time.
    fn has_written(&self) -> bool {
        self.state.modified != self.began
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
