//! Derives the account's name on the wire from the text that a person types.

use data_encoding::BASE32;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The name that a desktop sends for this account: an address, or any text with a character that names may
/// not have, becomes its hash.
pub fn of_account(account: &str) -> String {
    let account = account.trim().to_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if account.bytes().all(is_plain) {
        return account;
    }
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, account.as_bytes());
    BASE32.encode(hash.as_ref()).to_lowercase()
}
