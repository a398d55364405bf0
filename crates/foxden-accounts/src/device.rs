//! Devices, and the commands they send each other.

use std::collections::BTreeMap;

use crate::{AccountError, AccountId, Accounts, DeviceId, RefreshAccess, Session};

/// Whoever may speak for a device: a session, or a refresh token with the sync scope.
#[derive(Clone, Copy)]
pub enum DeviceOwner<'a> {
    /// A session.
    Session(&'a Session),
    /// A refresh token, as phones use it.
    Refresh(&'a RefreshAccess),
}

/// What a client says of its device: the fields it gave.
#[derive(Clone, Debug, Default)]
pub struct DevicePatch {
    /// The device, where the client knows its id.
    pub id: Option<DeviceId>,
    /// What its owner calls it.
    pub name: Option<String>,
    /// `desktop`, `mobile`, `tablet`, `vr` or `tv`.
    pub kind: Option<String>,
    /// The commands it takes.
    pub commands: Option<BTreeMap<String, String>>,
    /// Where pushes go. An empty text clears it.
    pub push_callback: Option<String>,
    /// Their key.
    pub push_public_key: Option<String>,
    /// Their secret.
    pub push_auth_key: Option<String>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What its owner calls it.
    pub name: String,
    /// `desktop`, `mobile`, `tablet`, `vr` or `tv`.
    pub kind: String,
    /// The commands it takes.
    pub commands: BTreeMap<String, String>,
    /// Where pushes go.
    pub push_callback: Option<String>,
    /// Their key.
    pub push_public_key: Option<String>,
    /// Their secret.
    pub push_auth_key: Option<String>,
    /// When it was registered, in milliseconds.
    pub created_at: i64,
    /// When its session or refresh token was last used, in milliseconds.
    pub last_access: i64,
    /// Whether the caller is this device.
    pub is_current: bool,
}

/// Everything that is signed in to an account: sessions, refresh tokens and their devices, merged.
#[derive(Clone, Debug)]
pub struct AttachedClient {
    /// The OAuth client, for refresh tokens.
    pub client: Option<String>,
    /// The device, if it registered one.
    pub device: Option<DeviceId>,
    /// The session's public id.
    pub session: Option<String>,
    /// The refresh token's public id.
    pub refresh_token: Option<String>,
    /// Whether the caller's session is this one.
    pub is_current: bool,
    /// The device's kind.
    pub kind: Option<String>,
    /// The device's name, or the OAuth client's.
    pub name: Option<String>,
    /// In milliseconds.
    pub created_at: i64,
    /// In milliseconds.
    pub last_access: i64,
    /// The refresh token's scopes.
    pub scope: Option<Vec<String>>,
    /// What the client called itself; empty when unknown.
    pub user_agent: String,
}

/// Which attached client to disconnect: whatever is given is ended.
#[derive(Clone, Debug, Default)]
pub struct Detach {
    /// A session, by its public id.
    pub session: Option<String>,
    /// A refresh token, by its public id.
    pub refresh_token: Option<String>,
    /// A device.
    pub device: Option<DeviceId>,
}

/// A command from one device to another.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The device it is for.
    pub target: DeviceId,
    /// The command's name.
    pub command: String,
    /// Its content: the text of a JSON object, opaque.
    pub payload: String,
    /// Seconds it is worth keeping.
    pub ttl: Option<u64>,
}

/// A command that waits for its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCommand {
    /// Its number; rises by one with each command to the device.
    pub index: u64,
    /// The command's name.
    pub command: String,
    /// The text of a JSON object.
    pub payload: String,
    /// The device it comes from, if that still has a record.
    pub sender: Option<DeviceId>,
}

/// A page of waiting commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandPage {
    /// The highest index given; without any the one asked for.
    pub index: u64,
    /// Whether nothing follows.
    pub is_last: bool,
    /// In order.
    pub messages: Vec<QueuedCommand>,
}

impl Accounts {
    /// Registers the caller's device or changes it.
    pub async fn register_device(
        &self,
        owner: DeviceOwner<'_>,
        patch: DevicePatch,
    ) -> Result<Device, AccountError> {
        todo!()
    }

    /// The devices seen since that time (milliseconds); the caller's own always.
    pub async fn devices(
        &self,
        owner: DeviceOwner<'_>,
        seen_since: Option<i64>,
    ) -> Result<Vec<Device>, AccountError> {
        todo!()
    }

    /// Removes a device with its session or refresh token.
    pub async fn destroy_device(&self, owner: DeviceOwner<'_>, device: DeviceId) -> Result<(), AccountError> {
        todo!()
    }

    /// Sessions, refresh tokens and devices, merged; newest use first.
    pub async fn attached_clients(&self, session: &Session) -> Result<Vec<AttachedClient>, AccountError> {
        todo!()
    }

    /// Ends what is named; what is gone already is no error.
    pub async fn detach(&self, session: &Session, detach: &Detach) -> Result<(), AccountError> {
        todo!()
    }

    /// Queues a command for another device of the account.
    pub async fn invoke(&self, owner: DeviceOwner<'_>, invocation: Invocation) -> Result<(), AccountError> {
        todo!()
    }

    /// The caller's waiting commands from `index` on; at most `limit`, at most 100.
    pub async fn commands(
        &self,
        owner: DeviceOwner<'_>,
        index: u64,
        limit: Option<u64>,
    ) -> Result<CommandPage, AccountError> {
        todo!()
    }
}
