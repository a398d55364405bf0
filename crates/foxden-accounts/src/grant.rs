//! Issuing tokens for each kind of grant.

use data_encoding::BASE64URL_NOPAD;
use foxden_sql::{Fetch, Tx};
use ring::digest;

use crate::oauth::{CODE_MILLIS, refresh, split_scopes};
use crate::password_hasher::constant_time_eq;
use crate::register::oauth::{AccessRow, RefreshRow};
use crate::register::{device, oauth};
use crate::scope::{self, known_client};
use crate::session::MAX_SESSIONS;
use crate::validity::is_valid;
use crate::{
    AccessType, AccountId, Accounts, ClientInfo, CredentialError, Granted, OAuthError, SecretToken, Session,
    Unavailable, secret,
};

/// The account and the client of a token, and the session and the code that it depends on.
struct Source {
    uid: AccountId,
    client: &'static str,
    session_id: Option<String>,
    code_hash: Option<String>,
}

/// The parameters of an exchange of an authorization code.
#[derive(Clone, Copy)]
struct CodeExchange<'a> {
    session: Option<&'a Session>,
    client: &'static str,
    verifier: Option<&'a str>,
    ttl: u64,
}

impl Accounts {
    pub(crate) async fn grant_code(
        &self,
        session: Option<&Session>,
        client: &'static str,
        code: &str,
        verifier: Option<&str>,
        ttl: u64,
        client_info: &ClientInfo,
    ) -> Result<Granted, OAuthError> {
        let code = SecretToken::from_hex(code).ok_or(OAuthError::UnknownGrant)?;
        let (id_hash, exchange) = (
            &secret::hash(&code.0),
            &CodeExchange {
                session,
                client,
                verifier,
                ttl,
            },
        );
        let granted =
            self.transact(|tx| async move { self.redeem(&tx, id_hash, exchange, client_info).await });
        granted.await?.ok_or(OAuthError::UnknownGrant)
    }

    /// Redeems a code in this transaction; `None` if the code was used before. Then its tokens are revoked.
    async fn redeem(
        &self,
        tx: &Tx,
        id_hash: &str,
        exchange: &CodeExchange<'_>,
        client_info: &ClientInfo,
    ) -> Result<Option<Granted>, OAuthError> {
        let CodeExchange {
            session,
            client,
            verifier,
            ttl,
        } = *exchange;
        let row = oauth::code(tx, id_hash).await?;
        let row = row.ok_or(OAuthError::UnknownGrant)?;
        if row.client_id != client {
            return Err(OAuthError::OtherClientsGrant);
        }
        if session.is_some_and(|session| session.account != row.uid) {
            return Err(OAuthError::UnknownGrant);
        }
        if row.used {
            // A code that is used twice was copied, so its tokens are revoked.
            oauth::revoke_of_code(tx, &row.id_hash).await?;
            return Ok(None);
        }
        if !is_valid(self.millis(), row.expires, CODE_MILLIS) {
            return Err(OAuthError::ExpiredGrant);
        }
        let verifier = verifier.ok_or(OAuthError::ChallengeMissing)?;
        if !matches_challenge(verifier, &row.challenge) {
            return Err(OAuthError::WrongVerifier);
        }
        if !oauth::use_code(tx, &row.id_hash).await? {
            return Err(OAuthError::UnknownGrant);
        }
        let source = Source {
            uid: row.uid,
            client,
            session_id: session.map(|session| session.public_id.clone()),
            code_hash: Some(row.id_hash),
        };
        let mut granted = self.issue(tx, &source, &row.scope, row.offline, ttl).await?;
        if scope::any_covers(&split_scopes(&row.scope), scope::SESSION) {
            granted.session_token = Some(
                self.insert_session(tx, row.uid, row.auth_at, true, client_info)
                    .await?,
            );
        }
        granted.auth_at = Some(row.auth_at);
        granted.keys_jwe = row.keys_jwe;
        Ok(Some(granted))
    }

    pub(crate) async fn grant_refresh(
        &self,
        client: Option<&'static str>,
        token: &str,
        scope: Option<&str>,
        ttl: u64,
    ) -> Result<Granted, OAuthError> {
        let now = self.millis();
        self.transact(|tx| async move {
            let row = own_refresh(&tx, client, token).await?;
            let scope = match scope {
                Some(scope) => {
                    let wanted = scope::parse(scope)?;
                    scope::require(&split_scopes(&row.scope), &wanted)?;
                    wanted.join(" ")
                }
                None => row.scope.clone(),
            };
            oauth::touch_refresh(&tx, &row.id_hash, now).await?;
            let access = NewAccess {
                uid: row.uid,
                client: row.client_id,
                scope,
                session_id: row.session_id,
                refresh_id: Some(row.id_hash),
                code_hash: row.code_hash,
            };
            Ok(self.insert_access(&tx, access, ttl).await?)
        })
        .await
    }

    pub(crate) async fn grant_credentials(
        &self,
        session: &Session,
        client: &'static str,
        scope: &str,
        access_type: AccessType,
        ttl: u64,
        client_info: &ClientInfo,
    ) -> Result<Granted, OAuthError> {
        session.require_verified()?;
        let wanted = scope::parse(scope)?;
        scope::require(known_client(client)?.scopes, &wanted)?;
        let source = Source {
            uid: session.account,
            client,
            session_id: Some(session.public_id.clone()),
            code_hash: None,
        };
        let (source, wanted) = (&source, &wanted);
        self.transact(|tx| async move {
            let is_offline = access_type == AccessType::Offline;
            let mut granted = self
                .issue(&tx, source, &wanted.join(" "), is_offline, ttl)
                .await?;
            if scope::any_covers(wanted, scope::SESSION) {
                let auth_at = session.auth_at;
                granted.session_token = Some(
                    self.insert_session(&tx, session.account, auth_at, true, client_info)
                        .await?,
                );
            }
            granted.auth_at = Some(session.auth_at);
            Ok(granted)
        })
        .await
    }

    /// Replaces a refresh token by a new one with the same scopes; its device stays. The new one has no further
    /// scopes: the client may not be the owner, and further scopes need a session.
    pub(crate) async fn exchange(
        &self,
        client: Option<&'static str>,
        token: &str,
        scope: &str,
        ttl: u64,
    ) -> Result<Granted, OAuthError> {
        self.transact(|tx| async move {
            let old = own_refresh(&tx, client, token).await?;
            let client = known_client(&old.client_id)?;
            scope::require(&split_scopes(&old.scope), &scope::parse(scope)?)?;
            let source = Source {
                uid: old.uid,
                client: client.id,
                session_id: old.session_id.clone(),
                code_hash: old.code_hash.clone(),
            };
            let granted = self.issue(&tx, &source, &old.scope, true, ttl).await?;
            if let Some(new) = &granted.refresh_token {
                device::move_refresh(&tx, &old.id_hash, &secret::hash(&new.0)).await?;
            }
            if oauth::delete_refresh(&tx, &old.id_hash).await? == 0 {
                return Err(OAuthError::UnknownToken);
            }
            Ok(granted)
        })
        .await
    }

    /// Issues an access token, and a refresh token if `is_offline`.
    async fn issue(
        &self,
        tx: &Tx,
        source: &Source,
        scope: &str,
        is_offline: bool,
        ttl: u64,
    ) -> Result<Granted, Unavailable> {
        let now = self.millis();
        let mut refresh_token = None;
        if is_offline {
            let token = SecretToken(self.random());
            let row = RefreshRow {
                id_hash: secret::hash(&token.0),
                uid: source.uid,
                client_id: source.client.to_owned(),
                scope: scope.to_owned(),
                session_id: source.session_id.clone(),
                code_hash: source.code_hash.clone(),
                created_at: now,
                last_used: now,
            };
            oauth::trim_refresh(tx, source.uid, MAX_SESSIONS - 1).await?;
            oauth::insert_refresh(tx, &row).await?;
            refresh_token = Some(token);
        }
        let access = NewAccess {
            uid: source.uid,
            client: source.client.to_owned(),
            scope: scope.to_owned(),
            session_id: source.session_id.clone(),
            // Firefox on a desktop discards the refresh token at once and uses the access token.
            refresh_id: None,
            code_hash: source.code_hash.clone(),
        };
        let mut granted = self.insert_access(tx, access, ttl).await?;
        granted.refresh_token = refresh_token;
        Ok(granted)
    }

    async fn insert_access(&self, tx: &Tx, new: NewAccess, ttl: u64) -> Result<Granted, Unavailable> {
        let now = self.millis();
        let access_token = SecretToken(self.random());
        let life = i64::try_from(ttl).unwrap_or(0) * 1000;
        let row = AccessRow {
            id_hash: secret::hash(&access_token.0),
            uid: new.uid,
            client_id: new.client,
            scope: new.scope.clone(),
            session_id: new.session_id,
            refresh_id: new.refresh_id,
            code_hash: new.code_hash,
            created_at: now,
            expires: now + life,
        };
        oauth::trim_access(tx, new.uid, MAX_SESSIONS - 1).await?;
        oauth::insert_access(tx, row).await?;
        Ok(Granted {
            access_token,
            refresh_token: None,
            session_token: None,
            scope: new.scope,
            expires_in: ttl,
            auth_at: None,
            keys_jwe: None,
        })
    }
}

/// An access token to be issued.
struct NewAccess {
    uid: AccountId,
    client: String,
    scope: String,
    session_id: Option<String>,
    refresh_id: Option<String>,
    code_hash: Option<String>,
}

/// Finds a refresh token, which must be the client's own.
async fn own_refresh(
    from: &impl Fetch,
    client: Option<&str>,
    token: &str,
) -> Result<RefreshRow, CredentialError> {
    let row = refresh(from, token).await?;
    match client {
        Some(client) if client != row.client_id => Err(CredentialError::Unknown),
        Some(_) | None => Ok(row),
    }
}

fn matches_challenge(verifier: &str, challenge: &str) -> bool {
    let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
    let is_sized = (43..=128).contains(&verifier.len());
    is_sized
        && constant_time_eq(
            BASE64URL_NOPAD.encode(hash.as_ref()).as_bytes(),
            challenge.as_bytes(),
        )
}
