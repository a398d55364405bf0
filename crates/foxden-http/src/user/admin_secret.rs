//! The secret with which the operator creates accounts for others.

use ring::hmac;

/// The secret that the operator sends as `X-Weave-Secret`. Only a hash of it is kept.
#[derive(Clone)]
pub struct AdminSecret {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl AdminSecret {
    /// Returns `None` for an empty secret, which would let every client in.
    pub fn new(secret: &str) -> Option<Self> {
        if secret.is_empty() {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"foxden admin secret");
        let tag = hmac::sign(&key, secret.as_bytes());
        Some(Self { key, tag })
    }

    /// Returns whether this is the secret. Hashes are compared, so the time tells nothing.
    pub(super) fn matches(&self, given: &[u8]) -> bool {
        hmac::verify(&self.key, given, self.tag.as_ref()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_matches() {
        let secret = AdminSecret::new("open sesame").unwrap();
        assert!(secret.matches(b"open sesame"));
        for other in ["", "open sesam", "open sesame ", "Open sesame"] {
            assert!(!secret.matches(other.as_bytes()), "{other}");
        }
        assert!(AdminSecret::new("").is_none());
    }
}
