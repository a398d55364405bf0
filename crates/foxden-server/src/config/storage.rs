//! `[storage]`: where objects are kept and how much of them.

use std::time::Duration;

use foxden_storage::{BadCacheUrl, BadStoreUrl, CacheUrl, Limits, StoreUrl};

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of storage.
pub const SECTION: Section = Section {
    title: "[storage]",
    about: "Where users' objects are stored, and the limits of a user and of a request.",
    settings: &[
        Setting {
            key: "storage.url",
            kind: Kind::Url,
            default: "sqlite:",
            help: "The storage engine and its place: `sqlite:` in the data folder, `sqlite:/some/folder` elsewhere, \
                   `memory:` until the process ends (for tests). `sqlite:?shards=8` creates eight SQLite files instead of \
                   four, each with a writer thread of its own; the number cannot be changed later. Only one \
                   process at a time opens a folder. `postgres://user@host/database` and \
                   `mysql://user@host/database` name a database of a server, which any number of processes open; \
                   docs/postgres.md and docs/mariadb.md list the options.",
        },
        Setting {
            key: "storage.cache",
            kind: Kind::Url,
            default: "none",
            help: "The cache in front of a database server, see docs/caches.md: `none`; `local` in the memory of this process, \
                   which must be the only one that serves the store; `redis://:password@host:port/number` or \
                   `memcache://host:port`, which all processes of the store share (`redis://host?password_file=FILE` reads the \
                   password from a file). SQLite has a cache of its own.",
        },
        Setting {
            key: "storage.quota",
            kind: Kind::Size,
            default: "none",
            help: "Bytes of payload per user, for current Firefox and old clients together, or `none`. Unfinished uploads \
                   count. Beyond the first MiB an object counts as at least 400 bytes.",
        },
        Setting {
            key: "storage.batches",
            kind: Kind::Switch,
            default: "true",
            help: "Whether clients may upload a batch in several requests.",
        },
        Setting {
            key: "storage.compression",
            kind: Kind::Switch,
            default: "false",
            help: "Whether long responses are compressed for clients that accept it. The data are encrypted and shrink \
                   little.",
        },
        Setting {
            key: "storage.max_clock_skew",
            kind: Kind::Time,
            default: "none",
            help: "How far a client's clock may differ, or `none` for any difference: browsers correct their clocks only \
                   roughly.",
        },
        Setting {
            key: "storage.verify_token_node",
            kind: Kind::Switch,
            default: "false",
            help: "Whether a token must have been issued for exactly this `public_url`.",
        },
        Setting {
            key: "storage.legacy",
            kind: Kind::Switch,
            default: "",
            help: "Whether to serve Sync 1.0 and 1.1, for Pale Moon and old versions of Firefox. These clients send the \
                   password with every request, so the node needs the accounts: a storage process without accounts needs \
                   `accounts.url`. The default is `true` in a process that has the accounts. A registration process shows \
                   the pages for such clients unless this is `false`.",
        },
        Setting {
            key: "storage.backoff",
            kind: Kind::Time,
            default: "none",
            help: "The time in the backoff header (`X-Weave-Backoff`) of every response, for which browsers do not sync \
                   again, or `none`. It reduces the load of a busy server.",
        },
        Setting {
            key: "storage.maintenance",
            kind: Kind::Switch,
            default: "false",
            help: "Whether the node is in maintenance: every request gets a 503 whose `Retry-After` is `storage.backoff`, or \
                   else half an hour. Browsers wait and lose nothing.",
        },
        Setting {
            key: "storage.alert",
            kind: Kind::Text,
            default: "",
            help: "A text in the `X-Weave-Alert` header of every response; browsers write it to their log.",
        },
        Setting {
            key: "storage.max_request_bytes",
            kind: Kind::Size,
            default: "2625536",
            help: "Bytes of the body of one request.",
        },
        Setting {
            key: "storage.max_record_payload_bytes",
            kind: Kind::Size,
            default: "2621440",
            help: "Bytes of the payload of one object.",
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
            help: "Objects in one batch.",
        },
        Setting {
            key: "storage.max_total_bytes",
            kind: Kind::Size,
            default: "262144000",
            help: "Bytes of payload in one batch.",
        },
        Setting {
            key: "storage.max_open_bytes",
            kind: Kind::Size,
            default: "524288000",
            help: "Bytes of payload in all uncommitted batches of one user; one batch of `max_total_bytes` always fits. A \
                   batch beyond the limit removes the oldest ones.",
        },
    ],
};

/// Where objects are kept and how much of them.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The engine and its store.
    pub url: StoreUrl,
    /// The cache in front of the engine.
    pub cache: CacheUrl,
    /// Bytes one user may keep.
    pub quota: Option<u64>,
    /// The limits of a request.
    pub limits: Limits,
    /// Whether long answers are compressed.
    pub compresses: bool,
    /// How far a client's clock may be off.
    pub max_clock_skew: Option<Duration>,
    /// Whether a token must name this very node.
    pub verifies_token_node: bool,
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
    /// Reads the settings.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let url = values.text("storage.url")?.unwrap_or_default();
        let url: StoreUrl = url
            .parse()
            .map_err(|fault: BadStoreUrl| values.wrong("storage.url", fault.to_string()))?;
        let cache = read_cache(values, &url)?;
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
            cache,
            quota: values.size_or_none("storage.quota")?,
            limits,
            compresses: values.switch("storage.compression")?,
            max_clock_skew: values.time_or_none("storage.max_clock_skew")?,
            verifies_token_node: values.switch("storage.verify_token_node")?,
            legacy: values.switch_if_set("storage.legacy")?,
            backoff: values.time_or_none("storage.backoff")?,
            is_in_maintenance: values.switch("storage.maintenance")?,
            alert: read_alert(values)?,
        })
    }
}

/// The cache, if the engine can have one in front of it.
fn read_cache(values: &Values, url: &StoreUrl) -> Result<CacheUrl, ConfigError> {
    let cache = values.text("storage.cache")?.unwrap_or_default();
    let cache = cache.parse::<CacheUrl>().and_then(|cache| {
        cache.check(url)?;
        Ok(cache)
    });
    cache.map_err(|fault: BadCacheUrl| values.wrong("storage.cache", fault.to_string()))
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
