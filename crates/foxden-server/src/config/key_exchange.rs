//! `[key_exchange]`: where a new device of Sync 1.1 meets one that has the key.

use std::time::Duration;

use foxden_http::user::exchange::AbuseControl;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of the key exchange.
pub const SECTION: Section = Section {
    title: "[key_exchange]",
    about: "The pairing of a new Sync 1.1 device with one that has the key: one shows twelve characters, the other asks for \
            them. It is part of the surface `user` and stores nothing on disk.",
    settings: &[
        Setting {
            key: "key_exchange.enabled",
            kind: Kind::Switch,
            default: "true",
            help: "Whether this server offers the key exchange.",
        },
        Setting {
            key: "key_exchange.path",
            kind: Kind::Text,
            default: "/jpake",
            help: "Its path. The preference `services.sync.jpake.serverURL` of a device is the URL of the server, this path, \
                   and a slash.",
        },
        Setting {
            key: "key_exchange.max_channels",
            kind: Kind::Count,
            default: "4096",
            help: "Channels at once. When all are in use, the network with the most loses one to others.",
        },
        Setting {
            key: "key_exchange.channel_ttl",
            kind: Kind::Time,
            default: "5 min",
            help: "How long a channel lives.",
        },
        Setting {
            key: "key_exchange.limits",
            kind: Kind::Choice(&["refuse", "observe", "off"]),
            default: "refuse",
            help: "What happens to a network that pairs far more often than devices do: it is refused for a while and may \
                   have only its share of the channels (`refuse`), a log line names it (`observe`), or nothing is counted \
                   (`off`). Private networks may pair ten times as often as others.",
        },
    ],
};

/// Where a new device meets one that has the key.
#[derive(Clone, Debug)]
pub struct KeyExchange {
    /// Whether it is served.
    pub is_enabled: bool,
    /// Below which path; it begins with a slash and ends without.
    pub path: String,
    /// Meetings at once.
    pub max_channels: u32,
    /// How long one may take.
    pub channel_ttl: Duration,
    /// How networks that exceed the limits are treated.
    pub abuse_control: AbuseControl,
}

/// In the order of the words.
const ABUSE_CONTROL: [AbuseControl; 3] = [AbuseControl::Refuse, AbuseControl::Observe, AbuseControl::Off];

impl KeyExchange {
    /// Reads the settings.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            is_enabled: values.switch("key_exchange.enabled")?,
            path: read_path(values)?,
            max_channels: values.count("key_exchange.max_channels")?,
            channel_ttl: values.time("key_exchange.channel_ttl")?,
            abuse_control: values
                .choice("key_exchange.limits", &ABUSE_CONTROL)?
                .unwrap_or_default(),
        })
    }
}

/// A path that no other surface has. A router would take braces and stars for more than they are.
fn read_path(values: &Values) -> Result<String, ConfigError> {
    let path = values.text("key_exchange.path")?.unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(&path);
    let is_plain = |part: &str| {
        let mut bytes = part.bytes();
        !part.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let parts = path.strip_prefix('/').unwrap_or_default();
    if !parts.split('/').all(is_plain) {
        let why = "a path of letters, digits, dots and hyphens is needed, as in /jpake";
        return Err(values.wrong("key_exchange.path", why));
    }
    let first = parts.split('/').next().unwrap_or_default();
    if TAKEN.contains(&first) || first.starts_with(['.', '_']) {
        let why = format!("something else is served below /{first}");
        return Err(values.wrong("key_exchange.path", why));
    }
    Ok(path.to_owned())
}

/// The prefixes of other surfaces' paths.
const TAKEN: &[&str] = &[
    "1",
    "1.0",
    "1.1",
    "1.5",
    "assets",
    "authorization",
    "avatar",
    "confirm_address",
    "connect_another_device",
    "docs",
    "favicon.ico",
    "force_auth",
    "invite",
    "legal",
    "media",
    "metrics-flow",
    "misc",
    "oauth",
    "pair",
    "post_verify",
    "reset_password",
    "robots.txt",
    "settings",
    "signin",
    "signup",
    "storage",
    "token",
    "user",
    "v1",
    "weave-delete-account",
    "weave-password-reset",
];
