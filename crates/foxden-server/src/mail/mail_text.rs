//! The texts of each kind of mail. [`super::compose`] formats them.

use foxden_accounts::{Mail, QueuedMail};
use foxden_http::pages::links;
use foxden_model::Escaped;

use super::DisplayTime;

/// The texts of one mail.
#[derive(Clone, PartialEq, Eq)]
pub struct MailText {
    /// The subject line.
    pub subject: String,
    /// The heading.
    pub heading: &'static str,
    /// The instruction, in one line.
    pub lead: String,
    /// The code or link.
    pub key: Key,
    /// Further paragraphs.
    pub more: Vec<String>,
    /// The advice for a reader who did not cause the mail.
    pub otherwise: String,
    /// Why it was sent.
    pub why: &'static str,
}

/// The code or link of a mail.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// Digits to type, and perhaps a link with the same effect.
    Digits {
        /// The digits.
        code: String,
        /// The address.
        link: Option<String>,
    },
    /// A link to open.
    Link {
        /// The address.
        link: String,
        /// The label of its button.
        label: &'static str,
        /// A code with the same effect, to be copied.
        code: Option<String>,
    },
    /// None: the mail is a notice.
    Nothing,
}

/// The server, as mails name it.
pub struct Sender<'a> {
    /// The public address without its path, where the pages are.
    pub origin: &'a str,
    /// The host of the same.
    pub host: &'a str,
}

const UNASKED: &str = "If you did not ask for this, do nothing: your password stays as it is, and no one can use this \
                       code without reading your mail.";

/// Why the earlier digits no longer work.
const ENDED: &str = "Wrong codes were tried for your account today. The code of before ended by that; this one is new. \
                     No one got in.";

/// Why the code is not eight digits.
const GUESSED: &str = "Too many wrong codes of eight digits were tried for your account today, so this one is longer and \
                       cannot be guessed. A program that asks for digits takes it as well. No one got in.";

/// The effect on stored data.
const LOST: &str = "What is stored on the server cannot be opened with the new password. Browsers that still have your \
                    bookmarks and passwords upload them again.";

impl MailText {
    /// The texts of a mail from the outbox.
    pub fn of(posted: &QueuedMail, from: &Sender<'_>) -> Self {
        let host = from.host;
        match &posted.mail {
            Mail::ConfirmAddress { code, link_code } => confirm(posted, code, link_code, from),
            Mail::ResetCode {
                code,
                token,
                instead_of_digits,
            } => reset(posted, (code, token), *instead_of_digits, from),
            Mail::ResetOtp { code, again } => reset_otp(posted, code, *again, from.host),
            Mail::LegacyReset { name, code } => plain_reset(posted, name, code, from),
            Mail::Invitation { code } => invitation(posted, code, from),
            Mail::PasswordChanged { from: network } => Self::notice(
                format!("Your password at {host} was changed"),
                "Your password was changed",
                posted,
                network,
                "Your other devices ask for the new one. Nothing is lost, and nothing is uploaded again."
                    .to_owned(),
                from,
            ),
            Mail::PasswordReset { from: network } => Self::notice(
                format!("Your password at {host} was set anew"),
                "Your password was set anew",
                posted,
                network,
                "All devices were signed out. Sign in again on those you use; they upload what they have."
                    .to_owned(),
                from,
            ),
            Mail::AddressChanged {
                address,
                from: network,
            } => Self::notice(
                format!("Your account at {host} has another address"),
                "Your account has another address",
                posted,
                network,
                format!(
                    "It is {} now. Sign in with that one; mail goes there from now on.",
                    Escaped(address)
                ),
                from,
            ),
        }
    }

    /// A test mail.
    pub fn trial(host: &str) -> Self {
        Self {
            subject: format!("A test mail from {host}"),
            heading: "Mail from this server arrives",
            lead: "Nothing needs to be done.".to_owned(),
            key: Key::Nothing,
            more: vec!["The operator of the server sent this with: foxden check --mail".to_owned()],
            otherwise:
                "If you do not know that server, someone mistyped an address. Nothing else is sent to you."
                    .to_owned(),
            why: "because its operator asked for it",
        }
    }

    fn notice(
        subject: String,
        heading: &'static str,
        posted: &QueuedMail,
        network: &str,
        what: String,
        from: &Sender<'_>,
    ) -> Self {
        let page = links::reset_page(from.origin);
        Self {
            subject,
            heading,
            lead: format!("At {}, from {network}.", DisplayTime(posted.posted_at)),
            key: Key::Nothing,
            more: vec![what],
            otherwise: format!(
                "If it was not you, someone else has your password or reads your mail. Set a new one at once at \
                 {page} and tell the operator of this server."
            ),
            why: "because you have an account there",
        }
    }
}

fn confirm(posted: &QueuedMail, code: &str, link_code: &str, from: &Sender<'_>) -> MailText {
    let (origin, host) = (from.origin, from.host);
    let account = posted
        .account
        .map(|account| account.to_string())
        .unwrap_or_default();
    MailText {
        subject: format!("Your code for {host}"),
        heading: "Confirm your address",
        lead: format!(
            "Type this code where you signed up, before {}:",
            DisplayTime(posted.expires)
        ),
        key: Key::Digits {
            code: code.to_owned(),
            link: Some(links::confirm_address(origin, &account, link_code)),
        },
        more: Vec::new(),
        otherwise:
            "If you did not sign up there, someone mistyped an address. Do nothing: without the code no one \
                    can use that account."
                .to_owned(),
        why: "because someone signed up there with this address",
    }
}

fn reset(
    posted: &QueuedMail,
    (code, token): (&str, &str),
    instead_of_digits: bool,
    from: &Sender<'_>,
) -> MailText {
    let (origin, host) = (from.origin, from.host);
    MailText {
        subject: format!("A new password for {host}"),
        heading: "Choose a new password",
        lead: format!("Open this page before {}:", DisplayTime(posted.expires)),
        key: Key::Link {
            link: links::reset_password(origin, token, code, &posted.address),
            label: "Choose a new password",
            code: Some(code.to_owned()),
        },
        more: if instead_of_digits {
            vec![GUESSED.to_owned(), LOST.to_owned()]
        } else {
            vec![LOST.to_owned()]
        },
        otherwise: UNASKED.to_owned(),
        why: "because someone asked for it there",
    }
}

fn reset_otp(posted: &QueuedMail, code: &str, again: bool, host: &str) -> MailText {
    let mut more = vec!["Type it into the program that asked for it. It works once.".to_owned()];
    if again {
        more.push(ENDED.to_owned());
    }
    more.push(LOST.to_owned());
    MailText {
        subject: format!("Your code for a new password at {host}"),
        heading: "Choose a new password",
        lead: format!("Type this code before {}:", DisplayTime(posted.expires)),
        key: Key::Digits {
            code: code.to_owned(),
            link: None,
        },
        more,
        otherwise: UNASKED.to_owned(),
        why: "because someone asked for it there",
    }
}

fn plain_reset(posted: &QueuedMail, name: &str, code: &str, from: &Sender<'_>) -> MailText {
    let (origin, host) = (from.origin, from.host);
    MailText {
        subject: format!("A new password for {host}"),
        heading: "Choose a new password",
        lead: format!("Open this page before {}:", DisplayTime(posted.expires)),
        key: Key::Link {
            link: links::legacy_reset(origin, name, code),
            label: "Choose a new password",
            code: None,
        },
        more: vec![
            "The page says what becomes of the data that are stored there. The link works once.".to_owned(),
        ],
        otherwise: UNASKED.to_owned(),
        why: "because someone asked for it there",
    }
}

fn invitation(posted: &QueuedMail, code: &str, from: &Sender<'_>) -> MailText {
    let (origin, host) = (from.origin, from.host);
    MailText {
        subject: format!("You are invited to {host}"),
        heading: "You are invited",
        lead: format!(
            "Open this page to make your account, before {}:",
            DisplayTime(posted.expires)
        ),
        key: Key::Link {
            link: links::invitation(origin, code),
            label: "Make an account",
            code: None,
        },
        more: vec![format!(
            "{host} keeps bookmarks, passwords, history and tabs in step between your browsers, which encrypt them \
             before they send them. The link works once."
        )],
        otherwise: "If you do not know who invites you, do nothing.".to_owned(),
        why: "because its operator invited this address",
    }
}
