//! Parses the JSON of objects.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Objects, Reader};
use crate::sync::legacy::refusal::Refusal;
use crate::sync::reply::ResponseCode;
use crate::sync::value::Value;

/// A whole body.
pub(super) enum Body<'a> {
    One(Element<'a>),
    Many(Objects<'a>),
}

/// One element of a list, if it is an object.
pub(super) struct Item<'a>(pub(super) Option<Element<'a>>);

/// The members of an object, before validation. The last of two with one name counts.
#[derive(Default)]
pub(super) struct Element<'a> {
    pub(super) id: Option<Value<'a>>,
    pub(super) parentid: Option<Value<'a>>,
    pub(super) predecessorid: Option<Value<'a>>,
    pub(super) sortindex: Option<Value<'a>>,
    pub(super) ttl: Option<Value<'a>>,
    pub(super) payload: Option<Value<'a>>,
    /// Whether an ignored member has a forbidden value.
    pub(super) has_odd_member: bool,
}

/// Parses a body. JSON of another shape is no object.
pub(super) fn read(body: &[u8]) -> Result<Body<'_>, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| Refusal::Refused(ResponseCode::BadJson))?;
    serde_json::from_str(text).map_err(|error| {
        Refusal::Refused(if error.is_data() {
            ResponseCode::BadObject
        } else {
            ResponseCode::BadJson
        })
    })
}

/// The name of a member.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Id,
    ParentId,
    PredecessorId,
    SortIndex,
    Ttl,
    Payload,
    /// Set by the server. Clients send it back, and it is ignored.
    Modified,
    /// Likewise.
    Collection,
    /// Likewise.
    #[serde(rename = "username")]
    Owner,
    /// Likewise.
    #[serde(rename = "payload_size")]
    PayloadSize,
    #[serde(other)]
    Unknown,
}

impl<'de> Element<'de> {
    fn read<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut element = Self::default();
        while let Some(name) = map.next_key()? {
            let member = match name {
                Name::Id => &mut element.id,
                Name::ParentId => &mut element.parentid,
                Name::PredecessorId => &mut element.predecessorid,
                Name::SortIndex => &mut element.sortindex,
                Name::Ttl => &mut element.ttl,
                Name::Payload => &mut element.payload,
                Name::Modified | Name::Collection | Name::Owner | Name::PayloadSize => {
                    element.has_odd_member |= matches!(map.next_value()?, Value::Nested);
                    continue;
                }
                Name::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *member = Some(map.next_value()?);
        }
        Ok(element)
    }
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeBody)
    }
}

struct WholeBody;

impl<'de> Visitor<'de> for WholeBody {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Body<'de>, A::Error> {
        Element::read(map).map(Body::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Body<'de>, A::Error> {
        let mut reader = Reader::default();
        while let Some(item) = list.next_element()? {
            reader.take(item);
        }
        Ok(Body::Many(reader.objects))
    }
}

impl<'de> Deserialize<'de> for Item<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyItem)
    }
}

struct AnyItem;

impl<'de> Visitor<'de> for AnyItem {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item<'de>, A::Error> {
        Element::read(map).map(|element| Item(Some(element)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Item<'de>, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Item(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Item<'de>, E> {
        Ok(Item(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Item<'de>, E> {
        Ok(Item(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Item<'de>, E> {
        Ok(Item(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Item<'de>, E> {
        Ok(Item(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Item<'de>, E> {
        Ok(Item(None))
    }

    fn visit_unit<E>(self) -> Result<Item<'de>, E> {
        Ok(Item(None))
    }
}
