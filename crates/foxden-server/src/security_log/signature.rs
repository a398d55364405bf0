//! The table of events: signature ids, names, severities.

use foxden_accounts::security::{EventKind, OperatorAction};

/// The fixed fields of a kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// Never changes and is never used again.
    pub(super) id: u16,
    /// In words.
    pub(super) name: &'static str,
    /// From 0, of no weight, to 10.
    pub(super) severity: u8,
    /// The word for programs, in `act`.
    pub(super) act: &'static str,
    /// The value of `outcome`.
    pub(super) outcome: Outcome,
}

/// The outcomes of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
}

/// From here on severe: log-ins locked, allowances used up, a server that is no longer private.
const SEVERE: u8 = 6;

/// The signature of the line about missing lines.
pub(super) const LINES_MISSING: Signature = failure(901, "Lines of this log are missing", 7, "lines-missing");

const fn success(id: u16, name: &'static str, severity: u8, act: &'static str) -> Signature {
    Signature {
        id,
        name,
        severity,
        act,
        outcome: Outcome::Success,
    }
}

const fn failure(id: u16, name: &'static str, severity: u8, act: &'static str) -> Signature {
    Signature {
        id,
        name,
        severity,
        act,
        outcome: Outcome::Failure,
    }
}

impl Signature {
    /// The signature of this kind of event.
    pub(super) const fn of(kind: EventKind) -> Self {
        match kind {
            EventKind::LoginFailed => failure(101, "Log-in failed", 4, "login"),
            EventKind::LoginLocked => {
                failure(102, "Log-in locked after too many failures", 6, "login-locked")
            }
            EventKind::LimitReached => failure(104, "Allowance used up", 6, "limit"),
            EventKind::CodeRefused => failure(103, "Code, link or invitation refused", 4, "code"),
            EventKind::AccountCreated => success(201, "Account created", 3, "account-create"),
            EventKind::AccountDeleted => success(202, "Account deleted", 5, "account-delete"),
            EventKind::PasswordChanged => success(203, "Password changed", 4, "password-change"),
            EventKind::PasswordReset => success(204, "Password reset", 5, "password-reset"),
            EventKind::ResetRequested => success(205, "Password reset asked for", 3, "password-reset-ask"),
            EventKind::AddressChanged => success(206, "Address changed", 5, "address-change"),
            EventKind::CaptchaFailed => failure(301, "Captcha failed", 3, "captcha"),
            EventKind::TokenRefused => failure(401, "Credential refused by the tokenserver", 3, "token"),
            EventKind::StorageRefused => failure(402, "Credential refused by storage", 3, "storage"),
            EventKind::BecamePublic => failure(
                601,
                "A private server was reached from elsewhere",
                6,
                "became-public",
            ),
            EventKind::Operator(act) => Self::of_operator(act),
        }
    }

    const fn of_operator(act: OperatorAction) -> Self {
        match act {
            OperatorAction::AccountAdded => {
                success(501, "Operator added an account", 4, "operator-account-add")
            }
            OperatorAction::AccountRemoved => {
                success(502, "Operator removed an account", 6, "operator-account-remove")
            }
            OperatorAction::AccountDisabled => success(
                503,
                "Operator switched an account off",
                5,
                "operator-account-disable",
            ),
            OperatorAction::AccountEnabled => success(
                504,
                "Operator switched an account on",
                4,
                "operator-account-enable",
            ),
            OperatorAction::RoleChanged => success(505, "Operator changed a role", 7, "operator-role-change"),
            OperatorAction::AddressConfirmed => success(
                506,
                "Operator confirmed an address",
                4,
                "operator-address-confirm",
            ),
            OperatorAction::PasswordLinkMade => success(
                507,
                "Operator made a set-password link",
                6,
                "operator-password-link",
            ),
            OperatorAction::CodesShown => {
                success(508, "Operator read pending codes", 6, "operator-codes-show")
            }
            OperatorAction::InvitationMade => {
                success(509, "Operator made an invitation", 4, "operator-invite")
            }
            OperatorAction::InvitationRevoked => success(
                510,
                "Operator took an invitation back",
                3,
                "operator-invite-revoke",
            ),
            OperatorAction::NodeChanged => success(511, "Operator changed a node", 5, "operator-node-change"),
            OperatorAction::UserMoved => success(512, "Operator moved a user", 5, "operator-user-move"),
            OperatorAction::MadePrivate => success(
                513,
                "Operator took the server for private again",
                6,
                "operator-private",
            ),
        }
    }

    /// Whether repetitions become one line: events that an unattended device causes for ever.
    pub(super) fn is_repeatable(&self) -> bool {
        self.outcome == Outcome::Failure || self.id == 205
    }

    /// Whether it matters more than a refusal does: a client that causes many of these must not keep it out of the log.
    pub(super) const fn is_severe(&self) -> bool {
        self.severity >= SEVERE
    }
}

impl Outcome {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}
