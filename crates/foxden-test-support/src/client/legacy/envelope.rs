//! The encryption of records: AES-256 in CBC mode, then HMAC-SHA256 over the ciphertext in base64.

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _};
use data_encoding::BASE64;
use ring::hmac;
use serde_json::{Value, json};

use super::key::KeyPair;
use crate::client::{hex, random_bytes, unhex};

/// Encrypts a text. Returns the ciphertext in base64.
pub fn encrypt(key: &[u8], iv: &[u8], text: &[u8]) -> String {
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(key, iv).unwrap();
    BASE64.encode(&cipher.encrypt_padded_vec_mut::<Pkcs7>(text))
}

/// Decrypts a ciphertext; `None` if it was encrypted with another key.
pub fn decrypt(key: &[u8], iv: &[u8], ciphertext: &str) -> Option<Vec<u8>> {
    let ciphertext = BASE64.decode(ciphertext.as_bytes()).ok()?;
    let cipher = cbc::Decryptor::<Aes256>::new_from_slices(key, iv).ok()?;
    cipher.decrypt_padded_vec_mut::<Pkcs7>(&ciphertext).ok()
}

/// Encrypts and authenticates a text.
pub fn seal(keys: &KeyPair, text: &str) -> Value {
    let iv = random_bytes(16);
    let ciphertext = encrypt(&keys.encryption, &iv, text.as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &keys.hmac);
    let tag = hmac::sign(&key, ciphertext.as_bytes());
    json!({ "ciphertext": ciphertext, "IV": BASE64.encode(&iv), "hmac": hex(tag.as_ref()) })
}

/// Verifies and decrypts; `None` if the keys differ or the text was altered.
pub fn open(keys: &KeyPair, sealed: &Value) -> Option<String> {
    let ciphertext = sealed["ciphertext"].as_str()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &keys.hmac);
    hmac::verify(&key, ciphertext.as_bytes(), &unhex(sealed["hmac"].as_str()?)).ok()?;
    let iv = BASE64.decode(sealed["IV"].as_str()?.as_bytes()).ok()?;
    String::from_utf8(decrypt(&keys.encryption, &iv, ciphertext)?).ok()
}
