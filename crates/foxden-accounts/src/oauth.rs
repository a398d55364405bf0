//! OAuth: who may ask for what, codes, tokens.

use crate::{AccountError, AccountId, Accounts, SecretToken, Session, Visitor};

/// The scope of Sync.
pub const OLDSYNC: &str = "https://identity.mozilla.com/apps/oldsync";

/// An OAuth client that may sign people in here. All are public: they bring a challenge, no secret.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its id.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// The scopes it may have.
    pub scopes: &'static [&'static str],
}

/// Whether a grant outlives its access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessType {
    /// With a refresh token.
    Offline,
    /// Without.
    Online,
}

/// What a page asks for on behalf of a browser.
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

/// What a client brings for tokens.
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
    /// A refresh token, to be replaced by one with more scopes.
    Exchange {
        /// 64 hex digits.
        token: String,
        /// The scopes to add.
        scope: String,
    },
}

/// A request for tokens.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The OAuth client; the exchange takes the old token's.
    pub client: Option<String>,
    /// What is brought.
    pub grant: Grant,
    /// Seconds the access token should live.
    pub ttl: Option<u64>,
}

/// Tokens as the client gets them.
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
    /// When the password was last proven, in seconds; not for the refresh grants.
    pub auth_at: Option<i64>,
    /// The encrypted keys, as they came.
    pub keys_jwe: Option<String>,
}

/// Whom an access token stands for.
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

/// Whom a refresh token stands for.
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

/// What is known of a token that somebody asks about.
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

/// The clients that are known; the surface shows them.
pub fn client(id: &str) -> Option<&'static Client> {
    todo!()
}

impl Access {
    /// Whether it covers a scope: `profile` covers `profile:email`, a URL covers what lies below it.
    pub fn covers(&self, scope: &str) -> bool {
        todo!()
    }

    /// Refuses a token that does not cover the scope.
    pub fn require(&self, scope: &str) -> Result<(), AccountError> {
        todo!()
    }
}

impl Accounts {
    /// What the page needs to derive the keys of the scopes asked for; none for scopes without keys.
    pub async fn scoped_key_data(
        &self,
        session: &Session,
        client: &str,
        scope: &str,
    ) -> Result<Vec<ScopedKey>, AccountError> {
        todo!()
    }

    /// A code for the browser behind the page.
    pub async fn authorize(
        &self,
        session: &Session,
        request: AuthorizationRequest,
    ) -> Result<Authorization, AccountError> {
        todo!()
    }

    /// Tokens for what is brought. A missing session where the grant needs one is `UnknownToken`.
    pub async fn grant(
        &self,
        session: Option<&Session>,
        request: TokenRequest,
        visitor: &Visitor,
    ) -> Result<Granted, AccountError> {
        todo!()
    }

    /// Revokes an access or refresh token; says whether there was one.
    pub async fn revoke(&self, token: &str) -> Result<bool, AccountError> {
        todo!()
    }

    /// Revokes a refresh token by its public id; says whether there was one.
    pub async fn revoke_refresh_id(&self, public_id: &str) -> Result<bool, AccountError> {
        todo!()
    }

    /// Whom the access token stands for; unknown, revoked and expired ones are `UnknownToken`.
    pub async fn access(&self, token: &str) -> Result<Access, AccountError> {
        todo!()
    }

    /// Whom the refresh token stands for, for the device routes: it must cover the sync scope.
    pub async fn refresh_access(&self, token: &str) -> Result<RefreshAccess, AccountError> {
        todo!()
    }

    /// What is known of a token of either kind.
    pub async fn introspect(&self, token: &str) -> Result<Introspection, AccountError> {
        todo!()
    }
}
