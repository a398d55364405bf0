//! What the writing thread owes the file. For the bytes that writes bring it removes more of what nobody can
//! see, so that writing and deleting in a circle makes the file no longer than a multiple of what was held.

use foxden_model::SyncTime;

use super::purge::{BITE, Bite, ROW_BYTES};
use crate::page::Budget;

/// How many times the bytes that a command brings are owed. A batch is brought once and written twice, by its
/// parts and by its commit; deleted, it is to be removed twice.
const TIMES: u64 = 3;
/// The debt that is worth a transaction of its own.
const PAYABLE: u64 = 4 << 20;
/// The debt at which commands wait until some of it is paid.
const PRESSING: u64 = 64 << 20;
/// How long after a purge was told a time what has expired since may go, in seconds: a clock that is wrong is to
/// cost no more than that.
const SINCE_PURGE: i64 = 60 * 60;

/// What is owed, and up to when expired objects may be removed for it.
pub(super) struct Debt {
    bytes: u64,
    /// What the last purge was told.
    until: Option<SyncTime>,
}

impl Debt {
    pub(super) const fn none() -> Self {
        Self {
            bytes: 0,
            until: None,
        }
    }

    /// Notes what commands bring.
    pub(super) const fn grow(&mut self, objects: u64, bytes: u64) {
        let brought = bytes.saturating_add(objects.saturating_mul(ROW_BYTES));
        self.bytes = self.bytes.saturating_add(brought.saturating_mul(TIMES));
    }

    pub(super) const fn is_payable(&self) -> bool {
        self.bytes >= PAYABLE
    }

    pub(super) const fn is_pressing(&self) -> bool {
        self.bytes >= PRESSING
    }

    /// Notes up to when a purge may remove what has expired.
    pub(super) fn note(&mut self, until: SyncTime, now: SyncTime) {
        self.until = Some(until.min(now));
    }

    /// What one instalment may remove.
    pub(super) fn budget(&self) -> Budget {
        let until = self.until.map(|until| until.plus_seconds(SINCE_PURGE));
        Budget {
            rows: BITE,
            until: until.unwrap_or(SyncTime::from_hundredths(i64::MIN)),
        }
    }

    /// Notes an instalment; where nothing is left to remove, or none could be, nothing is owed.
    pub(super) const fn pay(&mut self, bite: Option<Bite>) {
        self.bytes = match bite {
            Some(bite) if bite.has_more && bite.bytes > 0 => self.bytes.saturating_sub(bite.bytes),
            Some(_) | None => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_is_paid_or_ends_where_nothing_is_left() {
        let mut debt = Debt::none();
        debt.grow(100, 200_000);
        assert!(!debt.is_payable());
        debt.grow(1, 2_600_000);
        assert!(debt.is_payable() && !debt.is_pressing());
        let bite = Bite {
            rows: 1000,
            bytes: 2 << 20,
            has_more: true,
        };
        for is_left in [true, true, false] {
            debt.pay(Some(bite));
            assert_eq!(debt.is_payable(), is_left);
        }
        debt.grow(0, 1 << 30);
        debt.pay(Some(Bite {
            has_more: false,
            ..bite
        }));
        assert!(!debt.is_payable());
    }

    #[test]
    fn no_object_goes_much_before_a_purge_may_take_it() {
        let mut debt = Debt::none();
        let second = |second: i64| SyncTime::from_hundredths(second * 100);
        assert!(debt.budget().until < SyncTime::ZERO);
        debt.note(second(1000), second(5_000_000));
        assert_eq!(debt.budget().until, second(1000 + 3600));
        debt.note(SyncTime::from_hundredths(i64::MAX), second(1000));
        assert_eq!(debt.budget().until, second(1000 + 3600));
    }
}
