//! The tokenserver: trades an access token for a store on a node.

mod request;

use async_trait::async_trait;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use foxden_model::UserId;
use foxden_sql::{Fetch, Tx};
use ring::hmac;

use self::request::{Request, StoreHistory};
use crate::placement::{Placement, insert_store};
use crate::register::node::NodeRow;
use crate::register::store::{ClosingStore, StoreOnNode, StoreRow};
use crate::register::{account, node, store};
use crate::scope::{OLDSYNC, any_covers};
use crate::security::{EntryPoint, Event, EventKind};
use crate::{AccountId, Accounts, CredentialError, NewUsers, TokenError};

/// The generation of an account that is gone for good.
const RETIRED: i64 = i64::MAX;
/// The longest client state, in bytes.
const STATE: usize = 16;

/// Verifies access tokens: our own, or another account server's.
#[async_trait]
pub trait AccessTokens: Send + Sync + 'static {
    /// Verifies a token; `Err(InvalidCredentials)` if it is not valid here.
    async fn verify(&self, token: &str) -> Result<Identity, TokenError>;
}

/// The account of a verified access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's uid, 32 hex digits.
    pub fxa_uid: String,
    /// The server that has the account.
    pub issuer: String,
    /// When the password last changed, in milliseconds.
    pub generation: Option<i64>,
    /// The scopes of the token.
    pub scope: Vec<String>,
}

/// The key id that a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId {
    /// When the keys changed, in milliseconds; 0: not said.
    pub keys_changed_at: i64,
    /// Fingerprint of the key, at most 16 bytes.
    pub client_state: Vec<u8>,
}

/// The store that a client is assigned, and the contents of its storage token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The store.
    pub user: UserId,
    /// The node's base address.
    pub node: String,
    /// Where the store is found.
    pub api_endpoint: String,
    /// The account's uid.
    pub fxa_uid: String,
    /// The key id as tokens carry it.
    pub fxa_kid: String,
    /// The account's uid for metrics, hashed.
    pub hashed_fxa_uid: String,
    /// The device id for metrics, hashed.
    pub hashed_device_id: String,
    /// The account's other stores in use on that node.
    pub other_uids: Vec<UserId>,
    /// Seconds for which clients of that node are asked not to sync again; 0: they are not asked.
    pub backoff_seconds: u32,
    /// The store of the former key, which this very request has replaced.
    pub replaced: Option<UserId>,
}

impl Accounts {
    /// Verifies the access token for the sync scope and nothing more.
    pub async fn verify_bearer(&self, token: &str) -> Result<Identity, TokenError> {
        let identity = match self.access(token).await {
            Ok(access) => Identity {
                fxa_uid: access.account.to_string(),
                issuer: self.issuer().to_owned(),
                generation: Some(access.generation),
                scope: access.scope,
            },
            Err(CredentialError::Unknown) => match &self.0.options.outside {
                Some(outside) => outside.verify(token).await?,
                None => return Err(TokenError::InvalidCredentials),
            },
            Err(CredentialError::Unavailable(error)) => return Err(error.into()),
        };
        if any_covers(&identity.scope, OLDSYNC) {
            Ok(identity)
        } else {
            Err(TokenError::InvalidCredentials)
        }
    }

    /// Returns the store of a verified identity, created if there is none, by the rules of consistency.
    pub async fn assign(&self, identity: &Identity, key_id: &KeyId) -> Result<Assignment, TokenError> {
        if key_id.client_state.len() > STATE || key_id.keys_changed_at < 0 {
            return Err(TokenError::InvalidCredentials);
        }
        let is_own = identity.issuer == self.issuer();
        let request = Request {
            own: AccountId::from_hex(&identity.fxa_uid).filter(|_| is_own),
            email: format!("{}@{}", identity.fxa_uid, identity.issuer),
            generation: identity.generation.unwrap_or(0),
            keys_changed_at: key_id.keys_changed_at,
            client_state: HEXLOWER.encode(&key_id.client_state),
        };
        // Nearly every request finds its store as it left it, and then nothing has to be written.
        if let Some((row, node)) = self.find_assigned(&request).await? {
            let other_uids = self.other_uids(&self.0.database, &row, &node).await?;
            return Ok(self.assignment(identity, &row, &node, other_uids));
        }
        let (_changed, request) = (self.change_guard(), &request);
        let assigned = self.0.database.transact(|tx| async move {
            let assigned = self.assign_within(&tx, request).await?;
            // Cached log-ins of old clients hold the stores on the same node.
            if let Some(own) = request.own.filter(|_| assigned.is_new) {
                self.write_change(&tx, own).await?;
            }
            let other_uids = self.other_uids(&tx, &assigned.row, &assigned.node).await?;
            Ok::<_, TokenError>((assigned, other_uids))
        });
        let (assigned, other_uids) = assigned.await.inspect_err(|error| {
            if let TokenError::TooManyKeyChanges { .. } = error {
                let event =
                    Event::new(EventKind::TokenRefused, EntryPoint::Token, None).with_subject(&request.email);
                self.emit(&event.with_reason("the keys of the account changed too often"));
            }
        })?;
        Ok(Assignment {
            replaced: assigned.replaced,
            ..self.assignment(identity, &assigned.row, &assigned.node, other_uids)
        })
    }

    async fn other_uids(
        &self,
        from: &impl Fetch,
        row: &StoreRow,
        node: &NodeRow,
    ) -> Result<Vec<UserId>, TokenError> {
        let store = StoreOnNode {
            uid: row.uid,
            email: &row.email,
            node: &node.node,
        };
        Ok(store::other_uids(from, &store).await?)
    }

    /// The store and its node, if this request changes nothing.
    async fn find_assigned(&self, request: &Request) -> Result<Option<(StoreRow, NodeRow)>, TokenError> {
        let database = &self.0.database;
        let Some(found) =
            StoreHistory::read(database, self.0.settings.sync_service_id, &request.email).await?
        else {
            return Ok(None);
        };
        let is_alone = found.old.iter().all(|row| row.replaced_at.is_some());
        let Some(node) = node::by_id(database, found.current.nodeid).await? else {
            return Ok(None);
        };
        if found.current.replaced_at.is_some() || !is_alone {
            return Ok(None);
        }
        request.check(&found)?;
        if node.downed {
            return Err(TokenError::NodeDown { node: node.node });
        }
        if self.may_leave(&node).await? {
            return Ok(None);
        }
        let is_same = request.client_state == found.current.client_state
            && request.times(&found.current) == (found.current.generation, found.current.keys_changed_at);
        Ok(is_same.then_some((found.current, node)))
    }

    /// Finds or creates the store, checks the request against it, and stores what is new.
    async fn assign_within(&self, tx: &Tx, request: &Request) -> Result<AssignedStore, TokenError> {
        let now = self.millis();
        let service = self.0.settings.sync_service_id;
        let Some(mut found) = StoreHistory::read(tx, service, &request.email).await? else {
            let (row, node) = self.create_first_store(tx, request, now).await?;
            return Ok(AssignedStore {
                row,
                node,
                is_new: true,
                replaced: None,
            });
        };
        // The latest row is the current one, also where the clock was set back.
        let now = now.max(found.current.created_at);
        let (node, is_new) = self.place_current(tx, request, &mut found, now).await?;
        request.check(&found)?;
        let node = node.ok_or(TokenError::NoNode)?;
        if node.downed {
            return Err(TokenError::NodeDown { node: node.node });
        }
        store::replace_others(tx, &found.current, found.current.created_at).await?;

        let (generation, keys_changed_at) = request.times(&found.current);
        let current = found.current;
        let row = StoreRow {
            generation,
            keys_changed_at,
            client_state: request.client_state.clone(),
            ..current.clone()
        };
        // A store that was made just now takes another key as it is: one more would need a slot that its node may not have.
        if is_new || row.client_state == current.client_state {
            if row != current {
                store::set_key(tx, &row).await?;
            }
            return Ok(AssignedStore {
                row,
                node,
                is_new,
                replaced: None,
            });
        }
        let replaced = Some(current.uid);
        self.replace(tx, &current).await?;
        let row = StoreRow {
            created_at: now,
            ..row
        };
        let row = insert_store(tx, row, &node).await?;
        store::replace_others(tx, &row, now).await?;
        Ok(AssignedStore {
            row,
            node,
            is_new: true,
            replaced,
        })
    }

    /// The node of the current store, after that was moved or made anew where it is due, and whether it is a new one. Only
    /// a retired account may have none.
    async fn place_current(
        &self,
        tx: &Tx,
        request: &Request,
        found: &mut StoreHistory,
        now: i64,
    ) -> Result<(Option<NodeRow>, bool), TokenError> {
        if found.current.generation == RETIRED {
            return Ok((node::by_id(tx, found.current.nodeid).await?, false));
        }
        let service = self.0.settings.sync_service_id;
        let place = self.place_store(tx, service, &request.email, Some(&found.current));
        let (row, node) = match place.await? {
            Placement::Stays(node) | Placement::Down(node) => return Ok((Some(node), false)),
            Placement::NoRoom => return Err(TokenError::NoCapacity),
            Placement::Moved(row, node) => (row, node),
            Placement::New(node) => {
                let row = StoreRow {
                    created_at: now,
                    ..found.current.clone()
                };
                (insert_store(tx, row, &node).await?, node)
            }
        };
        found.old.push(std::mem::replace(&mut found.current, row));
        Ok((Some(node), true))
    }

    /// Closes a store because the account has another key. Its data is unreadable now, so it is emptied at once. The
    /// number of stores that tokens may still open is bounded, since each takes disk space.
    async fn replace(&self, tx: &Tx, current: &StoreRow) -> Result<(), TokenError> {
        let now = self.millis();
        let last_expiry = now + self.token_millis();
        let open = store::future_last_expiries(tx, current, now, last_expiry).await?;
        let most = usize::try_from(self.0.options.max_replaced_stores.max(1)).unwrap_or(usize::MAX);
        if let Some(at) = open.len().checked_sub(most)
            && let Some(first) = open.get(at)
        {
            let wait = u64::try_from(first - now).unwrap_or(0);
            return Err(TokenError::TooManyKeyChanges {
                retry_after: wait.div_ceil(1000),
            });
        }
        let closing = ClosingStore {
            uid: current.uid,
            nodeid: current.nodeid,
            is_removed: false,
            last_expiry,
        };
        Ok(store::close(tx, &closing).await?)
    }

    /// Creates the first store of an account.
    async fn create_first_store(
        &self,
        tx: &Tx,
        request: &Request,
        now: i64,
    ) -> Result<(StoreRow, NodeRow), TokenError> {
        if self.0.options.new_users == NewUsers::Refused {
            return Err(TokenError::NewUsersDisabled);
        }
        // An account of ours may have been removed since its token was verified; its stores went with it.
        if let Some(own) = request.own
            && account::by_id(tx, own).await?.is_none()
        {
            return Err(TokenError::InvalidCredentials);
        }
        let row = StoreRow {
            uid: UserId(0),
            service: self.0.settings.sync_service_id,
            email: request.email.clone(),
            generation: request.generation,
            client_state: request.client_state.clone(),
            created_at: now,
            replaced_at: None,
            nodeid: 0,
            keys_changed_at: Some(request.keys_changed_at).filter(|&time| time != 0),
        };
        let place = self.place_store(tx, row.service, &row.email, None).await?;
        let Placement::New(node) = place else {
            return Err(TokenError::NoCapacity);
        };
        Ok((insert_store(tx, row, &node).await?, node))
    }

    fn assignment(
        &self,
        identity: &Identity,
        row: &StoreRow,
        node: &NodeRow,
        other_uids: Vec<UserId>,
    ) -> Assignment {
        let hashed = |text: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0.options.metrics_secret);
            HEXLOWER.encode(&hmac::sign(&key, text.as_bytes()).as_ref()[..16])
        };
        let hashed_fxa_uid = hashed(&identity.fxa_uid);
        let uid = row.uid.to_string();
        Assignment {
            user: row.uid,
            api_endpoint: self
                .0
                .settings
                .sync_url_pattern
                .replace("{node}", &node.node)
                .replace("{uid}", &uid),
            node: node.node.clone(),
            fxa_uid: identity.fxa_uid.clone(),
            fxa_kid: fxa_kid(row),
            hashed_device_id: hashed(&format!("{hashed_fxa_uid}none")),
            hashed_fxa_uid,
            other_uids,
            backoff_seconds: node.backoff_seconds,
            replaced: None,
        }
    }
}

/// The result of an assignment: the store, its node, and the store that another key replaced.
struct AssignedStore {
    row: StoreRow,
    node: NodeRow,
    /// Whether the store was made just now.
    is_new: bool,
    replaced: Option<UserId>,
}

/// The key id as tokens carry it: the time padded to 13 digits, and the client state.
fn fxa_kid(row: &StoreRow) -> String {
    let time = row
        .keys_changed_at
        .filter(|&time| time != 0)
        .unwrap_or(row.generation);
    // Other programs may have written an odd digit there; it is dropped.
    let even = row.client_state.len() & !1;
    let state = HEXLOWER
        .decode(&row.client_state.as_bytes()[..even])
        .unwrap_or_default();
    format!("{time:013}-{}", BASE64URL_NOPAD.encode(&state))
}
