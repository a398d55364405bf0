//! Basic: a name and a password with every request, as old clients send them.

#[cfg(test)]
mod tests;

use std::fmt;

use axum::http::{HeaderMap, header};
use data_encoding::{BASE32_NOPAD, BASE64};
use foxden_accounts::plain;
use ring::digest;

use super::hawk::MAX_HEADER;

/// What a client says who it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    /// The name of the account: lower case, and where the client gave an address, the name that follows from it.
    pub name: String,
    /// The password as it was typed.
    pub password: String,
    /// The name that some clients make of an address where `name` is what others make of it.
    other_name: Option<String>,
}

/// Why a request has no credentials of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBasic {
    /// There is no header.
    #[error("no credentials")]
    Anonymous,
    /// There are several, and a proxy may have looked at another one than we would.
    #[error("two sets of credentials")]
    Doubled,
    /// Another scheme.
    #[error("the credentials are not of the scheme Basic")]
    OtherScheme,
    /// Not base64, without a colon, or over [`MAX_HEADER`].
    #[error("the basic header is malformed")]
    Malformed,
    /// What stands before the colon is neither a name nor an address.
    #[error("the basic header holds no name that an account can have")]
    BadName,
}

impl Basic {
    /// Reads the `Authorization` header.
    pub fn read(headers: &HeaderMap) -> Result<Self, NoBasic> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(NoBasic::Anonymous)?;
        if values.next().is_some() {
            return Err(NoBasic::Doubled);
        }
        Self::parse(value.as_bytes())
    }

    /// Whether these credentials are those of whom the path names, in lower case.
    pub fn is_for(&self, path_name: &str) -> bool {
        self.name == path_name || self.other_name.as_deref() == Some(path_name)
    }

    fn parse(value: &[u8]) -> Result<Self, NoBasic> {
        let scheme = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
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
        let colon = pair.iter().position(|&byte| byte == b':');
        let password = pair.split_off(colon.ok_or(NoBasic::Malformed)? + 1);
        pair.pop();
        let (name, other_name) = names(&text(pair))?;
        Ok(Self {
            name,
            password: text(password),
            other_name,
        })
    }
}

/// Passwords do not show.
impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Most clients send UTF-8; some encode each character of a text as one byte, which is ISO-8859-1.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

/// The name meant, and the other one that may be meant.
fn names(text: &str) -> Result<(String, Option<String>), NoBasic> {
    let name = plain::name_of(text).ok_or(NoBasic::BadName)?;
    let other_name = text.contains('@').then(|| hashed(&text.to_lowercase()));
    let other_name = other_name.filter(|other| *other != name);
    Ok((name, other_name))
}

/// The name that clients make of an address: its hash, as it is typed.
fn hashed(address: &str) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, address.as_bytes());
    BASE32_NOPAD.encode(hash.as_ref()).to_ascii_lowercase()
}
