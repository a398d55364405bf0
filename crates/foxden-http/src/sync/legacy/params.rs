//! The query strings and headers of 1.x requests.

use axum::http::{HeaderMap, HeaderName};
use foxden_model::{CollectionName, ObjectId, SyncTime};
use foxden_storage::{Change, Cursor, Fields, Order, Query, Selection};

use super::refusal::Refusal;
use crate::sync::accept;
use crate::sync::percent;
use crate::sync::reply::Format;

const UNMODIFIED_SINCE: HeaderName = HeaderName::from_static("x-if-unmodified-since");

/// The parameters of a list or a deletion.
struct ListParams {
    selection: Selection,
    order: Order,
    limit: Option<u64>,
    offset: Option<u64>,
    fields: Fields,
}

/// Parses the parameters of a list.
pub(super) fn listing(collection: CollectionName, text: Option<&str>) -> Result<Query, Refusal> {
    let params = ListParams::read(text)?;
    Ok(Query {
        collection,
        selection: params.selection,
        order: params.order,
        limit: params.limit,
        cursor: match (params.limit, params.offset) {
            (Some(_), Some(offset)) => Cursor::Skip(offset),
            (None, _) | (_, None) => Cursor::Start,
        },
        fields: params.fields,
    })
}

/// Parses the parameters of a deletion. The offset is ignored.
pub(super) fn deletion(collection: CollectionName, text: Option<&str>) -> Result<Change, Refusal> {
    let params = ListParams::read(text)?;
    if params.limit.is_none() && params.selection == Selection::default() {
        return Ok(Change::DeleteCollection {
            collection,
            keeps_name: true,
        });
    }
    Ok(Change::DeleteObjects {
        collection,
        selection: params.selection,
        order: params.order,
        limit: params.limit,
        or_refuse: false,
    })
}

/// Parses the precondition. A target that never changed has time zero and passes.
pub(super) fn unmodified_since(headers: &HeaderMap) -> Result<Option<SyncTime>, Refusal> {
    let Some(value) = headers.get(UNMODIFIED_SINCE) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let since = time(text, "X-If-Unmodified-Since is not a number")?;
    Ok(Some(since.max(SyncTime::ZERO)))
}

/// Returns the format that the client prefers; JSON among equals, and if it accepts none.
pub(super) fn list_format(headers: &HeaderMap) -> Format {
    let mut best = (0, Format::Json);
    if let Some(accept) = accept::header(headers) {
        for format in [Format::Json, Format::Whoisi, Format::Newlines] {
            let quality = accept::preference(accept, format).quality;
            if quality > best.0 {
                best = (quality, format);
            }
        }
    }
    best.1
}

impl ListParams {
    fn read(text: Option<&str>) -> Result<Self, Refusal> {
        let mut params = Self {
            selection: Selection::default(),
            order: Order::Oldest,
            limit: None,
            offset: None,
            fields: Fields::Ids,
        };
        for parameter in percent::parameters(text) {
            let (name, value) = parameter.ok_or(Refusal::BadRequest("the query is not percent-encoded"))?;
            params.set(&name, &value)?;
        }
        Ok(params)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let selection = &mut self.selection;
        match name {
            "ids" => selection.ids = Some(ids(value)),
            "newer" => selection.newer = Some(time(value, "newer is not a number")?),
            "older" => selection.older = Some(time(value, "older is not a number")?),
            "index_above" => {
                selection.index_above = Some(integer(value, "index_above is not a whole number")?);
            }
            "index_below" => {
                selection.index_below = Some(integer(value, "index_below is not a whole number")?);
            }
            "parentid" => selection.parent_id = Some(value.to_owned()),
            "predecessorid" => selection.predecessor_id = Some(value.to_owned()),
            "full" if value.is_empty() => self.fields = Fields::Ids,
            "full" => self.fields = Fields::Whole,
            "limit" => self.limit = above_zero(value, "limit is not a whole number")?,
            "offset" => self.offset = above_zero(value, "offset is not a whole number")?,
            "sort" => self.order = order(value),
            _ => {}
        }
        Ok(())
    }
}

/// The ids of a list, each once. An invalid id selects nothing.
fn ids(list: &str) -> Vec<ObjectId> {
    let texts = list.split(',').map(str::trim);
    let mut ids: Vec<_> = texts.filter_map(|text| ObjectId::new(text).ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn time(text: &str, otherwise: &'static str) -> Result<SyncTime, Refusal> {
    text.trim().parse().map_err(|_| Refusal::BadRequest(otherwise))
}

/// Parses an integer. One that is too large becomes the largest.
fn integer(text: &str, otherwise: &'static str) -> Result<i64, Refusal> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::BadRequest(otherwise));
    }
    Ok(sign * digits.parse().unwrap_or(i64::MAX))
}

/// Parses a positive integer; others are ignored.
fn above_zero(text: &str, otherwise: &'static str) -> Result<Option<u64>, Refusal> {
    let number = integer(text, otherwise)?;
    Ok(u64::try_from(number).ok().filter(|&number| number > 0))
}

fn order(text: &str) -> Order {
    match text {
        "newest" => Order::Newest,
        "index" => Order::Index,
        _ => Order::Oldest,
    }
}

#[cfg(test)]
mod tests;
