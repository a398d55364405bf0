//! Leave to write.

/// Leave to write, as long as the processes of a store keep to what they had agreed on, and for some time.
///
/// A process may stand still at any point, and what it has sent may arrive late. So the database itself compares, where the write
/// lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    epoch: i64,
    clock: i64,
    answered: i64,
    lasts: i64,
}

/// What must hold in the database when a write lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The epoch of the cache that is announced or in use there; 0 if there is none.
    pub epoch: i64,
    /// The database's clock shows less than this, in milliseconds since 1970.
    pub until: i64,
}

impl Pass {
    /// Leave to write while this epoch is the one of the agreement (0: no cache is). `clock` is what the database's clock showed, in
    /// milliseconds, by an answer that came at `answered` by the steady clock; the leave ends `lasts` milliseconds after that.
    pub const fn new(epoch: i64, clock: i64, answered: i64, lasts: i64) -> Self {
        Self {
            epoch,
            clock,
            answered,
            lasts,
        }
    }

    /// The epoch whose entries are to be barred first, if there is a cache.
    pub const fn bar(&self) -> Option<i64> {
        if self.epoch == 0 { None } else { Some(self.epoch) }
    }

    /// When the answer came that it goes by, by the steady clock.
    pub const fn answered(&self) -> i64 {
        self.answered
    }

    /// What must hold when a write lands whose time was fixed at `began` by the steady clock, and which is late after so many
    /// milliseconds.
    pub fn landing(&self, began: i64, late: i64) -> Landing {
        let passed = began.saturating_sub(self.answered).saturating_add(late);
        Landing {
            epoch: self.epoch,
            until: self.clock.saturating_add(passed.min(self.lasts)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_lands_before_it_is_late_and_before_the_leave_ends() {
        let pass = Pass::new(7, 1_000_000, 500, 50_000);
        let until = |began| pass.landing(began, 8000).until;
        assert_eq!(until(500), 1_008_000);
        assert_eq!(until(10_500), 1_018_000);
        assert_eq!(until(42_500), 1_050_000);
        assert_eq!(until(90_500), 1_050_000);
        assert_eq!(pass.landing(500, 8000).epoch, 7);
        assert_eq!((pass.bar(), Pass::new(0, 1, 2, 3).bar()), (Some(7), None));
    }
}
