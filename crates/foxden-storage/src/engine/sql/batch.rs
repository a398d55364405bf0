//! Batches: each part of an upload is one row until the batch is committed.

use foxden_model::{CollectionName, Rng, SyncTime};

use super::connection::Arg;
use super::fault::Fault;
use super::guard::{compare, new_mark};
use super::objects::Objects;
use super::state::{Batch, UserState};
use super::transaction::UserTransaction;
use crate::command::{BatchId, BatchPart};
use crate::engine::EngineError;
use crate::engine::batch_id::{OpenedRange, random_id};
use crate::engine::patch_codec;
use crate::engine::usage::{BatchGrowth, BatchLimits, QuotaState, Usage};
use crate::page::Staged;

/// The most parts that are in memory at once for a commit.
const PARTS_AT_ONCE: i64 = 4;

/// Adds a part to its batch, or refuses it. Also returns the random number that the batch then has.
pub(super) async fn stage(
    tx: &mut UserTransaction,
    part: &BatchPart,
    now: SyncTime,
    rng: &dyn Rng,
) -> Result<(Staged, BatchMark), Fault> {
    if tx.state.is_closed {
        return Err(EngineError::Closed.into());
    }
    compare(tx, part.guard.as_ref(), now).await?;
    let open = match &part.batch {
        Some(batch) => Some(find(tx, part.collection, batch, now)?),
        None => None,
    };
    let limits = BatchLimits {
        objects: part.max_objects,
        bytes: part.max_bytes,
    };
    let own = open.as_ref().map_or_else(Usage::default, |open| open.usage);
    let grown = limits.grown(own, &part.patches)?;
    let others = others(&tx.state, open.as_ref(), now);
    let quota = quota_state(tx, own, &others, part.quota, now).await?;
    let growth = BatchGrowth {
        bytes: grown.bytes,
        max_open_bytes: part.max_open_bytes,
        opens: open.is_none(),
    };
    let batches_to_end = quota.batches_to_end_for(growth, &usage_of(&others))?;
    for batch in &others[..batches_to_end] {
        tx.end_batch(batch.number);
    }
    let is_new = open.is_none();
    let mut batch = match open {
        Some(open) => open,
        None => Batch {
            number: tx.state.take_number(),
            name: random_id(rng),
            collection: part.collection,
            opened: now,
            parts: 0,
            usage: Usage::default(),
            mark: 0,
        },
    };
    if !part.patches.is_empty() {
        batch.parts += 1;
        let encoded = patch_codec::encode(&part.patches);
        let sql = "INSERT INTO sync_part (uid, batch, part, patches) VALUES (?, ?, ?, ?)";
        let args = vec![
            Arg::Int(Some(batch.number)),
            Arg::Int(Some(batch.parts)),
            Arg::Bytes(Some(&encoded)),
        ];
        tx.execute(sql, args).await?;
    }
    batch.usage = grown;
    batch.mark = new_mark(rng);
    let modified = tx
        .state
        .get(part.collection)
        .map(|collection| collection.listed.modified);
    let mark = BatchMark {
        number: batch.number,
        parts: batch.parts,
        mark: batch.mark,
    };
    let staged = Staged {
        batch: batch.name.clone(),
        modified: modified.unwrap_or_default(),
    };
    if is_new {
        tx.insert_batch(batch);
    } else {
        tx.update_batch(batch);
    }
    Ok((staged, mark))
}

/// What a batch looks like after a part was added.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchMark {
    pub(super) number: i64,
    pub(super) parts: i64,
    pub(super) mark: i64,
}

/// The usage that the quota is compared with. Expired objects are removed first if they would decide.
pub(super) async fn quota_state(
    tx: &mut UserTransaction,
    own: Usage,
    others: &[Batch],
    quota: Option<u64>,
    now: SyncTime,
) -> Result<QuotaState, Fault> {
    let open = others.iter().map(|batch| batch.usage).sum::<Usage>() + own;
    if (tx.state.usage() + open).fills(quota) {
        // Expired objects do not count, even if they are not removed yet.
        clear_expired(tx, now).await?;
    }
    Ok(QuotaState {
        live: tx.state.usage(),
        own,
        quota,
    })
}

/// The user's open batches except one, in the order they were opened.
pub(super) fn others(state: &UserState, except: Option<&Batch>, now: SyncTime) -> Vec<Batch> {
    let is_other =
        |batch: &&Batch| is_open(batch, now) && except.is_none_or(|open| open.number != batch.number);
    state.batches.iter().filter(is_other).cloned().collect()
}

pub(super) fn usage_of(batches: &[Batch]) -> Vec<Usage> {
    batches.iter().map(|batch| batch.usage).collect()
}

/// Finds the open batch with this id and collection.
pub(super) fn find(
    tx: &UserTransaction,
    collection: CollectionName,
    id: &BatchId,
    now: SyncTime,
) -> Result<Batch, EngineError> {
    let is_meant =
        |batch: &&Batch| batch.name == *id && batch.collection == collection && is_open(batch, now);
    let found = tx.state.batches.iter().find(is_meant);
    found.cloned().ok_or(EngineError::NoSuchBatch)
}

fn is_open(batch: &Batch, now: SyncTime) -> bool {
    let OpenedRange { expired, ahead } = OpenedRange::at(now);
    let opened = batch.opened.hundredths();
    expired < opened && opened <= ahead
}

/// Applies all parts of a batch to their objects, with a few parts in memory at a time.
pub(super) async fn apply(
    tx: &mut UserTransaction,
    batch: &Batch,
    objects: &mut Objects,
) -> Result<(), Fault> {
    let mut last = 0;
    while last < batch.parts {
        let sql = "SELECT part, patches FROM sync_part WHERE uid = ? AND batch = ? AND part > ? AND part <= ?
                   ORDER BY part";
        let args = vec![
            Arg::Int(Some(batch.number)),
            Arg::Int(Some(last)),
            Arg::Int(Some(last + PARTS_AT_ONCE)),
        ];
        let parts = tx.fetch(sql, args).await?;
        let mut patches = Vec::new();
        for part in &parts {
            patches.extend(patch_codec::decode(part.bytes(1)?.unwrap_or_default())?);
        }
        objects.apply_all(tx, patches).await?;
        last += PARTS_AT_ONCE;
    }
    Ok(())
}

/// Deletes the user's expired objects.
async fn clear_expired(tx: &mut UserTransaction, now: SyncTime) -> Result<(), Fault> {
    let sql = format!(
        "SELECT collection, count(*), CAST(sum(size) AS {}) FROM sync_object
         WHERE uid = ? AND expiry <= ? GROUP BY collection",
        tx.dialect.integer()
    );
    let now = || vec![Arg::Int(Some(now.hundredths()))];
    let expired = tx.fetch(&sql, now()).await?;
    if expired.is_empty() {
        return Ok(());
    }
    tx.execute("DELETE FROM sync_object WHERE uid = ? AND expiry <= ?", now())
        .await?;
    for row in &expired {
        tx.discount(row.int(0)?, row.int(1)?, row.int(2)?);
    }
    Ok(())
}
