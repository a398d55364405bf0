//! OAuth: clients, scopes, codes and tokens.

use data_encoding::BASE64URL_NOPAD;
use foxden_sql::Fetch;

use crate::register::oauth::{CodeRow, RefreshRow};
use crate::register::{account, oauth};
use crate::scope::{self, known_client};
pub use crate::scope::{Client, OLDSYNC, client};
use crate::session::MAX_SESSIONS;
use crate::{
    AccountId, Accounts, ClientInfo, CredentialError, OAuthError, SecretToken, Session, Unavailable, secret,
};

pub(crate) const CODE_MILLIS: i64 = 15 * 60_000;
/// The lifetime of an access token in seconds: the default and the maximum.
const TTL: u64 = 3600;
const TTL_MAX: u64 = 86_400;
/// The longest bundle of encrypted keys, in bytes.
const KEYS_JWE: usize = 4096;
/// How stale the note of a refresh token's last use may be: it spares a write with each request.
const LAST_USED_INTERVAL_MILLIS: i64 = 5 * 60_000;
/// Where browsers take their codes: from a page that speaks to them.
const WEBCHANNEL: &str = "urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel";
const PAIRING: &str = "urn:ietf:wg:oauth:2.0:oob:pair-auth-webchannel";

/// Whether a grant outlives its access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessType {
    /// With a refresh token.
    Offline,
    /// Without.
    Online,
}

/// An authorization request, which a page sends for a browser.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// The OAuth client.
    pub client: String,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Whether a refresh token is wanted.
    pub access_type: AccessType,
    /// The S256 challenge, 43 characters.
    pub code_challenge: Option<String>,
    /// Must be `S256`.
    pub code_challenge_method: Option<String>,
    /// The encrypted keys, handed on as they are.
    pub keys_jwe: Option<String>,
    /// Where the browser is sent; the client's own when absent.
    pub redirect_uri: Option<String>,
    /// This server's origin, to know its own addresses by.
    pub origin: String,
}

/// An authorization code.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The code.
    pub code: SecretToken,
    /// Where the browser is sent, without `code` and `state`.
    pub redirect_uri: String,
}

/// A grant, in exchange for tokens.
#[derive(Clone, Debug)]
pub enum Grant {
    /// A code.
    Code {
        /// 64 hex digits; other text is an unknown code.
        code: String,
        /// Fits the challenge.
        verifier: Option<String>,
    },
    /// A refresh token.
    Refresh {
        /// 64 hex digits.
        token: String,
        /// Fewer scopes than it has; all when absent.
        scope: Option<String>,
    },
    /// The session itself.
    Credentials {
        /// Scopes, separated by spaces.
        scope: String,
        /// Whether a refresh token is wanted.
        access_type: AccessType,
    },
    /// A refresh token, to be replaced by a new one with the same scopes.
    Exchange {
        /// 64 hex digits.
        token: String,
        /// The required scope; the token must cover it.
        scope: String,
    },
}

/// A request for tokens.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The OAuth client; the exchange takes the old token's.
    pub client: Option<String>,
    /// The grant.
    pub grant: Grant,
    /// Seconds the access token should live.
    pub ttl: Option<u64>,
}

/// The issued tokens.
#[derive(Clone, Debug)]
pub struct Granted {
    /// Opens the profile and the tokenserver.
    pub access_token: SecretToken,
    /// Gets further access tokens.
    pub refresh_token: Option<SecretToken>,
    /// A new session, where its scope was granted.
    pub session_token: Option<SecretToken>,
    /// The scopes granted, separated by spaces.
    pub scope: String,
    /// Seconds.
    pub expires_in: u64,
    /// When the password was last verified, in seconds; not for the refresh grants.
    pub auth_at: Option<i64>,
    /// The encrypted keys, as they came.
    pub keys_jwe: Option<String>,
}

/// An access token that is valid.
#[derive(Clone, Debug)]
pub struct Access {
    /// The account.
    pub account: AccountId,
    /// The OAuth client.
    pub client: String,
    /// Its scopes.
    pub scope: Vec<String>,
    /// The account's generation, in milliseconds.
    pub generation: i64,
    /// When the profile last changed, in milliseconds.
    pub profile_changed_at: i64,
    /// When it was made, in seconds.
    pub issued_at: i64,
    /// When it ends, in seconds.
    pub expires: i64,
}

/// A refresh token that is valid.
#[derive(Clone, Debug)]
pub struct RefreshAccess {
    /// The account.
    pub account: AccountId,
    /// The OAuth client.
    pub client: String,
    /// Its scopes.
    pub scope: Vec<String>,
    /// When it was made, in seconds.
    pub issued_at: i64,
    /// The name others may know it by; opens nothing.
    pub public_id: String,
}

/// The result of a token introspection.
#[derive(Clone, Debug)]
pub enum Introspection {
    /// An access token.
    Access(Access),
    /// A refresh token.
    Refresh(RefreshAccess),
    /// Nothing that is valid.
    Inactive,
}

/// The keys' part of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedKey {
    /// The scope.
    pub identifier: &'static str,
    /// When the keys last changed, in milliseconds.
    pub key_rotation_timestamp: i64,
}

impl Access {
    /// Returns whether it covers a scope: `profile` covers `profile:email`, a URL covers what lies below it.
    pub fn covers(&self, scope: &str) -> bool {
        scope::any_covers(&self.scope, scope)
    }
}

impl Accounts {
    /// Returns what a page needs to derive the keys of these scopes; nothing for scopes without keys.
    pub async fn scoped_key_data(
        &self,
        session: &Session,
        client: &str,
        scope: &str,
    ) -> Result<Vec<ScopedKey>, OAuthError> {
        session.require_verified()?;
        let wanted = scope::parse(scope)?;
        scope::require(known_client(client)?.scopes, &wanted)?;
        let row = account::by_id(&self.0.database, session.account)
            .await?
            .ok_or(OAuthError::UnknownToken)?;
        if session.auth_at < row.keys_changed_at / 1000 {
            return Err(OAuthError::StaleSession {
                auth_at: session.auth_at,
            });
        }
        let keyed = wanted
            .into_iter()
            .filter_map(scope::keyed)
            .map(|identifier| ScopedKey {
                identifier,
                key_rotation_timestamp: row.keys_changed_at,
            });
        Ok(keyed.collect())
    }

    /// A code for the browser behind the page.
    pub async fn authorize(
        &self,
        session: &Session,
        request: AuthorizationRequest,
    ) -> Result<Authorization, OAuthError> {
        session.require_verified()?;
        let client = known_client(&request.client)?;
        let scopes = scope::parse(&request.scope)?;
        scope::require(client.scopes, &scopes)?;
        let redirect_uri = redirect(client.id, &request)?;
        let challenge = request.code_challenge.filter(|challenge| is_challenge(challenge));
        let challenge = challenge.ok_or(OAuthError::ChallengeMissing)?;
        if request.code_challenge_method.as_deref() != Some("S256") {
            return Err(OAuthError::ChallengeMissing);
        }
        if request
            .keys_jwe
            .as_ref()
            .is_some_and(|keys| keys.len() > KEYS_JWE)
        {
            return Err(OAuthError::KeysTooLong);
        }
        let code = SecretToken(self.random());
        let row = &CodeRow {
            id_hash: secret::hash(&code.0),
            uid: session.account,
            client_id: client.id.to_owned(),
            scope: scopes.join(" "),
            challenge,
            keys_jwe: request.keys_jwe,
            session_id: session.public_id.clone(),
            offline: request.access_type == AccessType::Offline,
            auth_at: session.auth_at,
            expires: self.millis() + CODE_MILLIS,
            used: false,
        };
        let kept = self.transact(|tx| async move {
            oauth::trim_codes(&tx, session.account, MAX_SESSIONS - 1).await?;
            Ok::<_, Unavailable>(oauth::insert_code(&tx, row).await?)
        });
        kept.await?;
        Ok(Authorization { code, redirect_uri })
    }

    /// Issues tokens for the grant. Refused with [`OAuthError::UnknownToken`] if the grant needs a session and there is none.
    pub async fn grant(
        &self,
        session: Option<&Session>,
        request: TokenRequest,
        client_info: &ClientInfo,
    ) -> Result<Granted, OAuthError> {
        let ttl = request.ttl.unwrap_or(TTL).clamp(1, TTL_MAX);
        let client = request.client.as_deref().map(known_client).transpose()?;
        let client = client.map(|client| client.id);
        match request.grant {
            Grant::Code { code, verifier } => {
                let client = client.ok_or(OAuthError::ClientMissing)?;
                self.grant_code(session, client, &code, verifier.as_deref(), ttl, client_info)
                    .await
            }
            Grant::Refresh { token, scope } => {
                self.grant_refresh(client, &token, scope.as_deref(), ttl).await
            }
            Grant::Credentials { scope, access_type } => {
                let session = session.ok_or(OAuthError::UnknownToken)?;
                let client = client.ok_or(OAuthError::ClientMissing)?;
                self.grant_credentials(session, client, &scope, access_type, ttl, client_info)
                    .await
            }
            Grant::Exchange { token, scope } => self.exchange(client, &token, &scope, ttl).await,
        }
    }

    /// Revokes an access or refresh token; returns whether it existed.
    pub async fn revoke(&self, token: &str) -> Result<bool, Unavailable> {
        let Some(token) = SecretToken::from_hex(token) else {
            return Ok(false);
        };
        let id_hash = &secret::hash(&token.0);
        self.transact(|tx| async move {
            let access = oauth::delete_access(&tx, id_hash).await?;
            Ok(access + oauth::delete_refresh(&tx, id_hash).await? > 0)
        })
        .await
    }

    /// Revokes a refresh token by its public id; returns whether it existed.
    pub async fn revoke_refresh_id(&self, public_id: &str) -> Result<bool, Unavailable> {
        self.transact(|tx| async move { Ok(oauth::delete_refresh(&tx, public_id).await? > 0) })
            .await
    }

    /// Finds the account and the scopes of an access token. Unknown, revoked and expired ones are refused alike.
    pub async fn access(&self, token: &str) -> Result<Access, CredentialError> {
        let token = SecretToken::from_hex(token).ok_or(CredentialError::Unknown)?;
        let found = oauth::access(&self.0.database, &secret::hash(&token.0), self.millis()).await?;
        let (row, generation, profile_changed_at) = found.ok_or(CredentialError::Unknown)?;
        Ok(Access {
            account: row.uid,
            client: row.client_id,
            scope: split_scopes(&row.scope),
            generation,
            profile_changed_at,
            issued_at: row.created_at / 1000,
            expires: row.expires / 1000,
        })
    }

    /// Finds a refresh token for the device routes: it must cover the sync scope.
    pub async fn refresh_access(&self, token: &str) -> Result<RefreshAccess, CredentialError> {
        let row = refresh(&self.0.database, token).await?;
        let now = self.millis();
        if !scope::any_covers(&split_scopes(&row.scope), OLDSYNC) {
            return Err(CredentialError::Unknown);
        }
        if now - row.last_used > LAST_USED_INTERVAL_MILLIS {
            let id_hash = &row.id_hash;
            self.transact(|tx| async move {
                Ok::<_, Unavailable>(oauth::touch_refresh(&tx, id_hash, now).await?)
            })
            .await?;
        }
        Ok(row.into())
    }

    /// The result of a token introspection.
    pub async fn introspect(&self, token: &str) -> Result<Introspection, Unavailable> {
        match self.access(token).await {
            Ok(access) => return Ok(Introspection::Access(access)),
            Err(CredentialError::Unknown) => {}
            Err(CredentialError::Unavailable(error)) => return Err(error),
        }
        match refresh(&self.0.database, token).await {
            Ok(row) => Ok(Introspection::Refresh(row.into())),
            Err(CredentialError::Unknown) => Ok(Introspection::Inactive),
            Err(CredentialError::Unavailable(error)) => Err(error),
        }
    }
}

impl From<RefreshRow> for RefreshAccess {
    fn from(row: RefreshRow) -> Self {
        Self {
            account: row.uid,
            client: row.client_id,
            scope: split_scopes(&row.scope),
            issued_at: row.created_at / 1000,
            public_id: row.id_hash,
        }
    }
}

pub(crate) async fn refresh(from: &impl Fetch, token: &str) -> Result<RefreshRow, CredentialError> {
    let token = SecretToken::from_hex(token).ok_or(CredentialError::Unknown)?;
    oauth::refresh(from, &secret::hash(&token.0))
        .await?
        .ok_or(CredentialError::Unknown)
}

fn redirect(client: &str, request: &AuthorizationRequest) -> Result<String, OAuthError> {
    let own = format!("{}/oauth/success/{client}", request.origin);
    match &request.redirect_uri {
        None => Ok(WEBCHANNEL.to_owned()),
        Some(uri) if [WEBCHANNEL, PAIRING, &own].contains(&uri.as_str()) => Ok(uri.clone()),
        Some(_) => Err(OAuthError::WrongRedirect),
    }
}

fn is_challenge(text: &str) -> bool {
    text.len() == 43 && BASE64URL_NOPAD.decode(text.as_bytes()).is_ok()
}

pub(crate) fn split_scopes(scope: &str) -> Vec<String> {
    scope.split(' ').map(str::to_owned).collect()
}
