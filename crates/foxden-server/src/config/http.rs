//! `[http]`: how much time and room a client is given.

use std::time::Duration;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of connections.
pub const SECTION: Section = Section {
    title: "[http]",
    about: "Timeouts and limits of connections. A slower client is disconnected, so that slow or hostile clients do not \
            delay others.",
    settings: &[
        Setting {
            key: "http.max_connections",
            kind: Kind::Count,
            default: "4096",
            help: "Connections at once, on all listeners together; fewer if the system allows fewer open files. When all are \
                   in use, the network or user with the most loses one: first the longest idle, then the slowest. Some more \
                   are reserved for health checks.",
        },
        Setting {
            key: "http.max_connections_per_network",
            kind: Kind::Count,
            default: "256",
            help: "Connections at once from one IPv4 address or one IPv6 /64; an IPv6 /56 may have twice as many, an IPv4 \
                   /24 and an IPv6 /48 four times as many, and no network more than three quarters of all. A further \
                   connection replaces the slowest of the same network. Behind a reverse proxy the limit counts a client's \
                   current requests, never the connections of the proxy.",
        },
        Setting {
            key: "http.max_slow_readers",
            kind: Kind::Count,
            default: "32",
            help: "Connections at once on which long responses of one storage user wait for their client. Beyond that the \
                   slowest are closed.",
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
            help: "How long a client may stay below `http.min_rate` while it sends a body or reads a response.",
        },
        Setting {
            key: "http.min_rate",
            kind: Kind::Size,
            default: "1 KB",
            help: "Bytes per second below which a client counts as stalled.",
        },
        Setting {
            key: "http.request_timeout",
            kind: Kind::Time,
            default: "10 min",
            help: "How long one request may take, from its first byte to the last byte of its response.",
        },
        Setting {
            key: "http.max_body_memory",
            kind: Kind::Size,
            default: "128 MB",
            help: "Bytes of request bodies in memory at once, over all connections and surfaces. An account may hold an \
                   eighth of what is free, over all its stores. All unauthenticated requests together may hold a sixteenth, \
                   two thirds of it in bodies of at most 1 KiB, such as log-ins. A network has a share of both: an eighth \
                   for an IPv4 address or an IPv6 /64, a sixth for a /56, a quarter for an IPv4 /24 or an IPv6 /48, and ten \
                   times as much for a private network. A body counts as its bytes arrive; while JSON is parsed, it counts \
                   sixteen times its length. A request beyond the limit gets a 503 with `Retry-After`, and its body is \
                   discarded; a single request is always accepted.",
        },
        Setting {
            key: "http.max_answer_memory",
            kind: Kind::Size,
            default: "64 MB",
            help: "Bytes of responses in memory at once that their clients have not read yet, over all connections and \
                   surfaces; responses under 16 KiB do not count. An account may hold an eighth of what is free, all \
                   unauthenticated requests together a sixteenth, with the same shares of networks as \
                   `http.max_body_memory`. A list of objects waits for up to ten seconds for room that others use; any \
                   other request whose response is beyond the limit gets a 503 with `Retry-After` at once, and so does a \
                   list then. A single response is always sent.",
        },
        Setting {
            key: "http.shutdown_timeout",
            kind: Kind::Time,
            default: "30 s",
            help: "How long a shutdown waits for requests in progress.",
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
    /// The time for requests in progress when the server stops.
    pub shutdown_timeout: Duration,
}

impl Http {
    /// Reads the settings.
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
