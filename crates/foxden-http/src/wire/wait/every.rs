//! Every error of a service, for tables that say how long a client is asked to wait upon each.

use foxden_accounts::{AccountError, DeviceId};
use foxden_model::SyncTime;
use foxden_storage::{EngineError, Excess, StorageError};

/// One of each kind. A new kind does not compile until it stands here.
pub(crate) fn account_errors() -> Vec<AccountError> {
    let first = AccountError::Exists {
        address: Some(text()),
    };
    std::iter::successors(Some(first), next_account_error).collect()
}

/// The same of storage.
pub(crate) fn storage_errors() -> Vec<StorageError> {
    let modified = SyncTime::from_millis(1000);
    let first = EngineError::Stale { modified };
    let errors = std::iter::successors(Some(first), next_engine_error);
    errors.map(StorageError::Engine).collect()
}

fn text() -> String {
    "ann@example.org".to_owned()
}

fn next_account_error(error: &AccountError) -> Option<AccountError> {
    use AccountError as E;
    Some(match error {
        E::Exists { .. } => E::UnknownAccount { address: text() },
        E::UnknownAccount { .. } => E::WrongPassword { address: text() },
        E::WrongPassword { .. } => E::OtherSpelling { address: text() },
        E::OtherSpelling { .. } => E::NoPassword,
        E::NoPassword => E::Disabled,
        E::Disabled => E::AddressUnverified,
        E::AddressUnverified => E::SessionUnverified,
        E::SessionUnverified => E::WrongCode,
        E::WrongCode => E::ExpiredCode,
        E::ExpiredCode => E::Invalid { what: "email" },
        E::Invalid { .. } => E::UnknownToken,
        E::UnknownToken => E::Replayed,
        E::Replayed => E::TooMany { retry_after: 7 },
        E::TooMany { .. } => E::SignUpClosed,
        E::SignUpClosed => E::UnknownDevice,
        E::UnknownDevice => E::OtherDevice {
            device: DeviceId([1; 16]),
        },
        E::OtherDevice { .. } => E::NoSuchCommand,
        E::NoSuchCommand => E::UnknownClient { client: text() },
        E::UnknownClient { .. } => E::ScopesRefused { scopes: text() },
        E::ScopesRefused { .. } => E::WrongRedirect,
        E::WrongRedirect => E::ChallengeMissing,
        E::ChallengeMissing => E::UnknownGrant,
        E::UnknownGrant => E::OtherClientsGrant,
        E::OtherClientsGrant => E::ExpiredGrant,
        E::ExpiredGrant => E::WrongVerifier,
        E::WrongVerifier => E::StaleSession { auth_at: 1 },
        E::StaleSession { .. } => E::Forbidden,
        E::Forbidden => E::NoAddress,
        E::NoAddress => E::ConsentMissing,
        E::ConsentMissing => E::NoRoom,
        E::NoRoom => E::UnknownNode,
        E::UnknownNode => E::NodeListed,
        E::NodeListed => E::Unable,
        E::Unable => E::Busy,
        E::Busy => E::Unavailable(foxden_sql::SqlError::Mismatch),
        E::Unavailable(_) => E::Damaged("a row"),
        E::Damaged(_) => return None,
    })
}

fn next_engine_error(error: &EngineError) -> Option<EngineError> {
    use EngineError as E;
    Some(match error {
        E::Stale { .. } => E::OverQuota { used: 2, quota: 1 },
        E::OverQuota { .. } => E::Closed,
        E::Closed => E::NoSuchBatch,
        E::NoSuchBatch => E::TooLarge(Excess::Bytes),
        E::TooLarge(_) => E::TooManyCollections,
        E::TooManyCollections => E::BadCursor,
        E::BadCursor => E::Busy,
        E::Busy => E::Unavailable("the disk is gone".into()),
        E::Unavailable(_) => E::OutcomeUnknown("the disk has not answered".into()),
        E::OutcomeUnknown(_) => return None,
    })
}
