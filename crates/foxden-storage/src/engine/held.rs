//! What a store holds, as its quota counts it, and which open batches end to make room.

use super::{EngineError, Excess, OPEN_BATCHES};
use crate::command::Patch;

/// The bytes an object counts for at least, whatever its payload: with ids of 64 bytes its row and index entries take
/// as much.
const OBJECT_BYTES: u64 = 400;
/// The bytes by which small objects may fall short of that, so that a small quota counts payloads alone.
const FREE_BYTES: u64 = 1 << 20;

/// Objects and their bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

/// What a write or a part of a batch finds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The visible objects that have not expired.
    pub(super) live: Held,
    /// What the batch holds that is appended to; nothing for a write.
    pub(super) own: Held,
    /// The bytes the store may hold.
    pub(super) quota: Option<u64>,
}

/// The most that one batch may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

/// What a part does to its batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// The bytes the batch will hold.
    pub(super) bytes: u64,
    /// The bytes all open batches of the user may hold.
    pub(super) max_open_bytes: u64,
    /// Whether the part opens the batch.
    pub(super) opens: bool,
}

impl Held {
    /// What these patches bring, each counted as an object.
    pub(super) fn of(patches: &[Patch]) -> Self {
        Self {
            objects: patches.len() as u64,
            bytes: patches.iter().map(Patch::bytes).sum(),
        }
    }

    /// The bytes that are compared with the quota.
    pub(crate) fn counted(self) -> u64 {
        let rows = self.objects.saturating_mul(OBJECT_BYTES);
        self.bytes.max(rows.saturating_sub(FREE_BYTES))
    }

    /// Whether a store that holds this is full.
    pub(crate) fn fills(self, quota: Option<u64>) -> bool {
        quota.is_some_and(|quota| self.counted() >= quota)
    }
}

impl std::ops::Add for Held {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            objects: self.objects.saturating_add(other.objects),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl std::iter::Sum for Held {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), std::ops::Add::add)
    }
}

impl BatchLimits {
    /// Returns what a batch that holds `before` holds with these patches, or refuses them.
    pub(super) fn grown(self, before: Held, patches: &[Patch]) -> Result<Held, EngineError> {
        let after = before + Held::of(patches);
        if after.objects > self.objects {
            return Err(EngineError::TooLarge(Excess::Objects));
        }
        if after.bytes > self.bytes {
            return Err(EngineError::TooLarge(Excess::Bytes));
        }
        Ok(after)
    }
}

impl Room {
    /// How many of the other open batches, the first of `others` first, end so that a write fits.
    pub(super) fn surplus(self, others: &[Held]) -> Result<usize, EngineError> {
        let base = self.live + self.own;
        if let Some(quota) = self.quota
            && base.fills(self.quota)
        {
            let used = base.counted();
            return Err(EngineError::OverQuota { used, quota });
        }
        Ok(first_to_end(others, |left| (base + left).fills(self.quota)))
    }

    /// The same so that a part fits.
    pub(super) fn surplus_for(self, growth: Growth, others: &[Held]) -> Result<usize, EngineError> {
        let for_quota = self.surplus(others)?;
        let for_bytes = first_to_end(others, |left| {
            growth.bytes.saturating_add(left.bytes) > growth.max_open_bytes
        });
        let most = usize::try_from(OPEN_BATCHES).unwrap_or(usize::MAX) - usize::from(growth.opens);
        Ok(for_quota.max(for_bytes).max(others.len().saturating_sub(most)))
    }
}

/// How many have to go until what the rest holds is not too much.
fn first_to_end(others: &[Held], is_too_much: impl Fn(Held) -> bool) -> usize {
    let rest = |from: usize| others[from..].iter().copied().sum();
    (0..others.len())
        .find(|&from| !is_too_much(rest(from)))
        .unwrap_or(others.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn held(objects: u64, bytes: u64) -> Held {
        Held { objects, bytes }
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
        let room = Room {
            live: held(1, 10),
            own: held(1, 20),
            quota: Some(61),
        };
        let others = [held(1, 5), held(1, 20), held(1, 10)];
        assert_eq!(room.surplus(&others).unwrap(), 1);
        assert_eq!(room.surplus(&others[2..]).unwrap(), 0);
        let growth = |bytes, max_open_bytes| Growth {
            bytes,
            max_open_bytes,
            opens: false,
        };
        assert_eq!(room.surplus_for(growth(25, 60), &others).unwrap(), 1);
        assert_eq!(room.surplus_for(growth(25, 36), &others).unwrap(), 2);
        assert_eq!(room.surplus_for(growth(25, 25), &others).unwrap(), 3);
        let full = Room {
            own: held(1, 51),
            ..room
        };
        let refused = full.surplus(&others);
        assert!(matches!(
            refused,
            Err(EngineError::OverQuota { used: 61, quota: 61 })
        ));
    }
}
