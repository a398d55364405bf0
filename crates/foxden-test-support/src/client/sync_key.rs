//! The key of the Sync scope, and PKCE.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{base64url, derive, hex, random_bytes};

/// The scope that Sync asks for, and the name of its key.
pub const OLDSYNC: &str = "https://identity.mozilla.com/apps/oldsync";

/// The key of the Sync scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncKey {
    /// 64 bytes, base64url.
    pub k: String,
    /// Its rotation time and fingerprint, for the tokenserver.
    pub kid: String,
    /// The fingerprint in hex: the client state.
    pub client_state: String,
}

impl SyncKey {
    /// Derives it from `kB` and the time that the server names.
    pub fn derive(kb: &[u8], rotation: u64) -> Self {
        let digest = digest(&SHA256, kb);
        let fingerprint = &digest.as_ref()[..16];
        Self {
            k: base64url(&derive(kb, "oldsync", 64)),
            kid: format!("{rotation}-{}", base64url(fingerprint)),
            client_state: hex(fingerprint),
        }
    }

    /// The object that the page hands to the browser, sealed.
    pub fn scoped_keys(&self) -> Value {
        json!({ OLDSYNC: { "kty": "oct", "scope": OLDSYNC, "kid": self.kid, "k": self.k } })
    }

    /// Reads such an object, as strictly as the browser does.
    pub fn from_scoped_keys(keys: &Value) -> Self {
        let key = &keys[OLDSYNC];
        let text = |name: &str| {
            key[name]
                .as_str()
                .unwrap_or_else(|| panic!("{name} in {keys}"))
                .to_owned()
        };
        assert_eq!(
            (text("kty"), text("scope")),
            ("oct".to_owned(), OLDSYNC.to_owned())
        );
        let (k, kid) = (text("k"), text("kid"));
        let (time, fingerprint) = kid.split_once('-').expect("a time and a fingerprint");
        assert_ne!(time.parse::<u64>().expect("a time in front"), 0);
        let fingerprint = data_encoding::BASE64URL_NOPAD
            .decode(fingerprint.as_bytes())
            .expect("base64url without padding");
        let client_state = hex(&fingerprint);
        Self { k, kid, client_state }
    }
}

/// A PKCE verifier.
#[derive(Clone, Debug)]
pub struct ProofKey {
    /// Kept until the code is redeemed.
    pub verifier: String,
}

impl ProofKey {
    /// A fresh one.
    pub fn generate() -> Self {
        Self {
            verifier: base64url(&random_bytes(32)),
        }
    }

    /// The PKCE challenge.
    pub fn challenge(&self) -> String {
        base64url(digest(&SHA256, self.verifier.as_bytes()).as_ref())
    }
}
