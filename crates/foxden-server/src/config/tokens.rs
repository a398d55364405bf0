//! `[tokens]`: where users are sent, and for how long.

use std::time::Duration;

use foxden_accounts::NewUsers;
use foxden_http::wire::PublicUrl;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of tokens.
pub const SECTION: Section = Section {
    title: "[tokens]",
    about: "The storage nodes, and the lifetime of tokens.",
    settings: &[
        Setting {
            key: "tokens.nodes",
            kind: Kind::List,
            default: "",
            help: "The URLs of the storage nodes, if they are other servers with the same master secret, or the word \
                   `\"commands\"`: then `foxden node add` and `foxden node remove` say which there are, without a restart. A \
                   new user is assigned to the node with the smallest load. A node that leaves this list stays known: \
                   `foxden node` drains and removes it. If one node is known and the list has a single other one, it is the \
                   same node with a new URL. Without this setting users are assigned to `public_url`. docs/nodes.md \
                   explains more.",
        },
        Setting {
            key: "tokens.duration",
            kind: Kind::Time,
            default: "1 h",
            help: "The lifetime of a token. Clients fetch a new one by themselves.",
        },
        Setting {
            key: "tokens.max_replaced_stores",
            kind: Kind::Count,
            default: "10",
            help: "How often the key of one account may change within the lifetime of a token, for instance by password \
                   resets. Each change gives the account a new store and empties the old one; beyond the limit the browser \
                   must wait until the oldest token has expired.",
        },
        Setting {
            key: "tokens.accept_new_users",
            kind: Kind::Switch,
            default: "true",
            help: "Whether an account without a store is assigned one.",
        },
    ],
};

/// The shortest life of a token.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest life of a token.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Where users are sent, and for how long.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// What says which nodes there are.
    pub nodes: NodeSource,
    /// How long a token holds.
    pub duration: Duration,
    /// Stores of one account that were replaced and that a token may still open.
    pub max_replaced_stores: u32,
    /// Whether users without a store get one.
    pub accept_new_users: NewUsers,
}

/// What says which storage nodes there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeSource {
    /// Neither configuration nor commands: this server is the only node.
    Own,
    /// The configuration.
    Named(Vec<PublicUrl>),
    /// Commands.
    ByCommand,
}

/// The word for nodes that commands add and remove.
const COMMANDS: &str = "commands";

impl NodeSource {
    fn read(values: &Values) -> Result<Self, ConfigError> {
        let wrong =
            |text: &str, why: &dyn std::fmt::Display| values.wrong("tokens.nodes", format!("{text}: {why}"));
        let texts = values.list("tokens.nodes");
        if texts.is_empty() {
            return Ok(Self::Own);
        }
        if texts == [COMMANDS] {
            return Ok(Self::ByCommand);
        }
        if texts.iter().any(|text| text == COMMANDS) {
            return Err(wrong(
                COMMANDS,
                &"either commands add the nodes, or this list names them",
            ));
        }
        let nodes = texts
            .iter()
            .map(|text| text.parse().map_err(|error| wrong(text, &error)));
        Ok(Self::Named(nodes.collect::<Result<_, _>>()?))
    }

    /// The nodes that the configuration names.
    pub fn named(&self) -> &[PublicUrl] {
        match self {
            Self::Named(nodes) => nodes,
            Self::Own | Self::ByCommand => &[],
        }
    }
}

impl Tokens {
    /// Reads the settings.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            nodes: NodeSource::read(values)?,
            duration: Self::read_duration(values)?,
            max_replaced_stores: values.count("tokens.max_replaced_stores")?,
            accept_new_users: if values.switch("tokens.accept_new_users")? {
                NewUsers::Welcome
            } else {
                NewUsers::Refused
            },
        })
    }

    /// Clients ask anew shortly before the end: a token must last longer than that, and no key for ever.
    fn read_duration(values: &Values) -> Result<Duration, ConfigError> {
        let duration = values.time("tokens.duration")?;
        if (SHORTEST..=LONGEST).contains(&duration) {
            return Ok(duration);
        }
        Err(values.wrong("tokens.duration", "between a minute and a day is needed"))
    }
}
