//! The sync key that a person writes down, and the key pair that is derived from it.

use data_encoding::{BASE64, Encoding, Specification};
use ring::hmac;
use serde_json::{Value, json};

use crate::client::random_bytes;

/// The purpose in the HMAC input of every key derivation of this protocol.
pub const PURPOSE: &str = "Sync-AES_256_CBC-HMAC256";

/// Base32 in lower case, with `8` for `l` and `9` for `o`.
fn base32() -> Encoding {
    let mut alphabet = Specification::new();
    alphabet.symbols.push_str("abcdefghijk8mn9pqrstuvwxyz234567");
    // 26 characters encode 130 bits, and the key has 128.
    alphabet.check_trailing_bits = false;
    alphabet.encoding().expect("thirty-two different characters")
}

/// The key that only the person's devices know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncKey(String);

/// An encryption key and an HMAC key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// For AES-256.
    pub encryption: Vec<u8>,
    /// For HMAC-SHA256.
    pub hmac: Vec<u8>,
}

impl SyncKey {
    /// Generates a key.
    pub fn generate() -> Self {
        Self(base32().encode(&random_bytes(16)))
    }

    /// Parses a key as a person types it, with or without hyphens.
    pub fn parse(text: &str) -> Self {
        let text = text.trim().to_lowercase().replace('-', "");
        assert_eq!(text.len(), 26, "{text}");
        Self(text)
    }

    /// Its twenty-six characters.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Formats the key as browsers show it: one character, then groups of five.
    pub fn formatted(&self) -> String {
        let groups: Vec<&str> = (1..26).step_by(5).map(|at| &self.0[at..at + 5]).collect();
        format!("{}-{}", &self.0[..1], groups.join("-"))
    }

    /// Its sixteen bytes.
    pub fn bytes(&self) -> Vec<u8> {
        base32().decode(self.0.as_bytes()).unwrap()
    }

    /// Derives the key pair that encrypts the account's own records.
    pub fn pair(&self, name: &str) -> KeyPair {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes());
        let step = |before: &[u8], number: u8| {
            let text = [before, PURPOSE.as_bytes(), name.as_bytes(), &[number]].concat();
            hmac::sign(&key, &text).as_ref().to_vec()
        };
        let encryption = step(&[], 1);
        let hmac = step(&encryption, 2);
        KeyPair { encryption, hmac }
    }
}

impl KeyPair {
    /// Generates a key pair for the records of collections.
    pub fn generate() -> Self {
        Self {
            encryption: random_bytes(32),
            hmac: random_bytes(32),
        }
    }

    /// Formats the key pair as in the record `crypto/keys`.
    pub fn to_json(&self) -> Value {
        json!([BASE64.encode(&self.encryption), BASE64.encode(&self.hmac)])
    }

    /// Reads a key pair from the record `crypto/keys`.
    pub fn from_json(pair: &Value) -> Option<Self> {
        let key = |at: usize| BASE64.decode(pair[at].as_str()?.as_bytes()).ok();
        Some(Self {
            encryption: key(0)?,
            hmac: key(1)?,
        })
    }
}
