//! The client's part of proving a password, for surfaces that see the plain one, and for tests.

use std::num::NonZeroU32;

use ring::pbkdf2;

use crate::AuthPw;
use crate::secret::derive;

const ROUNDS: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

/// The values that a client derives from a password: the proof it sends, and the key that unwraps its own.
pub struct Stretched {
    /// The part that the client sends.
    pub auth_pw: AuthPw,
    /// The part that the client keeps.
    pub unwrap_b_key: [u8; 32],
}

/// Stretches a password as clients do. The address is the salt, exactly as its owner registered it.
pub fn stretch(address: &str, password: &str) -> Stretched {
    let quick = quick(address, password);
    Stretched {
        auth_pw: AuthPw(derive(&quick, "authPW")),
        unwrap_b_key: derive(&quick, "unwrapBkey"),
    }
}

fn quick(address: &str, password: &str) -> [u8; 32] {
    let salt = format!("identity.mozilla.com/picl/v1/quickStretch:{address}");
    let mut out = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt.as_bytes(),
        password.as_bytes(),
        &mut out,
    );
    out
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn gives_the_published_values() {
        let (address, password) = ("andré@example.org", "pässwörd");
        assert_eq!(
            HEXLOWER.encode(&quick(address, password)),
            "e4e8889bd8bd61ad6de6b95c059d56e7b50dacdaf62bd84644af7e2add84345d"
        );
        let stretched = stretch(address, password);
        assert_eq!(
            stretched.auth_pw.to_hex(),
            "247b675ffb4c46310bc87e26d712153abe5e1c90ef00a4784594f97ef54f2375"
        );
        assert_eq!(
            HEXLOWER.encode(&stretched.unwrap_b_key),
            "de6a2648b78284fcb9ffa81ba95803309cfba7af583c01a8a1a63e567234dd28"
        );
    }
}
