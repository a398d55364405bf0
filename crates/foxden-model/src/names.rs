//! The names of users, collections and objects.

use std::fmt;

/// The uid of a user, that is, of a store on a node: the number in a storage URL. It is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u64);

/// The name of a collection: 1 to 32 of `A-Z a-z 0-9 . _ -`; case matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionName {
    // Unused bytes are zero, so comparing the bytes compares the names.
    bytes: [u8; Self::MAX],
    len: u8,
}

/// The id of an object within its collection: 1 to 64 characters, none of them a control character.
///
/// Ids are compared byte by byte. Dialects may restrict them further.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Box<str>);

/// The error for a text that is not a valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadName;

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl CollectionName {
    /// The greatest length, in bytes.
    pub const MAX: usize = 32;

    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > Self::MAX {
            return Err(BadName);
        }
        // Without an early exit, which costs several times as much.
        if !name.bytes().fold(true, |valid, byte| valid & is_allowed(byte)) {
            return Err(BadName);
        }
        let mut bytes = [0; Self::MAX];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        let len = u8::try_from(name.len()).map_err(|_| BadName)?;
        Ok(Self { bytes, len })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // `new` accepts ASCII only, so the bytes are always valid UTF-8.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The name as ASCII, which needs no check.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CollectionName({:?})", self.as_str())
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ObjectId {
    /// The greatest length, in characters.
    pub const MAX: usize = 64;

    /// Checks and takes an id.
    pub fn new(id: impl Into<Box<str>>) -> Result<Self, BadName> {
        let id = id.into();
        // Checking the bytes first bounds the work on a hostile text of megabytes.
        if id.is_empty() || id.len() > Self::MAX * 4 {
            return Err(BadName);
        }
        let is_valid = if id.is_ascii() {
            // Without an early exit, which costs several times as much.
            let has_control = id
                .bytes()
                .fold(false, |found, byte| found | byte.is_ascii_control());
            id.len() <= Self::MAX && !has_control
        } else {
            id.chars().count() <= Self::MAX && !id.chars().any(char::is_control)
        };
        if is_valid { Ok(Self(id)) } else { Err(BadName) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a name that can be stored")
    }
}

impl std::error::Error for BadName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_name_keeps_its_text() {
        for name in ["bookmarks", "a", "extension-storage", "A.b_c-9", &"x".repeat(32)] {
            assert_eq!(CollectionName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "a b", "a/b", "é", "a%20", &"x".repeat(33)] {
            assert_eq!(CollectionName::new(name), Err(BadName), "{name}");
        }
    }

    #[test]
    fn names_sort_as_their_text_does() {
        let mut names = ["b", "a", "ab", "aa", "B"].map(|n| CollectionName::new(n).unwrap());
        names.sort();
        assert_eq!(names.map(|n| n.as_str().to_owned()), ["B", "a", "aa", "ab", "b"]);
    }

    #[test]
    fn an_id_has_one_to_64_characters() {
        assert!(ObjectId::new("x".repeat(64)).is_ok());
        assert!(ObjectId::new("é".repeat(64)).is_ok());
        for id in [String::new(), "x".repeat(65), "a\nb".into(), "a\u{7f}".into()] {
            assert_eq!(ObjectId::new(id.clone()), Err(BadName), "{id:?}");
        }
    }
}
