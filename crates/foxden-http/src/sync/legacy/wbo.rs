//! Parses and validates the objects that 1.x clients send.
//!
//! The parser builds only what it needs: it borrows strings from the body, validates members as they come, and
//! skips nested values.

mod json;

use std::borrow::Cow;
use std::collections::HashSet;

use foxden_model::ObjectId;
use foxden_storage::{Field, Patch, Ttl};

use super::refusal::Refusal;
use crate::sync::reply::ResponseCode;
use crate::sync::value::Value;
use json::{Body, Element, Item};

/// Maximum size of a payload.
const MAX_PAYLOAD: usize = 262_144;
/// Maximum size of a parent's or predecessor's id: clients write a dozen ASCII characters.
const MAX_ID: usize = 64;
const MAX_SORTINDEX: f64 = 999_999_999.0;
/// One year.
const MAX_TTL: i64 = 31_536_000;
/// Maximum number of elements of an upload; the client may send the rest again.
const MAX_OBJECTS: usize = 100;
/// Maximum size of all payloads of an upload; the client may send the rest again.
const MAX_BYTES: usize = 1 << 20;

/// The body of an upload.
#[derive(Debug)]
pub(super) enum Upload<'a> {
    /// A single object.
    One(Patch),
    /// A list of objects.
    Many(Objects<'a>),
}

/// Objects to store, and failed ones with the reason.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub(super) patches: Vec<Patch>,
    pub(super) failed: Vec<(Cow<'a, str>, &'static str)>,
}

/// Parses the object of that id. An id in the body is ignored.
pub(super) fn one(id: ObjectId, body: &[u8]) -> Result<Patch, Refusal> {
    match json::read(body)? {
        Body::One(element) if !element.is_nested() => element.into_patch(id).map_err(|_| bad_object()),
        Body::One(_) | Body::Many(_) => Err(bad_object()),
    }
}

/// Parses the body of an upload.
pub(super) fn upload(body: &[u8]) -> Result<Upload<'_>, Refusal> {
    match json::read(body)? {
        Body::Many(objects) => Ok(Upload::Many(objects)),
        Body::One(mut element) => {
            let id = element.take_id().ok().and_then(|id| ObjectId::new(&*id).ok());
            let patch = id.ok_or(()).and_then(|id| element.into_patch(id).map_err(drop));
            patch.map(Upload::One).map_err(|()| bad_object())
        }
    }
}

const fn bad_object() -> Refusal {
    Refusal::Refused(ResponseCode::BadObject)
}

/// Collects the elements of an upload.
#[derive(Default)]
struct Reader<'a> {
    seen: usize,
    bytes: usize,
    objects: Objects<'a>,
    named: HashSet<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, item: Item<'a>) {
        let position = self.seen;
        self.seen += 1;
        let Item(Some(mut element)) = item else {
            return self.fail(Cow::Borrowed(""), "invalid wbo");
        };
        let id = match element.take_id() {
            Ok(id) => id,
            Err(reason) => return self.fail(Cow::Borrowed(""), reason),
        };
        match self.validate(position, &id, element) {
            Ok(patch) => self.objects.patches.push(patch),
            Err(reason) => self.fail(id, reason),
        }
    }

    fn validate(&mut self, position: usize, id: &str, element: Element<'a>) -> Result<Patch, &'static str> {
        let id = ObjectId::new(id).map_err(|_| "invalid id")?;
        let patch = element.into_patch(id)?;
        if position >= MAX_OBJECTS {
            return Err("retry wbo");
        }
        if let Field::Set(payload) = &patch.payload {
            // Refused elements count, too, so that no later one is stored in their place.
            self.bytes += payload.len();
            if self.bytes >= MAX_BYTES {
                return Err("retry bytes");
            }
        }
        Ok(patch)
    }

    /// Of several failures under one id, the first is reported.
    fn fail(&mut self, id: Cow<'a, str>, reason: &'static str) {
        if self.named.insert(id.clone()) {
            self.objects.failed.push((id, reason));
        }
    }
}

impl<'a> Element<'a> {
    fn take_id(&mut self) -> Result<Cow<'a, str>, &'static str> {
        text(self.id.take(), "invalid id")?.ok_or("invalid id")
    }

    fn into_patch(self, id: ObjectId) -> Result<Patch, &'static str> {
        let parent_id = other_id(self.parentid, "invalid parentid")?;
        let predecessor_id = other_id(self.predecessorid, "invalid predecessorid")?;
        let sortindex = match self.sortindex {
            None | Some(Value::Null) => Field::Keep,
            Some(value) => Field::Set(sortindex(&value).ok_or("invalid sortindex")?),
        };
        let requested = match self.ttl {
            None | Some(Value::Null) => None,
            Some(value) => Some(Ttl::In(seconds(&value).ok_or("invalid ttl")?)),
        };
        let payload = match self.payload {
            None | Some(Value::Null) => Field::Keep,
            Some(Value::Text(text)) if text.len() <= MAX_PAYLOAD => Field::Set(text.into_owned()),
            Some(Value::Text(_)) => return Err("payload too large"),
            Some(Value::Whole(_) | Value::Real(_) | Value::Truth | Value::Nested) => {
                return Err("payload not a string");
            }
        };
        if self.has_odd_member {
            return Err("invalid wbo");
        }
        let has_payload = payload.is_given();
        Ok(Patch {
            // A new payload lives for ever unless a TTL is given. Other changes keep the TTL.
            ttl: requested.unwrap_or(if has_payload { Ttl::Never } else { Ttl::Keep }),
            // An object with another parent is a changed object to clients. Sort index and TTL are no changes.
            renews: has_payload || parent_id.is_given(),
            payload,
            sortindex,
            parent_id,
            predecessor_id,
            ..Patch::empty(id)
        })
    }

    /// Returns whether the id is missing or empty.
    fn is_nested(&self) -> bool {
        matches!(self.id, Some(Value::Nested))
    }
}

/// A string, or a number as a string.
fn text<'a>(value: Option<Value<'a>>, otherwise: &'static str) -> Result<Option<Cow<'a, str>>, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(Value::Whole(number)) => Ok(Some(number.to_string().into())),
        Some(Value::Real(number)) => Ok(Some(number.to_string().into())),
        Some(Value::Truth | Value::Nested) => Err(otherwise),
    }
}

fn other_id(value: Option<Value<'_>>, otherwise: &'static str) -> Result<Field<String>, &'static str> {
    match text(value, otherwise)? {
        None => Ok(Field::Keep),
        Some(id) if id.len() <= MAX_ID => Ok(Field::Set(id.into_owned())),
        Some(_) => Err(otherwise),
    }
}

/// A number, possibly in a string, without its fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "whatever loses a digit here is far beyond what is allowed"
)]
fn sortindex(value: &Value<'_>) -> Option<i64> {
    let number = match value {
        Value::Whole(number) => *number as f64,
        Value::Real(number) => *number,
        Value::Text(text) => text.trim().parse().ok()?,
        Value::Null | Value::Truth | Value::Nested => return None,
    };
    // NaN is not within any bounds.
    (number.trunc().abs() <= MAX_SORTINDEX).then_some(number as i64)
}

/// A whole number of seconds, possibly in a string.
#[expect(clippy::cast_possible_truncation, reason = "within bounds, and whole")]
fn seconds(value: &Value<'_>) -> Option<u32> {
    let number = match value {
        Value::Whole(number) => i64::try_from(*number).ok()?,
        Value::Real(number) if number.fract() == 0.0 && number.abs() < 1e15 => *number as i64,
        Value::Text(text) => text.trim().parse().ok()?,
        Value::Real(_) | Value::Null | Value::Truth | Value::Nested => return None,
    };
    u32::try_from(number).ok().filter(|_| number <= MAX_TTL)
}

#[cfg(test)]
mod tests;
