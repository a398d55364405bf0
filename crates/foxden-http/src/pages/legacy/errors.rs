//! Errors of forms. Clients and their tests look for some of the phrases, letter for letter.

use std::borrow::Cow;

use axum::response::Response;
use foxden_accounts::{LegacyLoginError, LegacyResetError, ResetRequestError, TooMany, Unavailable};

use super::with_log_reason;
use crate::wire::chain;

/// An error that the user can correct. The form is shown again with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldError {
    /// The name is empty.
    NameMissing,
    /// The account does not exist.
    Unknown,
    /// The account has no address for mail.
    NoAddress,
    /// The captcha was answered wrongly.
    Question,
    /// The password is empty.
    PasswordMissing,
    /// The two passwords differ.
    Differs,
    /// The password is too short.
    Short {
        /// The number of characters.
        count: usize,
    },
    /// The password is the name or the address.
    OwnName,
    /// The code does not belong to the account.
    WrongKey,
    /// The user has not confirmed that stored data may become unreadable.
    NotUnderstood,
    /// The new password could not be stored.
    ChangeFailed,
    /// Name or password are missing.
    DataMissing {
        /// Whether the name is missing.
        name: bool,
        /// Whether the password is missing.
        password: bool,
    },
    /// The password does not belong to the account.
    BadCredentials,
    /// The account could not be deleted.
    DeletionFailed,
}

/// Why a form failed.
#[derive(Debug)]
pub(super) enum FormFailure {
    /// The user can correct it.
    Field(FieldError),
    /// There is no form to show. The text is the reason, for the log.
    Page(PageError, String),
}

/// Why there is no form to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageError {
    /// The fields are not those of the form.
    NotOurForm,
    /// A foreign page triggered the request.
    ForeignPage,
    /// Too many tries.
    Wait {
        /// Seconds until the next try.
        seconds: u64,
    },
    /// The server is busy.
    Busy,
    /// The register is unavailable.
    Down,
}

impl PageError {
    /// Returns the seconds after which the client may try again.
    pub(super) const fn retry_after(self) -> Option<u64> {
        match self {
            Self::Wait { seconds } => Some(seconds),
            Self::Busy => Some(30),
            Self::Down => Some(300),
            Self::NotOurForm | Self::ForeignPage => None,
        }
    }

    /// The heading of the page.
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

impl From<FieldError> for FormFailure {
    fn from(field_error: FieldError) -> Self {
        Self::Field(field_error)
    }
}

impl From<ResetRequestError> for FormFailure {
    fn from(error: ResetRequestError) -> Self {
        let page_error = match &error {
            ResetRequestError::UnknownAccount { .. } => return FieldError::Unknown.into(),
            ResetRequestError::NoAddress => return FieldError::NoAddress.into(),
            ResetRequestError::TooMany(error) => too_many(*error),
            ResetRequestError::Unavailable(error) => unavailable(error),
        };
        Self::Page(page_error, chain(&error))
    }
}

impl From<LegacyResetError> for FormFailure {
    fn from(error: LegacyResetError) -> Self {
        let page_error = match &error {
            // Only the owner may know that an account is disabled, and learns it from the operator.
            LegacyResetError::UnknownAccount { .. } | LegacyResetError::Disabled => {
                return FieldError::Unknown.into();
            }
            LegacyResetError::WrongCode => return FieldError::WrongKey.into(),
            LegacyResetError::ConsentMissing => return FieldError::NotUnderstood.into(),
            LegacyResetError::WeakPassword => return FieldError::OwnName.into(),
            LegacyResetError::Exists => PageError::Down,
            LegacyResetError::TooMany(error) => too_many(*error),
            LegacyResetError::Unavailable(error) => unavailable(error),
        };
        Self::Page(page_error, chain(&error))
    }
}

impl From<LegacyLoginError> for FormFailure {
    fn from(error: LegacyLoginError) -> Self {
        let page_error = match &error {
            LegacyLoginError::UnknownAccount { .. } | LegacyLoginError::Disabled => {
                return FieldError::Unknown.into();
            }
            LegacyLoginError::WrongPassword { .. } => return FieldError::BadCredentials.into(),
            LegacyLoginError::TooMany(error) => too_many(*error),
            LegacyLoginError::Unavailable(error) => unavailable(error),
        };
        Self::Page(page_error, chain(&error))
    }
}

const fn too_many(error: TooMany) -> PageError {
    PageError::Wait {
        seconds: error.retry_after,
    }
}

const fn unavailable(error: &Unavailable) -> PageError {
    match error {
        Unavailable::Busy => PageError::Busy,
        Unavailable::NullCharacter => PageError::NotOurForm,
        Unavailable::Database(_) | Unavailable::Damaged(_) => PageError::Down,
    }
}

/// The message of a form about the last submission.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FormError(pub(super) Option<FieldError>);

impl FormError {
    /// Returns the message beside a field.
    pub(super) fn at(self, field: &str) -> Option<&'static str> {
        let fields = self.0.map_or_else(Vec::new, FieldError::fields);
        fields
            .into_iter()
            .find(|message| message.id == field)
            .map(|message| message.text)
    }

    /// Adds the error to the response, for the log.
    pub(super) fn with_log_reason(self, answer: Response) -> Response {
        match self.0 {
            Some(field_error) => with_log_reason(answer, field_error.text()),
            None => answer,
        }
    }
}

/// A field with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldMessage {
    /// Its id.
    pub(super) id: &'static str,
    /// Its label.
    pub(super) label: &'static str,
    /// The message beside it.
    pub(super) text: &'static str,
}

impl FieldError {
    /// The sentence above the form.
    pub(super) fn text(self) -> Cow<'static, str> {
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
                "Do not use your address or name as a password. Use at least 8 characters that are hard to guess."
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

    /// The fields with an error.
    pub(super) fn fields(self) -> Vec<FieldMessage> {
        let mark = |id, label, text| FieldMessage { id, label, text };
        let name = |text| mark("username", "Account", text);
        let password = |text| mark("password", "Password", text);
        let fields = match self {
            Self::NameMissing => [name("This is empty.")],
            Self::Unknown => [name("No account here has this name.")],
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

    /// Whether another code would help.
    pub(super) const fn wants_code(self) -> bool {
        matches!(self, Self::WrongKey)
    }

    /// The bare phrase of the deletion page, for tools.
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
