//! Purging of expired rows. Every method may run twice, even concurrently, without harm.

use foxden_model::UserId;
use foxden_sql::{SqlError, Tx};

use crate::account::LATE_MILLIS;
use crate::register::store::ClosingStore;
use crate::register::{
    change, code, decoy_reset, device, invitation, node, oauth, outbox, session, shared, store, token,
};
use crate::shared::register::LATE;
use crate::validity::latest_end;
use crate::{Accounts, Unavailable};

const DAY_MILLIS: i64 = 24 * 3_600_000;
/// Sessions and refresh tokens without a device end when they were not used for so long.
const IDLE_MILLIS: i64 = 90 * DAY_MILLIS;
/// Expired codes and invitations are kept a while, so that their owners are told that they have expired.
const KEPT_MILLIS: i64 = DAY_MILLIS;
/// A replaced store is kept at least so long: longer than any token for it lives.
const GRACE_MILLIS: i64 = DAY_MILLIS;

/// The pause after a node failed to empty a store.
const AGAIN_MILLIS: i64 = 10 * 60_000;
/// Rows that one transaction deletes. A database takes a longer one back again and again while others write beside it.
const BATCH: u32 = 50;

/// A closed store, which is to be emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedStore {
    /// The store.
    pub user: UserId,
    /// The base address of the node it lies on, without a slash at the end.
    pub node: String,
    /// Whether it is the own node of this server, whatever address this process has for it.
    pub is_own: bool,
}

impl Accounts {
    /// Deletes expired rows, at most `budget` of each kind, and returns their number. Rows that expire later than
    /// `until`, in milliseconds, stay, since the clock may be ahead.
    pub async fn purge(&self, budget: u32, until: i64) -> Result<u64, Unavailable> {
        let now = self.millis().min(until);
        // Each kind by itself: one that fails undoes nothing of others.
        macro_rules! purge {
            ($kind:literal, $purge:path, $before:expr) => {
                self.purge_kind($kind, budget, |tx, rows| async move {
                    $purge(&tx, $before, rows).await
                })
                .await
            };
        }
        let mut deleted = purge!("access tokens", oauth::purge_access, now);
        deleted += purge!("OAuth codes", oauth::purge_codes, now - KEPT_MILLIS);
        deleted += purge!("refresh tokens", oauth::purge_refresh, now - IDLE_MILLIS);
        deleted += purge!("sessions", session::purge, now - IDLE_MILLIS);
        deleted += purge!("tokens", token::purge, now);
        deleted += purge!("decoy resets", decoy_reset::purge, now);
        deleted += purge!("codes", code::purge, now);
        deleted += purge!("links", code::purge_links, now - KEPT_MILLIS);
        deleted += purge!("commands", device::purge_commands, now);
        deleted += purge!("invitations", invitation::purge, now - KEPT_MILLIS);
        deleted += purge!("changes", change::purge, now - DAY_MILLIS);
        // Processes remove these themselves while there are several.
        deleted += purge!("nonces", shared::purge_used, now - LATE);
        deleted += purge!("shared values", shared::purge_values, now - LATE);
        let unsent = purge!("mails", outbox::purge, now);
        if unsent > 0 {
            tracing::warn!(batch = unsent, "mails could not be sent in time and were dropped");
        }
        deleted += unsent;
        deleted += self.close_replaced(now, budget).await?;
        deleted += self.remove_unconfirmed(now, budget).await?;
        if let Err(error) = self.0.database.wipe_deleted().await {
            tracing::debug!(%error, "the register's log was not written back this time");
        }
        Ok(deleted)
    }

    /// Deletes expired rows of one kind, a few at a time, until none is left or the budget is spent. Returns their number. A
    /// failure is logged: the next round goes on.
    async fn purge_kind<F, W>(&self, kind: &'static str, budget: u32, purge: F) -> u64
    where
        F: Fn(Tx, u32) -> W,
        W: Future<Output = Result<u64, SqlError>>,
    {
        let (purge, mut deleted) = (&purge, 0);
        while deleted < u64::from(budget) {
            let left = u64::from(budget) - deleted;
            let rows = u32::try_from(left).unwrap_or(BATCH).min(BATCH);
            match self.0.database.transact(|tx| purge(tx, rows)).await {
                Ok(found) => {
                    deleted += found;
                    if found < u64::from(rows) {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        kind,
                        error = &error as &dyn std::error::Error,
                        "what has expired could not be removed and stays until the next round"
                    );
                    break;
                }
            }
        }
        deleted
    }

    /// Lists closed stores that are due to be emptied, at most `limit`. Empty each, then call
    /// [`Accounts::store_emptied`], or [`Accounts::store_not_emptied`] on failure.
    pub async fn stores_to_empty(&self, limit: u32) -> Result<Vec<ClosedStore>, Unavailable> {
        let now = self.millis();
        let due = store::due(&self.0.database, now, self.latest_due(now), limit).await?;
        Ok(due
            .into_iter()
            .map(|(user, node, is_own)| ClosedStore { user, node, is_own })
            .collect())
    }

    /// Finds a store that is still to be emptied, due or not; `None` if it is not, or if its node is out of service.
    pub async fn store_to_empty(&self, store: UserId) -> Result<Option<ClosedStore>, Unavailable> {
        let node = store::node_of_closed(&self.0.database, store).await?;
        Ok(node.map(|(node, is_own)| ClosedStore {
            user: store,
            node,
            is_own,
        }))
    }

    /// Records that a closed store was emptied. It is listed once more after the last token for it has expired.
    pub async fn store_emptied(&self, store: UserId) -> Result<(), Unavailable> {
        self.transact(|tx| async move {
            let now = self.millis();
            Ok(store::mark_emptied(&tx, store, now, now + self.token_millis()).await?)
        })
        .await
    }

    /// Records that a closed store could not be emptied. It is listed again later, behind those of other nodes.
    pub async fn store_not_emptied(&self, store: UserId) -> Result<(), Unavailable> {
        let until = self.millis() + AGAIN_MILLIS;
        self.transact(|tx| async move { Ok(store::defer(&tx, store, until).await?) })
            .await
    }

    /// Records that a node did not answer: all of its stores are listed again later.
    pub async fn node_not_reached(&self, url: &str) -> Result<(), Unavailable> {
        let now = self.millis();
        self.transact(|tx| async move { Ok(store::defer_all(&tx, url, now, now + AGAIN_MILLIS).await?) })
            .await
    }

    /// The maximum lifetime of a token, with a margin for the clocks of nodes.
    pub(crate) fn token_millis(&self) -> i64 {
        i64::from(self.0.options.token_seconds) * 1000 + LATE_MILLIS
    }

    /// The latest time to which a closed store is deferred.
    fn latest_due(&self, now: i64) -> i64 {
        latest_end(now, self.token_millis().max(AGAIN_MILLIS))
    }

    /// Lists all closed stores that a valid token may still open. The storage of the same process refuses them from
    /// the start.
    pub async fn closed_stores(&self) -> Result<Vec<UserId>, Unavailable> {
        Ok(store::closed(&self.0.database, self.millis()).await?)
    }

    /// Deletes stores that were replaced long ago, and schedules them to be emptied on their node.
    async fn close_replaced(&self, now: i64, budget: u32) -> Result<u64, Unavailable> {
        self.transact(|tx| async move {
            store::delete_orphaned(&tx).await?;
            let replaced = store::replaced_before(&tx, now - GRACE_MILLIS, budget).await?;
            let mut closed = 0;
            for (uid, replaced_at, nodeid) in replaced {
                store::delete_uid(&tx, uid).await?;
                if let Some(nodeid) = nodeid {
                    node::release_slots(&tx, nodeid, 1).await?;
                    let closing = ClosingStore {
                        uid,
                        nodeid,
                        is_removed: false,
                        last_expiry: replaced_at + i64::from(self.0.options.token_seconds) * 1000,
                    };
                    store::close(&tx, &closing).await?;
                }
                closed += 1;
            }
            Ok(closed)
        })
        .await
    }
}
