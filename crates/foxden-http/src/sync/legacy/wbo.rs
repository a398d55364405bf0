//! Reads the objects that 1.x clients send, and says what is wrong with them.
//!
//! Nothing is built that was not asked for: texts are borrowed from the body, members are judged as they
//! come, and whatever nests is skipped.

mod json;

use std::borrow::Cow;
use std::collections::HashSet;

use foxden_model::ObjectId;
use foxden_storage::{Field, Patch, Ttl};

use super::refusal::Refusal;
use crate::sync::reply::ResponseCode;
use crate::sync::value::Value;
use json::{Body, Element, Item};

/// The bytes that a payload may have.
const MAX_PAYLOAD: usize = 262_144;
/// The bytes of a parent's or predecessor's id: clients write a dozen ASCII characters.
const MAX_ID: usize = 64;
const MAX_SORTINDEX: f64 = 999_999_999.0;
/// A year.
const MAX_TTL: i64 = 31_536_000;
/// The elements of an upload that are looked at; the rest may come again.
const MAX_OBJECTS: usize = 100;
/// The bytes of payload of an upload; what reaches it may come again.
const MAX_BYTES: usize = 1 << 20;

/// What came to a collection.
#[derive(Debug)]
pub(super) enum Upload<'a> {
    /// One object, outside any list.
    One(Patch),
    /// A list of objects.
    Many(Objects<'a>),
}

/// Objects to be stored, and those that cannot be, with the reason.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub(super) patches: Vec<Patch>,
    pub(super) failed: Vec<(Cow<'a, str>, &'static str)>,
}

/// Reads the object of that id. An id in the body does not matter.
pub(super) fn one(id: ObjectId, body: &[u8]) -> Result<Patch, Refusal> {
    match json::read(body)? {
        Body::One(element) if !element.is_nested() => element.into_patch(id).map_err(|_| bad_object()),
        Body::One(_) | Body::Many(_) => Err(bad_object()),
    }
}

/// Reads what came to a collection.
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

/// Takes the elements of an upload one by one.
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
        match self.judge(position, &id, element) {
            Ok(patch) => self.objects.patches.push(patch),
            Err(reason) => self.fail(id, reason),
        }
    }

    fn judge(&mut self, position: usize, id: &str, element: Element<'a>) -> Result<Patch, &'static str> {
        let id = ObjectId::new(id).map_err(|_| "invalid id")?;
        let patch = element.into_patch(id)?;
        if position >= MAX_OBJECTS {
            return Err("retry wbo");
        }
        if let Field::Set(payload) = &patch.payload {
            // Those that were refused count, too, so that nothing slips in behind them.
            self.bytes += payload.len();
            if self.bytes >= MAX_BYTES {
                return Err("retry bytes");
            }
        }
        Ok(patch)
    }

    /// Of several failures under one id, the first is told.
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
        let wish = match self.ttl {
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
            // What is written anew lives for ever unless it says otherwise; what is only described lives on.
            ttl: wish.unwrap_or(if has_payload { Ttl::Never } else { Ttl::Keep }),
            // An object with another parent is another one to clients; ordering and life are no news.
            renews: has_payload || parent_id.is_given(),
            payload,
            sortindex,
            parent_id,
            predecessor_id,
            ..Patch::empty(id)
        })
    }

    /// Whether the id is none at all.
    fn is_nested(&self) -> bool {
        matches!(self.id, Some(Value::Nested))
    }
}

/// A text, or a number as one.
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

/// A number, be it in a text, without its fraction.
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
    // Nothing that is not a number is within bounds.
    (number.trunc().abs() <= MAX_SORTINDEX).then_some(number as i64)
}

/// A whole number of seconds, be it in a text.
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
