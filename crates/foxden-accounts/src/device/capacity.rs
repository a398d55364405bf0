//! Limits on the devices of an account, and the size of a list of them.

use foxden_sql::{SqlError, Tx};

use super::DeviceOwner;
use crate::register::device::DeviceRow;
use crate::register::{device, oauth as grants};
use crate::{AccountId, Accounts, Session, Unavailable};

/// The number of devices of an account, and the bytes of their records. Beyond that the least recently used are
/// evicted: their browsers stay signed in, and register again when they are next used.
pub(super) const DEVICES: u32 = 100;
const DEVICES_BYTES: u64 = 512 * 1024;
/// The bytes of one record. A real one has two: a name, three commands of some 500 bytes, an address for pushes.
pub(super) const RECORD_BYTES: u64 = 16 * 1024;
/// The bytes that a session or a refresh token takes at most in the list of attached clients.
const ATTACHED_BYTES: u64 = 1024;

/// Evicts the least recently used devices until this one fits. Returns their number.
pub(super) async fn evict_for(tx: &Tx, row: &DeviceRow) -> Result<u64, SqlError> {
    let (mut count, mut bytes) = (1, row.bytes());
    let mut removed = 0;
    for (id, length) in device::sizes(tx, row.uid).await? {
        if id == row.id {
            continue;
        }
        count += 1;
        bytes += length;
        if count > DEVICES || bytes > DEVICES_BYTES {
            device::delete(tx, id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

impl Accounts {
    /// The bytes of what [`Self::devices`] loads.
    pub async fn devices_weight(&self, owner: DeviceOwner<'_>) -> Result<u64, Unavailable> {
        Ok(self.weight_of_devices(owner.account()).await?)
    }

    /// The bytes of what [`Self::attached_clients`] loads.
    pub async fn attached_weight(&self, session: &Session) -> Result<u64, Unavailable> {
        let database = &self.0.database;
        let (sessions, _, _) = device::usage(database, session.account).await?;
        let tokens = grants::count_refresh(database, session.account).await?;
        let devices = self.weight_of_devices(session.account).await?;
        Ok(devices + (sessions + tokens).min(1000) * ATTACHED_BYTES)
    }

    async fn weight_of_devices(&self, uid: AccountId) -> Result<u64, SqlError> {
        let sizes = device::sizes(&self.0.database, uid).await?;
        let each = |&(_, bytes): &(_, u64)| bytes + ATTACHED_BYTES;
        Ok(sizes.iter().take(DEVICES as usize).map(each).sum())
    }
}

impl DeviceRow {
    /// The bytes that clients chose.
    pub(super) fn bytes(&self) -> u64 {
        let texts = [Some(&self.name), Some(&self.kind), Some(&self.commands)];
        let push = [&self.push_callback, &self.push_public_key, &self.push_auth_key];
        let texts = texts.into_iter().chain(push.map(Option::as_ref)).flatten();
        texts.map(|text| text.len() as u64).sum()
    }
}
