//! The purge work that writes cause. For the bytes that writes add, the writer thread removes more bytes of deleted data, so
//! that repeated writing and deleting does not grow the file beyond a multiple of the live data.

use foxden_model::SyncTime;

use crate::page::Budget;

/// The most rows of one chunk.
pub(in crate::engine) const CHUNK_ROWS: u64 = 1000;
/// The bytes of an object besides its payload: the rest of its row, and index entries.
pub(in crate::engine) const ROW_BYTES: u64 = 256;
/// How many times the bytes of a command are to be purged. The data of a batch is written twice, by its parts and by its
/// commit, and so removed twice.
const TIMES: u64 = 3;
/// The debt from which a chunk is purged.
const PAYABLE: u64 = 4 << 20;
/// The debt from which commands wait for the purge.
const PRESSING: u64 = 64 << 20;
/// How far beyond the time of the last purge expired objects may be removed, in seconds. It bounds the damage of a clock that
/// is wrong.
const SINCE_PURGE: i64 = 60 * 60;

/// The result of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct PurgeChunk {
    /// The removed rows.
    pub(in crate::engine) rows: u64,
    /// Roughly their bytes in the file.
    pub(in crate::engine) bytes: u64,
    /// Whether more rows are left.
    pub(in crate::engine) has_more: bool,
}

/// The bytes to purge, and the time up to which expired objects may be removed for them.
pub(in crate::engine) struct PurgeDebt {
    bytes: u64,
    /// The time that the last purge was given.
    until: Option<SyncTime>,
}

impl PurgeDebt {
    pub(in crate::engine) const fn none() -> Self {
        Self {
            bytes: 0,
            until: None,
        }
    }

    /// Adds the objects and bytes of a command.
    pub(in crate::engine) const fn grow(&mut self, objects: u64, bytes: u64) {
        let brought = bytes.saturating_add(objects.saturating_mul(ROW_BYTES));
        self.bytes = self.bytes.saturating_add(brought.saturating_mul(TIMES));
    }

    pub(in crate::engine) const fn is_payable(&self) -> bool {
        self.bytes >= PAYABLE
    }

    pub(in crate::engine) const fn is_pressing(&self) -> bool {
        self.bytes >= PRESSING
    }

    /// Notes the time that a purge was given.
    pub(in crate::engine) fn note(&mut self, until: SyncTime, now: SyncTime) {
        self.until = Some(until.min(now));
    }

    /// The budget of one chunk.
    pub(in crate::engine) fn budget(&self) -> Budget {
        let until = self.until.map(|until| until.plus_seconds(SINCE_PURGE));
        Budget {
            rows: CHUNK_ROWS,
            until: until.unwrap_or(SyncTime::from_hundredths(i64::MIN)),
        }
    }

    /// Subtracts a purged chunk. The debt ends if no rows are left or the chunk failed.
    pub(in crate::engine) const fn pay(&mut self, chunk: Option<PurgeChunk>) {
        self.bytes = match chunk {
            Some(chunk) if chunk.has_more && chunk.bytes > 0 => self.bytes.saturating_sub(chunk.bytes),
            Some(_) | None => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_is_paid_or_ends_where_nothing_is_left() {
        let mut debt = PurgeDebt::none();
        debt.grow(100, 200_000);
        assert!(!debt.is_payable());
        debt.grow(1, 2_600_000);
        assert!(debt.is_payable() && !debt.is_pressing());
        let chunk = PurgeChunk {
            rows: 1000,
            bytes: 2 << 20,
            has_more: true,
        };
        for is_left in [true, true, false] {
            debt.pay(Some(chunk));
            assert_eq!(debt.is_payable(), is_left);
        }
        debt.grow(0, 1 << 30);
        debt.pay(Some(PurgeChunk {
            has_more: false,
            ..chunk
        }));
        assert!(!debt.is_payable());
    }

    #[test]
    fn no_object_goes_much_before_a_purge_may_take_it() {
        let mut debt = PurgeDebt::none();
        let second = |second: i64| SyncTime::from_hundredths(second * 100);
        assert!(debt.budget().until < SyncTime::ZERO);
        debt.note(second(1000), second(5_000_000));
        assert_eq!(debt.budget().until, second(1000 + 3600));
        debt.note(SyncTime::from_hundredths(i64::MAX), second(1000));
        assert_eq!(debt.budget().until, second(1000 + 3600));
    }
}
