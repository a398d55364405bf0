//! The word with which the operator makes accounts for others.

use ring::hmac;

/// What the operator sends as `X-Weave-Secret`. The word itself is not kept.
#[derive(Clone)]
pub struct AdminSecret {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl AdminSecret {
    /// An empty word would let everybody in, so it is none.
    pub fn new(word: &str) -> Option<Self> {
        if word.is_empty() {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"foxden admin secret");
        let tag = hmac::sign(&key, word.as_bytes());
        Some(Self { key, tag })
    }

    /// Whether this is the word. How long it takes tells nothing: hashes are compared.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        hmac::verify(&self.key, shown, self.tag.as_ref()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_itself_opens() {
        let secret = AdminSecret::new("open sesame").unwrap();
        assert!(secret.is(b"open sesame"));
        for other in ["", "open sesam", "open sesame ", "Open sesame"] {
            assert!(!secret.is(other.as_bytes()), "{other}");
        }
        assert!(AdminSecret::new("").is_none());
    }
}
