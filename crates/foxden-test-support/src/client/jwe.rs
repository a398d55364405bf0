//! The JWE with which the page sends keys to the browser: ECDH on P-256, Concat KDF, AES-256-GCM, compact form.

use data_encoding::BASE64URL_NOPAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{base64url, random, random_bytes};

/// The browser's end: a key whose public half goes into the address of the page.
pub struct Recipient(EphemeralPrivateKey);

impl Recipient {
    /// A fresh one.
    pub fn generate() -> Self {
        Self(EphemeralPrivateKey::generate(&ECDH_P256, &random()).unwrap())
    }

    /// The public half, as the page gets it.
    pub fn public_jwk(&self) -> Value {
        to_jwk(self.0.compute_public_key().unwrap().as_ref())
    }

    /// Opens what was sealed for it.
    pub fn open(self, sealed: &str) -> Vec<u8> {
        let header = sealed.split('.').next().unwrap();
        let header: Value = serde_json::from_slice(&unbase64url(header)).unwrap();
        assert_eq!(
            (&header["alg"], &header["enc"]),
            (&json!("ECDH-ES"), &json!("A256GCM"))
        );
        assert!(header.get("apu").is_none() && header.get("apv").is_none());
        let shared = agree(self.0, &header["epk"]);
        open_with(&content_key(&shared), sealed).expect("sealed for this key")
    }
}

/// The page's end: seals a text for the key in the address.
pub fn seal(recipient: &Value, plain: &[u8]) -> String {
    let mine = EphemeralPrivateKey::generate(&ECDH_P256, &random()).unwrap();
    let epk = to_jwk(mine.compute_public_key().unwrap().as_ref());
    let header = json!({ "alg": "ECDH-ES", "enc": "A256GCM", "epk": epk });
    let header = base64url(header.to_string().as_bytes());
    let key = content_key(&agree(mine, recipient));
    let iv: [u8; 12] = random_bytes(12).try_into().unwrap();
    seal_with(&key, &header, iv, plain)
}

/// The key that the content is sealed with, from what both ends agreed on.
pub fn content_key(shared: &[u8]) -> [u8; 32] {
    let mut input = vec![0, 0, 0, 1];
    input.extend_from_slice(shared);
    input.extend_from_slice(&[0, 0, 0, 7]);
    input.extend_from_slice(b"A256GCM");
    // Neither party is named, and 256 bits are wanted.
    input.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    digest(&SHA256, &input).as_ref().try_into().unwrap()
}

/// Seals with a known content key; the header is given in its encoded form.
pub fn seal_with(key: &[u8; 32], header: &str, iv: [u8; 12], plain: &[u8]) -> String {
    let mut text = plain.to_vec();
    let tag = cipher(key)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::from(header.as_bytes()),
            &mut text,
        )
        .unwrap();
    format!(
        "{header}..{}.{}.{}",
        base64url(&iv),
        base64url(&text),
        base64url(tag.as_ref())
    )
}

/// Opens with a known content key; `None` when it does not fit.
pub fn open_with(key: &[u8; 32], sealed: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = sealed.split('.').collect();
    let [header, "", iv, text, tag] = parts[..] else {
        panic!("not a compact form with five parts: {sealed}");
    };
    let mut text = unbase64url(text);
    text.extend(unbase64url(tag));
    let nonce = Nonce::try_assume_unique_for_key(&unbase64url(iv)).ok()?;
    let plain = cipher(key).open_in_place(nonce, Aad::from(header.as_bytes()), &mut text);
    plain.ok().map(|plain| plain.to_vec())
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

fn agree(mine: EphemeralPrivateKey, theirs: &Value) -> Vec<u8> {
    assert_eq!((&theirs["kty"], &theirs["crv"]), (&json!("EC"), &json!("P-256")));
    let mut point = vec![4];
    for member in ["x", "y"] {
        point.extend(unbase64url(theirs[member].as_str().unwrap()));
    }
    let theirs = UnparsedPublicKey::new(&ECDH_P256, point);
    agree_ephemeral(mine, &theirs, <[u8]>::to_vec).expect("a point on the curve")
}

fn to_jwk(point: &[u8]) -> Value {
    assert_eq!((point.len(), point[0]), (65, 4), "an uncompressed point");
    json!({ "kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..]) })
}

fn unbase64url(text: &str) -> Vec<u8> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .unwrap_or_else(|_| panic!("not base64url: {text}"))
}
