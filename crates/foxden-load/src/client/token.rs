//! Storage tokens, made from the secret that the tokenserver and the storage node share.
//!
//! This follows the protocol's description and shares no code with the server.

use std::fmt;

use data_encoding::BASE64URL;
use ring::{hkdf, hmac};

/// The prefix of the HKDF info of every derivation.
const NAMESPACE: &str = "services.mozilla.com/tokenlib/v1/";
/// What makes tokens of the same content differ; one value does for made users.
const SALT: &str = "f0cde1";

/// The id and key with which requests are signed.
#[derive(Clone)]
pub struct Credentials {
    /// The token.
    pub id: String,
    /// The key of signatures.
    pub key: hmac::Key,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Makes tokens.
#[derive(Clone)]
pub struct TokenMaker {
    secret: String,
    node: String,
    signing: hmac::Key,
}

impl fmt::Debug for TokenMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenMaker")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl TokenMaker {
    /// For the node at this URL.
    pub fn new(secret: &str, node: &str) -> Self {
        let signing = derive(secret, b"", &format!("{NAMESPACE}signing"));
        Self {
            secret: secret.to_owned(),
            node: node.to_owned(),
            signing: hmac::Key::new(hmac::HMAC_SHA256, &signing),
        }
    }

    /// A token for a user, good until then (seconds since 1970).
    pub fn token(&self, uid: u64, expires: i64) -> Credentials {
        let payload = serde_json::json!({
            "uid": uid,
            "node": self.node,
            "expires": expires,
            "fxa_uid": format!("{uid:032x}"),
            "fxa_kid": "0000000000000-AAAAAAAAAAAAAAAAAAAAAA",
            "salt": SALT,
        });
        self.sign(SALT, payload.to_string().into_bytes())
    }

    fn sign(&self, salt: &str, mut token: Vec<u8>) -> Credentials {
        let signature = hmac::sign(&self.signing, &token);
        token.extend_from_slice(signature.as_ref());
        let id = BASE64URL.encode(&token);
        let key = derive(&self.secret, salt.as_bytes(), &format!("{NAMESPACE}derive/{id}"));
        let key = BASE64URL.encode(&key);
        Credentials {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
            id,
        }
    }
}

/// HKDF with SHA-256, 32 bytes.
fn derive(secret: &str, salt: &[u8], info: &str) -> [u8; 32] {
    let mut out = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret.as_bytes())
        .expand(&[info.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|bytes| bytes.fill(&mut out))
        .expect("one block is never too long");
    out
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The published example.
    pub fn example() -> Credentials {
        let payload = r#"{"uid":42,"node":"https://sync.example.org","expires":1763700000,"fxa_uid":"0123456789abcdef0123456789abcdef","fxa_kid":"0000000002345-u7s","hashed_fxa_uid":"4d00ecae64b98dd7dc7dea68d0dd615d","hashed_device_id":"3a41cccbdd666ebc4199f1f9d1249d44","salt":"a1b2c3"}"#;
        let maker = TokenMaker::new("TED KOPPEL IS A ROBOT", "https://sync.example.org");
        maker.sign("a1b2c3", payload.as_bytes().to_vec())
    }

    #[test]
    fn signs_as_the_example_does() {
        let id = example().id;
        assert!(id.starts_with("eyJ1aWQiOjQyLCJub2Rl"));
        assert!(id.ends_with("jNqmHJLUndcU6NvOvU6se7"), "{id}");
    }
}
