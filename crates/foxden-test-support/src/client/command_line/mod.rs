//! The requests of firefox-sync-client 1.10.0 (`ffsclient`), written from its source. It is given an address, a password and
//! commands; it uses no browser and no page.
//!
//! Its behaviour that a server must support:
//! - Signatures are made for the host of the address alone, on port 443 or 80: an address with another port ends the
//!   program. The header's members stand in the order id, mac, ts, nonce, hash; a `GET` and other requests without a body have no hash.
//! - Every request but the first and the tokenserver's says `Content-Type: application/json`, also where nothing is sent.
//! - Every status other than 200 is an error, also 201 and 204. 404 means that a record is not there.
//! - Deleting without `--hard` is a `PUT` of `{"id":null,"payload":…}`, whose payload says `deleted`. It does not read the record first.
//! - A listing skips by `offset=<number>`, beside `limit`; it never follows `X-Weave-Next-Offset`.
//! - Ids in paths keep `$&+=:@` and escape slashes, braces and commas.
//! - JSON goes out as Go writes it, `<`, `>` and `&` escaped; numbers in responses must be of the type that it declares.
//! - Log-in needs `crypto/keys` in the store: a browser must have synced before.
//!
//! - [`http`]: its requests on the wire
//! - [`records`]: its commands on records

pub mod http;
pub mod records;

use std::collections::BTreeMap;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::legacy::envelope;
use super::legacy::key::KeyPair;
use super::onepw::{Keys, Stretched, TokenKeys};
use super::{hex, hkdf};
use http::{Answer, Connection, Key};

/// Its OAuth client id.
const CLIENT: &str = "e7ce535d93522896";
const SCOPE: &str = "https://identity.mozilla.com/apps/oldsync";
/// A session is renewed this many seconds before it expires. One with a shorter life is renewed at every command.
const RENEWAL_MARGIN: i64 = 15 * 60;

/// The program with its session file, after a log-in.
pub struct Client {
    connection: Connection,
    session_token: String,
    uid: String,
    kb: Vec<u8>,
    refresh_token: String,
    storage: StorageAccess,
    /// By collection, the default under the empty name.
    keys: BTreeMap<String, KeyPair>,
}

/// The storage token, as far as requests need it.
struct StorageAccess {
    endpoint: String,
    key: Key,
}

/// The answer to a log-in, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    uid: String,
    session_token: String,
    #[serde(default)]
    auth_at: i64,
    key_fetch_token: String,
    verified: bool,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    expires_in: i64,
    #[serde(default)]
    auth_at: i64,
    #[serde(default)]
    refresh_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopedKey {
    #[serde(default)]
    key_rotation_timestamp: i64,
}

/// The response of the tokenserver.
#[derive(Deserialize)]
struct StorageToken {
    id: String,
    key: String,
    #[serde(rename = "uid")]
    _uid: i64,
    api_endpoint: String,
    duration: i64,
    hashalg: String,
}

#[derive(Deserialize)]
struct Status {
    state: String,
    uid: String,
}

impl Client {
    /// `ffsclient login <email> <password>`. The client uses the address `public`; the connection goes to `address`.
    pub fn login(
        public: &str,
        address: &str,
        email: &str,
        password: &str,
        device: &str,
    ) -> Result<Self, Answer> {
        let mut connection = Connection::new(public, address);
        let (login, stretched) = sign_in(&mut connection, email, password)?;
        assert!(login.verified && login.auth_at > 0, "no confirmation is needed");

        let session_token = login.session_token;
        let key = Key::of_token(&session_token, "sessionToken");
        // No id, as no device is registered yet, and no commands.
        let body = format!(r#"{{"name":{},"type":"cli"}}"#, http::json_text(device));
        connection.account(&key, "POST", "/account/device", Some(&body))?;

        let derived = TokenKeys::derive(&login.key_fetch_token, "keyFetchToken");
        let key = Key::of_token(&login.key_fetch_token, "keyFetchToken");
        let bundle: Value = connection.account(&key, "GET", "/account/keys", None)?.read();
        let bundle = bundle["bundle"].as_str().expect("a bundle");
        let kb = Keys::open(&derived.bundle_key, bundle).expect("it was made for this token");
        let kb = kb.kb(&stretched);

        let mut client = Self {
            connection,
            session_token,
            uid: login.uid,
            kb,
            refresh_token: String::new(),
            storage: StorageAccess {
                endpoint: String::new(),
                key: Key::default(),
            },
            keys: BTreeMap::new(),
        };
        client.acquire(&format!(
            r#"{{"grant_type":"fxa-credentials","access_type":"offline","client_id":"{CLIENT}","scope":"{SCOPE}"}}"#
        ))?;
        assert!(!client.refresh_token.is_empty(), "the session file needs it");
        Ok(client)
    }

    /// `ffsclient refresh --force`. The request carries the refresh token, but the session signs it.
    pub fn refresh(&mut self) -> Result<(), Answer> {
        let body = format!(
            r#"{{"grant_type":"fxa-credentials","client_id":"{CLIENT}","scope":"{SCOPE}","refresh_token":"{}"}}"#,
            self.refresh_token
        );
        self.acquire(&body)
    }

    /// `ffsclient check-session`
    pub fn check_session(&mut self) -> Result<bool, Answer> {
        let key = Key::of_token(&self.session_token, "sessionToken");
        let answer = self.connection.account(&key, "GET", "/session/status", None)?;
        let status: Status = answer.read();
        Ok(status.state == "verified" && status.uid == self.uid)
    }

    /// Steps 4 to 6 of a log-in: an access token, a storage token, the keys in the store.
    fn acquire(&mut self, grant: &str) -> Result<(), Answer> {
        let key = Key::of_token(&self.session_token, "sessionToken");
        let answer = self
            .connection
            .account(&key, "POST", "/oauth/token", Some(grant))?;
        let tokens: Tokens = answer.read();
        assert!(tokens.expires_in > RENEWAL_MARGIN && tokens.auth_at >= 0);
        // A refresh keeps the token it has.
        if self.refresh_token.is_empty() {
            self.refresh_token = tokens.refresh_token;
        }

        let body = format!(r#"{{"client_id":"{CLIENT}","scope":"{SCOPE}"}}"#);
        let path = "/account/scoped-key-data";
        let answer = self.connection.account(&key, "POST", path, Some(&body))?;
        let scopes: BTreeMap<String, ScopedKey> = answer.read();
        let rotation = scopes.get(SCOPE).expect("the scope asked for");
        let state = digest(&SHA256, &self.kb);
        let state = BASE64URL_NOPAD.encode(&state.as_ref()[..16]);
        let key_id = format!("{}-{state}", rotation.key_rotation_timestamp);

        let token: StorageToken = self
            .connection
            .storage_token(&tokens.access_token, &key_id)?
            .read();
        assert_eq!(token.hashalg, "sha256");
        assert!(token.duration > RENEWAL_MARGIN);
        self.storage = StorageAccess {
            endpoint: token.api_endpoint,
            key: Key {
                id: token.id,
                key: token.key.into_bytes(),
            },
        };
        self.fetch_keys()
    }

    fn fetch_keys(&mut self) -> Result<(), Answer> {
        let answer = self.request("GET", "/storage/crypto/keys", None)?;
        let record: records::Record = answer.read();
        let pair = hkdf(&self.kb, b"identity.mozilla.com/picl/v1/oldsync", 64);
        let pair = KeyPair {
            encryption: pair[..32].to_vec(),
            hmac: pair[32..].to_vec(),
        };
        let sealed: Value = serde_json::from_str(&record.payload).unwrap();
        let keys = envelope::open(&pair, &sealed).expect("sealed with the key of the account");
        let keys: Value = serde_json::from_str(&keys).unwrap();
        let named = keys["collections"].as_object().into_iter().flatten();
        let named = named.map(|(name, pair)| (name.clone(), pair));
        self.keys = [(String::new(), &keys["default"])]
            .into_iter()
            .chain(named)
            .map(|(name, pair)| (name, KeyPair::from_json(pair).expect("two keys")))
            .collect();
        Ok(())
    }

    /// A request to the store.
    fn request(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<Answer, Answer> {
        let url = format!("{}{path}", self.storage.endpoint);
        self.connection.send(&self.storage.key, method, &url, body)
    }

    fn keys_of(&self, collection: &str) -> &KeyPair {
        let own = self.keys.get(collection);
        own.unwrap_or_else(|| &self.keys[""])
    }

    /// Encrypts the content of a record; its members have this order.
    pub fn seal(&self, collection: &str, text: &str) -> String {
        let sealed = envelope::seal(self.keys_of(collection), text);
        let member = |name: &str| sealed[name].as_str().expect("a text").to_owned();
        format!(
            r#"{{"ciphertext":"{}","IV":"{}","hmac":"{}"}}"#,
            member("ciphertext"),
            member("IV"),
            member("hmac")
        )
    }

    /// Decrypts it.
    pub fn open(&self, collection: &str, payload: &str) -> String {
        let sealed = serde_json::from_str(payload).unwrap_or_else(|error| panic!("{error}: {payload}"));
        envelope::open(self.keys_of(collection), &sealed).expect("sealed with the keys of the account")
    }
}

/// The first step. If the server answers with another spelling of the address, the program stretches the password with
/// that one and logs in once more, under the address as it was typed.
fn sign_in(connection: &mut Connection, email: &str, password: &str) -> Result<(Login, Stretched), Answer> {
    let mut stretched = Stretched::v1(email, password);
    let body = |stretched: &Stretched| {
        let proof = hex(&stretched.auth_pw);
        format!(
            r#"{{"email":{},"authPW":"{proof}","reason":"login"}}"#,
            http::json_text(email)
        )
    };
    let mut answer = connection.login(&body(&stretched));
    if let Err(refused) = &answer
        && refused.status == 400
    {
        let error: Value = refused.read();
        if error["errno"] == json!(120) {
            let spelled = error["email"].as_str().expect("the spelling");
            stretched = Stretched::v1(spelled, password);
            answer = connection.login(&body(&stretched));
        }
    }
    Ok((answer?.read(), stretched))
}

/// Standard base64.
fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}
