//! What is made of a password and of a session before the account server hears of them.

use std::num::NonZeroU32;

use data_encoding::HEXLOWER;
use ring::{hkdf, pbkdf2};

/// The prefix of the info and salt of every derivation.
const NAMESPACE: &str = "identity.mozilla.com/picl/v1/";
/// How often the password is hashed before it is sent.
const ROUNDS: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

/// `authPW`: what proves to the account server that the password is known, in hexadecimal digits.
pub fn proof(email: &str, password: &str) -> String {
    let mut quick = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        format!("{NAMESPACE}quickStretch:{email}").as_bytes(),
        password.as_bytes(),
        &mut quick,
    );
    HEXLOWER.encode(&derive(&quick, "authPW"))
}

/// The value of the `Authorization` header by which a session is known; none if the token is not in hexadecimal digits.
pub fn session(token: &str) -> Option<String> {
    let token = HEXLOWER.decode(token.as_bytes()).ok()?;
    let id = HEXLOWER.encode(&derive(&token, "sessionToken"));
    Some(format!("Bearer fxs_{id}"))
}

/// HKDF with SHA-256, the first 32 bytes.
fn derive(secret: &[u8], name: &str) -> [u8; 32] {
    let info = format!("{NAMESPACE}{name}");
    let mut out = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"")
        .extract(secret)
        .expand(&[info.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|bytes| bytes.fill(&mut out))
        .expect("one block is never too long");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_sessions_become_what_the_published_examples_say() {
        assert_eq!(
            proof("andré@example.org", "pässwörd"),
            "247b675ffb4c46310bc87e26d712153abe5e1c90ef00a4784594f97ef54f2375"
        );
        assert_eq!(
            session(&"0f".repeat(32)).unwrap(),
            "Bearer fxs_923ee512d6153af6796ecb3aaddb1e8a48a713ef79cf0dbcfcc124456fd3ed6a"
        );
        assert_eq!(session("no digits"), None);
    }
}
