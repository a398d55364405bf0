//! The rows of one collection's objects, as a write changes them.

use std::collections::{BTreeMap, HashSet};

use super::connection::Dialect;
use super::fault::Fault;
#[cfg(feature = "mysql")]
use super::mysql;
use super::object_change::{ObjectChange, ObjectTarget, Totals, flag};
#[cfg(feature = "postgres")]
use super::postgres;
use super::transaction::UserTransaction;
use crate::command::{Field, Ttl};
use crate::engine::patch_ref::PatchRef;
use crate::engine::write_time::WriteTime;

/// The most objects that one statement changes.
pub(super) const MAX_ROWS: usize = 1000;
/// The bytes of payload that one statement carries unless a single object has more; far less than what a server accepts.
const MAX_BYTES: usize = 4 << 20;

/// Applies patches to the objects of one collection and counts the changes.
pub(super) struct Objects {
    target: ObjectTarget,
    /// Objects that this write gave a TTL of zero. A further patch of the same write is applied as if they had not expired,
    /// because the patches of one write for one object are one patch.
    already_expired: HashSet<Box<str>>,
    pub(super) totals: Totals,
}

impl Objects {
    pub(super) fn new(collection: i64, time: WriteTime) -> Self {
        Self {
            target: ObjectTarget { collection, time },
            already_expired: HashSet::new(),
            totals: Totals::default(),
        }
    }

    /// Applies patches, those of each object in their order.
    pub(super) async fn apply_all(
        &mut self,
        transaction: &mut UserTransaction,
        patches: impl IntoIterator<Item = PatchRef<'_>>,
    ) -> Result<(), Fault> {
        let changes = self.changes(patches);
        let mut rest = &changes[..];
        while !rest.is_empty() {
            let (changes, later) = rest.split_at(statement_rows(rest));
            rest = later;
            self.totals += match transaction.dialect {
                #[cfg(feature = "postgres")]
                Dialect::Postgres => postgres::upsert(transaction, self.target, changes).await?,
                #[cfg(feature = "mysql")]
                Dialect::Mysql => mysql::upsert(transaction, self.target, changes).await?,
            };
        }
        Ok(())
    }

    /// Merges patches to one change for each object, sorted by id, so that neighbours in the index follow each other.
    pub(super) fn changes<'a>(
        &mut self,
        patches: impl IntoIterator<Item = PatchRef<'a>>,
    ) -> Vec<ObjectChange<'a>> {
        let mut merged: BTreeMap<&str, PatchRef<'_>> = BTreeMap::new();
        for patch in patches {
            let patch = match merged.remove(patch.id) {
                Some(earlier) => patch.merged_onto(earlier),
                None => patch,
            };
            merged.insert(patch.id, patch);
        }
        merged.into_values().map(|patch| self.change(&patch)).collect()
    }

    fn change<'a>(&mut self, patch: &PatchRef<'a>) -> ObjectChange<'a> {
        let given = |is_given: bool, flag: i64| if is_given { flag } else { 0 };
        let was_already_expired = self.already_expired.remove(patch.id);
        if patch.ttl == Ttl::In(0) || (was_already_expired && patch.ttl == Ttl::Keep) {
            self.already_expired.insert(patch.id.into());
        }
        ObjectChange {
            id: patch.id,
            payload: match patch.payload {
                Field::Keep => None,
                Field::Clear => Some(""),
                Field::Set(payload) => Some(payload),
            },
            sortindex: value(&patch.sortindex),
            expiry: match patch.ttl {
                Ttl::Keep | Ttl::Never => None,
                Ttl::In(seconds) => Some(self.target.time.expiry(seconds).hundredths()),
            },
            parent_id: value(&patch.parent_id),
            predecessor_id: value(&patch.predecessor_id),
            flags: given(patch.renews, flag::RENEWS)
                + given(patch.sortindex.is_given(), flag::SORTINDEX)
                + given(patch.ttl != Ttl::Keep, flag::EXPIRY)
                + given(patch.parent_id.is_given(), flag::PARENT)
                + given(patch.predecessor_id.is_given(), flag::PREDECESSOR)
                + given(was_already_expired, flag::LIVES),
        }
    }
}

/// The number of changes that the next statement carries, at least one.
pub(super) fn statement_rows(changes: &[ObjectChange<'_>]) -> usize {
    let mut bytes = 0;
    let fitting = changes.iter().take(MAX_ROWS).take_while(|change| {
        bytes += change.payload.map_or(0, str::len);
        bytes <= MAX_BYTES
    });
    fitting.count().max(1)
}

const fn value<T: Copy>(field: &Field<T>) -> Option<T> {
    match field {
        Field::Keep | Field::Clear => None,
        Field::Set(value) => Some(*value),
    }
}
