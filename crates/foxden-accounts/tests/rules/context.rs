//! An empty register, a clock that stands still, and people who remember their passwords.

use foxden_accounts::{
    AccessType, AccountId, Accounts, AuthPw, AuthorizationRequest, ClientInfo, Cost, CredentialError,
    CredentialKind, Grant, Granted, KeyId, Login, NewAccount, Nodes, OAuthError, OLDSYNC, OneTimeCredential,
    Options, Parts, SecretToken, Secrets, Session, SignInError, SignUp, SignedIn, TokenId, TokenRequest,
};
use std::sync::Arc;

use foxden_accounts::security::EntryPoint;
use foxden_accounts::stretch::stretch;
use foxden_model::{Clock, ManualClock, SeededRng, UserId};
use foxden_sql::testing::Lease;
use foxden_sql::{Database, Fetch, Value, values};
use ring::digest;

use crate::register;

pub(crate) const ANN: &str = "ann@example.org";
pub(crate) const BEA: &str = "bea@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const DESKTOP: &str = "5882386c6d801776";
pub(crate) const NODE: &str = "http://127.0.0.1:5000";
pub(crate) const START: i64 = 1_763_690_000_000;
pub(crate) const VERIFIER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const CHALLENGE: &str = "l9qsDumZjfytbJwJcNpcpBHIYjOpRMJbR1ZvanvB3dU";

/// The state of Firefox after the sign-in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Firefox {
    pub(crate) kb: [u8; 32],
    pub(crate) kid: String,
    pub(crate) store: UserId,
    pub(crate) node: String,
}

pub(crate) struct TestContext {
    pub(crate) accounts: Accounts,
    pub(crate) database: Database,
    pub(crate) clock: Arc<ManualClock>,
    /// Keeps the register from other tests.
    pub(crate) lease: Option<Arc<Lease>>,
}

pub(crate) fn cheap() -> Options {
    Options {
        cost: Cost {
            memory: 8,
            passes: 1,
            lanes: 1,
        },
        ..Options::default()
    }
}

impl TestContext {
    pub(crate) async fn new() -> Self {
        Self::with(cheap()).await
    }

    pub(crate) async fn with_policy(policy: SignUp) -> Self {
        Self::with(Options {
            sign_up: Some(policy),
            ..cheap()
        })
        .await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let (database, lease) = register::fresh().await;
        Self::over(database, lease, options).await
    }

    /// A register in memory, whichever database the other tests use.
    pub(crate) async fn sqlite() -> Self {
        Self::over(register::in_memory().await, None, cheap()).await
    }

    async fn over(database: Database, lease: Option<Lease>, options: Options) -> Self {
        let clock = Arc::new(ManualClock::at_millis(START));
        let accounts = open(&database, &clock, options, NODE).await;
        Self {
            accounts,
            database,
            clock,
            lease: lease.map(Arc::new),
        }
    }

    /// The same register, opened by another start of the program.
    pub(crate) async fn reopened(&self, options: Options, node: &str) -> Self {
        Self {
            accounts: open(&self.database, &self.clock, options, node).await,
            database: self.database.clone(),
            clock: Arc::clone(&self.clock),
            lease: self.lease.clone(),
        }
    }

    pub(crate) async fn create(&self, address: &str) -> SignedIn {
        self.accounts
            .create(new_account(address), &local_client())
            .await
            .unwrap()
    }

    pub(crate) async fn login(&self, address: &str, password: &str) -> Result<SignedIn, SignInError> {
        self.accounts
            .login(login(address, password), &local_client())
            .await
    }

    /// Signs in as Firefox does, up to the store.
    pub(crate) async fn firefox(&self, address: &str, password: &str) -> Firefox {
        let signed_in = self.login(address, password).await.unwrap();
        let kb = self.kb(&signed_in, address, password).await;
        let session = self.session(&signed_in).await;
        let keys = self
            .accounts
            .scoped_key_data(&session, DESKTOP, OLDSYNC)
            .await
            .unwrap();
        let identity = self
            .accounts
            .verify_bearer(&self.access_token(&session).await)
            .await
            .unwrap();
        let key_id = KeyId {
            keys_changed_at: keys[0].key_rotation_timestamp,
            client_state: kb[..16].to_vec(),
        };
        let assignment = self.accounts.assign(&identity, &key_id).await.unwrap();
        Firefox {
            kb,
            kid: assignment.fxa_kid,
            store: assignment.user,
            node: assignment.node,
        }
    }

    pub(crate) async fn session(&self, signed_in: &SignedIn) -> Session {
        self.accounts.session(&session_id(signed_in)).await.unwrap()
    }

    pub(crate) async fn credential(
        &self,
        kind: CredentialKind,
        token: &SecretToken,
    ) -> Result<OneTimeCredential, CredentialError> {
        self.accounts
            .one_time_credential(kind, &Secrets::derive(kind, token).id)
            .await
    }

    /// The key that the account's client computes in the end.
    pub(crate) async fn kb(&self, signed_in: &SignedIn, address: &str, password: &str) -> [u8; 32] {
        let token = signed_in.key_fetch_token.as_ref().expect("keys were asked for");
        let credential = self.credential(CredentialKind::KeyFetch, token).await.unwrap();
        let bundle = self.accounts.fetch_keys(&credential).await.unwrap();
        kb(token, &bundle, address, password)
    }

    pub(crate) async fn code(&self, session: &Session) -> SecretToken {
        self.accounts
            .authorize(session, authorization())
            .await
            .unwrap()
            .code
    }

    pub(crate) async fn redeem(
        &self,
        session: Option<&Session>,
        code: &SecretToken,
    ) -> Result<Granted, OAuthError> {
        let grant = Grant::Code {
            code: code.to_hex(),
            verifier: Some(VERIFIER.to_owned()),
        };
        self.accounts
            .grant(session, token_request(grant), &local_client())
            .await
    }

    pub(crate) async fn access_token(&self, session: &Session) -> String {
        let grant = Grant::Credentials {
            scope: OLDSYNC.to_owned(),
            access_type: AccessType::Online,
        };
        let granted = self
            .accounts
            .grant(Some(session), token_request(grant), &local_client())
            .await
            .unwrap();
        granted.access_token.to_hex()
    }

    /// The stores that are to be emptied now.
    pub(crate) async fn due(&self) -> Vec<UserId> {
        let due = self.accounts.stores_to_empty(10).await.unwrap();
        due.into_iter().map(|store| store.user).collect()
    }

    /// Whether an invitation's code would be taken.
    pub(crate) async fn is_invited(&self, code: &str) -> bool {
        let hash = digest::digest(&digest::SHA256, code.as_bytes());
        let hash = data_encoding::HEXLOWER.encode(hash.as_ref());
        let statement =
            "SELECT COUNT(*) FROM invitation WHERE code_hash = ? AND used_at IS NULL AND expires > ?";
        self.number(statement, values![hash, self.clock.millis()]).await == 1
    }

    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        self.number(statement, vec![]).await
    }

    pub(crate) async fn number(&self, statement: &'static str, values: Vec<Value>) -> i64 {
        let row = self.database.fetch_optional(statement, values).await.unwrap();
        row.expect("the question has an answer").take(0).unwrap()
    }

    pub(crate) async fn write(&self, statement: &'static str, values: Vec<Value>) {
        let values = &values;
        let written = self
            .database
            .transact(|tx| async move { tx.execute(statement, values.clone()).await });
        written.await.unwrap();
    }
}

async fn open(database: &Database, clock: &Arc<ManualClock>, options: Options, node: &str) -> Accounts {
    open_with(database, clock, options, Nodes::Own(node.to_owned())).await
}

pub(crate) async fn open_with(
    database: &Database,
    clock: &Arc<ManualClock>,
    options: Options,
    nodes: Nodes,
) -> Accounts {
    let parts = Parts {
        database: database.clone(),
        clock: Arc::clone(clock) as Arc<_>,
        rng: Arc::new(SeededRng::new(7)),
        nodes,
        options,
    };
    Accounts::open(parts).await.unwrap()
}

pub(crate) fn local_client() -> ClientInfo {
    ClientInfo {
        address: "127.0.0.1".parse().unwrap(),
        is_private: true,
        user_agent: "Firefox".to_owned(),
        entry_point: EntryPoint::Accounts,
    }
}

pub(crate) fn public_client(address: &str) -> ClientInfo {
    ClientInfo {
        address: address.parse().unwrap(),
        is_private: false,
        user_agent: "Firefox".to_owned(),
        entry_point: EntryPoint::Accounts,
    }
}

pub(crate) fn auth_pw(address: &str, password: &str) -> AuthPw {
    stretch(address, password).auth_pw
}

pub(crate) fn new_account(address: &str) -> NewAccount {
    NewAccount {
        address: address.to_owned(),
        auth_pw: auth_pw(address, PASSWORD),
        invite: None,
        wants_keys: true,
    }
}

pub(crate) fn login(address: &str, password: &str) -> Login {
    Login {
        address: address.to_owned(),
        auth_pw: auth_pw(address, password),
        wants_keys: true,
    }
}

pub(crate) fn session_id(signed_in: &SignedIn) -> TokenId {
    let token = signed_in
        .session_token
        .as_ref()
        .expect("a new session has a token");
    Secrets::derive(CredentialKind::Session, token).id
}

pub(crate) fn authorization() -> AuthorizationRequest {
    AuthorizationRequest {
        client: DESKTOP.to_owned(),
        scope: format!("{OLDSYNC} profile"),
        access_type: AccessType::Offline,
        code_challenge: Some(CHALLENGE.to_owned()),
        code_challenge_method: Some("S256".to_owned()),
        keys_jwe: Some("header..iv.text.tag".to_owned()),
        redirect_uri: None,
        origin: NODE.to_owned(),
    }
}

pub(crate) fn token_request(grant: Grant) -> TokenRequest {
    TokenRequest {
        client: Some(DESKTOP.to_owned()),
        grant,
        ttl: None,
    }
}

/// Computes the key as a client does: decrypts the bundle, then unwraps its key with the password.
pub(crate) fn kb(token: &SecretToken, bundle: &str, address: &str, password: &str) -> [u8; 32] {
    let secrets = Secrets::derive(CredentialKind::KeyFetch, token);
    let bundle = data_encoding::HEXLOWER.decode(bundle.as_bytes()).unwrap();
    // The stream is its own inverse: encrypting nothing shows it.
    let stream = secrets.bundle(&[0; 32], &[0; 32]);
    let unwrap = stretch(address, password).unwrap_b_key;
    std::array::from_fn(|at| bundle[32 + at] ^ stream[32 + at] ^ unwrap[at])
}

pub(crate) fn is_gone(account: AccountId, exists: bool) {
    assert!(!exists, "{account} is still there");
}
