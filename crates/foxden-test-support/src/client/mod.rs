//! A scripted client in the role of Firefox and its sign-in page, written from the protocol alone.
//!
//! It shares no code with the server's surfaces or services, so that a mistake there cannot cancel itself
//! out here.
//!
//! - [`onepw`]: the stretched password; tokens and their derived keys; the keys bundle
//! - [`sync_key`]: the key of the Sync scope and its name; the proof key of the code exchange
//! - [`jwe`]: the encryption of that key for the browser
//! - [`hawk`]: signatures of requests
//! - [`wire`]: plain blocking HTTP against a base address
//! - [`browser`]: all of it together: sign up, sign in, connect, sync
//! - [`legacy`]: a client of Sync 1.1
//! - [`command_line`]: the command-line client `ffsclient`

pub mod browser;
pub mod command_line;
pub mod hawk;
pub mod jwe;
pub mod legacy;
pub mod onepw;
pub mod sync_key;
pub mod wire;

use data_encoding::BASE64URL_NOPAD;
use ring::hkdf;
use ring::rand::SecureRandom as _;

/// The prefix of every HKDF info string.
const NAMESPACE: &str = "identity.mozilla.com/picl/v1/";

/// HKDF with SHA-256 and no salt.
pub fn hkdf(ikm: &[u8], info: &[u8], len: usize) -> Vec<u8> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = vec![0; len];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(ikm)
        .expand(&[info], Length(len))
        .and_then(|okm| okm.fill(&mut out))
        .expect("no derivation here is longer than HKDF allows");
    out
}

/// HKDF with the protocol's own prefix before the name.
pub fn derive(ikm: &[u8], name: &str, len: usize) -> Vec<u8> {
    hkdf(ikm, format!("{NAMESPACE}{name}").as_bytes(), len)
}

/// Combines two texts of equal length bit by bit.
pub fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

/// The machine's random generator.
#[expect(
    clippy::disallowed_methods,
    reason = "the peer stands outside the server and has no Rng"
)]
pub fn random() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}

/// So many random bytes.
pub fn random_bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    random().fill(&mut bytes).unwrap();
    bytes
}

/// URL-safe base64 without padding.
pub fn base64url(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Decodes hex.
pub fn unhex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .unwrap_or_else(|_| panic!("not hex: {text}"))
}
