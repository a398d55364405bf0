//! The condition under which a write may land, as the database compares it.

use super::connection::Dialect;
use crate::engine::agreement::Landing;

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
