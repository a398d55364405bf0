//! Basic authentication: a name and a password with every request, as old clients send them.

#[cfg(test)]
mod tests;

use std::fmt;

use axum::http::{HeaderMap, header};
use data_encoding::{BASE32_NOPAD, BASE64};
use foxden_accounts::legacy;
use memchr::memchr;
use ring::digest;

use super::hawk::MAX_HEADER;

/// The credentials of a client.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    /// The account name in lower case. For an address, the name derived from it.
    pub name: String,
    /// The password as typed.
    pub password: String,
    /// The name that some clients derive from an address where others derive `name`.
    other_name: Option<String>,
}

/// Why a request has no usable Basic credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBasic {
    /// There is no header.
    #[error("no credentials")]
    Anonymous,
    /// There are several, of which a proxy may have checked another one.
    #[error("two sets of credentials")]
    Doubled,
    /// Another scheme.
    #[error("the credentials are not of the scheme Basic")]
    OtherScheme,
    /// Not base64, without a colon, or over [`MAX_HEADER`].
    #[error("the basic header is malformed")]
    Malformed,
    /// The part before the colon is neither a name nor an address.
    #[error("the basic header holds no name that an account can have")]
    BadName,
}

impl Basic {
    /// Parses the `Authorization` header.
    pub fn read(headers: &HeaderMap) -> Result<Self, NoBasic> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(NoBasic::Anonymous)?;
        if values.next().is_some() {
            return Err(NoBasic::Doubled);
        }
        Self::parse(value.as_bytes())
    }

    /// Returns whether the credentials are for the account in a path, in lower case.
    pub fn is_for(&self, path_name: &str) -> bool {
        self.name == path_name || self.other_name.as_deref() == Some(path_name)
    }

    fn parse(value: &[u8]) -> Result<Self, NoBasic> {
        let scheme = memchr(b' ', value).unwrap_or(value.len());
        let (scheme, encoded) = value.split_at(scheme);
        if !scheme.eq_ignore_ascii_case(b"Basic") {
            return Err(NoBasic::OtherScheme);
        }
        if value.len() > MAX_HEADER {
            return Err(NoBasic::Malformed);
        }
        let mut pair = BASE64
            .decode(encoded.trim_ascii())
            .map_err(|_| NoBasic::Malformed)?;
        // A password may hold colons, a name may not.
        let colon = memchr(b':', &pair).ok_or(NoBasic::Malformed)?;
        let password = pair.split_off(colon + 1);
        pair.pop();
        let (name, other_name) = names(&text(pair))?;
        Ok(Self {
            name,
            password: text(password),
            other_name,
        })
    }
}

/// The password is not printed.
impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Most clients send UTF-8; some send each character as one byte, which is ISO-8859-1.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

/// Returns the account name, and the alternative that some clients derive.
fn names(text: &str) -> Result<(String, Option<String>), NoBasic> {
    let name = legacy::name_of(text).ok_or(NoBasic::BadName)?;
    let other_name = text.contains('@').then(|| hashed(&text.to_lowercase()));
    let other_name = other_name.filter(|other| *other != name);
    Ok((name, other_name))
}

/// Returns the name that clients derive from an address: its hash.
fn hashed(address: &str) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, address.as_bytes());
    BASE32_NOPAD.encode(hash.as_ref()).to_ascii_lowercase()
}
