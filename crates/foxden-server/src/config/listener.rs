//! `[[listener]]`: addresses to listen on, and their surfaces.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of each listener.
pub const SECTION: Section = Section {
    title: "[[listener]]",
    about: "Where the server listens, and which surfaces it serves there. There may be several listeners; in the environment \
            the first is `FOXDEN__LISTENER__0__BIND`.",
    settings: &[
        Setting {
            key: "listener.N.bind",
            kind: Kind::Text,
            default: "127.0.0.1:5000",
            help: "An address and a port, or `unix:` and the path of a socket. Port 0 means any free port.",
        },
        Setting {
            key: "listener.N.surfaces",
            kind: Kind::List,
            default: "sync, token, user, fxa, pages, ops",
            help: "The surfaces of this listener: `sync` (storage), `token` (the tokenserver), `user` (accounts and pairing \
                   of Sync 1.1), `fxa` (accounts of current Firefox), `pages` (the web pages), `ops` (health checks). The \
                   process opens only the databases that they need.",
        },
    ],
};

/// One place where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub bind: Bind,
    /// The surfaces that it serves.
    pub surfaces: BTreeSet<Surface>,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// At an address and a port.
    Tcp(SocketAddr),
    /// At a socket in the file system.
    Unix(PathBuf),
}

/// A group of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surface {
    /// Users' objects.
    Sync,
    /// Tokens for storage.
    Token,
    /// Accounts and devices of Sync 1.1.
    User,
    /// The account server.
    Fxa,
    /// The pages for people.
    Pages,
    /// Health and version.
    Ops,
}

impl Listener {
    /// Reads every listener; one with all surfaces where none is set.
    pub fn read_all(values: &Values) -> Result<Vec<Self>, ConfigError> {
        let numbers: BTreeSet<u32> = values
            .keys_below("listener.")
            .filter_map(|key| key.split('.').nth(1)?.parse().ok())
            .collect();
        if numbers.is_empty() {
            return Ok(vec![Self::read(values, 0)?]);
        }
        numbers
            .into_iter()
            .map(|number| Self::read(values, number))
            .collect()
    }

    fn read(values: &Values, number: u32) -> Result<Self, ConfigError> {
        let key = format!("listener.{number}.bind");
        let text = values.text(&key)?.unwrap_or_default();
        let bind = Bind::parse(&text).ok_or_else(|| {
            values.wrong(
                &key,
                "an address and a port are needed, as in 127.0.0.1:5000, or a socket, as in unix:/run/foxden.sock",
            )
        })?;
        let key = format!("listener.{number}.surfaces");
        let surfaces = values.list(&key);
        let surfaces = surfaces.iter().map(|word| {
            Surface::parse(word).ok_or_else(|| values.wrong(&key, format!("{word} is not a surface")))
        });
        let surfaces: BTreeSet<Surface> = surfaces.collect::<Result<_, _>>()?;
        if surfaces.is_empty() {
            return Err(values.wrong(&key, "a listener without surfaces serves nothing"));
        }
        Ok(Self { bind, surfaces })
    }
}

impl Bind {
    fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| Self::Unix(path.into()));
        }
        if let Some(port) = text.strip_prefix("localhost:") {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            return Some(Self::Tcp(SocketAddr::new(address, port.parse().ok()?)));
        }
        text.parse().ok().map(Self::Tcp)
    }

    /// Whether only this machine can connect to it.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Surface {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "sync" => Self::Sync,
            "token" => Self::Token,
            "user" => Self::User,
            "fxa" => Self::Fxa,
            "pages" => Self::Pages,
            "ops" => Self::Ops,
            _ => return None,
        })
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Token => "token",
            Self::User => "user",
            Self::Fxa => "fxa",
            Self::Pages => "pages",
            Self::Ops => "ops",
        })
    }
}
