//! The onepw protocol: password stretching, and the keys that are derived from tokens.

use std::num::NonZeroU32;

use ring::{hmac, pbkdf2};

use super::{NAMESPACE, derive, hex, unhex, xor};

/// A stretched password: `authPW` authenticates, `unwrapBKey` unwraps the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretched {
    /// The stretched password, from which both are derived.
    pub quick: Vec<u8>,
    /// `authPW`, which is sent to the server.
    pub auth_pw: Vec<u8>,
    /// `unwrapBKey`, which never leaves the page.
    pub unwrap_b_key: Vec<u8>,
}

impl Stretched {
    /// Stretches with the address as registered, a thousand rounds.
    pub fn v1(email: &str, password: &str) -> Self {
        Self::with(&format!("{NAMESPACE}quickStretch:{email}"), 1000, password)
    }

    /// Stretches with a salt of the account's own.
    pub fn v2(client_salt: &str, password: &str) -> Self {
        Self::with(
            &format!("{NAMESPACE}quickStretchV2:{client_salt}"),
            650_000,
            password,
        )
    }

    fn with(salt: &str, rounds: u32, password: &str) -> Self {
        let rounds = NonZeroU32::new(rounds).unwrap();
        let mut quick = vec![0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            salt.as_bytes(),
            password.as_bytes(),
            &mut quick,
        );
        Self {
            auth_pw: derive(&quick, "authPW", 32),
            unwrap_b_key: derive(&quick, "unwrapBkey", 32),
            quick,
        }
    }

    /// `authPW` in hex.
    pub fn auth_pw_hex(&self) -> String {
        hex(&self.auth_pw)
    }
}

/// The keys that are derived from a token of the account server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKeys {
    /// The id of the token in a signature, or after `Bearer fxs_`.
    pub id: String,
    /// Signs requests.
    pub auth_key: Vec<u8>,
    /// Decrypts the bundle in a response.
    pub bundle_key: Vec<u8>,
}

impl TokenKeys {
    /// Derives them. The kind is the token's name in the protocol, such as `sessionToken`.
    pub fn derive(token: &str, kind: &str) -> Self {
        let all = derive(&unhex(token), kind, 96);
        Self {
            id: hex(&all[..32]),
            auth_key: all[32..64].to_vec(),
            bundle_key: all[64..].to_vec(),
        }
    }
}

/// The two keys that the server keeps for an account: `kA`, and the wrapped `kB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Not used by Sync.
    pub ka: Vec<u8>,
    /// `kB`, wrapped with what comes from the password.
    pub wrap_kb: Vec<u8>,
}

impl Keys {
    /// Opens a bundle; `None` when it was not made with this key.
    pub fn open(bundle_key: &[u8], bundle: &str) -> Option<Self> {
        let material = derive(bundle_key, "account/keys", 96);
        let bundle = unhex(bundle);
        assert_eq!(bundle.len(), 96, "two keys and a checksum");
        let (hidden, checksum) = bundle.split_at(64);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &material[..32]);
        hmac::verify(&key, hidden, checksum).ok()?;
        let plain = xor(hidden, &material[32..]);
        Some(Self {
            ka: plain[..32].to_vec(),
            wrap_kb: plain[32..].to_vec(),
        })
    }

    /// The key that only clients know.
    pub fn kb(&self, stretched: &Stretched) -> Vec<u8> {
        xor(&self.wrap_kb, &stretched.unwrap_b_key)
    }
}
