//! The page and the browser together: sign up, sign in, connect, sync.

use serde_json::{Value, json};

use super::hawk::Credentials;
use super::jwe::{self, Recipient};
use super::onepw::{Keys, Stretched, TokenKeys};
use super::sync_key::{OLDSYNC, ProofKey, SyncKey};
use super::wire::{Call, Reply, Server};
use super::{base64url, hex, random_bytes, xor};

/// The OAuth client id of Firefox on a desktop.
pub const DESKTOP: &str = "5882386c6d801776";

/// A session at the account server, with the keys that the page has.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where.
    pub server: Server,
    /// The address, as registered.
    pub email: String,
    /// The account.
    pub uid: String,
    /// The token, as the page hands it to the browser.
    pub token: String,
    /// The Hawk credentials of the token.
    pub signer: Credentials,
    /// The key that only clients know.
    pub kb: Vec<u8>,
}

/// A browser that is connected: it holds the sync key and can get access tokens.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Its session.
    pub session: Session,
    /// The key of the Sync scope, as the browser found it in the answer.
    pub sync_key: SyncKey,
    /// Its entry in the list of devices.
    pub device: Value,
}

/// A store on a node, for as long as its token lives.
#[derive(Clone, Debug)]
pub struct Store {
    /// The answer of the tokenserver.
    pub token: Value,
    node: Server,
    signer: Credentials,
}

/// The credentials that belong to a token of the account server.
pub fn signer(token: &str, kind: &str) -> Credentials {
    let keys = TokenKeys::derive(token, kind);
    Credentials {
        id: keys.id,
        key: keys.auth_key,
    }
}

/// Fetches and opens the keys that a key-fetch token is for.
pub fn fetch_keys(server: &Server, key_fetch_token: &str) -> Keys {
    let derived = TokenKeys::derive(key_fetch_token, "keyFetchToken");
    let signer = signer(key_fetch_token, "keyFetchToken");
    let reply = server
        .send(&Call::get("/v1/account/keys").signed(&signer))
        .expect(200);
    Keys::open(&derived.bundle_key, &reply.text_of("bundle")).expect("a bundle made with this token")
}

impl Session {
    /// Makes an account.
    pub fn sign_up(server: &Server, email: &str, password: &str) -> Self {
        let stretched = Stretched::v1(email, password);
        let body = json!({ "email": email, "authPW": stretched.auth_pw_hex() });
        let reply = server.send(&Call::post("/v1/account/create?keys=true", &body));
        Self::from_login(server, email, &stretched, &reply.expect(200))
    }

    /// Makes an account on an invitation.
    pub fn sign_up_invited(server: &Server, email: &str, password: &str, invite: &str) -> Self {
        let stretched = Stretched::v1(email, password);
        let body = json!({ "email": email, "authPW": stretched.auth_pw_hex(), "invite": invite });
        let reply = server.send(&Call::post("/v1/account/create?keys=true", &body));
        Self::from_login(server, email, &stretched, &reply.expect(200))
    }

    /// Signs in to an account.
    pub fn sign_in(server: &Server, email: &str, password: &str) -> Self {
        let stretched = Stretched::v1(email, password);
        let reply = Self::try_sign_in(server, email, password);
        Self::from_login(server, email, &stretched, &reply.expect(200))
    }

    /// Tries to sign in. Returns the reply, whatever its status.
    pub fn try_sign_in(server: &Server, email: &str, password: &str) -> Reply {
        let stretched = Stretched::v1(email, password);
        let body = json!({ "email": email, "authPW": stretched.auth_pw_hex(), "reason": "signin" });
        server.send(&Call::post("/v1/account/login?keys=true", &body))
    }

    fn from_login(server: &Server, email: &str, stretched: &Stretched, reply: &Reply) -> Self {
        if reply.json()["verified"] == false {
            server.confirm(email);
        }
        let keys = fetch_keys(server, &reply.text_of("keyFetchToken"));
        let token = reply.text_of("sessionToken");
        Self {
            server: server.clone(),
            email: email.to_owned(),
            uid: reply.text_of("uid"),
            signer: signer(&token, "sessionToken"),
            token,
            kb: keys.kb(stretched),
        }
    }

    /// Sends a request signed with the session.
    pub fn send(&self, call: Call) -> Reply {
        self.server.send(&call.signed(&self.signer))
    }

    /// The page's part of connecting: asks for a code and seals the sync key for the browser.
    pub fn authorize(&self, state: &str, challenge: &str, keys_jwk: &Value) -> Reply {
        let asked = json!({ "client_id": DESKTOP, "scope": OLDSYNC });
        let reply = self.send(Call::post("/v1/account/scoped-key-data", &asked));
        let data = reply.expect(200).json();
        let rotation = data[OLDSYNC]["keyRotationTimestamp"].as_u64().unwrap();
        let keys = SyncKey::derive(&self.kb, rotation).scoped_keys();
        let body = json!({
            "client_id": DESKTOP, "state": state, "scope": format!("{OLDSYNC} profile"),
            "access_type": "offline", "response_type": "code",
            "code_challenge": challenge, "code_challenge_method": "S256",
            "keys_jwe": jwe::seal(keys_jwk, keys.to_string().as_bytes()),
        });
        self.send(Call::post("/v1/oauth/authorization", &body))
    }

    /// Connects a browser, as it happens after a sign-in from Firefox's menu.
    pub fn connect(self, device_name: &str) -> Browser {
        let first = json!({ "name": device_name, "type": "desktop", "availableCommands": {} });
        let device = self
            .send(Call::post("/v1/account/device", &first))
            .expect(200)
            .json();

        let (recipient, proof) = (Recipient::generate(), ProofKey::generate());
        let state = base64url(&random_bytes(16));
        let granted = self.authorize(&state, &proof.challenge(), &recipient.public_jwk());
        let granted = granted.expect(200);
        assert_eq!(granted.text_of("state"), state);

        let redeem = json!({
            "grant_type": "authorization_code", "client_id": DESKTOP,
            "code": granted.text_of("code"), "code_verifier": proof.verifier,
        });
        let tokens = self.send(Call::post("/v1/oauth/token", &redeem)).expect(200);
        assert_eq!(tokens.text_of("scope"), format!("{OLDSYNC} profile"));
        let keys = recipient.open(&tokens.text_of("keys_jwe"));
        let sync_key = SyncKey::from_scoped_keys(&serde_json::from_slice(&keys).unwrap());
        let refresh = json!({ "client_id": DESKTOP, "token": tokens.text_of("refresh_token") });
        self.server
            .send(&Call::post("/v1/oauth/destroy", &refresh))
            .expect(200);

        let commands = json!({ "https://identity.mozilla.com/cmd/open-uri": "{}" });
        let second = json!({ "id": device["id"], "name": device_name, "availableCommands": commands });
        let device = self
            .send(Call::post("/v1/account/device", &second))
            .expect(200)
            .json();
        Browser {
            session: self,
            sync_key,
            device,
        }
    }

    /// Changes the password as the page does, keeping `kB`. Returns the new session.
    pub fn change_password(&self, old: &str, new: &str) -> Self {
        let old = Stretched::v1(&self.email, old);
        let start = json!({ "email": self.email, "oldAuthPW": old.auth_pw_hex() });
        let started = self
            .send(Call::post("/v1/password/change/start", &start))
            .expect(200);
        let kb = fetch_keys(&self.server, &started.text_of("keyFetchToken")).kb(&old);

        let new = Stretched::v1(&self.email, new);
        let finish = json!({
            "authPW": new.auth_pw_hex(), "wrapKb": hex(&xor(&kb, &new.unwrap_b_key)),
            "sessionToken": self.signer.id,
        });
        let by = signer(&started.text_of("passwordChangeToken"), "passwordChangeToken");
        let call = Call::post("/v1/password/change/finish?keys=true", &finish).signed(&by);
        let changed = Self::from_login(
            &self.server,
            &self.email,
            &new,
            &self.server.send(&call).expect(200),
        );
        assert_eq!(changed.kb, kb, "a change of password keeps the key");
        changed
    }
}

impl Browser {
    /// Asks for an access token with these scopes.
    pub fn access_token(&self, scope: &str) -> Reply {
        let body = json!({
            "grant_type": "fxa-credentials", "client_id": DESKTOP, "scope": scope, "ttl": 21600,
        });
        self.session.send(Call::post("/v1/oauth/token", &body))
    }

    /// Asks the tokenserver with a fresh access token.
    pub fn ask_tokenserver(&self) -> Reply {
        let access = self.access_token(OLDSYNC).expect(200).text_of("access_token");
        self.ask_tokenserver_with(&access)
    }

    /// Asks the tokenserver with this access token, of any account.
    pub fn ask_tokenserver_with(&self, access: &str) -> Reply {
        let call = Call::get("/1.0/sync/1.5").bearer(access);
        let server = &self.session.server;
        server.send(&call.header("X-KeyID", &self.sync_key.kid))
    }

    /// The store that the tokenserver assigns.
    pub fn store(&self) -> Store {
        Store::from_token(&self.session.server, &self.ask_tokenserver().expect(200))
    }

    /// The devices of the account, as this browser lists them.
    pub fn devices(&self) -> Vec<Value> {
        let reply = self.session.send(Call::get("/v1/account/devices")).expect(200);
        reply.json().as_array().unwrap().clone()
    }
}

impl Store {
    fn from_token(server: &Server, reply: &Reply) -> Self {
        assert_eq!(
            (reply.text_of("hashalg"), reply.header("x-content-type-options")),
            ("sha256".to_owned(), Some("nosniff"))
        );
        Self {
            node: server.elsewhere(&reply.text_of("api_endpoint")),
            signer: Credentials {
                id: reply.text_of("id"),
                key: reply.text_of("key").into_bytes(),
            },
            token: reply.json(),
        }
    }

    /// The same store at another address of its node, which is reached as the server is.
    pub fn at(&self, server: &Server) -> Self {
        let uid = self.uid();
        Self {
            node: server.elsewhere(&format!("{}/1.5/{uid}", server.base())),
            ..self.clone()
        }
    }

    /// The store's uid.
    pub fn uid(&self) -> u64 {
        self.token["uid"].as_u64().unwrap()
    }

    /// Sends a request to the store; the target begins after its base, such as `/info/collections`.
    pub fn send(&self, call: Call) -> Reply {
        self.node.send(&call.signed(&self.signer))
    }

    /// Writes one object.
    pub fn put(&self, collection: &str, id: &str, payload: &str) -> Reply {
        let body = json!({ "id": id, "payload": payload }).to_string();
        let call = Call::new("PUT", format!("/storage/{collection}/{id}"));
        self.send(call.body("application/json", body))
    }

    /// Reads the payload of one object.
    pub fn payload(&self, collection: &str, id: &str) -> String {
        let call = Call::get(format!("/storage/{collection}/{id}"));
        self.send(call).expect(200).text_of("payload")
    }
}
