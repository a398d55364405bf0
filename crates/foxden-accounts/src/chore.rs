//! What has to be cleared up now and then. Everything here may run twice, even at once, without harm.

use foxden_model::UserId;

use crate::register::{code, device, invitation, node, oauth, outbox, session, store, token};
use crate::{AccountError, Accounts};

const DAY_MILLIS: i64 = 24 * 3_600_000;
/// Sessions and refresh tokens without a device end when nobody used them for so long.
const IDLE_MILLIS: i64 = 90 * DAY_MILLIS;
/// Expired codes and invitations are kept a while, so that their owners learn that they have expired.
const KEPT_MILLIS: i64 = DAY_MILLIS;
/// A replaced store is kept at least so long: longer than any token for it lives.
const GRACE_MILLIS: i64 = DAY_MILLIS;

impl Accounts {
    /// Deletes expired rows, at most `budget` of each kind; says how many went.
    pub async fn purge(&self, budget: u32) -> Result<u64, AccountError> {
        let now = self.millis();
        let tx = self.0.database.begin().await?;
        let mut deleted = oauth::purge_access(&tx, now, budget).await?;
        deleted += oauth::purge_codes(&tx, now - KEPT_MILLIS, budget).await?;
        deleted += oauth::purge_refresh(&tx, now - IDLE_MILLIS, budget).await?;
        deleted += session::purge(&tx, now - IDLE_MILLIS, budget).await?;
        deleted += token::purge(&tx, now, budget).await?;
        deleted += code::purge(&tx, now, budget).await?;
        deleted += code::purge_links(&tx, now - KEPT_MILLIS, budget).await?;
        deleted += device::purge_commands(&tx, now, budget).await?;
        deleted += invitation::purge(&tx, now - KEPT_MILLIS, budget).await?;
        let unsent = outbox::purge(&tx, now, budget).await?;
        tx.commit().await?;
        if unsent > 0 {
            tracing::warn!(
                letters = unsent,
                "letters could not be sent in time and were thrown away"
            );
        }
        deleted += unsent;
        deleted += self.close_replaced(now, budget).await?;
        if let Err(error) = self.0.database.checkpoint().await {
            tracing::debug!(%error, "the register's log was not written back this time");
        }
        Ok(deleted)
    }

    /// Closed stores that are due to be emptied now, at most `limit`. Empty each, then call [`Accounts::store_emptied`].
    pub async fn stores_to_empty(&self, limit: u32) -> Result<Vec<UserId>, AccountError> {
        Ok(store::due(&self.0.database, self.millis(), limit).await?)
    }

    /// Notes that a closed store was emptied. It comes up once more after the last token for it has expired.
    pub async fn store_emptied(&self, store: UserId) -> Result<(), AccountError> {
        let tx = self.0.database.begin().await?;
        store::emptied(&tx, store, self.millis()).await?;
        Ok(tx.commit().await?)
    }

    /// Every store of a removed account that a live token may still ask for: the storage part of the same process
    /// refuses them from the start on.
    pub async fn closed_stores(&self) -> Result<Vec<UserId>, AccountError> {
        Ok(store::removed(&self.0.database).await?)
    }

    /// Strikes off stores that were replaced long ago and writes those on the own node down to be emptied. Stores on
    /// other nodes wait for whoever can reach those.
    async fn close_replaced(&self, now: i64, budget: u32) -> Result<u64, AccountError> {
        let tx = self.0.database.begin().await?;
        let own = node::own(&tx, self.0.settings.service).await?;
        let own = own.ok_or(AccountError::Damaged("the own node is missing"))?;
        let replaced = store::replaced_before(&tx, own.id, now - GRACE_MILLIS, budget).await?;
        let mut closed = 0;
        for (uid, replaced_at, is_own) in replaced {
            store::delete_uid(&tx, uid).await?;
            if is_own {
                node::give_slot(&tx, own.id).await?;
                let last_expiry = replaced_at + i64::from(self.0.options.token_seconds) * 1000;
                store::close(&tx, uid, false, now, last_expiry).await?;
            }
            closed += 1;
        }
        tx.commit().await?;
        Ok(closed)
    }
}
