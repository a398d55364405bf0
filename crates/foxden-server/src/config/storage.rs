//! `[storage]`: where objects are kept and how much of them.

use std::time::Duration;

use foxden_storage::{BadStoreUrl, Limits, StoreUrl};

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of storage.
pub const SECTION: Section = Section {
    title: "[storage]",
    about: "Where users' objects are kept, and how much one user and one request may hold.",
    settings: &[
        Setting {
            key: "storage.url",
            kind: Kind::Text,
            default: "sqlite:",
            help: "The engine and where it keeps objects: `sqlite:` in the data folder, `sqlite:/some/folder` \
                   elsewhere, `memory:` until the process ends (for trials). `sqlite:?shards=8` makes a store of eight \
                   SQLite files, of which each is written by a thread of its own, instead of four; a store keeps the \
                   number that it was made with. One process at a time opens a folder.",
        },
        Setting {
            key: "storage.quota",
            kind: Kind::Size,
            default: "none",
            help: "Bytes of payload one user may keep, for today's Firefox and old clients together, or `none`. Unfinished \
                   uploads count, and an object counts as 400 bytes at least, beyond the first MiB.",
        },
        Setting {
            key: "storage.batches",
            kind: Kind::Switch,
            default: "true",
            help: "Whether uploads in several requests are offered.",
        },
        Setting {
            key: "storage.compression",
            kind: Kind::Switch,
            default: "false",
            help: "Whether long answers are compressed for clients that can read that. What is stored is encrypted and \
                   shrinks little.",
        },
        Setting {
            key: "storage.max_clock_skew",
            kind: Kind::Time,
            default: "none",
            help: "How far a client's clock may be off, or `none` for any distance: browsers correct theirs only \
                   roughly.",
        },
        Setting {
            key: "storage.verify_token_node",
            kind: Kind::Switch,
            default: "false",
            help: "Whether a token must have been made for exactly this `public_url`.",
        },
        Setting {
            key: "storage.legacy",
            kind: Kind::Switch,
            default: "",
            help: "Whether Sync 1.0 and 1.1 are served, as Pale Moon and old versions of Firefox speak them. They send the \
                   password with every request, so the node must reach the accounts: a process that keeps only objects \
                   needs `accounts.url`. Without it: `true` where this process has the accounts. A process that has the \
                   accounts and keeps no objects shows the pages for such clients unless this is `false`.",
        },
        Setting {
            key: "storage.backoff",
            kind: Kind::Time,
            default: "none",
            help: "How long browsers are asked, with every answer, not to sync again; `none` for no such wish. It \
                   takes load off a server that is too busy.",
        },
        Setting {
            key: "storage.maintenance",
            kind: Kind::Switch,
            default: "false",
            help: "Whether the node is in maintenance: every request is answered by 503, for as long as `storage.backoff` \
                   says or half an hour. Browsers wait meanwhile and lose nothing.",
        },
        Setting {
            key: "storage.alert",
            kind: Kind::Text,
            default: "",
            help: "A text that goes with every answer as `X-Weave-Alert`; browsers write it into their log.",
        },
        Setting {
            key: "storage.max_request_bytes",
            kind: Kind::Size,
            default: "2625536",
            help: "Bytes of one request's body.",
        },
        Setting {
            key: "storage.max_record_payload_bytes",
            kind: Kind::Size,
            default: "2621440",
            help: "Bytes of one object's payload.",
        },
        Setting {
            key: "storage.max_post_records",
            kind: Kind::Count,
            default: "100",
            help: "Objects in one request.",
        },
        Setting {
            key: "storage.max_post_bytes",
            kind: Kind::Size,
            default: "2621440",
            help: "Bytes of payload in one request.",
        },
        Setting {
            key: "storage.max_total_records",
            kind: Kind::Count,
            default: "10000",
            help: "Objects in one upload of several requests.",
        },
        Setting {
            key: "storage.max_total_bytes",
            kind: Kind::Size,
            default: "262144000",
            help: "Bytes of payload in one upload of several requests.",
        },
        Setting {
            key: "storage.max_open_bytes",
            kind: Kind::Size,
            default: "524288000",
            help: "Bytes of payload in all uploads of several requests that one user has begun and not finished; at least \
                   one as large as `max_total_bytes` always fits. An upload beyond it ends those that were begun first.",
        },
    ],
};

/// Where objects are kept and how much of them.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The engine and its store.
    pub url: StoreUrl,
    /// Bytes one user may keep.
    pub quota: Option<u64>,
    /// What one request may hold.
    pub limits: Limits,
    /// Whether long answers are compressed.
    pub compresses: bool,
    /// How far a client's clock may be off.
    pub max_clock_skew: Option<Duration>,
    /// Whether a token must name this very node.
    pub is_strict_about_nodes: bool,
    /// Whether Sync 1.0 and 1.1 are served; `None`: where this process has the accounts.
    pub legacy: Option<bool>,
    /// How long clients are asked to stay away.
    pub backoff: Option<Duration>,
    /// Whether the node is in maintenance: every request is refused for a while.
    pub is_in_maintenance: bool,
    /// A text for every client's log.
    pub alert: Option<String>,
}

impl Storage {
    /// Reads what was set.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let url = values.text("storage.url")?.unwrap_or_default();
        let url = url
            .parse()
            .map_err(|fault: BadStoreUrl| values.wrong("storage.url", fault.to_string()))?;
        let max_total_bytes = values.size("storage.max_total_bytes")?;
        let limits = Limits {
            max_request_bytes: values.size("storage.max_request_bytes")?,
            max_record_payload_bytes: values.size("storage.max_record_payload_bytes")?,
            max_post_records: values.count("storage.max_post_records")?.into(),
            max_post_bytes: values.size("storage.max_post_bytes")?,
            max_total_records: values.count("storage.max_total_records")?.into(),
            max_total_bytes,
            max_open_bytes: values.size("storage.max_open_bytes")?.max(max_total_bytes),
            batches: values.switch("storage.batches")?,
        };
        limits
            .check()
            .map_err(|fault| values.wrong(&format!("storage.{}", fault.limit()), fault.to_string()))?;
        Ok(Self {
            url,
            quota: values.size_or_none("storage.quota")?,
            limits,
            compresses: values.switch("storage.compression")?,
            max_clock_skew: values.time_or_none("storage.max_clock_skew")?,
            is_strict_about_nodes: values.switch("storage.verify_token_node")?,
            legacy: values.switch_if_set("storage.legacy")?,
            backoff: values.time_or_none("storage.backoff")?,
            is_in_maintenance: values.switch("storage.maintenance")?,
            alert: read_alert(values)?,
        })
    }
}

/// A text that may stand in a header.
fn read_alert(values: &Values) -> Result<Option<String>, ConfigError> {
    let alert = values.text("storage.alert")?.filter(|alert| !alert.is_empty());
    match alert {
        Some(alert) if !alert.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Err(values.wrong("storage.alert", "it must be one line of ASCII"))
        }
        alert => Ok(alert),
    }
}
