//! Values derived from a secret token: its id, its Hawk key, its bundle key; and the bundle of the keys.

use data_encoding::HEXLOWER;
use ring::{digest, hkdf, hmac};

use crate::{SecretToken, TokenId};

/// The kinds of credentials. An id of one kind is unknown as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// Everything a signed-in device or page does.
    Session,
    /// `account/keys`, once.
    KeyFetch,
    /// The end of a password change, once.
    PasswordChange,
    /// The codes of a reset.
    PasswordForgot,
    /// The reset itself, once.
    AccountReset,
}

/// The values derived from a token.
pub struct Secrets {
    /// Its name in requests.
    pub id: TokenId,
    /// The Hawk key.
    pub auth_key: [u8; 32],
    /// The key that encrypts bundles.
    pub bundle_key: [u8; 32],
}

impl CredentialKind {
    /// The kind's name, which goes into the derivation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "sessionToken",
            Self::KeyFetch => "keyFetchToken",
            Self::PasswordChange => "passwordChangeToken",
            Self::PasswordForgot => "passwordForgotToken",
            Self::AccountReset => "accountResetToken",
        }
    }

    /// The prefix of its id in a `Bearer` header.
    pub const fn bearer_prefix(self) -> &'static str {
        match self {
            Self::Session => "fxs_",
            Self::KeyFetch => "fxk_",
            Self::PasswordChange => "fxpc_",
            Self::PasswordForgot => "fxpf_",
            Self::AccountReset => "fxar_",
        }
    }
}

impl Secrets {
    /// Derives what follows from a token of that kind.
    pub fn derive(kind: CredentialKind, token: &SecretToken) -> Self {
        let all: [u8; 96] = derive(&token.0, kind.name());
        Self {
            id: TokenId(part(&all, 0)),
            auth_key: part(&all, 1),
            bundle_key: part(&all, 2),
        }
    }

    /// The two keys of an account, for the owner of this key-fetch token alone.
    pub fn bundle(&self, ka: &[u8; 32], wrap_kb: &[u8; 32]) -> [u8; 96] {
        let stream: [u8; 96] = derive(&self.bundle_key, "account/keys");
        let mut bundle = [0; 96];
        bundle[..32].copy_from_slice(&xor(ka, &part(&stream, 1)));
        bundle[32..64].copy_from_slice(&xor(wrap_kb, &part(&stream, 2)));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &stream[..32]), &bundle[..64]);
        bundle[64..].copy_from_slice(mac.as_ref());
        bundle
    }
}

/// The stored hash of a secret.
pub(crate) fn hash(secret: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, secret).as_ref())
}

/// HKDF with SHA-256 and no salt, its purpose named as clients name it.
pub(crate) fn derive<const N: usize>(key: &[u8], purpose: &str) -> [u8; N] {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let purpose = [b"identity.mozilla.com/picl/v1/", purpose.as_bytes()];
    let mut out = [0; N];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(key)
        .expand(&purpose, Length(N))
        .and_then(|material| material.fill(&mut out))
        .expect("far below the 8160 bytes that HKDF can give");
    out
}

pub(crate) fn xor(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|at| one[at] ^ other[at])
}

fn part(all: &[u8; 96], at: usize) -> [u8; 32] {
    std::array::from_fn(|byte| all[at * 32 + byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_from(first: u8) -> [u8; 32] {
        std::array::from_fn(|at| first + u8::try_from(at).unwrap())
    }

    #[test]
    fn a_key_fetch_token_gives_the_published_secrets_and_bundle() {
        let secrets = Secrets::derive(CredentialKind::KeyFetch, &SecretToken(count_from(0x80)));
        assert_eq!(
            secrets.id.to_hex(),
            "3d0a7c02a15a62a2882f76e39b6494b500c022a8816e048625a495718998ba60"
        );
        assert_eq!(
            HEXLOWER.encode(&secrets.auth_key),
            "87b8937f61d38d0e29cd2d5600b3f4da0aa48ac41de36a0efe84bb4a9872ceb7"
        );
        assert_eq!(
            HEXLOWER.encode(&secrets.bundle_key),
            "14f338a9e8c6324d9e102d4e6ee83b209796d5c74bb734a410e729e014a4a546"
        );
        assert_eq!(
            HEXLOWER.encode(&secrets.bundle(&count_from(0x20), &count_from(0x40))),
            "ee5c58845c7c9412b11bbd20920c2fddd83c33c9cd2c2de2d66b222613364636\
             c2c0f8cfbb7c630472c0bd88451342c6c05b14ce342c5ad46ad89e84464c993c\
             3927d30230157d0817a077eef4b20d976f7a97363faf3f064c003ada7d01aa70"
        );
    }

    #[test]
    fn session_tokens_give_the_published_secrets() {
        let secrets = Secrets::derive(CredentialKind::Session, &SecretToken(count_from(0xa0)));
        assert_eq!(
            secrets.id.to_hex(),
            "c0a29dcf46174973da1378696e4c82ae10f723cf4f4d9f75e39f4ae3851595ab"
        );
        assert_eq!(
            HEXLOWER.encode(&secrets.auth_key),
            "9d8f22998ee7f5798b887042466b72d53e56ab0c094388bf65831f702d2febc0"
        );
        let secrets = Secrets::derive(CredentialKind::Session, &SecretToken([0x0f; 32]));
        assert_eq!(
            secrets.id.to_hex(),
            "923ee512d6153af6796ecb3aaddb1e8a48a713ef79cf0dbcfcc124456fd3ed6a"
        );
    }
}
