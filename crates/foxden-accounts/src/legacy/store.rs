//! The stores of old clients, and the node of each.

use std::sync::Arc;

use foxden_model::UserId;
use foxden_sql::{Fetch, Tx};

use super::{LegacyStore, NodeLookup};
use crate::address::normal;
use crate::error::FirstStoreError;
use crate::limits::RateLimitKey;
use crate::placement::{Placement, current_store, insert_store};
use crate::register::account::{self, AccountRow};
use crate::register::node::{self, NodeQuery, NodeRow};
use crate::register::store::{self, StoreOnNode, StoreRow};
use crate::{AccountId, Accounts, ClientInfo, LimitError, NewUsers, Unavailable, setting};

/// A store for old clients, and its node.
struct PlacedStore {
    row: StoreRow,
    node: NodeRow,
    /// Whether it was made or moved just now.
    is_new: bool,
}

impl Accounts {
    /// Finds the node of the store for old clients by a name, and creates the store if there is none. A store on a node
    /// that drains is moved. Any client may ask, so no store is created for an account whose address was never confirmed:
    /// an unknown client could keep such an account from being removed.
    pub async fn node_of(&self, name: &str, client: &ClientInfo) -> Result<NodeLookup, LimitError> {
        let row = match self.find_named(name, client).await {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(NodeLookup::Unknown),
            Err(refused @ LimitError::TooMany(_)) => {
                // A single node is the same answer for every name: it reveals nothing, and old clients go on.
                let only = node::only(&self.0.database, self.0.settings.legacy_service_id).await?;
                return only.map_or(Err(refused), |only| Ok(NodeLookup::of(only)));
            }
            Err(error) => return Err(error),
        };
        let found = self.find_row(&self.0.database, row.uid).await?;
        match found {
            Some((_, node)) if row.disabled || !self.may_leave(&node).await? => Ok(NodeLookup::of(node)),
            None if row.disabled => Ok(NodeLookup::NoCapacity),
            None if !row.address_verified && self.0.options.sends_mail => {
                Ok(self.node_of_claim(row.uid).await?)
            }
            Some(_) | None => Ok(self.placed_node(row.uid).await?),
        }
    }

    /// Moves or creates the store where that is due, and returns its node.
    async fn placed_node(&self, uid: AccountId) -> Result<NodeLookup, Unavailable> {
        let placed = self.transact_change(|tx| async move {
            let placed = self.place_legacy_store(&tx, uid).await?;
            if placed.is_new {
                self.write_change(&tx, uid).await?;
            }
            Ok::<_, FirstStoreError>(placed.node)
        });
        match placed.await {
            Ok(node) => Ok(NodeLookup::of(node)),
            Err(FirstStoreError::NoCapacity) => Ok(NodeLookup::NoCapacity),
            // Removed since it was looked up.
            Err(FirstStoreError::AccountGone) => Ok(NodeLookup::Unknown),
            Err(FirstStoreError::Unavailable(error)) => Err(error),
        }
    }

    /// Returns the node where the store would be created by now. The first request with the right password creates it.
    async fn node_of_claim(&self, uid: AccountId) -> Result<NodeLookup, Unavailable> {
        let (from, service) = (&self.0.database, self.0.settings.legacy_service_id);
        let email = self.store_name(uid);
        let has_store = !store::of(from, service, &email).await?.is_empty();
        if !has_store && setting::new_users(from).await? == NewUsers::Refused {
            return Ok(NodeLookup::NoCapacity);
        }
        let rather = self.node_beside(from, service, &email).await?;
        let best = node::best(from, NodeQuery::first(service, &rather)).await?;
        Ok(best.map_or(NodeLookup::NoCapacity, |node| NodeLookup::At(node.node.into())))
    }

    /// Finds an account by name. The answer reveals which accounts exist, so a network may ask for few unknown names.
    /// It may ask for more known ones, since many devices may share its address.
    pub(super) async fn find_named(
        &self,
        name: &str,
        client: &ClientInfo,
    ) -> Result<Option<AccountRow>, LimitError> {
        self.check_and_count_network(RateLimitKey::Lookup, client)?;
        let (network, asked_at) = (client.network(), self.steady());
        self.check_and_count_network(RateLimitKey::Enumeration, client)?;
        let row = account::by_name(&self.0.database, &normal(name)).await?;
        if row.is_some() {
            self.0
                .limits
                .refund(RateLimitKey::Enumeration(network), asked_at, self.steady());
        }
        Ok(row)
    }

    /// Returns the account's store for old clients wherever it is, created if there is none.
    pub(super) async fn legacy_store(&self, uid: AccountId) -> Result<Arc<LegacyStore>, FirstStoreError> {
        if let Some((row, node)) = self.find_row(&self.0.database, uid).await? {
            let found = self.legacy_store_at(&self.0.database, uid, &row, &node).await?;
            return Ok(Arc::new(found));
        }
        let store = self.transact(|tx| async move {
            let (row, node) = if let Some(found) = self.find_row(&tx, uid).await? {
                found
            } else {
                let PlacedStore { row, node, .. } = self.place_legacy_store(&tx, uid).await?;
                (row, node)
            };
            Ok::<_, FirstStoreError>(self.legacy_store_at(&tx, uid, &row, &node).await?)
        });
        Ok(Arc::new(store.await?))
    }

    /// Moves or creates the account's store in this transaction, where that is due.
    async fn place_legacy_store(&self, tx: &Tx, uid: AccountId) -> Result<PlacedStore, FirstStoreError> {
        if account::by_id(tx, uid).await?.is_none() {
            return Err(FirstStoreError::AccountGone);
        }
        let (service, email) = (self.0.settings.legacy_service_id, self.store_name(uid));
        let rows = store::of(tx, service, &email).await?;
        let current = rows.iter().find(|row| row.replaced_at.is_none());
        if rows.is_empty() && setting::new_users(tx).await? == NewUsers::Refused {
            return Err(FirstStoreError::NoCapacity);
        }
        let node = match self.place_store(tx, service, &email, current).await? {
            Placement::NoRoom => return Err(FirstStoreError::NoCapacity),
            Placement::Moved(row, node) => {
                let is_new = true;
                return Ok(PlacedStore { row, node, is_new });
            }
            Placement::Stays(node) | Placement::Down(node) => {
                // Only a store that there is stays.
                let row = current.cloned().ok_or(FirstStoreError::NoCapacity)?;
                let is_new = false;
                return Ok(PlacedStore { row, node, is_new });
            }
            Placement::New(node) => node,
        };
        let row = StoreRow {
            uid: UserId(0),
            service,
            email,
            generation: 0,
            client_state: String::new(),
            // The latest row is the one in use, also where the clock was set back.
            created_at: rows
                .iter()
                .map(|row| row.created_at)
                .fold(self.millis(), i64::max),
            replaced_at: None,
            nodeid: node.id,
            keys_changed_at: None,
        };
        let row = insert_store(tx, row, &node).await?;
        store::replace_others(tx, &row, row.created_at).await?;
        let is_new = true;
        Ok(PlacedStore { row, node, is_new })
    }

    /// Returns the store in use and its node, if that still exists.
    async fn find_row(
        &self,
        from: &impl Fetch,
        uid: AccountId,
    ) -> Result<Option<(StoreRow, NodeRow)>, Unavailable> {
        let service = self.0.settings.legacy_service_id;
        let Some(row) = current_store(from, service, &self.store_name(uid)).await? else {
            return Ok(None);
        };
        let node = node::by_id(from, row.nodeid).await?;
        Ok(node.map(|node| (row, node)))
    }

    async fn legacy_store_at(
        &self,
        from: &impl Fetch,
        account: AccountId,
        row: &StoreRow,
        node: &NodeRow,
    ) -> Result<LegacyStore, Unavailable> {
        let store = StoreOnNode {
            uid: row.uid,
            email: &row.email,
            node: &node.node,
        };
        let other_uids = store::other_uids(from, &store).await?;
        Ok(LegacyStore {
            account,
            user: row.uid,
            node: node.node.as_str().into(),
            other_uids: other_uids.into(),
        })
    }
}

impl NodeLookup {
    /// The answer where the store lies on that node.
    fn of(node: NodeRow) -> Self {
        if node.downed {
            Self::Down(node.node.into())
        } else {
            Self::At(node.node.into())
        }
    }
}
