//! Devices, and other attached clients.
//!
//! - [`patch`]: the fields that a client sends about its device
//! - [`capacity`]: limits on the stored devices

mod capacity;
mod patch;

use std::collections::BTreeMap;

use foxden_sql::{Fetch, SqlError};

use crate::register::device::DeviceRow;
use crate::register::session::SessionRow;
use crate::register::{device, oauth as grants, session};
use crate::{
    AccountId, Accounts, DeviceError, DeviceField, DeviceId, RefreshAccess, Session, Unavailable, scope,
};

use capacity::{DEVICES, RECORD_BYTES, evict_for};
pub use patch::DevicePatch;

/// The default type of a device: of a session, and of a refresh token.
const DESKTOP: &str = "desktop";
const MOBILE: &str = "mobile";

/// The owner of a device: a session, or a refresh token with the sync scope.
#[derive(Clone, Copy)]
pub enum DeviceOwner<'a> {
    /// A session.
    Session(&'a Session),
    /// A refresh token, as phones use it.
    Refresh(&'a RefreshAccess),
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// The name that its owner gave it.
    pub name: String,
    /// The client's own word for its type.
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
    /// The client's `User-Agent`; empty when unknown.
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
    /// All refresh tokens of an OAuth client.
    pub client: Option<String>,
}

impl Accounts {
    /// Registers the caller's device or changes it.
    pub async fn register_device(
        &self,
        owner: DeviceOwner<'_>,
        patch: DevicePatch,
    ) -> Result<Device, DeviceError> {
        patch.check()?;
        let (row, removed) = self.write_device(owner, &patch).await?;
        if removed > 0 {
            self.report_eviction(row.uid, "devices", removed);
        }
        if owner.is_desktop() {
            if patch.has_push() {
                self.0.command_delay.cancel(row.id);
            } else {
                self.0.command_delay.start(row.id, self.steady());
            }
        }
        Ok(row.open(owner)?)
    }

    /// Stores the device of the caller with the patch applied. Returns it and the number of devices that were
    /// evicted.
    async fn write_device(
        &self,
        owner: DeviceOwner<'_>,
        patch: &DevicePatch,
    ) -> Result<(DeviceRow, u64), DeviceError> {
        // Desktops register again and again without a change: those cost no write.
        if let Some(row) = owner.find_own(&self.0.database, patch.id).await?
            && patch.applied(&row)? == row
        {
            return Ok((row, 0));
        }
        self.transact(|tx| async move {
            let known = owner.find_own(&tx, patch.id).await?;
            let is_new = known.is_none();
            let row = known.unwrap_or_else(|| owner.new_device(DeviceId(self.random()), self.millis()));
            let row = patch.applied(&row)?;
            if row.bytes() > RECORD_BYTES {
                return Err(DeviceError::Invalid(DeviceField::Commands));
            }
            let removed = evict_for(&tx, &row).await?;
            if is_new {
                device::insert(&tx, &row).await?;
            } else {
                device::update(&tx, &row).await?;
            }
            Ok((row, removed))
        })
        .await
    }

    /// The devices seen since that time (milliseconds), those that were used last where there are too many; the caller's
    /// own always.
    pub async fn devices(
        &self,
        owner: DeviceOwner<'_>,
        seen_since: Option<i64>,
    ) -> Result<Vec<Device>, Unavailable> {
        let mut rows = device::of(&self.0.database, owner.account(), DEVICES).await?;
        if !rows.iter().any(|row| owner.owns(row)) {
            rows.extend(owner.own(&self.0.database).await?);
        }
        let devices = rows
            .into_iter()
            .map(|row| row.open(owner))
            .collect::<Result<Vec<_>, _>>()?;
        let is_fresh = |device: &Device| seen_since.is_none_or(|since| device.last_access >= since);
        Ok(devices
            .into_iter()
            .filter(|device| device.is_current || is_fresh(device))
            .collect())
    }

    /// Removes a device with its session or refresh token. A session that is not confirmed removes its own alone.
    pub async fn destroy_device(&self, owner: DeviceOwner<'_>, id: DeviceId) -> Result<(), DeviceError> {
        if let DeviceOwner::Session(session) = owner
            && !session.is_verified()
        {
            let own = owner.own(&self.0.database).await?;
            if own.is_none_or(|own| own.id != id) {
                session.require_verified()?;
            }
        }
        self.end_device(owner.account(), id).await
    }

    /// Sessions, refresh tokens and devices, merged; newest use first.
    pub async fn attached_clients(&self, session: &Session) -> Result<Vec<AttachedClient>, Unavailable> {
        let database = &self.0.database;
        let devices = device::of(database, session.account, DEVICES).await?;
        let mut clients = Vec::new();
        for row in session::of(database, session.account).await? {
            let own = devices
                .iter()
                .find(|device| device.session_id.as_ref() == Some(&row.id_hash));
            clients.push(AttachedClient::of_session(row, own, &session.public_id));
        }
        for row in grants::refresh_of(database, session.account).await? {
            let own = devices
                .iter()
                .find(|device| device.refresh_id.as_ref() == Some(&row.id_hash));
            // A desktop gets a refresh token beside its session and drops it at once: it belongs to the session.
            if own.is_some() || row.session_id.is_none() {
                clients.push(AttachedClient::of_refresh(row, own));
            }
        }
        // Of those last used at the same time the caller's own comes first, and then the order of their ids, so that
        // a list asked for twice is the same twice.
        clients.sort_by(|one, other| {
            let rank = |client: &AttachedClient| (std::cmp::Reverse(client.last_access), !client.is_current);
            rank(one)
                .cmp(&rank(other))
                .then_with(|| one.session.cmp(&other.session))
        });
        Ok(clients)
    }

    /// Ends what is named. It is no error if it has ended already.
    pub async fn detach(&self, session: &Session, detach: &Detach) -> Result<(), DeviceError> {
        if let Some(device) = detach.device {
            match self.end_device(session.account, device).await {
                Ok(()) | Err(DeviceError::UnknownDevice) => {}
                Err(error) => return Err(error),
            }
        }
        self.transact(|tx| async move {
            if let Some(id) = &detach.session {
                session::delete(&tx, session.account, id).await?;
            }
            if let Some(id) = &detach.refresh_token
                && grants::refresh(&tx, id)
                    .await?
                    .is_some_and(|row| row.uid == session.account)
            {
                grants::delete_refresh(&tx, id).await?;
            }
            if let Some(client) = &detach.client {
                for row in grants::refresh_of(&tx, session.account).await? {
                    if row.client_id == *client {
                        grants::delete_refresh(&tx, &row.id_hash).await?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Ends the session or refresh token behind a device, and the device with it.
    async fn end_device(&self, uid: AccountId, id: DeviceId) -> Result<(), DeviceError> {
        self.transact(|tx| async move {
            let row = device::get(&tx, uid, id).await?;
            let row = row.ok_or(DeviceError::UnknownDevice)?;
            if let Some(session) = &row.session_id {
                session::delete(&tx, uid, session).await?;
            }
            if let Some(refresh) = &row.refresh_id {
                grants::delete_refresh(&tx, refresh).await?;
            }
            device::delete(&tx, id).await?;
            Ok(())
        })
        .await
    }
}

impl DeviceOwner<'_> {
    /// The account.
    pub const fn account(&self) -> AccountId {
        match self {
            Self::Session(session) => session.account,
            Self::Refresh(refresh) => refresh.account,
        }
    }

    /// Phones have refresh tokens; a session is what a desktop browser signs with.
    pub(crate) const fn is_desktop(&self) -> bool {
        matches!(self, Self::Session(_))
    }

    pub(crate) fn owns(&self, row: &DeviceRow) -> bool {
        match self {
            Self::Session(session) => row.session_id.as_ref() == Some(&session.public_id),
            Self::Refresh(refresh) => row.refresh_id.as_ref() == Some(&refresh.public_id),
        }
    }

    /// The caller's device.
    pub(crate) async fn own(&self, from: &impl Fetch) -> Result<Option<DeviceRow>, SqlError> {
        match self {
            Self::Session(session) => device::of_session(from, &session.public_id).await,
            Self::Refresh(refresh) => device::of_refresh(from, &refresh.public_id).await,
        }
    }

    /// The caller's device; an id that is given must be its own.
    async fn find_own(
        &self,
        from: &impl Fetch,
        id: Option<DeviceId>,
    ) -> Result<Option<DeviceRow>, DeviceError> {
        let own = self.own(from).await?;
        match id {
            None => Ok(own),
            Some(id) if own.as_ref().is_some_and(|row| row.id == id) => Ok(own),
            Some(id) if device::get(from, self.account(), id).await?.is_some() => {
                let device = own.map_or(id, |row| row.id);
                Err(DeviceError::OtherDevice { device })
            }
            Some(_) => Err(DeviceError::UnknownDevice),
        }
    }

    fn new_device(&self, id: DeviceId, now: i64) -> DeviceRow {
        let (session_id, refresh_id, kind) = match self {
            Self::Session(session) => (Some(session.public_id.clone()), None, DESKTOP),
            Self::Refresh(refresh) => (None, Some(refresh.public_id.clone()), MOBILE),
        };
        DeviceRow {
            id,
            uid: self.account(),
            session_id,
            refresh_id,
            name: kind.to_owned(),
            kind: kind.to_owned(),
            commands: "{}".to_owned(),
            push_callback: None,
            push_public_key: None,
            push_auth_key: None,
            created_at: now,
            last_used: now,
        }
    }
}

impl DeviceRow {
    pub(crate) fn open(self, caller: DeviceOwner<'_>) -> Result<Device, Unavailable> {
        let commands = serde_json::from_str(&self.commands);
        Ok(Device {
            is_current: caller.owns(&self),
            id: self.id,
            name: self.name,
            kind: self.kind,
            commands: commands
                .map_err(|_| Unavailable::Damaged("a device's commands are not an object of texts"))?,
            push_callback: self.push_callback,
            push_public_key: self.push_public_key,
            push_auth_key: self.push_auth_key,
            created_at: self.created_at,
            last_access: self.last_used,
        })
    }
}

impl AttachedClient {
    fn of_session(row: SessionRow, device: Option<&DeviceRow>, current: &str) -> Self {
        Self {
            client: None,
            device: device.map(|device| device.id),
            is_current: row.id_hash == current,
            session: Some(row.id_hash),
            refresh_token: None,
            kind: device.map(|device| device.kind.clone()),
            name: device.map(|device| device.name.clone()),
            created_at: row.created_at,
            last_access: row.last_used,
            scope: None,
            user_agent: row.user_agent,
        }
    }

    fn of_refresh(row: grants::RefreshRow, device: Option<&DeviceRow>) -> Self {
        let client = scope::client(&row.client_id).map(|client| client.name.to_owned());
        Self {
            device: device.map(|device| device.id),
            session: None,
            refresh_token: Some(row.id_hash),
            is_current: false,
            kind: device.map(|device| device.kind.clone()),
            name: device.map(|device| device.name.clone()).or(client),
            client: Some(row.client_id),
            created_at: row.created_at,
            last_access: row.last_used,
            scope: Some(row.scope.split(' ').map(str::to_owned).collect()),
            user_agent: String::new(),
        }
    }
}
