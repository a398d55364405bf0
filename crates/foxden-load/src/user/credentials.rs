//! The names and passwords of made users.

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;

/// The collection that marks a made user, and the beginning of its name. The collection is in no browser.
pub const MARK: &str = "foxden-load";

/// The name of a made user.
pub fn name(number: u32) -> String {
    format!("{MARK}-{number:06}")
}

/// Its password.
pub fn password(key: &hmac::Key, name: &str) -> String {
    let mut password = BASE64URL_NOPAD.encode(hmac::sign(key, name.as_bytes()).as_ref());
    password.truncate(24);
    password
}
