//! What can be wrong with a form. Clients and their tests look for some of the words, letter for letter.

use std::borrow::Cow;

use axum::response::Response;
use foxden_accounts::{LegacyLoginError, LegacyResetError, ResetRequestError, TooMany, Unavailable};

use super::noted;
use crate::wire::chain;

/// What is wrong with what somebody sent. The form is shown again, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No name of an account.
    NameMissing,
    /// No account of that name.
    Unknown,
    /// The account has no address that mail could be sent to.
    NoAddress,
    /// The answer to the question is not right.
    Question,
    /// No password.
    PasswordMissing,
    /// The two passwords differ.
    Differs,
    /// The password has too few characters.
    Short {
        /// How many it has.
        count: usize,
    },
    /// The password is the name or the address.
    OwnName,
    /// The code is not the one that waits for that account.
    WrongKey,
    /// Nobody said yet that stored data may become unreadable.
    NotUnderstood,
    /// The new password could not be kept.
    ChangeFailed,
    /// To delete, both name and password are needed.
    DataMissing {
        /// Whether the name is.
        name: bool,
        /// Whether the password is.
        password: bool,
    },
    /// Name and password do not belong together.
    BadCredentials,
    /// The account could not be deleted.
    DeletionFailed,
}

/// Why a form did not do what it is for.
#[derive(Debug)]
pub(super) enum Wrong {
    /// Something can be mended.
    Fault(Fault),
    /// No form would help; and the reason, for the log.
    Trouble(Trouble, String),
}

/// Why there is no form to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// What was sent is not what the forms send.
    NotOurForm,
    /// A page from elsewhere made a browser send it.
    ForeignPage,
    /// Too many tries.
    Wait {
        /// Seconds until the next one is heard.
        seconds: u64,
    },
    /// Too much at once.
    Busy,
    /// The register does not answer.
    Down,
}

impl Trouble {
    /// Seconds after which it is worth trying again.
    pub(super) const fn retry_after(self) -> Option<u64> {
        match self {
            Self::Wait { seconds } => Some(seconds),
            Self::Busy => Some(30),
            Self::Down => Some(300),
            Self::NotOurForm | Self::ForeignPage => None,
        }
    }

    /// What happened, above everything else.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::NotOurForm => "This is not complete",
            Self::ForeignPage => "Another page sent this",
            Self::Wait { .. } => "Too many tries",
            Self::Busy => "This server is busy",
            Self::Down => "This server does not answer",
        }
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ResetRequestError> for Wrong {
    fn from(error: ResetRequestError) -> Self {
        let trouble = match &error {
            ResetRequestError::UnknownAccount { .. } => return Fault::Unknown.into(),
            ResetRequestError::NoAddress => return Fault::NoAddress.into(),
            ResetRequestError::TooMany(error) => too_many(*error),
            ResetRequestError::Unavailable(error) => unavailable(error),
        };
        Self::Trouble(trouble, chain(&error))
    }
}

impl From<LegacyResetError> for Wrong {
    fn from(error: LegacyResetError) -> Self {
        let trouble = match &error {
            // Only the owner may know that an account is switched off, and learns it from the operator.
            LegacyResetError::UnknownAccount { .. } | LegacyResetError::Disabled => {
                return Fault::Unknown.into();
            }
            LegacyResetError::WrongCode => return Fault::WrongKey.into(),
            LegacyResetError::ConsentMissing => return Fault::NotUnderstood.into(),
            LegacyResetError::WeakPassword => return Fault::OwnName.into(),
            LegacyResetError::Exists => Trouble::Down,
            LegacyResetError::TooMany(error) => too_many(*error),
            LegacyResetError::Unavailable(error) => unavailable(error),
        };
        Self::Trouble(trouble, chain(&error))
    }
}

impl From<LegacyLoginError> for Wrong {
    fn from(error: LegacyLoginError) -> Self {
        let trouble = match &error {
            LegacyLoginError::UnknownAccount { .. } | LegacyLoginError::Disabled => {
                return Fault::Unknown.into();
            }
            LegacyLoginError::WrongPassword { .. } => return Fault::BadCredentials.into(),
            LegacyLoginError::TooMany(error) => too_many(*error),
            LegacyLoginError::Unavailable(error) => unavailable(error),
        };
        Self::Trouble(trouble, chain(&error))
    }
}

const fn too_many(error: TooMany) -> Trouble {
    Trouble::Wait {
        seconds: error.retry_after,
    }
}

const fn unavailable(error: &Unavailable) -> Trouble {
    match error {
        Unavailable::Busy => Trouble::Busy,
        Unavailable::Register(_) | Unavailable::Damaged(_) => Trouble::Down,
    }
}

/// What a form says of the last try.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Complaint(pub(super) Option<Fault>);

impl Complaint {
    /// What is to be said beside a field.
    pub(super) fn at(self, field: &str) -> Option<&'static str> {
        let fields = self.0.map_or_else(Vec::new, Fault::fields);
        fields
            .into_iter()
            .find(|marked| marked.id == field)
            .map(|marked| marked.words)
    }

    /// The answer, with the fault for the log.
    pub(super) fn note(self, answer: Response) -> Response {
        match self.0 {
            Some(fault) => noted(answer, fault.words()),
            None => answer,
        }
    }
}

/// A field that is to be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    /// Its id.
    pub(super) id: &'static str,
    /// Its label, or what stands for it.
    pub(super) label: &'static str,
    /// What to say beside it.
    pub(super) words: &'static str,
}

impl Fault {
    /// The sentence above the form.
    pub(super) fn words(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NameMissing => {
                "Username not provided. Type your e-mail address, or the name of the account."
            }
            Self::Unknown => "This server is unable to locate your account. Look for a typing mistake.",
            Self::NoAddress => "This account has no address that mail could be sent to. Ask the operator.",
            Self::Question => "That is not the answer to the question. Here is another one.",
            Self::PasswordMissing => "Password not provided. Nothing was changed.",
            Self::Differs => "The two passwords do not match. Nothing was changed.",
            Self::Short { count } => return short(count).into(),
            Self::OwnName => {
                "Do not use your address or name as a password. Use at least 8 characters that nobody guesses."
            }
            Self::WrongKey => {
                "Key does not match with username. The link is old, was used, or was copied in part."
            }
            Self::NotUnderstood => {
                "Tick that you understand what becomes unreadable, or leave the page. Nothing was changed."
            }
            Self::ChangeFailed => {
                "Password change failed. Nothing was changed. Try again in a few minutes; if it fails again, tell the operator."
            }
            Self::DataMissing { .. } => "Missing data. Nothing was deleted.",
            Self::BadCredentials => {
                "Bad credentials: there is no account with this name and this password. Nothing was deleted."
            }
            Self::DeletionFailed => {
                "Deletion failed. Nothing was deleted. Try again in a few minutes; if it fails again, tell the operator."
            }
        })
    }

    /// The fields that are to be mended.
    pub(super) fn fields(self) -> Vec<Marked> {
        let mark = |id, label, words| Marked { id, label, words };
        let name = |words| mark("username", "Account", words);
        let password = |words| mark("password", "Password", words);
        let fields = match self {
            Self::NameMissing => [name("This is empty.")],
            Self::Unknown => [name("Nobody here has this name.")],
            Self::NoAddress => [name("No mail can be sent here.")],
            Self::Question => [mark("answer", "Question", "This was not the answer.")],
            Self::PasswordMissing => [password("This was empty.")],
            Self::Differs => [mark("confirm", "The same password again", "This did not match.")],
            Self::Short { .. } => [password("This was too short.")],
            Self::OwnName => [password("This was your name.")],
            Self::WrongKey => [mark("key", "Code", "This is not the code.")],
            Self::NotUnderstood => [mark("understood", "Tick", "This was not ticked.")],
            Self::BadCredentials => [password("This does not fit the name.")],
            Self::DataMissing {
                name: is_nameless,
                password: is_open,
            } => {
                let empty = [
                    (is_nameless, name("This is empty.")),
                    (is_open, password("This was empty.")),
                ];
                let empty = empty.into_iter().filter(|(is_empty, _)| *is_empty);
                return empty.map(|(_, field)| field).collect();
            }
            Self::ChangeFailed | Self::DeletionFailed => return Vec::new(),
        };
        fields.into()
    }

    /// Whether another code would mend it.
    pub(super) const fn wants_code(self) -> bool {
        matches!(self, Self::WrongKey)
    }

    /// The bare phrase of the deletion page, for tools that read no pages.
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            Self::DataMissing { .. } => "Missing data",
            Self::BadCredentials => "Bad credentials",
            Self::NameMissing
            | Self::Unknown
            | Self::NoAddress
            | Self::Question
            | Self::PasswordMissing
            | Self::Differs
            | Self::Short { .. }
            | Self::OwnName
            | Self::WrongKey
            | Self::NotUnderstood
            | Self::ChangeFailed
            | Self::DeletionFailed => "Deletion failed.",
        }
    }
}

fn short(count: usize) -> String {
    format!("Use at least 8 characters. This one has {count}. Nothing was changed.")
}
