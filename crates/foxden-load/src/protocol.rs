//! The protocols that are spoken, and the kinds of requests in them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of the storage protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
pub enum Protocol {
    /// Sync 1.5, signed with Hawk: today's Firefox.
    #[value(name = "1.5")]
    #[serde(rename = "1.5")]
    V1_5,
    /// Sync 1.1, with name and password: Pale Moon, Basilisk, old versions of Firefox.
    #[value(name = "1.1")]
    #[serde(rename = "1.1")]
    V1_1,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_5 => "1.5",
            Self::V1_1 => "1.1",
        })
    }
}

/// What a request asks for. Latencies are kept for each, and reports have them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestKind {
    /// When each collection last changed.
    Collections,
    /// Another page of information: counts, usage, quota, configuration.
    Info,
    /// One object.
    Object,
    /// What changed in a collection since a time, with nothing new.
    NothingNew,
    /// What changed in a collection since a time.
    Changes,
    /// A page of a whole collection.
    Page,
    /// The ids of a collection.
    Ids,
    /// One object, written.
    Put,
    /// Several objects, written.
    Post,
    /// A part of a batch.
    BatchPart,
    /// The last part of a batch.
    BatchCommit,
    /// Objects, deleted.
    Delete,
    /// A collection or everything, deleted.
    DeleteAll,
    /// An account, made or removed.
    Account,
}

impl RequestKind {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Collections => "info/collections",
            Self::Info => "other info",
            Self::Object => "one object",
            Self::NothingNew => "changes, none",
            Self::Changes => "changes",
            Self::Page => "page of a collection",
            Self::Ids => "list of ids",
            Self::Put => "PUT of an object",
            Self::Post => "POST of objects",
            Self::BatchPart => "part of a batch",
            Self::BatchCommit => "commit of a batch",
            Self::Delete => "delete objects",
            Self::DeleteAll => "delete a collection or all",
            Self::Account => "account made or removed",
        }
    }

    /// Whether nothing is written.
    pub const fn is_read(self) -> bool {
        matches!(
            self,
            Self::Collections
                | Self::Info
                | Self::Object
                | Self::NothingNew
                | Self::Changes
                | Self::Page
                | Self::Ids
        )
    }
}
