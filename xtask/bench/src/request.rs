//! Prepared requests: signed as a browser does, or with a password as old clients do.

use std::num::NonZeroU32;
use std::time::SystemTime;

use data_encoding::{BASE64, BASE64URL, HEXLOWER};
use ring::{hkdf, hmac, pbkdf2};

/// The secret that the measured server and this program share.
pub const SECRET: &str = "a secret for measuring, and for nothing else";

/// Collections of a store beside its history.
pub const COLLECTIONS: [&str; 9] = [
    "addons",
    "bookmarks",
    "clients",
    "crypto",
    "forms",
    "meta",
    "passwords",
    "prefs",
    "tabs",
];

/// Writes requests for one user of the server at one port.
pub struct Signer {
    user: u64,
    port: u16,
    id: String,
    key: hmac::Key,
}

/// The namespace of values derived from a password or a token.
const NAMESPACE: &str = "identity.mozilla.com/picl/v1/";

struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

/// The current time, in seconds since 1970. A token with a longer TTL than servers grant would be refused.
#[expect(
    clippy::disallowed_methods,
    reason = "tokens of a measurement begin when it begins"
)]
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, salt);
    let mut key = [0; 32];
    salt.extract(secret)
        .expand(&[info], KeyLength)
        .and_then(|okm| okm.fill(&mut key))
        .expect("32 bytes are within what HKDF gives");
    key
}

impl Signer {
    /// A token for that user that lasts for the run.
    pub fn new(user: u64, port: u16) -> Self {
        let expires = seconds() + 86_400;
        let payload = format!(
            r#"{{"uid":{user},"node":"http://127.0.0.1:{port}","expires":{expires},"salt":"a1b2c3"}}"#
        );
        let signing = hmac::Key::new(
            hmac::HMAC_SHA256,
            &derive(
                SECRET.as_bytes(),
                b"",
                b"services.mozilla.com/tokenlib/v1/signing",
            ),
        );
        let mut token = payload.into_bytes();
        let signature = hmac::sign(&signing, &token);
        token.extend_from_slice(signature.as_ref());
        let id = BASE64URL.encode(&token);
        let info = [b"services.mozilla.com/tokenlib/v1/derive/", id.as_bytes()].concat();
        let key = BASE64URL.encode(&derive(SECRET.as_bytes(), b"a1b2c3", &info));
        Self::issued(user, port, &id, &key)
    }

    /// With a token that the server issued.
    pub fn issued(user: u64, port: u16, id: &str, key: &str) -> Self {
        Self {
            user,
            port,
            id: id.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
        }
    }

    /// The bytes of a request whose body is compressed.
    pub fn packed(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let head = String::from_utf8_lossy(&self.request(method, path, "")).into_owned();
        let head = head.replace("content-length: 0\r\n", "");
        let head = head.trim_end();
        let length = body.len();
        let head = format!("{head}\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    /// The bytes of a request; `path` goes on after the user's root.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let path = format!("/1.5/{}{path}", self.user);
        let port = self.port;
        let normal = format!("hawk.1.header\n1763690000\nabcdef\n{method}\n{path}\n127.0.0.1\n{port}\n\n\n");
        let mac = BASE64.encode(hmac::sign(&self.key, normal.as_bytes()).as_ref());
        let id = &self.id;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: Firefox/153.0\r\n\
             accept: application/json;q=0.9,*/*;q=0.2\r\n\
             authorization: Hawk id=\"{id}\", ts=\"1763690000\", nonce=\"abcdef\", mac=\"{mac}\"\r\n"
        );
        if method == "GET" {
            request += "\r\n";
            return request.into_bytes();
        }
        with_body(&request, body)
    }
}

/// Writes requests for one user of Sync 1.1, as Pale Moon does.
pub struct Basic {
    name: String,
    authorization: String,
    port: u16,
}

impl Basic {
    /// The user with that number.
    pub fn new(number: u64, port: u16) -> Self {
        Self::with_password(number, &password(number), port)
    }

    /// The user with that number, with a password of this run.
    pub fn with_password(number: u64, password: &str, port: u16) -> Self {
        let name = format!("user{number}");
        let authorization = BASE64.encode(format!("{name}:{password}").as_bytes());
        Self {
            name,
            authorization,
            port,
        }
    }

    /// The request that creates the account.
    pub fn registration(number: u64, port: u16) -> Vec<u8> {
        let body = format!(
            r#"{{"email":"user{number}@example.org","password":"{}"}}"#,
            password(number)
        );
        let head = format!("PUT /user/1.0/user{number} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n");
        with_body(&head, &body)
    }

    /// The address of that user.
    pub fn email(number: u64) -> String {
        format!("user{number}@example.org")
    }

    /// The value that today's browsers send in place of the password.
    pub fn auth_pw(number: u64) -> String {
        HEXLOWER.encode(&auth_pw(&Self::email(number), &password(number)))
    }

    /// The sign-in request of today's browsers.
    pub fn sign_in(number: u64, port: u16) -> Vec<u8> {
        let (email, auth_pw) = (Self::email(number), Self::auth_pw(number));
        let body = format!(r#"{{"email":"{email}","authPW":"{auth_pw}"}}"#);
        let head = format!(
            "POST /v1/account/login HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        );
        with_length(&head, &body)
    }

    /// The bytes of a request; `path` goes on after the user's root.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let Self {
            name,
            authorization,
            port,
        } = self;
        let mut head = format!(
            "{method} /1.1/{name}{path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\
             user-agent: PaleMoon/33.9.1 FxSync/1.65.0.20250101000000.desktop\r\n\
             accept: application/json;q=0.9,*/*;q=0.2\r\nauthorization: Basic {authorization}\r\n"
        );
        if method == "GET" {
            head += "\r\n";
            return head.into_bytes();
        }
        with_body(&head, body)
    }
}

/// The authorization header of a token of that kind.
pub fn bearer(token: &str, kind: &str) -> String {
    let token = HEXLOWER.decode(token.as_bytes()).unwrap_or_default();
    let id = derive(&token, b"", format!("{NAMESPACE}{kind}").as_bytes());
    format!("Bearer fxs_{}", HEXLOWER.encode(&id))
}

fn password(number: u64) -> String {
    format!("the password of number {number}")
}

/// The value that a client sends in place of the password (onepw: `PBKDF2`, then `HKDF`).
fn auth_pw(email: &str, password: &str) -> [u8; 32] {
    let rounds = NonZeroU32::new(1000).expect("not zero");
    let salt = format!("{NAMESPACE}quickStretch:{email}");
    let mut stretched = [0; 32];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(
        algorithm,
        rounds,
        salt.as_bytes(),
        password.as_bytes(),
        &mut stretched,
    );
    derive(&stretched, b"", format!("{NAMESPACE}authPW").as_bytes())
}

fn with_body(head: &str, body: &str) -> Vec<u8> {
    with_length(&format!("{head}content-type: text/plain\r\n"), body)
}

fn with_length(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// One object of almost the largest allowed size.
pub fn large_object() -> String {
    let payload = "Qm9va21hcmtzIGFuZCBoaXN0b3J5".repeat(1_900_000 / 28);
    format!(r#"{{"payload":"{payload}"}}"#)
}

/// A body of this many objects of 300 bytes, with consecutive id numbers.
pub fn objects(first: u64, count: u64) -> String {
    let payload = "Qm9va21hcmtzIGFuZCBoaXN0b3J5".repeat(11);
    let payload = &payload[..300];
    let objects: Vec<String> = (first..first + count)
        .map(|n| format!(r#"{{"id":"{}","payload":"{payload}"}}"#, id(n)))
        .collect();
    format!("[{}]", objects.join(","))
}

/// An id of twelve characters, derived from a number but not sorted like it.
pub fn id(number: u64) -> String {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 9];
    bytes[..8].copy_from_slice(&(mixed ^ (mixed >> 29)).to_le_bytes());
    bytes[8] = number.to_le_bytes()[0];
    BASE64URL.encode(&bytes)
}
