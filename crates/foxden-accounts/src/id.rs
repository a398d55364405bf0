//! How accounts, devices and credentials are called.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// An account: 16 random bytes, 32 lower-case hex digits outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub [u8; 16]);

/// A device of an account: 16 random bytes, 32 lower-case hex digits outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub [u8; 16]);

/// A credential as its owner gets it: 32 random bytes, 64 lower-case hex digits outside. It is never
/// stored and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretToken(pub [u8; 32]);

/// The id of a credential in a Hawk header or after `Bearer fxs_`. It is as secret as a password: it is stored
/// as a hash and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenId(pub [u8; 32]);

/// The proof of the password that a client derives from it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthPw(pub [u8; 32]);

/// A key that is wrapped with something only the client can compute.
#[derive(Clone, PartialEq, Eq)]
pub struct WrapKb(pub [u8; 32]);

macro_rules! open_id {
    ($name:ident) => {
        impl $name {
            /// Reads exactly 32 lower-case hex digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                decode(text, &HEXLOWER).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

macro_rules! secret {
    ($name:ident, $encoding:expr, $digits:literal) => {
        impl $name {
            #[doc = concat!("Reads exactly 64 ", $digits, ".")]
            pub fn from_hex(text: &str) -> Option<Self> {
                decode(text, &$encoding).map(Self)
            }

            /// As 64 lower-case hex digits, for its owner alone.
            pub fn to_hex(&self) -> String {
                HEXLOWER.encode(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    };
}

open_id!(AccountId);
open_id!(DeviceId);
secret!(SecretToken, HEXLOWER, "lower-case hex digits");
secret!(TokenId, HEXLOWER, "lower-case hex digits");
secret!(AuthPw, HEXLOWER_PERMISSIVE, "hex digits of either case");
secret!(WrapKb, HEXLOWER_PERMISSIVE, "hex digits of either case");

fn decode<const N: usize>(text: &str, encoding: &data_encoding::Encoding) -> Option<[u8; N]> {
    // The length first: it bounds the work on a hostile text.
    if text.len() != 2 * N {
        return None;
    }
    encoding.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_exact_lower_case_hex() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(AccountId::from_hex(id).unwrap().to_string(), id);
        for bad in [
            "",
            "0123",
            &id.to_uppercase(),
            &format!("{id} "),
            &"g".repeat(32),
            &"é".repeat(16),
        ] {
            assert_eq!(AccountId::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_password_proof_may_be_upper_case_but_a_token_id_may_not() {
        let digits = "AB".repeat(32);
        assert!(AuthPw::from_hex(&digits).is_some());
        assert!(TokenId::from_hex(&digits).is_none());
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", SecretToken([7; 32])), "SecretToken(***)");
        assert_eq!(format!("{:?}", AuthPw([7; 32])), "AuthPw(***)");
    }
}
