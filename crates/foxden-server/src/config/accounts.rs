//! `[accounts]`: who may have one.

use std::path::PathBuf;

use foxden_accounts::SignUp;

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
        Setting {
            key: "accounts.reserved_names",
            kind: Kind::List,
            default: "",
            help: "Names nobody may take: whole addresses, or the part before the `@`.",
        },
        Setting {
            key: "accounts.contact",
            kind: Kind::Text,
            default: "",
            help: "How people reach whoever runs the server: the address of a page, or `mailto:` and an address. Pages \
                   that can only say \"ask the operator\" link to it.",
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
    /// Names nobody may take, lower case.
    pub reserved_names: Vec<String>,
    /// How people reach whoever runs the server.
    pub contact: Option<String>,
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
            reserved_names: values
                .list("accounts.reserved_names")
                .iter()
                .map(|name| name.to_lowercase())
                .collect(),
            contact: values.text("accounts.contact")?,
            sign_up: values.choice(
                "accounts.sign_up",
                &[SignUp::Open, SignUp::Invite, SignUp::Closed],
            )?,
        })
    }
}
