//! Sync 1.5: Hawk, BSOs and batches. Each handler parses its wire form, makes one call to [`Storage`] and prints
//! the answer.
//!
//! - [`caller`]: authenticates requests
//! - [`params`]: query strings and headers
//! - [`patch`]: the objects that clients send
//! - [`upload_result`]: the answer to an upload
//! - [`info`]: handlers of `info/…`
//! - [`target`]: parses paths
//! - [`conditions`]: parses preconditions
//! - [`refusal`]: why a request is refused
//!
//! [`Storage`]: foxden_storage::Storage

mod caller;
mod conditions;
pub(super) mod info;
mod params;
mod patch;
mod refusal;
mod target;
mod upload_result;

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use foxden_model::{CollectionName, ObjectId, SyncTime, UserId};
use foxden_storage::{
    BatchId, BatchPart, Change, EngineError, Limits, Order, Patch, Query, Row, Selection, StorageError,
    Target as Guarded, Write, Written,
};

use super::listing::{List, Reader};
use super::reply::{Format, Reply};
use super::verifier::VerifiedToken;
use super::{SyncState, body, print};
use crate::wire::Peer;
use crate::wire::hawk::HawkHeader;
use crate::wire::memory::{MemoryPermit, Owner, body_with_permit};
use conditions::Conditions;
use params::Upload;
use patch::Objects;
pub(super) use refusal::Refusal;
pub(super) use target::{Resource, TEMPLATES, Target};
use upload_result::UploadResult;

/// A write response tells the remaining quota below this number of bytes.
const QUOTA_NOTICE: u64 = 1 << 20;

/// A request whose caller may open the store and whose preconditions are valid.
pub(super) struct Call<'r> {
    sync: &'r SyncState,
    parts: &'r Parts,
    user: UserId,
    hawk: HawkHeader<'r>,
    token: Arc<VerifiedToken>,
    conditions: Conditions,
}

impl<'r> Call<'r> {
    pub(super) fn open(
        sync: &'r SyncState,
        parts: &'r Parts,
        peer: Option<Peer>,
        target: &Target,
    ) -> Result<Self, Refusal> {
        let (hawk, token) = caller::authenticate(sync, parts, peer, target)?;
        Ok(Self {
            sync,
            parts,
            user: target.user,
            hawk,
            token,
            conditions: Conditions::from_headers(&parts.headers)?,
        })
    }

    const fn user(&self) -> UserId {
        self.user
    }

    /// Seconds for which the client's token has it asked to stay away; 0: not at all.
    pub(super) fn token_backoff(&self) -> u32 {
        self.token.token.backoff_seconds
    }

    /// The owner of the memory of bodies and responses.
    fn owner(&self) -> Owner {
        let account = self.token.token.account;
        account.map_or(Owner::Store(self.user), Owner::Account)
    }

    /// The owner of the objects, whose memory share the response uses.
    fn reader(&self) -> Reader {
        Reader {
            user: self.user(),
            owner: self.owner(),
        }
    }

    /// The account's other stores on this node.
    fn other_uids(&self) -> &[UserId] {
        &self.token.token.other_uids
    }

    fn query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    fn limits(&self) -> &Limits {
        self.sync.storage.limits()
    }

    /// Reads the body, unless the store is closed. `check_type` checks its media type. Its memory counts until the
    /// permit is dropped.
    async fn read<T>(
        &self,
        body: Body,
        check_type: impl FnOnce(&HeaderMap) -> Result<T, Refusal>,
    ) -> Result<(T, Bytes, MemoryPermit), Refusal> {
        self.sync.storage.admit(self.user()).await?;
        let limit = usize::try_from(self.limits().max_request_bytes).unwrap_or(usize::MAX);
        let (headers, kind) = (&self.parts.headers, check_type(&self.parts.headers)?);
        let check = |bytes: &[u8]| caller::check_body(&self.hawk, self.parts, bytes);
        let (bytes, permit) = body::read_whole(
            &self.sync.memory.bodies,
            self.owner(),
            headers,
            body,
            limit,
            check,
        )
        .await?;
        Ok((kind, bytes, permit))
    }

    async fn write(&self, change: Change, target: Guarded) -> Result<Written, Refusal> {
        let write = Write::new(change).guarded_by(self.conditions.guard(target));
        Ok(self
            .sync
            .storage
            .write(self.user(), self.other_uids(), write)
            .await?)
    }

    /// The answer to a write.
    fn written(&self, written: Written, body: Vec<u8>) -> Reply {
        let quota = self.sync.storage.quota();
        let left = quota.map(|quota| quota.saturating_sub(written.bytes_after));
        Reply {
            time: written.changed.then_some(written.modified),
            quota_remaining: left.filter(|&left| left < QUOTA_NOTICE).map(kilobytes),
            ..Reply::read(written.modified, Format::Json, body)
        }
    }

    /// The answer to a deletion.
    fn deleted(&self, written: Written) -> Reply {
        let mut body = modified(written.modified);
        body.push(b'}');
        self.written(written, body)
    }
}

/// `GET /1.5/{uid}/storage/{collection}`
pub(super) async fn get_collection(call: &Call<'_>, name: CollectionName) -> Result<Reply, Refusal> {
    let query = params::listing(name, call.query())?;
    let format = params::list_format(&call.parts.headers)?;
    let list = List::open::<Refusal>(call.sync, call.reader(), query).await?;
    let modified = list.modified();
    call.conditions.check_read(modified)?;
    let list = list.print::<Refusal>(format, print_object).await?;
    Ok(Reply {
        records: list.records,
        next_offset: list.next.as_ref().map(params::print_page_token),
        ..Reply::read(modified, format, list.body)
    })
}

/// `POST /1.5/{uid}/storage/{collection}`
pub(super) async fn post_collection(
    call: &Call<'_>,
    collection: CollectionName,
    body: Body,
) -> Result<Reply, Refusal> {
    let upload = params::upload(call.query(), call.limits())?;
    params::check_announced(&call.parts.headers, call.limits())?;
    let (layout, body, _permit) = call.read(body, params::upload_layout).await?;
    let Objects { patches, failed } = patch::all(collection, layout, &body, call.limits())?;
    let mut result = UploadResult::new(&patches, failed);
    // The body is dropped before the disk is waited for, as the patches hold its content.
    drop(body);
    let written = match upload {
        Upload::Part(batch) => return stage(call, collection, batch, patches, result).await,
        Upload::Plain => {
            let change = Change::Upsert { collection, patches };
            call.write(change, Guarded::Collection(collection)).await?
        }
        Upload::Commit(batch) => commit(call, collection, batch, patches, &mut result).await?,
    };
    let mut body = modified(written.modified);
    result.print(&mut body);
    Ok(call.written(written, body))
}

/// `DELETE /1.5/{uid}/storage/{collection}`
pub(super) async fn delete_collection(call: &Call<'_>, collection: CollectionName) -> Result<Reply, Refusal> {
    let change = match params::deletion(call.query())? {
        Some(ids) => delete_objects(collection, ids, Missing::Ignore),
        None => Change::DeleteCollection {
            collection,
            keeps_name: false,
        },
    };
    let written = call.write(change, Guarded::Collection(collection)).await?;
    Ok(call.deleted(written))
}

/// `GET /1.5/{uid}/storage/{collection}/{id}`
pub(super) async fn get_object(
    call: &Call<'_>,
    collection: CollectionName,
    id: ObjectId,
) -> Result<Reply, Refusal> {
    params::check_accepts_json(&call.parts.headers)?;
    call.sync.memory.answers.check(call.owner())?;
    let query = Query::one(collection, id);
    let page = call.sync.storage.read(call.user(), &query).await?;
    let row = page.rows.iter().next();
    let modified = row.map_or(SyncTime::ZERO, |row| row.modified);
    call.conditions.check_read(modified)?;
    let row = row.ok_or(Refusal::NotFound)?;
    let length = row.payload.len() + row.payload.len() / 16 + 256;
    let permit = call
        .sync
        .memory
        .answers
        .take_for_answer(call.owner(), row.payload.len() + length)?;
    let mut body = Vec::with_capacity(length);
    print_object(&mut body, &row);
    Ok(Reply::read(
        modified,
        Format::Json,
        body_with_permit(permit, body),
    ))
}

/// `PUT /1.5/{uid}/storage/{collection}/{id}`
pub(super) async fn put_object(
    call: &Call<'_>,
    collection: CollectionName,
    id: ObjectId,
    body: Body,
) -> Result<Reply, Refusal> {
    let ((), body, _permit) = call.read(body, params::check_object_type).await?;
    let patch = patch::one(collection, id.clone(), &body, call.limits())?;
    drop(body);
    let change = Change::Upsert {
        collection,
        patches: vec![patch],
    };
    let written = call.write(change, Guarded::Object(collection, id)).await?;
    let mut body = Vec::with_capacity(16);
    print::time(&mut body, written.modified);
    Ok(call.written(written, body))
}

/// `DELETE /1.5/{uid}/storage/{collection}/{id}`
pub(super) async fn delete_object(
    call: &Call<'_>,
    collection: CollectionName,
    id: ObjectId,
) -> Result<Reply, Refusal> {
    let change = delete_objects(collection, vec![id.clone()], Missing::Refuse);
    let written = call.write(change, Guarded::Object(collection, id)).await?;
    if written.changed {
        Ok(call.deleted(written))
    } else {
        Err(Refusal::NotFound)
    }
}

/// `DELETE /1.5/{uid}` and `DELETE /1.5/{uid}/storage`
pub(super) async fn delete_store(call: &Call<'_>) -> Result<Reply, Refusal> {
    let written = call.write(Change::DeleteAll, Guarded::Store).await?;
    Ok(call.deleted(written))
}

/// Adds an upload to a batch. One that would make the batch too large fails object by object, and the batch stays
/// as it was.
async fn stage(
    call: &Call<'_>,
    collection: CollectionName,
    batch: Option<BatchId>,
    patches: Vec<Patch>,
    mut result: UploadResult,
) -> Result<Reply, Refusal> {
    let part = |patches| BatchPart {
        collection,
        batch: batch.clone(),
        guard: call.conditions.guard(Guarded::Collection(collection)),
        patches,
        max_objects: call.limits().max_total_records,
        max_bytes: call.limits().max_total_bytes,
        // Storage sets these.
        max_open_bytes: u64::MAX,
        quota: None,
    };
    let storage = &call.sync.storage;
    let staged = match storage.stage(call.user(), call.other_uids(), part(patches)).await {
        Err(StorageError::Engine(EngineError::TooLarge(excess))) => {
            result.fail(excess);
            storage
                .stage(call.user(), call.other_uids(), part(Vec::new()))
                .await?
        }
        staged => staged?,
    };
    let mut body = b"{\"batch\":".to_vec();
    print::string(&mut body, &staged.batch.0);
    result.print(&mut body);
    Ok(Reply {
        status: StatusCode::ACCEPTED,
        ..Reply::read(staged.modified, Format::Json, body)
    })
}

/// Commits a batch. If the request's own objects would make it too large, they fail one by one, and the batch is
/// committed without them.
async fn commit(
    call: &Call<'_>,
    collection: CollectionName,
    batch: BatchId,
    patches: Vec<Patch>,
    result: &mut UploadResult,
) -> Result<Written, Refusal> {
    let change = |patches| Change::CommitBatch {
        collection,
        batch: batch.clone(),
        patches,
        max_objects: call.limits().max_total_records,
        max_bytes: call.limits().max_total_bytes,
    };
    let target = Guarded::Collection(collection);
    match call.write(change(patches), target.clone()).await {
        Err(Refusal::Storage(StorageError::Engine(EngineError::TooLarge(excess)))) => {
            result.fail(excess);
            call.write(change(Vec::new()), target).await
        }
        written => written,
    }
}

/// How a deletion of missing objects is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Ignore,
    Refuse,
}

fn delete_objects(collection: CollectionName, ids: Vec<ObjectId>, missing: Missing) -> Change {
    Change::DeleteObjects {
        collection,
        selection: Selection {
            ids: Some(ids),
            ..Selection::default()
        },
        order: Order::default(),
        limit: None,
        or_refuse: missing == Missing::Refuse,
    }
}

/// The first member of a write response.
fn modified(time: SyncTime) -> Vec<u8> {
    let mut out = b"{\"modified\":".to_vec();
    print::time(&mut out, time);
    out
}

/// Prints one object.
fn print_object(out: &mut Vec<u8>, row: &Row<'_>) {
    out.extend_from_slice(b"{\"id\":");
    print::string(out, row.id);
    out.extend_from_slice(b",\"modified\":");
    print::time(out, row.modified);
    out.extend_from_slice(b",\"payload\":");
    print::string(out, row.payload);
    if let Some(sortindex) = row.sortindex {
        out.extend_from_slice(b",\"sortindex\":");
        print::integer(out, sortindex);
    }
    out.push(b'}');
}

/// Units of 1024 bytes, rounded to hundredths, without trailing zeros after the first decimal.
fn kilobytes(bytes: u64) -> String {
    let hundredths = (bytes * 100 + 512) / 1024;
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.strip_suffix('0').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_are_rounded_as_the_public_suite_rounds_them() {
        for (bytes, text) in [
            (200, "0.2"),
            (1024, "1.0"),
            (0, "0.0"),
            (1536, "1.5"),
            (1300, "1.27"),
        ] {
            assert_eq!(kilobytes(bytes), text, "{bytes}");
        }
    }
}
