//! The condition under which a write may land, as the database compares it.

use foxden_model::CollectionName;

use super::connection::Dialect;
use crate::command::Write;
use crate::pass::Landing;

/// How long after its time, in milliseconds, a write may land: less than [`super::AS_OF_SECONDS`], as clocks differ.
pub(super) const LATE_MILLIS: i64 = 8000;
/// The same for a statement of PostgreSQL that compares this before it waits for the lock of the user's row. The server ends it after eight seconds.
#[cfg(feature = "postgres")]
pub(super) const AT_ONCE_MILLIS: i64 = 2000;

/// What must hold when a write lands whose time was fixed at `began` by the steady clock. Readers are told the times of all
/// writes some seconds later, by any process: it is late after this many milliseconds.
pub(super) fn landing(write: &Write, began: i64, late: i64) -> Option<Landing> {
    write.pass.map(|pass| pass.landing(began, late))
}

/// A condition of an upsert: what the user's row is known to be, what it becomes, what else must hold then, and the collection whose
/// counts change with it.
pub(super) struct Gate {
    pub(super) known: i64,
    pub(super) mark: i64,
    pub(super) landing: Option<Landing>,
    pub(super) collection: CollectionName,
}

impl Dialect {
    /// The server's clock, in milliseconds since 1970, at the moment when the expression is computed.
    pub(super) const fn clock(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
            // The time of the session is UTC: no hour comes twice.
            #[cfg(feature = "mysql")]
            Self::Mysql => "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS signed)",
        }
    }

    /// An expression that is true as long as a write may land. While a cache is paused, none may.
    pub(super) fn lands(self, epoch: impl std::fmt::Display, until: impl std::fmt::Display) -> String {
        let clock = self.clock();
        format!(
            "coalesce((SELECT CASE WHEN phase = 3 THEN -1 ELSE epoch END FROM sync_cache WHERE one = 1), 0) = {epoch} \
             AND {clock} < {until}"
        )
    }

    /// The number, or NULL if the write may not land any more.
    pub(super) fn if_lands(self, landing: Option<Landing>, number: i64) -> String {
        match landing {
            None => number.to_string(),
            Some(Landing { epoch, until }) => {
                format!("CASE WHEN {} THEN {number} END", self.lands(epoch, until))
            }
        }
    }
}
