//! Storage tokens: made by the tokenserver, checked by storage nodes that share a secret with it.
//!
//! A token is an id and a key. The id is a signed statement of who may use which node until when; the
//! key signs that client's requests. Both follow from the secret, so a node needs no table of tokens.

#[cfg(test)]
mod tests;

use std::fmt;

use data_encoding::{BASE64URL, BASE64URL_NOPAD, HEXLOWER};
use foxden_model::{Rng, SyncTime, UserId};
use ring::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::AccountId;

/// Bytes of the signature at the end of a token's id.
const SIGNATURE: usize = 32;
/// Characters of a token's key.
const KEY: usize = 44;
/// The longest time, a day, for which a token has its owner asked not to sync again.
const MOST_BACKOFF_SECONDS: u32 = 24 * 60 * 60;
const SIGNING: &[u8] = b"services.mozilla.com/tokenlib/v1/signing";
const DERIVE: &[u8] = b"services.mozilla.com/tokenlib/v1/derive/";

/// The secrets of a node, oldest first. The last one signs, all are tried when verifying, so a secret
/// is replaced by appending the new one on the nodes first and on the tokenserver after them.
#[derive(Clone)]
pub struct TokenSecrets {
    earlier: Vec<Secret>,
    newest: Secret,
}

#[derive(Clone)]
struct Secret {
    text: Vec<u8>,
    signing: hmac::Key,
}

/// The claims about the owner of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The store it opens.
    pub user: UserId,
    /// The base address of the node, without a slash at the end.
    pub node: &'a str,
    /// The second at which it ends.
    pub expires: i64,
    /// The account's uid, 32 hex digits.
    pub fxa_uid: &'a str,
    /// The key id: when the client's encryption key changed, and its fingerprint.
    pub fxa_kid: &'a str,
    /// The account's uid for counting without knowing whom.
    pub hashed_fxa_uid: Option<&'a str>,
    /// The device for counting without knowing which.
    pub hashed_device_id: Option<&'a str>,
    /// The account's other stores on that node, which share its quota.
    pub other_uids: &'a [UserId],
    /// Seconds for which the node asks clients not to sync again; 0: it does not ask. A node that does not read the register
    /// knows it by this alone.
    pub backoff_seconds: u32,
}

/// A token as its owner gets it.
#[derive(Clone)]
pub struct Token {
    /// The signed statement, base64url with padding.
    pub id: String,
    /// The key that signs requests.
    pub key: TokenKey,
}

/// The key of a token: 44 characters of base64url, used as they stand.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey(String);

/// A token that one of the secrets signed. It may have expired: the caller decides what that means.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The store it opens.
    pub user: UserId,
    /// The account that owns the store; `None` if its tokenserver names none, or in another way.
    pub account: Option<AccountId>,
    /// The node it was made for.
    pub node: Box<str>,
    /// It is invalid from this time on.
    pub expires: SyncTime,
    /// The key that signs its owner's requests.
    pub key: TokenKey,
    /// The account's other stores on that node, which share its quota.
    pub other_uids: Box<[UserId]>,
    /// Seconds for which its owner was to be asked not to sync again when the token was made; 0: not at all.
    pub backoff_seconds: u32,
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Not base64url, too short, or its statement lacks what a node needs.
    #[error("the token is malformed")]
    Malformed,
    /// None of the node's secrets signed it.
    #[error("none of this node's secrets signed the token")]
    WrongSecret,
}

impl TokenSecrets {
    /// One list for all nodes: `newest` signs, `earlier` ones still verify. The text itself is the
    /// secret; hexadecimal digits are not decoded.
    pub fn new<S: AsRef<[u8]>>(earlier: impl IntoIterator<Item = S>, newest: S) -> Self {
        let secret = |text: S| Secret::new(text.as_ref());
        Self {
            earlier: earlier.into_iter().map(secret).collect(),
            newest: secret(newest),
        }
    }

    /// Makes a token with the newest secret.
    pub fn mint(&self, claims: &Claims<'_>, rng: &dyn Rng) -> Token {
        let mut salt = [0; 3];
        rng.fill(&mut salt);
        let salt = HEXLOWER.encode(&salt);
        let other_uids: Vec<u64> = claims.other_uids.iter().map(|user| user.0).collect();
        let statement = WireClaims {
            uid: claims.user.0,
            node: claims.node,
            expires: claims.expires,
            fxa_uid: claims.fxa_uid,
            fxa_kid: claims.fxa_kid,
            hashed_fxa_uid: claims.hashed_fxa_uid,
            hashed_device_id: claims.hashed_device_id,
            salt: &salt,
            other_uids: &other_uids,
            backoff_seconds: claims.backoff_seconds,
        };
        let mut bytes = statement.to_bytes();
        let signature = hmac::sign(&self.newest.signing, &bytes);
        bytes.extend_from_slice(signature.as_ref());
        let id = BASE64URL.encode(&bytes);
        let key = self.newest.key(salt.as_bytes(), &id);
        Token { id, key }
    }

    /// Checks the id a client presents: first the signature, and only then what it says.
    pub fn verify(&self, id: &str) -> Result<Verified, BadToken> {
        let bytes = BASE64URL_NOPAD
            .decode(id.trim_end_matches('=').as_bytes())
            .map_err(|_| BadToken::Malformed)?;
        if bytes.len() <= SIGNATURE {
            return Err(BadToken::Malformed);
        }
        let (statement, signature) = bytes.split_at(bytes.len() - SIGNATURE);
        let secret = self
            .all()
            .find(|secret| hmac::verify(&secret.signing, statement, signature).is_ok())
            .ok_or(BadToken::WrongSecret)?;
        let presented: VerifiedClaims<'_> =
            serde_json::from_slice(statement).map_err(|_| BadToken::Malformed)?;
        presented.check()?;
        let expires = presented.expires.get().parse().map_err(|_| BadToken::Malformed)?;
        Ok(Verified {
            user: UserId(presented.uid),
            account: presented.fxa_uid.as_deref().and_then(AccountId::from_hex),
            node: presented.node.into(),
            expires,
            key: secret.key(presented.salt.as_bytes(), id),
            other_uids: presented.other_uids.into_iter().map(UserId).collect(),
            backoff_seconds: presented.backoff_seconds.min(MOST_BACKOFF_SECONDS),
        })
    }

    fn all(&self) -> impl Iterator<Item = &Secret> {
        self.earlier.iter().chain([&self.newest])
    }
}

impl fmt::Debug for TokenSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSecrets({} secrets)", self.earlier.len() + 1)
    }
}

impl Secret {
    fn new(text: &[u8]) -> Self {
        let mut signing = [0; 32];
        hkdf(text, &[], &[SIGNING], &mut signing);
        Self {
            text: text.to_vec(),
            signing: hmac::Key::new(hmac::HMAC_SHA256, &signing),
        }
    }

    fn key(&self, salt: &[u8], id: &str) -> TokenKey {
        let mut key = [0; 32];
        hkdf(&self.text, salt, &[DERIVE, id.as_bytes()], &mut key);
        let key = BASE64URL.encode(&key);
        debug_assert_eq!(key.len(), KEY);
        TokenKey(key)
    }
}

impl TokenKey {
    /// The key, as the client gets it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(***)")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// The statement as it is written; readers take its members in any order.
#[derive(Serialize)]
struct WireClaims<'a> {
    uid: u64,
    node: &'a str,
    expires: i64,
    fxa_uid: &'a str,
    fxa_kid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashed_fxa_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashed_device_id: Option<&'a str>,
    salt: &'a str,
    #[serde(rename = "beside", skip_serializing_if = "<[u64]>::is_empty")]
    other_uids: &'a [u64],
    #[serde(rename = "backoff", skip_serializing_if = "is_zero")]
    backoff_seconds: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl WireClaims<'_> {
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can always be written")
    }
}

/// The claims of a token, of any tokenserver that shares the secret; some write `expires` with a fraction.
#[derive(Deserialize)]
struct VerifiedClaims<'a> {
    uid: u64,
    #[serde(borrow)]
    node: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    expires: &'a RawValue,
    #[serde(borrow)]
    salt: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    fxa_uid: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    fxa_kid: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    hashed_fxa_uid: Option<std::borrow::Cow<'a, str>>,
    #[serde(rename = "beside", default)]
    other_uids: Vec<u64>,
    #[serde(rename = "backoff", default)]
    backoff_seconds: u32,
}

impl VerifiedClaims<'_> {
    /// A token with a hashed account id must carry the plain one, too, and both in a form fit for a log.
    fn check(&self) -> Result<(), BadToken> {
        let Some(hashed) = &self.hashed_fxa_uid else {
            return Ok(());
        };
        let is_word = |text: &str| {
            (1..=64).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
        };
        let all = [Some(hashed), self.fxa_uid.as_ref(), self.fxa_kid.as_ref()];
        if all.iter().all(|text| text.is_some_and(|text| is_word(text))) {
            Ok(())
        } else {
            Err(BadToken::Malformed)
        }
    }
}

/// How many bytes a derivation gives.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// RFC 5869 with SHA-256. An empty salt is the same as 32 zero bytes: HMAC pads its key with zeros.
fn hkdf(secret: &[u8], salt: &[u8], context: &[&[u8]], out: &mut [u8]) {
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(context, Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("secrets are far shorter than the 8160 bytes that HKDF can give");
}
