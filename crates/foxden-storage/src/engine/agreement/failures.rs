//! Questions to the database that have failed: each call that waited for its turn would wait as long again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::EngineError;

/// Looks and changes that have failed.
#[derive(Default)]
pub(super) struct Failures(Mutex<State>);

#[derive(Clone, Copy, Default)]
struct State {
    count: u64,
    /// Whether the last one found too many others.
    was_busy: bool,
}

impl Failures {
    /// How many there were. To be called before a call waits for its turn.
    pub(super) fn count(&self) -> u64 {
        self.state().count
    }

    pub(super) fn note(&self, error: &EngineError) {
        let mut state = self.state();
        state.count += 1;
        state.was_busy = matches!(error, EngineError::Busy);
    }

    /// Fails if there is another one since there were so many.
    pub(super) fn since(&self, before: u64) -> Result<(), EngineError> {
        let state = *self.state();
        match (state.count == before, state.was_busy) {
            (true, _) => Ok(()),
            (false, true) => Err(EngineError::Busy),
            (false, false) => Err(EngineError::Unavailable(
                "the database has just not answered".into(),
            )),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
