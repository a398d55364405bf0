//! The tokenserver: trades an access token for a store on a node.

use async_trait::async_trait;
use foxden_model::UserId;

use crate::{Accounts, TokenError};

/// Verifies access tokens: our own, or another account server's.
#[async_trait]
pub trait AccessTokens: Send + Sync + 'static {
    /// Whom the token stands for; `Err(InvalidCredentials)` when it is not valid here.
    async fn verify(&self, token: &str) -> Result<Identity, TokenError>;
}

/// Whom a verified access token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's uid, 32 hex digits.
    pub fxa_uid: String,
    /// Who keeps that account.
    pub issuer: String,
    /// When the password last changed, in milliseconds.
    pub generation: Option<i64>,
    /// What the token is good for.
    pub scope: Vec<String>,
}

/// What a client says of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId {
    /// When the keys changed, in milliseconds; 0: not said.
    pub keys_changed_at: i64,
    /// Fingerprint of the key, at most 16 bytes.
    pub client_state: Vec<u8>,
}

/// The store that is a client's, and what its storage token says.
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
    /// The account's uid for counting without knowing whom.
    pub hashed_fxa_uid: String,
    /// The device for counting without knowing which.
    pub hashed_device_id: String,
}

impl Accounts {
    /// Verifies the access token for the sync scope and nothing more.
    pub async fn verify_bearer(&self, token: &str) -> Result<Identity, TokenError> {
        todo!()
    }

    /// The store of a verified identity, made if there is none, by the rules of consistency.
    pub async fn assign(&self, identity: &Identity, key_id: &KeyId) -> Result<Assignment, TokenError> {
        todo!()
    }
}
