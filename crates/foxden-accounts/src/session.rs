//! Sessions, and the credentials that a new one comes with.

use foxden_sql::Tx;

use crate::nonce::{ClockReading, MEMORY_MILLIS};
use crate::password_hasher::PasswordHash;
use crate::register::account::AccountRow;
use crate::register::session::SessionRow;
use crate::register::token::TokenRow;
use crate::register::{event, session, token};
use crate::{
    AccountId, Accounts, ClientInfo, CredentialError, CredentialKind, NonceError, Replayed, SecretToken,
    SecurityEvent, SignedIn, TokenId, Unavailable, Unverified, secret,
};

/// How old the stored time of last use may be: it saves a write for each request.
const LAST_USED_INTERVAL_MILLIS: i64 = 5 * 60_000;
const KEY_FETCH_MILLIS: i64 = 60 * 60_000;
/// Sessions that an account keeps, and credentials of other kinds; the oldest are evicted.
pub(crate) const MAX_SESSIONS: u32 = 500;
/// Maximum length of a stored `User-Agent`.
const USER_AGENT: usize = 200;

/// A signed-in device or page.
#[derive(Clone)]
pub struct Session {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The Hawk key.
    pub auth_key: [u8; 32],
    /// When the password was last verified, in seconds.
    pub auth_at: i64,
    /// Whether the account's address is confirmed.
    pub address_verified: bool,
    /// Whether the session itself is confirmed.
    pub session_verified: bool,
    /// Hash of the token id, safe to show to other devices; not a credential.
    pub public_id: String,
}

impl Session {
    /// Whether address and session are both confirmed.
    pub const fn is_verified(&self) -> bool {
        self.address_verified && self.session_verified
    }

    /// Refuses a session that is not confirmed.
    pub const fn require_verified(&self) -> Result<(), Unverified> {
        match (self.address_verified, self.session_verified) {
            (false, _) => Err(Unverified::Address),
            (true, false) => Err(Unverified::Session),
            (true, true) => Ok(()),
        }
    }
}

impl Accounts {
    /// Finds the session with that token id, for Hawk and for `Bearer fxs_`.
    pub async fn session(&self, id: &TokenId) -> Result<Session, CredentialError> {
        let id_hash = secret::hash(&id.0);
        let found = session::get(&self.0.database, &id_hash).await?;
        let (row, address_verified) = found.ok_or(CredentialError::Unknown)?;
        let now = self.millis();
        if now - row.last_used > LAST_USED_INTERVAL_MILLIS {
            let id_hash = &id_hash;
            self.transact(|tx| async move { Ok::<_, Unavailable>(session::touch(&tx, id_hash, now).await?) })
                .await?;
        }
        Ok(Session {
            account: row.uid,
            auth_key: row.auth_key,
            auth_at: row.auth_at,
            address_verified,
            session_verified: row.verified,
            public_id: row.id_hash,
        })
    }

    /// Ends the session with its device and grants.
    pub async fn end_session(&self, session: &Session) -> Result<(), CredentialError> {
        self.delete_session(session, &session.public_id).await
    }

    /// Ends another session of the same account, named by its token id.
    pub async fn end_other_session(&self, session: &Session, other: &TokenId) -> Result<(), CredentialError> {
        self.delete_session(session, &secret::hash(&other.0)).await
    }

    /// Duplicates the session. Fails if it was deleted meanwhile; otherwise a copy would survive the password change
    /// that deleted it.
    pub async fn duplicate_session(
        &self,
        session: &Session,
        client: &ClientInfo,
    ) -> Result<SignedIn, CredentialError> {
        self.transact(|tx| async move {
            if session::get(&tx, &session.public_id).await?.is_none() {
                return Err(CredentialError::Unknown);
            }
            let token = self.insert_session(
                &tx,
                session.account,
                session.auth_at,
                session.session_verified,
                client,
            );
            Ok(SignedIn {
                account: session.account,
                session_token: Some(token.await?),
                key_fetch_token: None,
                auth_at: session.auth_at,
                address_verified: session.address_verified,
                session_verified: session.session_verified,
            })
        })
        .await
    }

    /// Refuses a nonce that this credential used, with any process, within the time in which requests are accepted. To be
    /// called for requests whose signature holds.
    pub async fn accept_nonce(
        &self,
        account: Option<AccountId>,
        id: &TokenId,
        nonce: &str,
    ) -> Result<(), NonceError> {
        let now = ClockReading {
            wall: self.millis(),
            steady: self.steady(),
        };
        let accepted = self.0.nonces.accept(account, id, nonce, now)?;
        let shared = &self.0.shared;
        // Memory bounds what one owner keeps here, and so the rows that it causes.
        if let Some(evicted) = accepted.evicted.filter(|_| shared.had_peers(MEMORY_MILLIS)) {
            shared.release(evicted).await?;
        }
        if shared.use_once(accepted.key, MEMORY_MILLIS).await? {
            Ok(())
        } else {
            Err(Replayed.into())
        }
    }

    /// Creates a session, and a key-fetch token if one is wanted.
    pub(crate) async fn sign_in(
        &self,
        tx: &Tx,
        row: &AccountRow,
        password_hash: &PasswordHash,
        wants_keys: bool,
        client: &ClientInfo,
    ) -> Result<SignedIn, Unavailable> {
        let auth_at = self.auth_at_now(row);
        let verified = row.address_verified;
        let session_token = self
            .insert_session(tx, row.uid, auth_at, verified, client)
            .await?;
        let key_fetch_token = if wants_keys {
            Some(self.new_key_fetch(tx, row, password_hash).await?)
        } else {
            None
        };
        Ok(SignedIn {
            account: row.uid,
            session_token: Some(session_token),
            key_fetch_token,
            auth_at,
            address_verified: verified,
            session_verified: verified,
        })
    }

    /// Returns the `auth_at` of a password verified now: the clock, but at least `keys_changed_at`.
    pub(crate) fn auth_at_now(&self, row: &AccountRow) -> i64 {
        self.0.clock.seconds().max(row.keys_changed_at / 1000)
    }

    pub(crate) async fn insert_session(
        &self,
        tx: &Tx,
        uid: AccountId,
        auth_at: i64,
        verified: bool,
        client: &ClientInfo,
    ) -> Result<SecretToken, Unavailable> {
        let now = self.millis();
        let (token, secrets) = self.new_secrets(CredentialKind::Session);
        let row = SessionRow {
            id_hash: secret::hash(&secrets.id.0),
            auth_key: secrets.auth_key,
            uid,
            created_at: now,
            last_used: now,
            auth_at,
            verified,
            user_agent: client.user_agent.chars().take(USER_AGENT).collect(),
        };
        session::trim_oldest(tx, uid, MAX_SESSIONS - 1).await?;
        session::insert(tx, &row).await?;
        Ok(token)
    }

    /// A key-fetch token with its bundle: the keys themselves are encrypted before they are stored.
    pub(crate) async fn new_key_fetch(
        &self,
        tx: &Tx,
        row: &AccountRow,
        password_hash: &PasswordHash,
    ) -> Result<SecretToken, Unavailable> {
        let (token, secrets) = self.new_secrets(CredentialKind::KeyFetch);
        let verifier = row.verifier.as_ref();
        let verifier = verifier.ok_or(Unavailable::Damaged("a verified password without its hash"))?;
        let bundle = secrets.bundle(&row.ka, &password_hash.unwrap(&verifier.wrap_wrap_kb).0);
        let row = TokenRow {
            id_hash: secret::hash(&secrets.id.0),
            kind: CredentialKind::KeyFetch,
            auth_key: secrets.auth_key,
            uid: row.uid,
            is_decoy: false,
            data: Some(bundle.to_vec()),
            tries: 1,
            expires: self.millis() + KEY_FETCH_MILLIS,
        };
        token::trim_oldest(tx, row.uid, MAX_SESSIONS - 1).await?;
        token::insert(tx, row).await?;
        Ok(token)
    }

    /// Records a security event of the account for its owner.
    pub(crate) async fn record_event(
        &self,
        tx: &Tx,
        uid: AccountId,
        kind: &str,
        client: &ClientInfo,
    ) -> Result<(), Unavailable> {
        let event = SecurityEvent {
            time: self.millis(),
            kind: kind.to_owned(),
            address: client.address.to_string(),
        };
        Ok(event::insert(tx, uid, &event).await?)
    }

    async fn delete_session(&self, session: &Session, id_hash: &str) -> Result<(), CredentialError> {
        self.transact(|tx| async move {
            match session::delete(&tx, session.account, id_hash).await? {
                0 => Err(CredentialError::Unknown),
                _ => Ok(()),
            }
        })
        .await
    }
}
