//! Sync 1.0 and 1.1: names and passwords, WBOs, and whole lists. Each handler parses its wire form, makes one call
//! to [`Storage`] and prints the answer.
//!
//! - [`caller`]: authenticates requests
//! - [`target`]: parses paths
//! - [`params`]: query strings and headers
//! - [`wbo`]: the objects that clients send; [`upload_result`]: the answer to an upload
//! - [`info`]: handlers of `info/…`
//! - [`refusal`]: why a request is refused
//!
//! A client of this dialect takes the timestamp of a response for the time up to which it has seen everything. So a
//! read has its as-of time as timestamp, and a write that changed nothing reads that time.
//!
//! [`Storage`]: foxden_storage::Storage

mod caller;
pub(super) mod info;
mod params;
mod refusal;
pub(super) mod target;
mod upload_result;
mod wbo;

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use bytes::Bytes;
use foxden_accounts::{Accounts, LegacyStore};
use foxden_model::{CollectionName, ObjectId, SyncTime, UserId};
use foxden_storage::{
    Change, Detail, Guard, Order, Patch, Query, Row, Selection, Summary, Target as Guarded, Write, Written,
};

use super::listing::{List, Reader};
use super::reply::{Format, Reply, ResponseCode};
use super::{SyncState, body, print};
use crate::wire::memory::{MemoryPermit, Owner, body_with_permit};
use crate::wire::{Peer, Site};
pub(super) use refusal::Refusal;
pub(super) use target::{Resource, TEMPLATES, Target};
use upload_result::UploadResult;
use wbo::{Objects, Upload};

/// The minimum limit of a body, whatever the limit of the newer dialect: an upload with every character of its
/// payloads escaped, and its other members.
const MIN_BODY_LIMIT: u64 = (2 << 20) + (64 << 10);
/// A write response tells the remaining quota up to this number of bytes.
const QUOTA_NOTICE: u64 = 1 << 20;

/// State of this dialect.
#[derive(Clone)]
pub struct LegacyState {
    accounts: Accounts,
    /// This node's name in the accounts.
    node: Arc<str>,
}

impl LegacyState {
    /// Opens the stores of these accounts on this node.
    pub fn new(accounts: Accounts, site: &Site) -> Self {
        Self {
            accounts,
            node: site.public_url.base().into(),
        }
    }
}

/// A request whose caller may open the store.
pub(super) struct Call<'r> {
    sync: &'r SyncState,
    parts: &'r Parts,
    store: Arc<LegacyStore>,
}

impl<'r> Call<'r> {
    pub(super) async fn open(
        sync: &'r SyncState,
        legacy: &LegacyState,
        parts: &'r Parts,
        peer: Option<Peer>,
        name: &str,
    ) -> Result<Self, Refusal> {
        let store = caller::authenticate(sync, legacy, parts, peer, name).await?;
        Ok(Self { sync, parts, store })
    }

    pub(super) fn user(&self) -> UserId {
        self.store.user
    }

    /// The owner of the memory of bodies and responses.
    fn owner(&self) -> Owner {
        Owner::Account(self.store.account)
    }

    /// The owner of the objects, whose memory share the response uses.
    fn reader(&self) -> Reader {
        Reader {
            user: self.user(),
            owner: self.owner(),
        }
    }

    fn query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    /// Reads the body, unless the store is closed. Its memory counts until the permit is dropped.
    async fn read(&self, body: Body) -> Result<(Bytes, MemoryPermit), Refusal> {
        self.sync.storage.admit(self.user()).await?;
        let limit = self.sync.storage.limits().max_request_bytes.max(MIN_BODY_LIMIT);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let bodies = &self.sync.memory.bodies;
        body::read_whole(bodies, self.owner(), &self.parts.headers, body, limit, |_| Ok(())).await
    }

    /// The precondition of the client.
    fn guard(&self, target: Guarded) -> Result<Option<Guard>, Refusal> {
        let since = params::unmodified_since(&self.parts.headers)?;
        Ok(since.map(|unmodified_since| Guard {
            target,
            unmodified_since,
        }))
    }

    async fn write(&self, change: Change, guard: Option<Guard>) -> Result<Written, Refusal> {
        let write = Write::new(change).guarded_by(guard);
        let storage = &self.sync.storage;
        Ok(storage.write(self.user(), &self.store.other_uids, write).await?)
    }

    /// Stores objects of one collection.
    async fn upsert(
        &self,
        collection: CollectionName,
        patches: Vec<Patch>,
        guard: Option<Guard>,
    ) -> Result<Written, Refusal> {
        let change = Change::Upsert { collection, patches };
        self.write(change, guard).await
    }

    /// The answer to objects that were stored.
    fn stored(&self, written: Written, body: Vec<u8>) -> Reply {
        let left = self.sync.storage.quota();
        let left = left.map(|quota| quota.saturating_sub(written.bytes_before));
        Reply {
            quota_remaining: left.filter(|&left| left <= QUOTA_NOTICE).map(kilobytes),
            ..read(written.modified, Format::Json, body)
        }
    }

    /// Deletes, and returns the time of the deletion. If there was nothing to delete, that is the as-of time.
    async fn delete(&self, change: Change, guard: Option<Guard>) -> Result<Reply, Refusal> {
        let written = self.write(change, guard).await?;
        let time = if written.changed {
            written.modified
        } else {
            let summary = self.sync.storage.summary(self.user(), Detail::Times).await?;
            summary.as_of
        };
        Ok(read(time, Format::Json, printed(time)))
    }

    /// The result of an upload without objects to store: checks the precondition and the quota, and changes no
    /// time.
    async fn store_nothing(
        &self,
        collection: CollectionName,
        guard: Option<Guard>,
    ) -> Result<Written, Refusal> {
        let quota = self.sync.storage.quota();
        let detail = quota.map_or(Detail::Times, |_| Detail::Full);
        let summary = self.current(collection, guard, detail).await?;
        let taken = self.sync.storage.taken_by(&self.store.other_uids).await?;
        let bytes_before = taken + summary.collections.iter().map(|known| known.bytes).sum::<u64>();
        if self.sync.storage.is_full(&summary, taken) {
            return Err(Refusal::Refused(ResponseCode::OverQuota));
        }
        Ok(Written {
            modified: summary.as_of,
            bytes_before,
            bytes_after: bytes_before,
            changed: false,
        })
    }

    /// Returns the summary of the store, if the precondition holds.
    async fn current(
        &self,
        collection: CollectionName,
        guard: Option<Guard>,
        detail: Detail,
    ) -> Result<Summary, Refusal> {
        let summary = self.sync.storage.summary(self.user(), detail).await?;
        let known = summary.collections.iter().find(|known| known.name == collection);
        match (known, guard) {
            (Some(known), Some(guard)) if known.modified > guard.unmodified_since => Err(Refusal::Stale),
            _ => Ok(summary),
        }
    }
}

/// `GET /1.1/{name}/storage/{collection}`
pub(super) async fn get_collection(call: &Call<'_>, name: CollectionName) -> Result<Reply, Refusal> {
    let query = params::listing(name, call.query())?;
    let format = params::list_format(&call.parts.headers);
    let list = List::open::<Refusal>(call.sync, call.reader(), query).await?;
    let as_of = list.as_of();
    let list = list.print::<Refusal>(format, print_object).await?;
    Ok(Reply {
        records: list.records,
        ..read(as_of, format, list.body)
    })
}

/// `POST` and `PUT /1.1/{name}/storage/{collection}`
pub(super) async fn post_collection(
    call: &Call<'_>,
    collection: CollectionName,
    body: Body,
) -> Result<Reply, Refusal> {
    let guard = call.guard(Guarded::Collection(collection))?;
    let (body, _permit) = call.read(body).await?;
    let Objects { patches, failed } = match wbo::upload(&body) {
        Ok(Upload::Many(objects)) => objects,
        Ok(Upload::One(patch)) => {
            let written = call.upsert(collection, vec![patch], guard).await?;
            return Ok(call.stored(written, printed(written.modified)));
        }
        // A failed precondition takes precedence over all errors of the body.
        Err(refusal) => {
            call.current(collection, guard, Detail::Times).await?;
            return Err(refusal);
        }
    };
    let result = UploadResult::new(&patches, failed);
    // The body is dropped before the disk is waited for, as the patches hold its content.
    drop(body);
    let written = if patches.is_empty() {
        call.store_nothing(collection, guard).await?
    } else {
        call.upsert(collection, patches, guard).await?
    };
    Ok(call.stored(written, result.print(written.modified)))
}

/// `DELETE /1.1/{name}/storage/{collection}`
pub(super) async fn delete_collection(call: &Call<'_>, collection: CollectionName) -> Result<Reply, Refusal> {
    let guard = call.guard(Guarded::Collection(collection))?;
    let change = params::deletion(collection, call.query())?;
    call.delete(change, guard).await
}

/// `GET /1.1/{name}/storage/{collection}/{id}`
pub(super) async fn get_object(
    call: &Call<'_>,
    collection: CollectionName,
    id: ObjectId,
) -> Result<Reply, Refusal> {
    call.sync.memory.answers.check(call.owner())?;
    let query = Query::one(collection, id);
    let page = call.sync.storage.read(call.user(), &query).await?;
    let as_of = page.as_of;
    let row = page.rows.iter().next();
    let row = row.ok_or(Refusal::NoObject { as_of })?;
    let length = row.payload.len() + row.payload.len() / 16 + 256;
    let permit = call
        .sync
        .memory
        .answers
        .take_for_answer(call.owner(), row.payload.len() + length)?;
    let mut body = Vec::with_capacity(length);
    print_object(&mut body, &row);
    Ok(read(as_of, Format::Json, body_with_permit(permit, body)))
}

/// `PUT /1.1/{name}/storage/{collection}/{id}`
pub(super) async fn put_object(
    call: &Call<'_>,
    collection: CollectionName,
    id: ObjectId,
    body: Body,
) -> Result<Reply, Refusal> {
    let guard = call.guard(Guarded::Collection(collection))?;
    let (body, _permit) = call.read(body).await?;
    let patch = wbo::one(id, &body)?;
    drop(body);
    let written = call.upsert(collection, vec![patch], guard).await?;
    Ok(call.stored(written, printed(written.modified)))
}

/// `DELETE /1.1/{name}/storage/{collection}/{id}`
pub(super) async fn delete_object(
    call: &Call<'_>,
    collection: CollectionName,
    id: ObjectId,
) -> Result<Reply, Refusal> {
    let guard = call.guard(Guarded::Collection(collection))?;
    let change = Change::DeleteObjects {
        collection,
        selection: Selection {
            ids: Some(vec![id]),
            ..Selection::default()
        },
        order: Order::default(),
        limit: None,
        or_refuse: false,
    };
    call.delete(change, guard).await
}

/// `DELETE /1.1/{name}/storage` and `DELETE /1.1/{name}`
pub(super) async fn delete_store(call: &Call<'_>) -> Result<Reply, Refusal> {
    let guard = call.guard(Guarded::Store)?;
    if !call.parts.headers.contains_key("x-confirm-delete") {
        return Err(Refusal::Refused(ResponseCode::Overwrites));
    }
    call.delete(Change::DeleteAll, guard).await
}

/// A response with this timestamp.
fn read(time: SyncTime, format: Format, body: impl Into<Body>) -> Reply {
    Reply {
        time: Some(time),
        ..Reply::new(format, body)
    }
}

/// A body that is a time alone.
fn printed(time: SyncTime) -> Vec<u8> {
    let mut body = Vec::with_capacity(16);
    print::time(&mut body, time);
    body
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
    for (name, id) in [
        (&b",\"parentid\":"[..], row.parent_id),
        (b",\"predecessorid\":", row.predecessor_id),
    ] {
        if let Some(id) = id {
            out.extend_from_slice(name);
            print::string(out, id);
        }
    }
    out.push(b'}');
}

/// Units of 1024 bytes, with all digits.
fn kilobytes(bytes: u64) -> String {
    let mut out = Vec::with_capacity(16);
    print::kilobytes(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests;
