//! Where stores lie. The tokenserver and the look-up of old clients both ask [`Accounts::place_store`], so that they agree.

use foxden_sql::{Fetch, SqlError, Tx};

use crate::Accounts;
use crate::register::node::{self, NodeQuery, NodeRow};
use crate::register::store::{self, StoreRow};

/// How often slots are given out before it is said that no node has room.
const ROUNDS: usize = 5;

/// Where a store lies from now on.
pub(crate) enum Placement {
    /// Where it was.
    Stays(NodeRow),
    /// Its node drains: it was moved to this one, with all stores of its owner there.
    Moved(StoreRow, NodeRow),
    /// It is to be made on this node: there is none yet, or it has lost its node.
    New(NodeRow),
    /// Its node is out of service: its owner waits.
    Down(NodeRow),
    /// It is to be made, and no node has room.
    NoRoom,
}

impl Accounts {
    /// Decides where the owner's store of a service lies, and moves it if its node drains and another one has room.
    /// `current` is the latest store, if there is one.
    pub(crate) async fn place_store(
        &self,
        tx: &Tx,
        service: i64,
        email: &str,
        current: Option<&StoreRow>,
    ) -> Result<Placement, SqlError> {
        let node = match current.filter(|row| row.replaced_at.is_none()) {
            Some(row) => node::by_id(tx, row.nodeid).await?,
            None => None,
        };
        match node {
            None => {
                let chosen = self.choose_for(tx, service, email).await?;
                Ok(chosen.map_or(Placement::NoRoom, Placement::New))
            }
            Some(node) if node.downed => Ok(Placement::Down(node)),
            Some(node) if node.is_draining() => self.leave(tx, email, node).await,
            Some(node) => Ok(Placement::Stays(node)),
        }
    }

    /// The node for a new store: rather that of the owner's other store than another one.
    async fn choose_for(&self, tx: &Tx, service: i64, email: &str) -> Result<Option<NodeRow>, SqlError> {
        let rather = self.node_beside(tx, service, email).await?;
        choose(tx, NodeQuery::first(service, &rather)).await
    }

    /// The address of the node of the owner's other store; empty if there is none.
    pub(crate) async fn node_beside(
        &self,
        from: &impl Fetch,
        service: i64,
        email: &str,
    ) -> Result<String, SqlError> {
        for other in self.services().into_iter().filter(|&other| other != service) {
            if let Some(row) = current_store(from, other, email).await?
                && let Some(node) = node::by_id(from, row.nodeid).await?
            {
                return Ok(node.node);
            }
        }
        Ok(String::new())
    }

    /// Whether a user may have to leave this node: it drains, and another one has room. Without a transaction, since all of
    /// its users ask again and again while none has.
    pub(crate) async fn may_leave(&self, node: &NodeRow) -> Result<bool, SqlError> {
        Ok(node.is_draining() && node::others_have_room(&self.0.database, node).await?)
    }

    /// Moves all stores of their owner away from a node that drains, to one that has room for all of them.
    async fn leave(&self, tx: &Tx, email: &str, node: NodeRow) -> Result<Placement, SqlError> {
        let (mut stores, mut elsewhere) = (Vec::new(), String::new());
        for service in self.services() {
            let Some(row) = current_store(tx, service, email).await? else {
                continue;
            };
            match node::by_id(tx, row.nodeid).await? {
                Some(its) if its.node == node.node => stores.push(row),
                Some(its) => elsewhere = its.node,
                None => {}
            }
        }
        let query = NodeQuery {
            service: node.service,
            slots: i64::try_from(stores.len()).unwrap_or(i64::MAX),
            but: Some(node.id),
            rather: &elsewhere,
        };
        let Some(target) = choose(tx, query).await? else {
            return Ok(Placement::Stays(node));
        };
        let mut moved = None;
        for row in stores {
            // A node has a row for each service.
            let Some(to) = node::by_url(tx, row.service, &target.node).await? else {
                continue;
            };
            let is_asked_for = row.service == node.service;
            let row = self.relocate(tx, row, &to).await?;
            if is_asked_for {
                moved = Some(row);
            }
        }
        Ok(moved.map_or(Placement::Stays(node), |row| Placement::Moved(row, target)))
    }

    /// Gives the owner of a store an empty one on that node in its place. The old one is emptied once no token for it is
    /// valid.
    pub(crate) async fn relocate(
        &self,
        tx: &Tx,
        current: StoreRow,
        to: &NodeRow,
    ) -> Result<StoreRow, SqlError> {
        // The latest row is the current one, also where the clock was set back.
        let now = self.millis().max(current.created_at);
        let row = StoreRow {
            created_at: now,
            ..current
        };
        let row = insert_store(tx, row, to).await?;
        store::replace_others(tx, &row, now).await?;
        Ok(row)
    }

    /// The services whose stores accounts have.
    pub(crate) fn services(&self) -> [i64; 2] {
        [self.0.settings.sync_service_id, self.0.settings.legacy_service_id]
    }
}

/// The store in use: the one that the tokenserver considers current.
pub(crate) async fn current_store(
    from: &impl Fetch,
    service: i64,
    email: &str,
) -> Result<Option<StoreRow>, SqlError> {
    let rows = store::of(from, service, email).await?;
    Ok(rows
        .into_iter()
        .filter(|row| row.replaced_at.is_none())
        .max_by_key(|row| (row.generation, row.created_at, row.uid)))
}

/// The best node for the query; slots are given out when all that were are taken. `None`: no node has room.
pub(crate) async fn choose(tx: &Tx, query: NodeQuery<'_>) -> Result<Option<NodeRow>, SqlError> {
    for _ in 0..ROUNDS {
        if let Some(node) = node::best(tx, query).await? {
            return Ok(Some(node));
        }
        if node::give_out(tx, query.service).await? == 0 {
            break;
        }
    }
    Ok(None)
}

/// Creates a store on that node, with a new uid whatever the row says.
pub(crate) async fn insert_store(tx: &Tx, row: StoreRow, node: &NodeRow) -> Result<StoreRow, SqlError> {
    node::reserve_slot(tx, node).await?;
    let mut row = StoreRow {
        nodeid: node.id,
        replaced_at: None,
        ..row
    };
    row.uid = store::insert(tx, &row).await?;
    Ok(row)
}
