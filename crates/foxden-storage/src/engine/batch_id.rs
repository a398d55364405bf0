//! The ids of batches, and which batches are open.

use std::fmt::Write as _;

use foxden_model::{Rng, SyncTime};

use super::BATCH_TTL_SECONDS;
use crate::command::BatchId;

/// A new id.
pub(crate) fn random_id(rng: &dyn Rng) -> BatchId {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    BatchId(text.into())
}

/// The range of opening times of batches that are open now, in hundredths.
pub(in crate::engine) struct OpenedRange {
    /// A batch opened at this time or earlier has expired.
    pub(in crate::engine) expired: i64,
    /// A batch opened after this time was opened while the clock was ahead.
    pub(in crate::engine) ahead: i64,
}

impl OpenedRange {
    pub(in crate::engine) fn at(now: SyncTime) -> Self {
        Self {
            expired: now.plus_seconds(-BATCH_TTL_SECONDS).hundredths(),
            ahead: now.plus_seconds(BATCH_TTL_SECONDS).hundredths(),
        }
    }
}
