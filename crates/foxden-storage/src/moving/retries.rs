//! Servers that are away for a moment: the work on a user begins anew, a few times.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foxden_model::UserId;
use foxden_sql::SqlError;

use super::{MoveError, MoveProgress};
use crate::engine::EngineError;

/// The pauses before the work begins anew: a failover takes some seconds.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// The progress of the work on one user.
#[derive(Clone, Copy)]
pub(super) struct UserProgress<'a> {
    all: &'a MoveProgress,
    objects: &'a AtomicU64,
    bytes: &'a AtomicU64,
    /// Whether the work begins for the first time.
    pub(super) is_first: bool,
}

impl UserProgress<'_> {
    pub(super) fn add_objects(self, objects: u64, bytes: u64) {
        self.objects.fetch_add(objects, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.all.add_objects(objects, bytes);
    }

    pub(super) fn add_user(self, batches: usize) {
        self.all.add_user(batches);
    }
}

/// Does the work on a user, again if a server was away or busy.
pub(super) async fn with_retries(
    user: UserId,
    all: &MoveProgress,
    work: impl AsyncFn(UserProgress<'_>) -> Result<(), MoveError>,
) -> Result<(), MoveError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let (objects, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let part = UserProgress {
            all,
            objects: &objects,
            bytes: &bytes,
            is_first: pauses.len() == PAUSES.len(),
        };
        match work(part).await {
            Err(MoveError::Store { place, source }) => {
                all.take_objects(objects.into_inner(), bytes.into_inner());
                match pauses.next() {
                    Some(pause) if is_passing(&source) => tokio::time::sleep(pause).await,
                    _ => {
                        let place = format!("{place}, at user {},", user.0);
                        return Err(MoveError::Store { place, source });
                    }
                }
            }
            done => return done,
        }
    }
}

/// Whether the store may do the same in a moment.
fn is_passing(error: &EngineError) -> bool {
    let cause: &(dyn Error + 'static) = match error {
        EngineError::Busy => return true,
        EngineError::Unavailable(cause) | EngineError::OutcomeUnknown(cause) => &**cause,
        _ => return false,
    };
    let cause = cause.downcast_ref::<SqlError>();
    cause.is_some_and(|cause| {
        !matches!(
            cause,
            SqlError::Moved | SqlError::TablesGone(_) | SqlError::Mismatch
        )
    })
}
