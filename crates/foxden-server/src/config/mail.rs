//! `[mail]`: the mail server, and the sender of mail.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::{Secret, Values};

/// The settings of mail.
pub const SECTION: Section = Section {
    title: "[mail]",
    about: "The mail server that sends mail to users: codes, invitations, notices. Without one this server sends no mail, \
            and the operator reads codes with `foxden user code`.",
    settings: &[
        Setting {
            key: "mail.host",
            kind: Kind::Text,
            default: "",
            help: "The host name of the mail server. `mail.from` is then required.",
        },
        Setting {
            key: "mail.port",
            kind: Kind::Count,
            default: "",
            help: "Its port. Without it: 465 for `tls`, 587 for `starttls`, 25 for `none`.",
        },
        Setting {
            key: "mail.tls",
            kind: Kind::Choice(&["starttls", "tls", "none"]),
            default: "starttls",
            help: "How the connection is encrypted: by STARTTLS (`starttls`; required, never skipped), by TLS from the first \
                   byte (`tls`), or not at all (`none`: for a mail server on the same machine or in a trusted network; a \
                   password is then sent only to this machine).",
        },
        Setting {
            key: "mail.username",
            kind: Kind::Text,
            default: "",
            help: "The user name for the mail server. Without it there is no authentication.",
        },
        Setting {
            key: "mail.password",
            kind: Kind::Secret,
            default: "",
            help: "The password for the mail server.",
        },
        Setting {
            key: "mail.from",
            kind: Kind::Text,
            default: "",
            help: "The sender of all mail: an address, or a name with an address as in `Foxden <foxden@example.org>`.",
        },
        Setting {
            key: "mail.reply_to",
            kind: Kind::Text,
            default: "",
            help: "The address for replies.",
        },
        Setting {
            key: "mail.hello_name",
            kind: Kind::Text,
            default: "",
            help: "The name that this server sends with EHLO. Without it: the host of `public_url`.",
        },
        Setting {
            key: "mail.ca_file",
            kind: Kind::Text,
            default: "",
            help: "A PEM file of certificates to trust besides the public ones, for a mail server with a certificate of a \
                   private authority.",
        },
        Setting {
            key: "mail.timeout",
            kind: Kind::Time,
            default: "30 s",
            help: "How long the connection to the mail server and its greeting may take, and again the sender and recipient \
                   of a mail. The text may take ten minutes.",
        },
    ],
};

/// The longest timeout: with the ten minutes for its text, a mail must be sent before others take it for forgotten.
const LONGEST: Duration = Duration::from_secs(120);

/// The mail server and the sender.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// As whom to sign in.
    pub login: Option<(String, Secret)>,
    /// The sender of all mail.
    pub from: Mailbox,
    /// Where answers go.
    pub reply_to: Option<Mailbox>,
    /// The name in the greeting; `None`: the host of the public address.
    pub hello_name: Option<String>,
    /// Certificates to trust besides the usual ones.
    pub ca_file: Option<PathBuf>,
    /// How long each half of a delivery may take.
    pub timeout: Duration,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// After a greeting in the open.
    Starttls,
    /// From the first byte on.
    Implicit,
    /// Not at all.
    None,
}

impl Tls {
    const fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

impl Mail {
    /// Reads the settings; `None` if no mail server is configured.
    pub fn read(values: &Values) -> Result<Option<Self>, ConfigError> {
        let Some(host) = values.text("mail.host")? else {
            return match values.keys_below("mail.").next() {
                Some(key) => Err(values.wrong(key, "it says nothing without mail.host, the mail server")),
                None => Ok(None),
            };
        };
        let is_name = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
        if !is_name {
            return Err(values.wrong(
                "mail.host",
                "the name of a mail server is needed, without a scheme",
            ));
        }
        let tls = values.choice("mail.tls", &[Tls::Starttls, Tls::Implicit, Tls::None])?;
        let tls = tls.unwrap_or(Tls::Starttls);
        let from = mailbox(values, "mail.from")?
            .ok_or_else(|| values.wrong("mail.from", "it must be set where mail.host is"))?;
        Ok(Some(Self {
            port: read_port(values)?.unwrap_or(tls.port()),
            login: read_login(values, &host, tls)?,
            from,
            reply_to: mailbox(values, "mail.reply_to")?,
            hello_name: read_hello_name(values)?,
            ca_file: values.text("mail.ca_file")?.map(PathBuf::from),
            timeout: read_timeout(values)?,
            tls,
            host,
        }))
    }
}

fn mailbox(values: &Values, key: &str) -> Result<Option<Mailbox>, ConfigError> {
    let Some(text) = values.text(key)? else {
        return Ok(None);
    };
    let mailbox = text.parse();
    mailbox
        .map(Some)
        .map_err(|_| values.wrong(key, "an address is needed, as in: Foxden <foxden@example.org>"))
}

fn read_port(values: &Values) -> Result<Option<u16>, ConfigError> {
    if values.get("mail.port").is_none() {
        return Ok(None);
    }
    let port = u16::try_from(values.count("mail.port")?);
    port.map(Some)
        .map_err(|_| values.wrong("mail.port", "a port is at most 65535"))
}

/// A password crosses the net encrypted, or does not cross it at all.
fn read_login(values: &Values, host: &str, tls: Tls) -> Result<Option<(String, Secret)>, ConfigError> {
    match (values.text("mail.username")?, values.password("mail.password")?) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(values.wrong("mail.username", "mail.password belongs to it")),
        (None, Some(_)) => Err(values.wrong("mail.password", "mail.username belongs to it")),
        (Some(_), Some(_)) if tls == Tls::None && !is_this_machine(host) => Err(values.wrong(
            "mail.tls",
            "without TLS the password could be read on the way; use starttls or tls, or leave username and password out",
        )),
        (Some(username), Some(password)) => Ok(Some((username, password))),
    }
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
}

fn read_hello_name(values: &Values) -> Result<Option<String>, ConfigError> {
    let name = values.text("mail.hello_name")?;
    match name {
        Some(name) if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(values.wrong("mail.hello_name", "a host's name is needed"))
        }
        name => Ok(name),
    }
}

fn read_timeout(values: &Values) -> Result<Duration, ConfigError> {
    let timeout = values.time("mail.timeout")?;
    if timeout.is_zero() || timeout > LONGEST {
        return Err(values.wrong("mail.timeout", "between 1 ms and 2 min is needed"));
    }
    Ok(timeout)
}

#[cfg(test)]
mod tests {
    use super::super::schema::SCHEMA;
    use super::super::values::Origin;
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Option<Mail>, String> {
        let mut values = Values::new(SCHEMA);
        for (key, value) in settings {
            values.set(key, vec![(*value).to_owned()], Origin::Flag("--test"));
        }
        Mail::read(&values).map_err(|error| error.to_string())
    }

    const HOST: (&str, &str) = ("mail.host", "mail.example.org");
    const FROM: (&str, &str) = ("mail.from", "Foxden <foxden@example.org>");
    const NAME: (&str, &str) = ("mail.username", "foxden");
    const WORD: (&str, &str) = ("mail.password", "short");

    #[test]
    fn without_a_host_there_is_no_mail_and_nothing_else_to_say() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[FROM]).unwrap_err().contains("mail.host"));
    }

    #[test]
    fn the_port_follows_the_encryption() {
        let port = |tls| read(&[HOST, FROM, ("mail.tls", tls)]).unwrap().unwrap().port;
        assert_eq!((port("starttls"), port("tls"), port("none")), (587, 465, 25));
        let set = read(&[HOST, FROM, ("mail.port", "2525")]).unwrap().unwrap();
        assert_eq!((set.port, set.tls), (2525, Tls::Starttls));
        assert!(read(&[HOST, FROM, ("mail.port", "65536")]).is_err());
    }

    #[test]
    fn a_password_is_never_sent_in_the_open() {
        let open = ("mail.tls", "none");
        let refused = read(&[HOST, FROM, NAME, WORD, open]).unwrap_err();
        assert!(refused.contains("read on the way") && !refused.contains("short"));
        assert!(read(&[HOST, FROM, NAME, WORD]).is_ok());
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(
                read(&[("mail.host", host), FROM, NAME, WORD, open]).is_ok(),
                "{host}"
            );
        }
        assert!(read(&[HOST, FROM, open]).is_ok());
        assert!(read(&[HOST, FROM, NAME]).is_err() && read(&[HOST, FROM, WORD]).is_err());
    }

    #[test]
    fn the_sender_must_be_an_address() {
        assert!(read(&[HOST]).unwrap_err().contains("mail.from"));
        for bad in ["Foxden", "a@b\r\nBcc: c@d", "a@b, c@d", ""] {
            assert!(read(&[HOST, ("mail.from", bad)]).is_err(), "{bad:?}");
        }
        for bad in ["smtp://mail.example.org", "a b", "a\r\nb"] {
            assert!(read(&[("mail.host", bad), FROM]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let mail = read(&[HOST, FROM, NAME, WORD]).unwrap();
        assert!(!format!("{mail:?}").contains("short"));
    }
}
