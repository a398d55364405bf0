//! The configuration: one file, then the environment, then flags; the later wins.
//!
//! - [`schema`]: the table of all settings; [`setting`]: one of them
//! - [`source`]: reading the three sources into [`values`]
//! - [`register`]: the database of the accounts
//! - [`measure`], [`nearest`]: sizes and times; the setting that an unknown key is closest to
//! - [`document`]: `config print` and `docs/configuration.md`
//! - [`environment`]: the only reader of the process's environment
//! - one file for each section

pub mod accounts;
pub mod chores;
pub mod document;
pub mod environment;
pub mod http;
pub mod key_exchange;
pub mod listener;
pub mod log;
pub mod mail;
pub mod measure;
pub mod nearest;
pub mod register;
pub mod schema;
pub mod security_log;
pub mod server;
pub mod setting;
pub mod source;
pub mod storage;
pub mod tokens;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use listener::Surface;
use schema::SCHEMA;
pub use source::Flags;
use values::{Fault, Origin, Values};

/// All that was set, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the server is found and keeps things.
    pub server: server::Server,
    /// Where it listens.
    pub listeners: Vec<listener::Listener>,
    /// Connections, timeouts and sizes of HTTP.
    pub http: http::Http,
    /// Where objects are kept.
    pub storage: storage::Storage,
    /// Where users are sent.
    pub tokens: tokens::Tokens,
    /// Accounts and sign-up.
    pub accounts: accounts::Accounts,
    /// Where two devices meet.
    pub key_exchange: key_exchange::KeyExchange,
    /// The mail server, if mail is sent.
    pub mail: Option<mail::Mail>,
    /// Background work.
    pub chores: chores::Chores,
    /// How much is written down.
    pub log: log::Log,
    /// The security log.
    pub security_log: security_log::SecurityLog,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file is not TOML.
    #[error("{} is not valid TOML", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        source: toml::de::Error,
    },
    /// No setting is called that.
    #[error("{origin}: there is no setting {key}{}", meant.map(|key| format!("; did you mean {key}?")).unwrap_or_default())]
    UnknownKey {
        /// The unknown name.
        key: String,
        /// Where.
        origin: Origin,
        /// The nearest known name.
        meant: Option<&'static str>,
    },
    /// A setting has another name now.
    #[error("{origin}: the setting {key} is now called {now}; {how}")]
    Renamed {
        /// The old name.
        key: String,
        /// Where.
        origin: Origin,
        /// The new name.
        now: &'static str,
        /// How the value is written now.
        how: &'static str,
    },
    /// A text is written without quotes.
    #[error("{key} ({origin}): a text is needed, in quotes")]
    Unquoted {
        /// The setting.
        key: String,
        /// Where.
        origin: Origin,
    },
    /// A variable of the environment lacks underscores.
    #[error("the variable {name} sets nothing; did you mean {meant}?")]
    Variable {
        /// The variable.
        name: String,
        /// The one that was meant.
        meant: String,
    },
    /// Several settings have names that do not exist, or values that are no text.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<ConfigError>),
    /// A storage node serves clients that log in by password, and has no register to check passwords with.
    #[error(
        "storage.legacy needs the accounts, and this process serves objects alone; add this line below [accounts], with \
         the file of the server that keeps them: url = \"sqlite:/var/lib/foxden-registration/register.sqlite\" (or below \
         [storage], to serve today's Firefox alone: legacy = false)"
    )]
    NeedsAccounts,
    /// A setting has a value it cannot have.
    #[error("{key} ({origin}): {why}")]
    BadValue {
        /// The setting.
        key: String,
        /// The source.
        origin: Origin,
        /// The expected value.
        why: String,
    },
    /// The server would be reachable from elsewhere under a name it does not know.
    #[error(
        "listening on {bind} needs the address under which browsers reach this server; add this line above all \
         sections of the configuration (or pass --public-url): public_url = \"https://sync.example.org\""
    )]
    NeedsPublicUrl {
        /// Where it would listen.
        bind: listener::Bind,
    },
}

impl Config {
    /// Reads the file, the environment and the flags.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::read(&source::gather(flags)?)
    }

    /// The configuration with these settings, and the defaults of all others.
    pub fn of(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let mut values = Values::new(SCHEMA);
        for (key, value) in settings {
            values.set(key, vec![(*value).to_owned()], Origin::Default);
        }
        Self::read(&values)
    }

    /// Reads the settings.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        values.check_names()?;
        let config = Self {
            server: server::Server::read(values)?,
            listeners: listener::Listener::read_all(values)?,
            http: http::Http::read(values)?,
            storage: storage::Storage::read(values)?,
            tokens: tokens::Tokens::read(values)?,
            accounts: accounts::Accounts::read(values)?,
            key_exchange: key_exchange::KeyExchange::read(values)?,
            mail: mail::Mail::read(values)?,
            chores: chores::Chores::read(values)?,
            log: log::Log::read(values)?,
            security_log: security_log::SecurityLog::read(values)?,
        };
        config.check_public_url()?;
        config.check_legacy()?;
        Ok(config)
    }

    /// Every surface that is served somewhere.
    pub fn surfaces(&self) -> BTreeSet<Surface> {
        let all = self.listeners.iter();
        all.flat_map(|listener| listener.surfaces.iter().copied())
            .collect()
    }

    /// Whether this process is the one that makes and changes accounts.
    pub fn keeps_accounts(&self) -> bool {
        let surfaces = self.surfaces();
        [Surface::Token, Surface::User, Surface::Fxa, Surface::Pages]
            .iter()
            .any(|surface| surfaces.contains(surface))
    }

    /// Whether Sync 1.0 and 1.1 are served here.
    pub fn serves_legacy(&self) -> bool {
        let wished = self.storage.legacy.unwrap_or_else(|| self.keeps_accounts());
        wished && self.surfaces().contains(&Surface::Sync)
    }

    /// Whether this process serves the pages for old clients: another node may serve their objects.
    pub fn welcomes_old_clients(&self) -> bool {
        self.surfaces().contains(&Surface::User) && self.storage.legacy != Some(false)
    }

    /// A register of its own would be an empty one, and every password wrong.
    fn check_legacy(&self) -> Result<(), ConfigError> {
        if self.serves_legacy() && !self.keeps_accounts() && !self.accounts.register.is_given() {
            return Err(ConfigError::NeedsAccounts);
        }
        Ok(())
    }

    /// Without a public address the server must have a loopback address to be found at, and no other.
    fn check_public_url(&self) -> Result<(), ConfigError> {
        if self.server.public_url.is_some() {
            return Ok(());
        }
        let is_outside = |listener: &&listener::Listener| !listener.bind.is_loopback();
        let is_socket = |listener: &listener::Listener| matches!(listener.bind, listener::Bind::Unix(_));
        let outside = self.listeners.iter().find(is_outside);
        let only_sockets = self.listeners.iter().all(is_socket);
        match outside.or(self.listeners.first().filter(|_| only_sockets)) {
            Some(listener) => Err(ConfigError::NeedsPublicUrl {
                bind: listener.bind.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl ConfigError {
    fn of_fault(key: &str, origin: &Origin, fault: &Fault) -> Self {
        match fault {
            Fault::UnknownKey => Self::unknown_key(key, origin),
            Fault::Unquoted => Self::Unquoted {
                key: key.to_owned(),
                origin: origin.clone(),
            },
            Fault::Variable(meant) => Self::Variable {
                name: key.to_owned(),
                meant: meant.clone(),
            },
        }
    }

    fn unknown_key(key: &str, origin: &Origin) -> Self {
        if let Some((_, now, how)) = setting::RENAMED.iter().find(|(old, ..)| *old == key) {
            return Self::Renamed {
                key: key.to_owned(),
                origin: origin.clone(),
                now,
                how,
            };
        }
        let renamed = setting::RENAMED.iter().map(|(old, now, _)| (*old, *now));
        let known = SCHEMA
            .all()
            .map(|setting| (setting.key, setting.key))
            .chain(renamed);
        let known: BTreeMap<&str, &'static str> = known.collect();
        let meant = nearest::nearest(&setting::general(key), known.keys().copied());
        Self::UnknownKey {
            key: key.to_owned(),
            origin: origin.clone(),
            meant: meant.and_then(|meant| known.get(meant).copied()),
        }
    }
}

#[cfg(test)]
mod tests;
