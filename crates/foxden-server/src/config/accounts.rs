//! `[accounts]`: who may have one.

use std::path::PathBuf;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of accounts.
pub const SECTION: Section = Section {
    title: "[accounts]",
    about: "Who may have an account.",
    settings: &[
        Setting {
            key: "accounts.url",
            kind: Kind::Text,
            default: "sqlite:",
            help: "Where accounts are kept: `sqlite:` in the data folder, or `sqlite:/some/file`.",
        },
        Setting {
            key: "accounts.sign_up",
            kind: Kind::Choice(&["open", "invite", "closed"]),
            default: "",
            help: "Who may sign up: anybody (`open`), whoever has an invitation (`invite`), or nobody but those whom \
                   the operator adds (`closed`). Without it: `open` while only this machine can reach the server, \
                   else `invite`.",
        },
    ],
};

/// Who may have an account.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The file that holds them; `None`: in the data folder.
    pub file: Option<PathBuf>,
    /// Who may sign up; `None`: open while only this machine can reach the server, else by invitation.
    pub sign_up: Option<SignUp>,
}

/// Who may sign up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// Anybody.
    Open,
    /// Whoever has an invitation.
    Invite,
    /// Nobody; the operator adds people.
    Closed,
}

impl Accounts {
    /// Reads what was set.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let url = values.text("accounts.url")?.unwrap_or_default();
        let rest = url
            .strip_prefix("sqlite:")
            .ok_or_else(|| values.wrong("accounts.url", "it must begin with sqlite:"))?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        Ok(Self {
            file: (!rest.is_empty()).then(|| rest.into()),
            sign_up: values.choice(
                "accounts.sign_up",
                &[SignUp::Open, SignUp::Invite, SignUp::Closed],
            )?,
        })
    }
}
