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
    about: "Which storage node users are sent to, and how long their tokens hold.",
    settings: &[
        Setting {
            key: "tokens.node",
            kind: Kind::Text,
            default: "",
            help: "The address of the node that keeps the users' objects, where that is another server which shares \
                   the master secret. Without it users are sent to `public_url`.",
        },
        Setting {
            key: "tokens.duration",
            kind: Kind::Time,
            default: "1 h",
            help: "How long a token holds. Clients fetch a new one by themselves.",
        },
        Setting {
            key: "tokens.new_users",
            kind: Kind::Switch,
            default: "true",
            help: "Whether whoever has an account and no store yet gets one.",
        },
    ],
};

/// Where users are sent, and for how long.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The node; `None`: this server.
    pub node: Option<PublicUrl>,
    /// How long a token holds.
    pub duration: Duration,
    /// Whether users without a store get one.
    pub new_users: NewUsers,
}

impl Tokens {
    /// Reads what was set.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let node = values.text("tokens.node")?.map(|text| {
            text.parse()
                .map_err(|error| values.wrong("tokens.node", format!("{error}")))
        });
        Ok(Self {
            node: node.transpose()?,
            duration: values.time("tokens.duration")?,
            new_users: if values.switch("tokens.new_users")? {
                NewUsers::Welcome
            } else {
                NewUsers::Refused
            },
        })
    }
}
