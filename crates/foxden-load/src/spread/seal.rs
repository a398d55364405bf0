//! Signatures of what workers and the coordinator tell each other.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use data_encoding::HEXLOWER;
use ring::hmac;

/// The header with the signature.
pub const HEADER: &str = "x-foxden-load-signature";

/// The secret that the coordinator and its workers share.
#[derive(Clone)]
pub struct Seal(hmac::Key);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// The secret in this file.
    pub fn read(path: &Path) -> Result<Self> {
        let secret = crate::secret::read("--shared-secret-file", path)?;
        Ok(Self::new(&secret))
    }

    fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The signature of a report.
    pub fn of_report(&self, body: &[u8]) -> String {
        self.sign(b"report", b"", body)
    }

    /// Whether a report has this signature. The time that this takes says nothing of it.
    pub fn is_of_report(&self, body: &[u8], signature: &str) -> bool {
        self.verify(b"report", b"", body, signature)
    }

    /// The signature of the answer to the report with that signature.
    pub fn of_order(&self, report: &str, body: &[u8]) -> String {
        self.sign(b"order", report.as_bytes(), body)
    }

    /// Whether the answer to that report has this signature.
    pub fn is_of_order(&self, report: &str, body: &[u8], signature: &str) -> bool {
        self.verify(b"order", report.as_bytes(), body, signature)
    }

    fn sign(&self, what: &[u8], to: &[u8], body: &[u8]) -> String {
        HEXLOWER.encode(hmac::sign(&self.0, &signed(what, to, body)).as_ref())
    }

    fn verify(&self, what: &[u8], to: &[u8], body: &[u8], signature: &str) -> bool {
        let signature = HEXLOWER.decode(signature.as_bytes());
        signature.is_ok_and(|tag| hmac::verify(&self.0, &signed(what, to, body), &tag).is_ok())
    }
}

fn signed(what: &[u8], to: &[u8], body: &[u8]) -> Vec<u8> {
    [what, b"\n", to, b"\n", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_has_another_signature() {
        let (seal, other) = (Seal::new("one"), Seal::new("another"));
        let report = seal.of_report(b"body");
        assert!(seal.is_of_report(b"body", &report));
        assert!(!seal.is_of_report(b"bodies", &report) && !other.is_of_report(b"body", &report));
        assert!(!seal.is_of_report(b"body", "no digits"));
        let order = seal.of_order(&report, b"go");
        assert!(seal.is_of_order(&report, b"go", &order));
        assert!(!seal.is_of_order("another report", b"go", &order) && !seal.is_of_report(b"go", &order));
    }
}
