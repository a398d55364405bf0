//! `[http]`: how much time and room a client is given.

use std::time::Duration;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of connections.
pub const SECTION: Section = Section {
    title: "[http]",
    about: "How much time and room clients are given. A client that is slower than this is cut off, so that slow or hostile \
            clients cannot hold up others.",
    settings: &[
        Setting {
            key: "http.max_connections",
            kind: Kind::Count,
            default: "4096",
            help: "Connections served at once, all listeners together; fewer where the system allows fewer open \
                   files. When all are taken, the owner of most of them makes room: first what has been idle longest, then \
                   what sends or takes its bytes most slowly. Some more are kept free for health pages.",
        },
        Setting {
            key: "http.max_connections_per_network",
            kind: Kind::Count,
            default: "256",
            help: "Connections at once from one IPv4 address or one /64 of IPv6; a /56 has twice as many, a /24 of IPv4 and \
                   a /48 of IPv6 have four times as many, and none has more than three quarters of all. A further one takes \
                   the place of the slowest from the same network. Behind a reverse proxy it counts the requests under way \
                   for a client, never the proxy's own connections.",
        },
        Setting {
            key: "http.max_slow_readers",
            kind: Kind::Count,
            default: "32",
            help: "Connections on which long answers of one user of storage wait for their client at once. Beyond that \
                   the slowest are cut off.",
        },
        Setting {
            key: "http.header_timeout",
            kind: Kind::Time,
            default: "10 s",
            help: "How long a client may take to send the head of a request.",
        },
        Setting {
            key: "http.idle_timeout",
            kind: Kind::Time,
            default: "2 min",
            help: "How long a connection may wait for its next request.",
        },
        Setting {
            key: "http.stall_timeout",
            kind: Kind::Time,
            default: "20 s",
            help: "How long a client may stay below the least rate while it sends a body or reads an answer.",
        },
        Setting {
            key: "http.min_rate",
            kind: Kind::Size,
            default: "1 KB",
            help: "Bytes a second below which a client counts as stalled.",
        },
        Setting {
            key: "http.request_timeout",
            kind: Kind::Time,
            default: "10 min",
            help: "How long one request may take from its first byte to the last byte of its answer, however \
                   steadily it moves.",
        },
        Setting {
            key: "http.max_body_memory",
            kind: Kind::Size,
            default: "128 MB",
            help: "Bytes of request bodies held in memory at once, all connections and surfaces together. An account may \
                   hold an eighth of what others leave, over all its stores. All requests together that have proven none may hold a \
                   sixteenth, two thirds of it in bodies of at most 1 KiB, as sign-ins are. Of both a network has a share: \
                   an eighth for an IPv4 address or the 64 first bits of an IPv6 address, a sixth for 56 bits, a quarter for \
                   24 or 48, and ten times as much if it is a private one. A body counts as it comes; one in JSON counts sixteenfold while it is \
                   read, as it unfolds in memory. A request that would pass this is answered 503 with `Retry-After` and its \
                   body is thrown away as it comes; one that is alone is always taken.",
        },
        Setting {
            key: "http.max_answer_memory",
            kind: Kind::Size,
            default: "64 MB",
            help: "Bytes of answers held in memory at once because their clients have not taken them yet, all connections \
                   and surfaces together; answers under 16 KiB do not count. An account may hold an eighth of what others leave, all \
                   requests together that have proven none a sixteenth, which their networks share as that of \
                   `http.max_body_memory`. A request whose answer would pass this is answered 503 with \
                   `Retry-After`; an answer that is alone is always given.",
        },
        Setting {
            key: "http.shutdown_timeout",
            kind: Kind::Time,
            default: "30 s",
            help: "How long a stop waits for requests that are under way.",
        },
    ],
};

/// How much time and room a client is given.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    /// Connections at once.
    pub max_connections: u32,
    /// Connections at once from one narrow network.
    pub max_connections_per_network: u32,
    /// Connections on which answers of one user wait.
    pub max_slow_readers: u32,
    /// For a request's head.
    pub header_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Below the least rate.
    pub stall_timeout: Duration,
    /// Bytes a second.
    pub min_rate: u64,
    /// For one request and its answer.
    pub request_timeout: Duration,
    /// Bytes of bodies at once.
    pub max_body_memory: u64,
    /// Bytes of answers at once.
    pub max_answer_memory: u64,
    /// For what is under way when the server stops.
    pub shutdown_timeout: Duration,
}

impl Http {
    /// Reads what was set.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            max_connections: values.count("http.max_connections")?,
            max_connections_per_network: values.count("http.max_connections_per_network")?,
            max_slow_readers: values.count("http.max_slow_readers")?,
            header_timeout: values.time("http.header_timeout")?,
            idle_timeout: values.time("http.idle_timeout")?,
            stall_timeout: values.time("http.stall_timeout")?,
            min_rate: values.size("http.min_rate")?,
            request_timeout: values.time("http.request_timeout")?,
            max_body_memory: values.size("http.max_body_memory")?,
            max_answer_memory: values.size("http.max_answer_memory")?,
            shutdown_timeout: values.time("http.shutdown_timeout")?,
        })
    }
}
