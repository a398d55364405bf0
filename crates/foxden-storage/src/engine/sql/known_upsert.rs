//! A plain write in one round trip, for a user whose state is known from the last write.

use foxden_model::{SyncTime, UserId};

use super::batch;
use super::connection::{Connection, Dialect};
use super::fault::Fault;
use super::guard::certainly_holds;
use super::landing::Gate;
#[cfg(feature = "mysql")]
use super::mysql_known;
use super::object_change::{GivenFields, ObjectChange, ObjectTarget, PlainChanges};
use super::objects::{Objects, statement_rows};
#[cfg(feature = "postgres")]
use super::postgres;
use super::state::UserState;
use crate::command::{Change, Patch, Write};
use crate::engine::patch_ref::PatchRef;
use crate::engine::usage::Usage;
use crate::engine::write_time::WriteTime;
use crate::page::Written;
use crate::pass::Landing;

/// Patches of a collection that is there, which no limit and no guard refuses as long as the state is the known one.
pub(super) struct KnownUpsert<'a> {
    known: &'a UserState,
    /// The place of the collection in the state.
    at: usize,
    changes: Vec<ObjectChange<'a>>,
    given: GivenFields,
    time: WriteTime,
}

impl<'a> KnownUpsert<'a> {
    /// `None` if the write needs a transaction.
    pub(super) fn plan(
        connection: &Connection,
        write: &'a Write,
        known: &'a UserState,
        time: WriteTime,
    ) -> Option<Self> {
        let Change::Upsert { collection, patches } = &write.change else {
            return None;
        };
        let at = known.position(*collection).ok()?;
        let bytes = patches.iter().map(Patch::bytes).sum();
        let is_plain = connection.writes_at_once(bytes)
            && !known.is_closed
            && certainly_holds(known, write.guard.as_ref())
            && !might_fill(known, write.quota, time.now);
        if !is_plain {
            return None;
        }
        let mut objects = Objects::new(known.collections[at].number, time);
        let changes = objects.changes(patches.iter().map(PatchRef::from));
        let given = GivenFields::of(&changes)?;
        let is_one_statement = statement_rows(&changes) == changes.len();
        is_one_statement.then_some(Self {
            known,
            at,
            changes,
            given,
            time,
        })
    }

    /// Returns what was written and the state after it, which has this mark; `None` if the state is not the known one any more, or the
    /// write may not land.
    pub(super) async fn execute(
        &self,
        connection: &mut Connection,
        user: UserId,
        mark: i64,
        landing: Option<Landing>,
    ) -> Result<Option<(Written, UserState)>, Fault> {
        let changes = PlainChanges {
            all: &self.changes,
            given: self.given,
        };
        let collection = &self.known.collections[self.at];
        let gate = Gate {
            known: self.known.mark,
            mark,
            landing,
            collection: collection.listed.name,
        };
        let target = ObjectTarget {
            collection: collection.number,
            time: self.time,
        };
        let user = user.0.cast_signed();
        let totals = match connection.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => postgres::upsert_if_known(connection, user, &gate, target, changes).await?,
            #[cfg(feature = "mysql")]
            Dialect::Mysql => mysql_known::upsert_if_known(connection, user, &gate, target, changes).await?,
        };
        Ok(totals.map(|totals| {
            let mut state = self.known.clone();
            state.modified = self.time.next;
            state.mark = mark;
            let collection = &mut state.collections[self.at];
            collection.adjust(totals.objects, totals.bytes);
            collection.listed.modified = self.time.next;
            let written = Written {
                bytes_after: state.usage().bytes,
                ..self.written()
            };
            (written, state)
        }))
    }

    /// What is written, except for the bytes after it.
    pub(super) fn written(&self) -> Written {
        let bytes = self.known.usage().bytes;
        Written {
            modified: self.time.next,
            changed: true,
            bytes_before: bytes,
            bytes_after: bytes,
        }
    }
}

/// Whether the objects and the open batches may fill the quota.
fn might_fill(known: &UserState, quota: Option<u64>, now: SyncTime) -> bool {
    let open = batch::usage_of(&batch::others(known, None, now));
    let open: Usage = open.into_iter().sum();
    (known.usage() + open).fills(quota)
}
