//! Parses and validates the objects that 1.5 clients send.
//!
//! The parser builds only what it needs: it borrows strings from the body, validates members as they come, and
//! skips nested values.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use foxden_model::{CollectionName, ObjectId};
use foxden_storage::{Field, Limits, Patch, Ttl};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::refusal::Refusal;
use super::target::is_printable;
use crate::sync::reply::ResponseCode;
use crate::sync::value::Value;

const MAX_SORTINDEX: i64 = 999_999_999;
const MAX_TTL: i128 = 999_999_999;

/// More valid objects than one request may have.
pub(super) const RETRY_OBJECT: &str = "retry bso";
/// More bytes of payload than one request may have.
pub(super) const RETRY_BYTES: &str = "retry bytes";

/// The layout of an upload's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One JSON list.
    List,
    /// One object per line.
    Lines,
}

/// Objects to store, and failed ones with the reason.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub(super) patches: Vec<Patch>,
    pub(super) failed: Vec<(Cow<'a, str>, &'static str)>,
}

/// Parses one object. The id in the path takes precedence over that in the body.
pub(super) fn one(
    collection: CollectionName,
    id: ObjectId,
    body: &[u8],
    limits: &Limits,
) -> Result<Patch, Refusal> {
    let element: Element<'_> = serde_json::from_str(text(body)?).map_err(|error| refusal(&error))?;
    if element.is_known_bad(collection) || !element.has_valid_id_or_none() {
        return Err(bad_object());
    }
    element.into_patch(id, limits).map_err(|_| bad_object())
}

/// Parses an upload.
pub(super) fn all<'a>(
    collection: CollectionName,
    layout: Layout,
    body: &'a [u8],
    limits: &Limits,
) -> Result<Objects<'a>, Refusal> {
    match layout {
        Layout::List => list(collection, body, limits),
        Layout::Lines => lines(collection, body, limits),
    }
}

/// Parses a JSON list of objects.
fn list<'a>(collection: CollectionName, body: &'a [u8], limits: &Limits) -> Result<Objects<'a>, Refusal> {
    let mut reader = Reader::new(collection, limits);
    let mut json = serde_json::Deserializer::from_str(text(body)?);
    let read = (&mut reader).deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| refusal(&error))?;
    Ok(reader.objects)
}

/// Parses one object per line. The last line may have a line end or not.
fn lines<'a>(collection: CollectionName, body: &'a [u8], limits: &Limits) -> Result<Objects<'a>, Refusal> {
    let mut reader = Reader::new(collection, limits);
    let text = text(body)?;
    if !text.is_empty() {
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            let element = serde_json::from_str(line).map_err(|error| refusal(&error))?;
            reader.take(element).map_err(|BadUpload| bad_object())?;
        }
    }
    Ok(reader.objects)
}

fn text(body: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(body).map_err(|_| Refusal::BadRequest(ResponseCode::BadJson))
}

fn refusal(error: &serde_json::Error) -> Refusal {
    Refusal::BadRequest(if error.is_data() {
        ResponseCode::BadObject
    } else {
        ResponseCode::BadJson
    })
}

const fn bad_object() -> Refusal {
    Refusal::BadRequest(ResponseCode::BadObject)
}

/// An element that makes the whole upload invalid.
struct BadUpload;

/// Collects the elements of an upload.
struct Reader<'a, 'l> {
    collection: CollectionName,
    limits: &'l Limits,
    ids: HashSet<Cow<'a, str>>,
    bytes: u64,
    objects: Objects<'a>,
}

impl<'a, 'l> Reader<'a, 'l> {
    fn new(collection: CollectionName, limits: &'l Limits) -> Self {
        Self {
            collection,
            limits,
            ids: HashSet::new(),
            bytes: 0,
            objects: Objects::default(),
        }
    }

    fn take(&mut self, element: Element<'a>) -> Result<(), BadUpload> {
        let Some(Value::Text(id)) = &element.id else {
            return Err(BadUpload);
        };
        let id = id.clone();
        if element.is_known_bad(self.collection) || !self.ids.insert(id.clone()) {
            return Err(BadUpload);
        }
        match self.validate(&id, element) {
            Ok(patch) => self.objects.patches.push(patch),
            Err(reason) => self.objects.failed.push((id, reason)),
        }
        Ok(())
    }

    fn validate(&mut self, id: &str, element: Element<'a>) -> Result<Patch, &'static str> {
        let id = valid_id(id).ok_or("invalid id")?;
        let patch = element.into_patch(id, self.limits)?;
        if self.objects.patches.len() as u64 >= self.limits.max_post_records {
            return Err(RETRY_OBJECT);
        }
        let bytes = self.bytes + patch.bytes();
        if bytes > self.limits.max_post_bytes {
            return Err(RETRY_BYTES);
        }
        self.bytes = bytes;
        Ok(patch)
    }
}

impl<'a> DeserializeSeed<'a> for &mut Reader<'a, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for &mut Reader<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            self.take(element)
                .map_err(|BadUpload| A::Error::custom("not an upload"))?;
        }
        Ok(())
    }
}

/// The members of one element, before validation. The last of two with one name counts.
#[derive(Default)]
struct Element<'a> {
    id: Option<Value<'a>>,
    payload: Option<Value<'a>>,
    sortindex: Option<Value<'a>>,
    ttl: Option<Value<'a>>,
    has_unknown: bool,
}

impl Element<'_> {
    fn has_valid_id_or_none(&self) -> bool {
        match &self.id {
            // Some clients write a null for a member that they do not set.
            None | Some(Value::Null) => true,
            Some(Value::Text(id)) => valid_id(id).is_some(),
            Some(_) => false,
        }
    }

    /// Returns whether the payload is an unencrypted key bundle, which a broken client once uploaded. Storing it
    /// would lock out all other clients.
    fn is_known_bad(&self, collection: CollectionName) -> bool {
        let Some(Value::Text(payload)) = &self.payload else {
            return false;
        };
        collection.as_str() == "crypto"
            && payload.split("\"IV\":").skip(1).any(|rest| {
                rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
                    .starts_with("\"AAAAAAAAAAAAAAAAAAAAAA==\"")
            })
    }

    fn into_patch(self, id: ObjectId, limits: &Limits) -> Result<Patch, &'static str> {
        if self.has_unknown {
            return Err("unknown field");
        }
        let payload = match self.payload {
            None => Field::Keep,
            Some(Value::Null) => Field::Clear,
            Some(Value::Text(text)) if text.len() as u64 <= limits.max_record_payload_bytes => {
                Field::Set(text.into_owned())
            }
            Some(Value::Text(_)) => return Err("payload too large"),
            Some(Value::Whole(_) | Value::Real(_) | Value::Truth | Value::Nested) => {
                return Err("invalid payload");
            }
        };
        let sortindex = sortindex(self.sortindex)?;
        Ok(Patch {
            renews: payload.is_given() || sortindex.is_given(),
            payload,
            sortindex,
            ttl: ttl(self.ttl.as_ref())?,
            ..Patch::empty(id)
        })
    }
}

fn valid_id(id: &str) -> Option<ObjectId> {
    is_printable(id).then(|| ObjectId::new(id).ok()).flatten()
}

fn sortindex(value: Option<Value<'_>>) -> Result<Field<i64>, &'static str> {
    let number = match value {
        None => return Ok(Field::Keep),
        Some(Value::Null) => return Ok(Field::Clear),
        Some(Value::Whole(number)) => i64::try_from(number).ok(),
        Some(Value::Text(text)) => text.parse().ok(),
        Some(Value::Real(_) | Value::Truth | Value::Nested) => None,
    };
    number
        .filter(|number| (-MAX_SORTINDEX..=MAX_SORTINDEX).contains(number))
        .map(Field::Set)
        .ok_or("invalid sortindex")
}

fn ttl(value: Option<&Value<'_>>) -> Result<Ttl, &'static str> {
    match value {
        None => Ok(Ttl::Keep),
        Some(Value::Null) => Ok(Ttl::Never),
        Some(&Value::Whole(seconds)) if seconds <= MAX_TTL => {
            u32::try_from(seconds).map(Ttl::In).map_err(|_| "invalid ttl")
        }
        Some(Value::Whole(_) | Value::Real(_) | Value::Text(_) | Value::Truth | Value::Nested) => {
            Err("invalid ttl")
        }
    }
}

impl<'de> Deserialize<'de> for Element<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Element<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element<'de>, A::Error> {
                let mut element = Element::default();
                while let Some(name) = map.next_key()? {
                    match name {
                        Name::Id => element.id = Some(map.next_value()?),
                        Name::Payload => element.payload = Some(map.next_value()?),
                        Name::SortIndex => element.sortindex = Some(map.next_value()?),
                        Name::Ttl => element.ttl = Some(map.next_value()?),
                        Name::Modified | Name::Collection => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        Name::Unknown => {
                            map.next_value::<IgnoredAny>()?;
                            element.has_unknown = true;
                        }
                    }
                }
                Ok(element)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The name of a member.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Id,
    Payload,
    SortIndex,
    Ttl,
    /// Set by the server. Clients send it back, and it is ignored.
    Modified,
    /// Likewise.
    Collection,
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests;
