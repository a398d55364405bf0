//! The usage of a store, as its quota counts it, and the open batches that must end to make room.

use super::{BatchLimit, EngineError, MAX_OPEN_BATCHES};
use crate::command::Patch;

/// The least bytes that an object counts for: its row and index entries take as many with ids of 64 bytes.
const OBJECT_BYTES: u64 = 400;
/// Small objects count for their payload alone up to this many bytes, so that a small quota is one of payloads.
const FREE_BYTES: u64 = 1 << 20;

/// Objects and their bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

/// The usage and the quota that a write or a part is checked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuotaState {
    /// The visible objects that have not expired.
    pub(super) live: Usage,
    /// The batch to which a part is appended; nothing for a write.
    pub(super) own: Usage,
    /// The bytes that the store may hold.
    pub(super) quota: Option<u64>,
}

/// The limits of one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

/// How a part grows its batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchGrowth {
    /// The bytes of the batch with the part.
    pub(super) bytes: u64,
    /// The bytes that all open batches of the user may hold.
    pub(super) max_open_bytes: u64,
    /// Whether the part opens the batch.
    pub(super) opens: bool,
}

impl Usage {
    /// The usage of patches, each counted as an object.
    pub(super) fn of(patches: &[Patch]) -> Self {
        Self {
            objects: patches.len() as u64,
            bytes: patches.iter().map(Patch::bytes).sum(),
        }
    }

    /// The bytes that are compared with the quota.
    pub(crate) fn counted_bytes(self) -> u64 {
        let rows = self.objects.saturating_mul(OBJECT_BYTES);
        self.bytes.max(rows.saturating_sub(FREE_BYTES))
    }

    /// Returns whether a store with this usage is full.
    pub(crate) fn fills(self, quota: Option<u64>) -> bool {
        quota.is_some_and(|quota| self.counted_bytes() >= quota)
    }
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            objects: self.objects.saturating_add(other.objects),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), std::ops::Add::add)
    }
}

impl BatchLimits {
    /// Returns the usage of a batch after these patches, or refuses them.
    pub(super) fn grown(self, before: Usage, patches: &[Patch]) -> Result<Usage, EngineError> {
        let after = before + Usage::of(patches);
        if after.objects > self.objects {
            return Err(EngineError::TooLarge(BatchLimit::Objects));
        }
        if after.bytes > self.bytes {
            return Err(EngineError::TooLarge(BatchLimit::Bytes));
        }
        Ok(after)
    }
}

impl QuotaState {
    /// Returns how many of the other open batches must end, from the first of `others` on, so that a write fits.
    pub(super) fn batches_to_end(self, others: &[Usage]) -> Result<usize, EngineError> {
        let base = self.live + self.own;
        if let Some(quota) = self.quota
            && base.fills(self.quota)
        {
            let used = base.counted_bytes();
            return Err(EngineError::OverQuota { used, quota });
        }
        Ok(first_to_end(others, |left| (base + left).fills(self.quota)))
    }

    /// The same for a part.
    pub(super) fn batches_to_end_for(
        self,
        growth: BatchGrowth,
        others: &[Usage],
    ) -> Result<usize, EngineError> {
        let for_quota = self.batches_to_end(others)?;
        let for_bytes = first_to_end(others, |left| {
            growth.bytes.saturating_add(left.bytes) > growth.max_open_bytes
        });
        let most = usize::try_from(MAX_OPEN_BATCHES).unwrap_or(usize::MAX) - usize::from(growth.opens);
        Ok(for_quota.max(for_bytes).max(others.len().saturating_sub(most)))
    }
}

/// How many must end until the usage of the rest is not too much.
fn first_to_end(others: &[Usage], is_too_much: impl Fn(Usage) -> bool) -> usize {
    let rest = |from: usize| others[from..].iter().copied().sum();
    (0..others.len())
        .find(|&from| !is_too_much(rest(from)))
        .unwrap_or(others.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn held(objects: u64, bytes: u64) -> Usage {
        Usage { objects, bytes }
    }

    #[test]
    fn many_objects_without_payload_fill_a_store() {
        let quota = Some(5 << 20);
        assert!(!held(15_700, 0).fills(quota));
        assert!(held(15_800, 0).fills(quota));
        assert!(held(1, 5 << 20).fills(quota));
        assert!(!held(2_600, 0).fills(Some(1)));
        assert!(!held(u64::MAX, u64::MAX).fills(None));
    }

    #[test]
    fn the_batches_opened_first_make_room_and_no_more_of_them_than_needed() {
        let quota = QuotaState {
            live: held(1, 10),
            own: held(1, 20),
            quota: Some(61),
        };
        let others = [held(1, 5), held(1, 20), held(1, 10)];
        assert_eq!(quota.batches_to_end(&others).unwrap(), 1);
        assert_eq!(quota.batches_to_end(&others[2..]).unwrap(), 0);
        let growth = |bytes, max_open_bytes| BatchGrowth {
            bytes,
            max_open_bytes,
            opens: false,
        };
        assert_eq!(quota.batches_to_end_for(growth(25, 60), &others).unwrap(), 1);
        assert_eq!(quota.batches_to_end_for(growth(25, 36), &others).unwrap(), 2);
        assert_eq!(quota.batches_to_end_for(growth(25, 25), &others).unwrap(), 3);
        let full = QuotaState {
            own: held(1, 51),
            ..quota
        };
        let refused = full.batches_to_end(&others);
        assert!(matches!(
            refused,
            Err(EngineError::OverQuota { used: 61, quota: 61 })
        ));
    }
}
