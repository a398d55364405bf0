//! Errors below the engine, and how they become [`EngineError`].

use rusqlite::ErrorCode;

use crate::engine::EngineError;

/// Why a write cannot be served, or why its outcome is unknown.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum EngineFault {
    #[error("the writer thread has ended or failed")]
    NoWriter,
    #[error("the writer thread failed after it had begun the write")]
    WriterLost,
    #[error("the disk has not answered since the write began")]
    Overdue,
    #[error("the read threads have ended or failed")]
    NoReader,
    #[error("the engine is closed")]
    Closed,
    #[error("the disk has not answered in time")]
    Unresponsive,
    #[error("the commit failed ({0:?}) and nothing of it is in the file")]
    NotCommitted(Option<ErrorCode>),
    #[error("the commit failed, and the file does not tell whether it happened")]
    NotFound,
    #[error("the last check has failed")]
    FailedCheck,
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // Only another process can hold the lock: in this one, a single thread writes.
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<EngineFault> for EngineError {
    fn from(error: EngineFault) -> Self {
        match error {
            EngineFault::WriterLost | EngineFault::Overdue | EngineFault::NotFound => {
                Self::OutcomeUnknown(error.into())
            }
            EngineFault::NoWriter
            | EngineFault::NoReader
            | EngineFault::Closed
            | EngineFault::Unresponsive
            | EngineFault::NotCommitted(_)
            | EngineFault::FailedCheck => Self::Unavailable(error.into()),
        }
    }
}

/// Returns whether the file or the connection failed, as opposed to a refused request.
pub(super) const fn is_fault(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Unavailable(_) | EngineError::OutcomeUnknown(_) | EngineError::Busy
    )
}
