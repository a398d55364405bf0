//! `/1.5/{uid}/info/…`: the content of a store, and its limits.

use foxden_model::SyncTime;
use foxden_storage::{Detail, Summary};

use super::refusal::Refusal;
use super::{Call, params};
use crate::sync::print;
use crate::sync::reply::{Format, Reply};
use crate::sync::summary::{self, Map};

/// `GET /1.5/{uid}/info/collections`
pub(in crate::sync) async fn get_collections(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Times).await?;
    Ok(map(summary.modified, summary::times(&summary)))
}

/// `GET /1.5/{uid}/info/collection_counts`
pub(in crate::sync) async fn get_counts(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    Ok(map(summary.modified, summary::counts(&summary)))
}

/// `GET /1.5/{uid}/info/collection_usage`
pub(in crate::sync) async fn get_usage(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    Ok(map(summary.modified, summary::usage(&summary)))
}

/// `GET /1.5/{uid}/info/quota`
pub(in crate::sync) async fn get_quota(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    let taken = call.sync.storage.taken_by(call.other_uids()).await?;
    let body = summary::quota(&summary, taken, call.sync.storage.quota());
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
        summary::name(&mut body, limit.as_bytes());
        print::unsigned(&mut body, bytes);
    }
    summary::end(&mut body);
    Ok(Reply::read(summary.modified, Format::Json, body))
}

/// Reads the summary of the store, if the preconditions hold.
async fn summary(call: &Call<'_>, detail: Detail) -> Result<Summary, Refusal> {
    params::check_accepts_json(&call.parts.headers)?;
    let summary = call.sync.storage.summary(call.user(), detail).await?;
    call.conditions.check_read(summary.modified)?;
    Ok(summary)
}

fn map(modified: SyncTime, map: Map) -> Reply {
    Reply {
        records: Some(map.records),
        ..Reply::read(modified, Format::Json, map.body)
    }
}
