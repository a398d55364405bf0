//! `info/…`: the content of a store. Always JSON, whatever the client accepts.

use foxden_model::SyncTime;
use foxden_storage::{Detail, Summary};

use super::refusal::Refusal;
use super::{Call, read};
use crate::sync::reply::{Format, Reply};
use crate::sync::summary::{self, Map};

/// `GET /1.1/{name}/info/collections`
pub(in crate::sync) async fn get_collections(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Times).await?;
    Ok(map(summary.as_of, summary::times(&summary)))
}

/// `GET /1.1/{name}/info/collection_counts`
pub(in crate::sync) async fn get_counts(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    Ok(map(summary.as_of, summary::counts(&summary)))
}

/// `GET /1.1/{name}/info/collection_usage`
pub(in crate::sync) async fn get_usage(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    Ok(map(summary.as_of, summary::usage(&summary)))
}

/// `GET /1.1/{name}/info/quota`
pub(in crate::sync) async fn get_quota(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = summary(call, Detail::Full).await?;
    let taken = call.sync.storage.taken_by(&call.store.other_uids).await?;
    let body = summary::quota(&summary, taken, call.sync.storage.quota());
    Ok(read(summary.as_of, Format::Json, body))
}

async fn summary(call: &Call<'_>, detail: Detail) -> Result<Summary, Refusal> {
    Ok(call.sync.storage.summary(call.user(), detail).await?)
}

fn map(as_of: SyncTime, map: Map) -> Reply {
    Reply {
        records: Some(map.records),
        ..read(as_of, Format::Json, map.body)
    }
}
