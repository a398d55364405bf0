//! Hawk signatures, for the account server and for storage.

use data_encoding::BASE64;
use ring::digest::{SHA256, digest};
use ring::hmac;

/// The id and key of a signature.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The id of the key.
    pub id: String,
    /// The key.
    pub key: Vec<u8>,
}

/// The signed parts of a request.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// Path and query as they are sent.
    pub target: &'a str,
    /// The host of the public address.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// Content type and body, where the body is signed too.
    pub payload: Option<(&'a str, &'a [u8])>,
    /// Seconds since 1970.
    pub ts: i64,
    /// Unique for each key and time.
    pub nonce: &'a str,
}

impl Signed<'_> {
    /// The hash of the body, when it is signed.
    pub fn hash(&self) -> Option<String> {
        let (content_type, body) = self.payload?;
        let media_type = content_type.split(';').next().unwrap_or("").trim();
        let mut text = format!("hawk.1.payload\n{}\n", media_type.to_ascii_lowercase()).into_bytes();
        text.extend_from_slice(body);
        text.push(b'\n');
        Some(BASE64.encode(digest(&SHA256, &text).as_ref()))
    }

    /// The signature.
    pub fn mac(&self, key: &[u8]) -> String {
        let text = format!(
            "hawk.1.header\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n\n",
            self.ts,
            self.nonce,
            self.method,
            self.target,
            self.host.to_ascii_lowercase(),
            self.port,
            self.hash().unwrap_or_default(),
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        BASE64.encode(hmac::sign(&key, text.as_bytes()).as_ref())
    }

    /// The whole header.
    pub fn header(&self, credentials: &Credentials) -> String {
        let hash = self
            .hash()
            .map_or(String::new(), |hash| format!(", hash=\"{hash}\""));
        format!(
            "Hawk id=\"{}\", ts=\"{}\", nonce=\"{}\"{hash}, mac=\"{}\"",
            credentials.id,
            self.ts,
            self.nonce,
            self.mac(&credentials.key),
        )
    }
}
