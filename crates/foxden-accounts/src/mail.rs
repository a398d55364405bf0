//! Mail to account owners and to invited people: what it says, and where it goes.
//!
//! The text and the way it travels are not known here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// A mail.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mail {
    /// Confirm the address.
    ConfirmAddress {
        /// Six digits to type.
        code: String,
        /// The same for a link: 32 hex digits.
        link_code: String,
    },
    /// Reset the password.
    ResetCode {
        /// 32 hex digits.
        code: String,
        /// The reset that waits for the code, for a link: 64 hex digits.
        token: String,
        /// Whether eight digits were asked for, of which too many were tried in vain.
        #[serde(default)]
        instead_of_digits: bool,
    },
    /// Reset the password in a program that asks for digits.
    ResetOtp {
        /// Eight digits.
        code: String,
        /// Whether digits of before ended because too many wrong ones were tried.
        #[serde(default)]
        again: bool,
    },
    /// Reset the password on a page for old browsers.
    #[serde(rename = "plain_reset")]
    LegacyReset {
        /// The name that was asked for.
        name: String,
        /// `XXXX-XXXX-XXXX-XXXX`.
        code: String,
    },
    /// Make an account.
    Invitation {
        /// The end of the link.
        code: String,
    },
    /// The password was changed by a client that knew the old one.
    PasswordChanged {
        /// The IP address of the client that did it.
        from: String,
    },
    /// The password was reset with a code.
    PasswordReset {
        /// The IP address of the client that did it.
        from: String,
    },
    /// The account has another address from now on; said to the one before.
    AddressChanged {
        /// The new one.
        address: String,
        /// The IP address of the client that did it.
        from: String,
    },
}

impl Mail {
    /// The kind of mail, as a word for logs and rows.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ConfirmAddress { .. } => CONFIRM_ADDRESS,
            Self::ResetCode { .. } => RESET_CODE,
            Self::ResetOtp { .. } => RESET_OTP,
            Self::LegacyReset { .. } => LEGACY_RESET,
            Self::Invitation { .. } => "invitation",
            Self::PasswordChanged { .. } => "password_changed",
            Self::PasswordReset { .. } => "password_reset",
            Self::AddressChanged { .. } => "address_changed",
        }
    }
}

/// Mails that die when their code was used.
pub(crate) const CONFIRM_ADDRESS: &str = "confirm_address";
pub(crate) const RESET_CODE: &str = "reset_code";
pub(crate) const RESET_OTP: &str = "reset_otp";
pub(crate) const LEGACY_RESET: &str = "plain_reset";

// A mail carries codes, and debug output may end in a log.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Where a mail belongs, and how long it is of use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    /// The kind of the mail in it.
    pub(crate) kind: &'static str,
    /// Where it goes.
    pub(crate) address: &'a str,
    /// The account it goes with.
    pub(crate) account: Option<AccountId>,
    /// The invitation it goes with.
    pub(crate) invitation: Option<i64>,
    /// When the code in it ends.
    pub(crate) expires: Option<i64>,
}

impl<'a> Envelope<'a> {
    /// To the owner of an account.
    pub(crate) const fn to(account: AccountId, address: &'a str, kind: &'static str) -> Self {
        Self {
            kind,
            address,
            account: Some(account),
            invitation: None,
            expires: None,
        }
    }

    /// A mail that is of no use after that time.
    pub(crate) const fn until(self, expires: i64) -> Self {
        Self {
            expires: Some(expires),
            ..self
        }
    }
}
