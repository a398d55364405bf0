//! `[accounts]`: the database of accounts, and sign-up.

use std::time::Duration;

use foxden_accounts::SignUp;

use super::ConfigError;
use super::register::RegisterUrl;
use super::setting::{Kind, Section, Setting};
use super::values::{Secret, Values};

/// The settings of accounts.
pub const SECTION: Section = Section {
    title: "[accounts]",
    about: "Accounts: where they are stored, and who may sign up.",
    settings: &[
        Setting {
            key: "accounts.url",
            kind: Kind::Url,
            default: "sqlite:",
            help: "The database of the accounts: `sqlite:` in the data folder, or `sqlite:/some/file`; \
                   `postgres://user@host/database` or `mysql://user@host/database` for a database of a server, which any \
                   number of processes share; docs/postgres.md and docs/mariadb.md list the options. A storage node that \
                   serves Sync 1.1 names the same database as the registration server.",
        },
        Setting {
            key: "accounts.sign_up",
            kind: Kind::Choice(&["open", "invite", "closed"]),
            default: "",
            help: "Who may sign up: everyone (`open`), users with an invitation (`invite`), or no one (`closed`: the \
                   operator adds accounts). Without it: `open` while only this machine can reach the server, else `invite`.",
        },
        Setting {
            key: "accounts.unconfirmed_ttl",
            kind: Kind::Time,
            default: "7 days",
            help: "How long an account is kept that has never confirmed an address and never stored anything, if this server \
                   sends mail; `none` keeps it forever. Such an account does not block its address for others.",
        },
        Setting {
            key: "accounts.reserved_names",
            kind: Kind::List,
            default: "",
            help: "Names that no account may have: whole addresses, or the part before the `@`.",
        },
        Setting {
            key: "accounts.strict_names",
            kind: Kind::Switch,
            default: "false",
            help: "Whether the name of an account that is created by the User API must be the hash of its address, as Sync \
                   1.1 clients compute it. Otherwise a plain name such as `ann` is accepted, and only a name that looks like \
                   such a hash must be the right one.",
        },
        Setting {
            key: "accounts.captcha",
            kind: Kind::Choice(&["none", "question"]),
            default: "none",
            help: "Whether old clients and pages without script must answer a question before they create an account or ask \
                   for a password reset: no (`none`), or a small sum that this server draws as a picture (`question`).",
        },
        Setting {
            key: "accounts.admin_secret",
            kind: Kind::Secret,
            default: "",
            help: "A program that sends it as `X-Weave-Secret` creates accounts by the User API without a captcha, whatever \
                   `accounts.sign_up` says. Without it no program can.",
        },
        Setting {
            key: "accounts.contact",
            kind: Kind::Text,
            default: "",
            help: "How users reach the operator: the URL of a page, or `mailto:` and an address. Pages that say \"ask the \
                   operator\" link to it.",
        },
    ],
};

/// The settings of accounts.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The database that holds them.
    pub register: RegisterUrl,
    /// The sign-up policy; `None`: open while only this machine can reach the server, else by invitation.
    pub sign_up: Option<SignUp>,
    /// How long an account without a confirmed address is kept; `None`: forever.
    pub unconfirmed_ttl: Option<Duration>,
    /// Names that are not given away, lower case.
    pub reserved_names: Vec<String>,
    /// Whether a name of the User API must be an address.
    pub is_strict_about_names: bool,
    /// The captcha for accounts that are made without script.
    pub captcha: CaptchaKind,
    /// Lets its bearer make accounts through the User API.
    pub admin_secret: Option<Secret>,
    /// How people reach the operator of the server.
    pub contact: Option<String>,
}

/// The captcha for accounts that are made without script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptchaKind {
    /// Nothing.
    None,
    /// A question that is drawn here.
    Question,
}

impl Accounts {
    /// Reads the settings.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let url = values.text("accounts.url")?.unwrap_or_default();
        let register = url
            .parse()
            .map_err(|error: String| values.wrong("accounts.url", error))?;
        Ok(Self {
            register,
            unconfirmed_ttl: values.time_or_none("accounts.unconfirmed_ttl")?,
            reserved_names: values
                .list("accounts.reserved_names")
                .iter()
                .map(|name| name.to_lowercase())
                .collect(),
            is_strict_about_names: values.switch("accounts.strict_names")?,
            captcha: values
                .choice("accounts.captcha", &[CaptchaKind::None, CaptchaKind::Question])?
                .unwrap_or(CaptchaKind::None),
            admin_secret: read_admin_secret(values)?,
            contact: values.text("accounts.contact")?,
            sign_up: values.choice(
                "accounts.sign_up",
                &[SignUp::Open, SignUp::Invite, SignUp::Closed],
            )?,
        })
    }
}

/// One secret, as clients send one.
fn read_admin_secret(values: &Values) -> Result<Option<Secret>, ConfigError> {
    let mut secrets = values.secrets("accounts.admin_secret")?.into_iter();
    let secret = secrets.next();
    match secrets.next() {
        None => Ok(secret),
        Some(_) => Err(values.wrong("accounts.admin_secret", "a single line is needed")),
    }
}
