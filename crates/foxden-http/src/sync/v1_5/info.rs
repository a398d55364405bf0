//! `/1.5/{uid}/info/…`: what a store holds, and what may be sent to it.

use foxden_model::SyncTime;
use foxden_storage::{CollectionSummary, Detail, Summary};

use super::{Call, params};
use crate::sync::print;
use crate::sync::refusal::Refusal;
use crate::sync::reply::{Format, Reply};

/// `GET /1.5/{uid}/info/collections`
pub(in crate::sync) async fn get_collections(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Times).await?;
    let all = summary.collections.iter();
    let time = |out: &mut Vec<u8>, collection: &CollectionSummary| print::time(out, collection.modified);
    Ok(map(summary.modified, all, time))
}

/// `GET /1.5/{uid}/info/collection_counts`
pub(in crate::sync) async fn get_counts(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    let filled = summary
        .collections
        .iter()
        .filter(|collection| collection.count > 0);
    let count = |out: &mut Vec<u8>, collection: &CollectionSummary| print::unsigned(out, collection.count);
    Ok(map(summary.modified, filled, count))
}

/// `GET /1.5/{uid}/info/collection_usage`
pub(in crate::sync) async fn get_usage(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    let filled = summary
        .collections
        .iter()
        .filter(|collection| collection.count > 0);
    let bytes = |out: &mut Vec<u8>, collection: &CollectionSummary| print::kilobytes(out, collection.bytes);
    Ok(map(summary.modified, filled, bytes))
}

/// `GET /1.5/{uid}/info/quota`
pub(in crate::sync) async fn get_quota(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    let used = summary
        .collections
        .iter()
        .map(|collection| collection.bytes)
        .sum();
    let mut body = vec![b'['];
    print::kilobytes(&mut body, used);
    body.push(b',');
    match call.sync.storage.quota() {
        Some(quota) => print::kilobytes(&mut body, quota),
        None => body.extend_from_slice(b"null"),
    }
    body.push(b']');
    Ok(Reply::read(summary.modified, Format::Json, body))
}

/// `GET /1.5/{uid}/info/configuration`
pub(in crate::sync) async fn get_configuration(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Times).await?;
    let limits = call.sync.storage.limits();
    let always = [
        ("max_request_bytes", limits.max_request_bytes),
        ("max_record_payload_bytes", limits.max_record_payload_bytes),
    ];
    let for_batches = [
        ("max_post_records", limits.max_post_records),
        ("max_post_bytes", limits.max_post_bytes),
        ("max_total_records", limits.max_total_records),
        ("max_total_bytes", limits.max_total_bytes),
    ];
    let offered = if limits.batches { &for_batches[..] } else { &[] };
    let quota = call.sync.storage.quota().map(|quota| ("max_quota_limit", quota));
    let mut body = Vec::with_capacity(256);
    for (limit, bytes) in always.into_iter().chain(offered.iter().copied()).chain(quota) {
        name(&mut body, limit);
        print::unsigned(&mut body, bytes);
    }
    end(&mut body);
    Ok(Reply::read(summary.modified, Format::Json, body))
}

/// What the store holds, if the client's conditions let it be told.
async fn summary(call: &Call<'_>, detail: Detail) -> Result<Summary, Refusal> {
    params::check_accepts_json(&call.parts.headers)?;
    let summary = call.sync.storage.summary(call.user(), detail).await?;
    call.conditions.check_read(summary.modified)?;
    Ok(summary)
}

/// An answer with one member for each collection.
fn map<'a>(
    modified: SyncTime,
    collections: impl Iterator<Item = &'a CollectionSummary>,
    value: impl Fn(&mut Vec<u8>, &CollectionSummary),
) -> Reply {
    let mut out = Vec::with_capacity(512);
    let mut records = 0;
    for collection in collections {
        name(&mut out, collection.name.as_str());
        value(&mut out, collection);
        records += 1;
    }
    end(&mut out);
    Reply {
        records: Some(records),
        ..Reply::read(modified, Format::Json, out)
    }
}

/// The next member's name, which needs no escapes.
fn name(out: &mut Vec<u8>, name: &str) {
    out.push(if out.is_empty() { b'{' } else { b',' });
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(if out.is_empty() { b"{}" } else { b"}" });
}
