//! The query strings and headers of 1.5 requests.

use axum::http::{HeaderMap, header};
use data_encoding::BASE64URL_NOPAD;
use foxden_model::{CollectionName, ObjectId, SyncTime};
use foxden_storage::{BatchId, Cursor, Fields, Limits, Order, PageToken, Query};

use super::patch::Layout;
use super::refusal::Refusal;
use super::target::is_printable;
use crate::sync::accept::{self, MediaPreference};
use crate::sync::percent::{self, Parameter};
use crate::sync::reply::{Format, ResponseCode};

/// Maximum number of ids in one request.
const MAX_IDS: usize = 100;
/// Maximum length of a batch id.
const MAX_BATCH_ID: usize = 64;

/// How an upload relates to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    /// It belongs to no batch and is visible at once.
    Plain,
    /// It is added to a batch; `None` opens a new one.
    Part(Option<BatchId>),
    /// It commits a batch.
    Commit(BatchId),
}

/// Parses the parameters of a list.
pub(super) fn listing(collection: CollectionName, text: Option<&str>) -> Result<Query, Refusal> {
    let mut query = Query::all(collection, Fields::Ids);
    for parameter in parameters(text) {
        let (name, value) = parameter?;
        match &*name {
            "ids" => query.selection.ids = Some(ids(&value)?),
            "newer" => query.selection.newer = Some(time(&value)?),
            "older" => query.selection.older = Some(time(&value)?),
            "full" => query.fields = Fields::Whole,
            "limit" => query.limit = Some(number(&value)?),
            "offset" => query.cursor = cursor(&value)?,
            "sort" => query.order = order(&value)?,
            _ => {}
        }
    }
    Ok(query)
}

/// Returns the ids that a deletion names; `None` means the whole collection.
pub(super) fn deletion(text: Option<&str>) -> Result<Option<Vec<ObjectId>>, Refusal> {
    let mut named = None;
    for parameter in parameters(text) {
        let (name, value) = parameter?;
        if name == "ids" {
            named = Some(ids(&value)?);
        }
    }
    Ok(named)
}

/// Parses the batch parameters of an upload.
pub(super) fn upload(text: Option<&str>, limits: &Limits) -> Result<Upload, Refusal> {
    let (mut batch, mut commits) = (None, false);
    for parameter in parameters(text) {
        let (name, value) = parameter?;
        match &*name {
            "batch" => batch = Some(value),
            "commit" if value.eq_ignore_ascii_case("true") => commits = true,
            "commit" => return Err(bad_request()),
            _ => {}
        }
    }
    let Some(batch) = batch else {
        return if commits {
            Err(bad_request())
        } else {
            Ok(Upload::Plain)
        };
    };
    if batch.is_empty() || batch.eq_ignore_ascii_case("true") {
        let stays_whole = commits || !limits.batches;
        return Ok(if stays_whole {
            Upload::Plain
        } else {
            Upload::Part(None)
        });
    }
    let is_name = batch.len() <= MAX_BATCH_ID
        && batch
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !is_name || !limits.batches {
        return Err(bad_request());
    }
    let batch = BatchId(batch.into());
    Ok(if commits {
        Upload::Commit(batch)
    } else {
        Upload::Part(Some(batch))
    })
}

/// Refuses an upload by its announced sizes, before its body is read.
pub(super) fn check_announced(headers: &HeaderMap, limits: &Limits) -> Result<(), Refusal> {
    for (name, limit) in [
        ("x-weave-records", limits.max_post_records),
        ("x-weave-bytes", limits.max_post_bytes),
        ("x-weave-total-records", limits.max_total_records),
        ("x-weave-total-bytes", limits.max_total_bytes),
    ] {
        let Some(value) = headers.get(name) else { continue };
        let announced = number(value.to_str().map_err(|_| bad_request())?.trim())?;
        if announced > limit {
            return Err(Refusal::BadRequest(ResponseCode::TooMuch));
        }
    }
    Ok(())
}

/// Refuses a client that does not accept JSON.
pub(super) fn check_accepts_json(headers: &HeaderMap) -> Result<(), Refusal> {
    acceptable(headers, &[Format::Json]).map(|_| ())
}

/// Returns the format of a list.
pub(super) fn list_format(headers: &HeaderMap) -> Result<Format, Refusal> {
    acceptable(headers, &[Format::Json, Format::Newlines])
}

/// Returns the layout of an upload's body.
pub(super) fn upload_layout(headers: &HeaderMap) -> Result<Layout, Refusal> {
    match media_type(headers)?.as_str() {
        "" | "application/json" | "text/plain" => Ok(Layout::List),
        "application/newlines" => Ok(Layout::Lines),
        _ => Err(Refusal::UnsupportedMediaType),
    }
}

/// Refuses a body that is not announced as a JSON object.
pub(super) fn check_object_type(headers: &HeaderMap) -> Result<(), Refusal> {
    match upload_layout(headers)? {
        Layout::List => Ok(()),
        Layout::Lines => Err(Refusal::UnsupportedMediaType),
    }
}

/// Prints a page token for a URL: letters, digits, `_` and `-`, as clients do not escape it.
pub(super) fn print_page_token(token: &PageToken) -> String {
    let key = token.key.map(|key| key.to_string()).unwrap_or_default();
    BASE64URL_NOPAD.encode(format!("{key}:{}", token.tie).as_bytes())
}

/// Parses where a list begins: digits skip so many objects; everything else is a page token, which begins with a
/// letter.
fn cursor(text: &str) -> Result<Cursor, Refusal> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        number(text).map(Cursor::Skip)
    } else {
        page_token(text).map(Cursor::After)
    }
}

fn page_token(text: &str) -> Result<PageToken, Refusal> {
    let bytes = BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| bad_request())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| bad_request())?;
    let (key, tie) = text.split_once(':').ok_or_else(bad_request)?;
    let key = match key {
        "" => None,
        key => Some(key.parse().map_err(|_| bad_request())?),
    };
    Ok(PageToken { key, tie: tie.into() })
}

/// The parameters of a query string.
fn parameters(text: Option<&str>) -> impl Iterator<Item = Result<Parameter<'_>, Refusal>> {
    percent::parameters(text).map(|parameter| parameter.ok_or_else(bad_request))
}

fn ids(list: &str) -> Result<Vec<ObjectId>, Refusal> {
    let mut ids: Vec<ObjectId> = Vec::new();
    for (count, text) in list.split(',').map(str::trim).enumerate() {
        if count == MAX_IDS || !is_printable(text) {
            return Err(bad_request());
        }
        let id = ObjectId::new(text).map_err(|_| bad_request())?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn time(text: &str) -> Result<SyncTime, Refusal> {
    let time: SyncTime = text.parse().map_err(|_| bad_request())?;
    if time.is_negative() {
        Err(bad_request())
    } else {
        Ok(time)
    }
}

fn number(text: &str) -> Result<u64, Refusal> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad_request());
    }
    // A number that is too large becomes the largest.
    Ok(text.parse().unwrap_or(u64::MAX))
}

fn order(text: &str) -> Result<Order, Refusal> {
    match text {
        "newest" => Ok(Order::Newest),
        "oldest" => Ok(Order::Oldest),
        "index" => Ok(Order::Index),
        _ => Err(bad_request()),
    }
}

fn media_type(headers: &HeaderMap) -> Result<String, Refusal> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(String::new());
    };
    let text = value.to_str().map_err(|_| Refusal::UnsupportedMediaType)?;
    Ok(text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase())
}

/// Returns the best of the offered formats, the first of equals.
fn acceptable(headers: &HeaderMap, offered: &[Format]) -> Result<Format, Refusal> {
    let Some(accept) = accept::header(headers) else {
        return Ok(Format::Json);
    };
    let mut best = (MediaPreference::default(), Format::Json);
    for &format in offered {
        let preference = accept::preference(accept, format);
        if preference > best.0 {
            best = (preference, format);
        }
    }
    match best {
        (MediaPreference { quality: 0, .. }, _) => Err(Refusal::NotAcceptable),
        (_, format) => Ok(format),
    }
}

const fn bad_request() -> Refusal {
    Refusal::BadRequest(ResponseCode::Unspecified)
}

#[cfg(test)]
mod tests;
