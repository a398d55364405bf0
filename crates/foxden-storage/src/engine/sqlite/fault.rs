//! What goes wrong below the engine, in the engine's words.

use rusqlite::ErrorCode;

use crate::engine::EngineError;

/// Something in a file that no release has written.
#[derive(Debug, thiserror::Error)]
#[error("{0} is damaged")]
pub(super) struct Damaged(pub(super) &'static str);

/// Why a write cannot be served, or why its outcome is unknown.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the writing thread has ended or failed")]
    NoWriter,
    #[error("the writing thread failed after it had begun the write")]
    WriterLost,
    #[error("the disk has not answered since the write began")]
    Overdue,
    #[error("the reading threads have ended or failed")]
    NoReader,
    #[error("the engine is closed")]
    Closed,
    #[error("the disk has not answered in time")]
    Silent,
    #[error("the commit failed ({0:?}) and nothing of it is in the file")]
    NotCommitted(Option<ErrorCode>),
    #[error("the commit failed, and the file does not tell whether it happened")]
    NotFound,
    #[error("the last check has failed")]
    Unsound,
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // Only a foreign process can hold the lock: within this one, one thread writes.
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<Damaged> for EngineError {
    fn from(error: Damaged) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<Trouble> for EngineError {
    fn from(error: Trouble) -> Self {
        match error {
            Trouble::WriterLost | Trouble::Overdue | Trouble::NotFound => Self::OutcomeUnknown(error.into()),
            Trouble::NoWriter
            | Trouble::NoReader
            | Trouble::Closed
            | Trouble::Silent
            | Trouble::NotCommitted(_)
            | Trouble::Unsound => Self::Unavailable(error.into()),
        }
    }
}

/// Whether the file or the connection failed, rather than the request being refused.
pub(super) const fn is_fault(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Unavailable(_) | EngineError::OutcomeUnknown(_) | EngineError::Busy
    )
}
