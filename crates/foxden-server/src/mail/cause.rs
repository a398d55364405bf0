//! Causes of a failed delivery: replies of the mail server and errors of the system.

use std::time::Duration;

use lettre::transport::smtp::Error;

/// The longest remark of a mail server that is kept, in characters.
const REMARK: usize = 300;

/// A reply of the mail server, or an error of the system.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// In words.
    #[error("{0}")]
    Reply(String),
    /// Nothing in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl Cause {
    /// An error of the mail server or the system, in its words.
    pub fn of(error: &dyn std::fmt::Display) -> Self {
        Self::Reply(plain(&error.to_string()))
    }
}

/// The text of the reply or error.
pub fn said(error: &Error) -> Cause {
    Cause::of(error)
}

/// The text goes into a log: without control characters, and truncated.
pub fn plain(text: &str) -> String {
    let characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    characters.take(REMARK).collect()
}
