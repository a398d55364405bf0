//! Signatures of requests.

use data_encoding::BASE64;
use ring::hmac;

use super::token::Credentials;

/// The signed parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// Path and query as they are sent.
    pub target: &'a str,
    /// The host of the public address, lower case.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// Seconds since 1970.
    pub ts: i64,
    /// Unique for each key and time.
    pub nonce: &'a str,
}

impl Signed<'_> {
    /// The value of the `Authorization` header. The body is not signed, as browsers do not sign it.
    pub fn header(&self, credentials: &Credentials) -> String {
        let Self {
            method,
            target,
            host,
            port,
            ts,
            nonce,
        } = self;
        let text = format!("hawk.1.header\n{ts}\n{nonce}\n{method}\n{target}\n{host}\n{port}\n\n\n");
        let mac = BASE64.encode(hmac::sign(&credentials.key, text.as_bytes()).as_ref());
        format!(
            "Hawk id=\"{}\", ts=\"{ts}\", nonce=\"{nonce}\", mac=\"{mac}\"",
            credentials.id
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::token;
    use super::*;

    #[test]
    fn signs_as_the_example_does() {
        let signed = Signed {
            method: "GET",
            target: "/1.5/42/storage/bookmarks?full=1&limit=2",
            host: "sync.example.org",
            port: 443,
            ts: 1_763_690_000,
            nonce: "abc123",
        };
        let header = signed.header(&token::tests::example());
        assert!(
            header.ends_with("mac=\"Lb3bZ5F1cCeid96CEGIQhcufgKvzMRzk2eaz4tkc68U=\""),
            "{header}"
        );
    }
}
