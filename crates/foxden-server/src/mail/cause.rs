//! What a mail server or the system says when a mail is not taken.

use std::time::Duration;

use lettre::transport::smtp::Error;

/// The longest remark of a mail server that is kept, in characters.
const REMARK: usize = 300;

/// What a mail server or the system says.
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

/// What the mail server or the system said.
pub fn said(error: &Error) -> Cause {
    Cause::of(error)
}

/// What others say goes into a log: without control characters and not endless.
pub fn plain(text: &str) -> String {
    let characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    characters.take(REMARK).collect()
}
