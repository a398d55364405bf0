//! What a cache server holds for a user, as bytes. Each value names the user, so that no other one gets it.

use std::sync::Arc;

use foxden_model::{CollectionName, SyncTime, UserId};

use crate::command::Query;
use crate::page::{CollectionSummary, Row, Rows};

/// The bytes of the largest object that is cached. A larger one is worth its read from the store.
const MOST_OBJECT_BYTES: usize = 4096;

/// What is stored for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UserValue {
    /// A reader has asked the engine, and will fill the entry unless a writer comes.
    Claim,
    /// The times of the user's collections.
    Times(UserTimes),
    /// Nothing that this program has written for the user.
    Unknown,
}

/// The times of a user's collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserTimes {
    /// A random number: objects that were read in the same state have it, too.
    pub(super) version: u64,
    pub(super) modified: SyncTime,
    pub(super) collections: Arc<[CollectionSummary]>,
}

/// An object that was read by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedObject {
    pub(super) expiry: Option<SyncTime>,
    pub(super) rows: Rows,
}

impl UserValue {
    pub(super) fn read(bytes: &[u8], user: UserId) -> Self {
        match bytes.split_first() {
            // An empty value is how memcached claims.
            None | Some((b'P', _)) => Self::Claim,
            Some((b'E', entry)) => UserTimes::read(entry, user).map_or(Self::Unknown, Self::Times),
            Some(_) => Self::Unknown,
        }
    }

    /// The claim of a reader.
    pub(super) fn claim(token: u64) -> Vec<u8> {
        [b"P".as_slice(), &token.to_le_bytes()].concat()
    }
}

impl UserTimes {
    pub(super) fn write(&self, user: UserId) -> Vec<u8> {
        let mut bytes = b"E".to_vec();
        bytes.extend(user.0.to_le_bytes());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.modified.hundredths().to_le_bytes());
        for collection in &*self.collections {
            put_text(&mut bytes, collection.name.as_str());
            bytes.extend(collection.modified.hundredths().to_le_bytes());
            bytes.extend(collection.count.to_le_bytes());
            bytes.extend(collection.bytes.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8], user: UserId) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.number()? != user.0 {
            return None;
        }
        let version = reader.number()?;
        let modified = reader.time()?;
        let mut collections = Vec::new();
        while !reader.0.is_empty() {
            collections.push(CollectionSummary {
                name: CollectionName::new(reader.text()?).ok()?,
                modified: reader.time()?,
                count: reader.number()?,
                bytes: reader.number()?,
            });
        }
        Some(Self {
            version,
            modified,
            collections: collections.into(),
        })
    }
}

impl SharedObject {
    /// The bytes of the object that the query asks for, as it was in that version of the user's entry, if it is small enough.
    pub(super) fn write(
        user: UserId,
        version: u64,
        query: &Query,
        rows: &Rows,
        expiry: Option<SyncTime>,
    ) -> Option<Vec<u8>> {
        let row = rows.iter().next().filter(|_| rows.bytes() <= MOST_OBJECT_BYTES)?;
        let mut bytes = user.0.to_le_bytes().to_vec();
        bytes.extend(version.to_le_bytes());
        put_text(&mut bytes, query.collection.as_str());
        put_number(&mut bytes, expiry.map(SyncTime::hundredths));
        bytes.extend(row.modified.hundredths().to_le_bytes());
        put_number(&mut bytes, row.sortindex);
        for text in [Some(row.id), Some(row.payload), row.parent_id, row.predecessor_id] {
            bytes.push(u8::from(text.is_some()));
            put_text(&mut bytes, text.unwrap_or_default());
        }
        Some(bytes)
    }

    /// The object, if it is the one that the query asks for, in that version of the entry.
    pub(super) fn read(bytes: &[u8], user: UserId, version: u64, query: &Query) -> Option<Self> {
        let mut reader = Reader(bytes);
        let is_it = reader.number()? == user.0
            && reader.number()? == version
            && reader.text()? == query.collection.as_str();
        let (expires, expiry) = reader.optional_number()?;
        let expiry = expires.then_some(SyncTime::from_hundredths(expiry));
        let modified = reader.time()?;
        let (is_sorted, sortindex) = reader.optional_number()?;
        let sortindex = is_sorted.then_some(sortindex);
        let mut texts = [None; 4];
        for text in &mut texts {
            let is_there = reader.bytes(1)? == [1];
            *text = Some(reader.text()?).filter(|_| is_there);
        }
        let [id, payload, parent_id, predecessor_id] = texts;
        let id = id.filter(|id| is_it && query.single_object().is_some_and(|asked| asked.as_str() == *id));
        let mut rows = Rows::default();
        rows.push(Row {
            id: id?,
            payload: payload?,
            modified,
            sortindex,
            parent_id,
            predecessor_id,
        });
        Some(Self { expiry, rows })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn time(&mut self) -> Option<SyncTime> {
        Some(SyncTime::from_hundredths(self.number()?.cast_signed()))
    }

    /// A number that may be missing, behind a byte that says whether it is.
    fn optional_number(&mut self) -> Option<(bool, i64)> {
        Some((self.bytes(1)? == [1], self.number()?.cast_signed()))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}

fn put_number(bytes: &mut Vec<u8>, number: Option<i64>) {
    bytes.push(u8::from(number.is_some()));
    bytes.extend(number.unwrap_or_default().to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use foxden_model::ObjectId;

    use super::*;

    const USER: UserId = UserId(42);

    #[test]
    fn times_come_back_as_they_were() {
        let times = UserTimes {
            version: u64::MAX,
            modified: SyncTime::from_hundredths(-7),
            collections: Arc::from([CollectionSummary {
                name: CollectionName::new("bookmarks").unwrap(),
                modified: SyncTime::from_hundredths(i64::MAX),
                count: 3,
                bytes: 9,
            }]),
        };
        let bytes = times.write(USER);
        assert_eq!(UserValue::read(&bytes, USER), UserValue::Times(times));
        assert_eq!(UserValue::read(&bytes, UserId(43)), UserValue::Unknown);
        assert_eq!(UserValue::read(&bytes[..30], USER), UserValue::Unknown);
        assert_eq!(UserValue::read(b"", USER), UserValue::Claim);
        assert_eq!(UserValue::read(&UserValue::claim(1), USER), UserValue::Claim);
    }

    #[test]
    fn an_object_comes_back_to_who_asks_for_it() {
        let query = |collection, id| {
            Query::one(
                CollectionName::new(collection).unwrap(),
                ObjectId::new(id).unwrap(),
            )
        };
        let one = query("meta", "global");
        let mut rows = Rows::default();
        rows.push(Row {
            id: "global",
            payload: "two\0 words é",
            modified: SyncTime::from_hundredths(5),
            sortindex: Some(-1),
            parent_id: None,
            predecessor_id: Some(""),
        });
        let expiry = Some(SyncTime::from_hundredths(9));
        let bytes = SharedObject::write(USER, 7, &one, &rows, expiry).unwrap();
        let object = SharedObject { expiry, rows };
        assert_eq!(SharedObject::read(&bytes, USER, 7, &one).unwrap(), object);
        // A value that was cut is none.
        for end in 0..bytes.len() {
            assert_eq!(SharedObject::read(&bytes[..end], USER, 7, &one), None);
        }
        for (user, version, query) in [
            (UserId(43), 7, &one),
            (USER, 8, &one),
            (USER, 7, &query("meta", "other")),
            (USER, 7, &query("crypto", "global")),
        ] {
            assert_eq!(SharedObject::read(&bytes, user, version, query), None);
        }
    }
}
