//! What is wrong with an answer, or with the lack of one.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// No connection could be made.
    Connect,
    /// The connection ended before the answer did.
    Broken,
    /// The answer took too long.
    Timeout,
    /// Another status than the one that the request deserves.
    Status,
    /// An answer that is not in the form of the protocol.
    Form,
    /// A time that did not rise, or that two parts of an answer disagree on.
    Time,
    /// An acknowledged write is missing.
    Lost,
    /// An object comes back in another form than it was stored.
    Changed,
    /// Something is there that was never stored, or that was deleted.
    Surplus,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Broken,
        Self::Timeout,
        Self::Status,
        Self::Form,
        Self::Time,
        Self::Lost,
        Self::Changed,
        Self::Surplus,
    ];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Broken => "connection broken",
            Self::Timeout => "too late",
            Self::Status => "wrong status",
            Self::Form => "not the protocol's form",
            Self::Time => "wrong time",
            Self::Lost => "write lost",
            Self::Changed => "object changed",
            Self::Surplus => "object too many",
        }
    }

    /// Whether it leaves open what the server did with the request.
    pub const fn is_silence(self) -> bool {
        matches!(self, Self::Connect | Self::Broken | Self::Timeout)
    }
}

/// One fault, with its request and answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind it is.
    pub kind: FaultKind,
    /// What was expected, and what came.
    pub what: String,
    /// Method, URL and the beginning of the body of the request.
    pub request: String,
    /// Status, headers and the beginning of the body of the answer.
    pub answer: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.kind.name(), self.what, self.request)
    }
}

impl Fault {
    /// Whether the server does not know who asks.
    pub fn is_unauthorized(&self) -> bool {
        self.kind == FaultKind::Status && self.answer.starts_with("401;")
    }
}

/// The most bytes of a body in a fault.
const EXCERPT: usize = 1000;

/// The beginning of a body, as printable text.
pub fn excerpt(body: &[u8]) -> String {
    let shown = &body[..body.len().min(EXCERPT)];
    let text = String::from_utf8_lossy(shown);
    let mut text = foxden_model::Escaped(&text).to_string();
    if body.len() > EXCERPT {
        // Writing to a text does not fail.
        let _ = write!(text, " … ({} bytes)", body.len());
    }
    text
}
