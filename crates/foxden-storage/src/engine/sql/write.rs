//! Writes, within a transaction that holds the lock of the user's row.
//!
//! Every refusal comes before the first change; a refused command is rolled back.

use foxden_model::{CollectionName, SyncTime};

use super::batch;
use super::fault::Fault;
use super::guard::compare;
use super::object_change::Totals;
use super::objects::Objects;
use super::select::{Search, rows_to_delete};
use super::state::{Batch, Collection};
use super::transaction::UserTransaction;
use crate::command::{Change, Order, Patch, Selection, Write};
use crate::engine::EngineError;
use crate::engine::patch_ref::PatchRef;
use crate::engine::usage::{BatchLimits, Usage};
use crate::engine::write_time::WriteTime;
use crate::page::{CollectionSummary, Written};

/// The number of objects from which a deletion of all of them replaces the collection.
const MANY: u64 = 100;

/// Makes a write, or refuses it.
pub(super) async fn write(
    tx: &mut UserTransaction,
    write: &Write,
    time: WriteTime,
) -> Result<Written, Fault> {
    if tx.state.is_closed && !write.change.is_taken_when_closed() {
        return Err(EngineError::Closed.into());
    }
    compare(tx, write.guard.as_ref(), time.now).await?;
    let open = match &write.change {
        Change::CommitBatch {
            collection,
            batch,
            patches,
            max_objects,
            max_bytes,
        } => {
            let open = batch::find(tx, *collection, batch, time.now)?;
            let limits = BatchLimits {
                objects: *max_objects,
                bytes: *max_bytes,
            };
            limits.grown(open.usage, patches)?;
            Some(open)
        }
        _ => None,
    };
    let adds_objects = open.is_some() || matches!(write.change, Change::Upsert { .. });
    let batches_to_end = if adds_objects && write.quota.is_some() {
        let others = batch::others(&tx.state, open.as_ref(), time.now);
        let quota = batch::quota_state(tx, Usage::default(), &others, write.quota, time.now).await?;
        let count = quota.batches_to_end(&batch::usage_of(&others))?;
        others.into_iter().take(count).collect()
    } else {
        Vec::new()
    };
    let bytes_before = tx.state.usage().bytes;
    let changed = match &write.change {
        Change::Upsert { collection, patches }
        | Change::CommitBatch {
            collection, patches, ..
        } => {
            upsert(tx, *collection, open.as_ref(), patches, time).await?;
            for batch in batches_to_end {
                tx.end_batch(batch.number);
            }
            true
        }
        Change::DeleteObjects {
            collection,
            selection,
            order,
            limit,
            or_refuse,
        } => {
            let deletion = Deletion {
                selection,
                order: *order,
                limit: *limit,
                or_refuse: *or_refuse,
            };
            delete_objects(tx, *collection, &deletion, time).await?
        }
        Change::DeleteCollection {
            collection,
            keeps_name,
        } => delete_collection(tx, *collection, *keeps_name, time),
        Change::DeleteAll => {
            delete_all(tx);
            true
        }
        Change::Close => {
            let was_open = !tx.state.is_closed;
            if was_open {
                delete_all(tx);
                tx.state.is_closed = true;
            }
            was_open
        }
    };
    if changed {
        tx.state.modified = time.next;
    }
    Ok(Written {
        modified: tx.state.modified,
        changed,
        bytes_before,
        bytes_after: tx.state.usage().bytes,
    })
}

/// The objects of a collection to delete.
struct Deletion<'a> {
    selection: &'a Selection,
    order: Order,
    limit: Option<u64>,
    or_refuse: bool,
}

/// Creates the collection if it is missing, applies a batch and patches to its objects, and ends the batch.
async fn upsert(
    tx: &mut UserTransaction,
    name: CollectionName,
    batch: Option<&Batch>,
    patches: &[Patch],
    time: WriteTime,
) -> Result<(), Fault> {
    let at = match tx.state.position(name) {
        Ok(at) => at,
        Err(at) => {
            tx.state.check_collection_limit()?;
            let collection = empty(tx.state.take_number(), name, time.next);
            tx.insert_collection(&collection);
            tx.state.collections.insert(at, collection);
            at
        }
    };
    let mut objects = Objects::new(tx.state.collections[at].number, time);
    if let Some(batch) = batch {
        batch::apply(tx, batch, &mut objects).await?;
        tx.end_batch(batch.number);
    }
    objects.apply_all(tx, patches.iter().map(PatchRef::from)).await?;
    adjust(tx, at, objects.totals, Some(time.next));
    Ok(())
}

/// Adds changes of its objects to a collection's count and bytes, and sets its time if one is given.
fn adjust(tx: &mut UserTransaction, at: usize, totals: Totals, modified: Option<SyncTime>) {
    let collection = &mut tx.state.collections[at];
    collection.adjust(totals.objects, totals.bytes);
    collection.listed.modified = modified.unwrap_or(collection.listed.modified);
    let collection = *collection;
    tx.update_collection(&collection);
}

const fn empty(number: i64, name: CollectionName, modified: SyncTime) -> Collection {
    Collection {
        number,
        listed: CollectionSummary {
            name,
            modified,
            count: 0,
            bytes: 0,
        },
    }
}

async fn delete_objects(
    tx: &mut UserTransaction,
    name: CollectionName,
    deletion: &Deletion<'_>,
    time: WriteTime,
) -> Result<bool, Fault> {
    let Ok(at) = tx.state.position(name) else {
        return Ok(false);
    };
    let Collection { number, listed } = tx.state.collections[at];
    let search = Search {
        name,
        selection: deletion.selection,
        order: deletion.order,
        now: time.now,
    };
    let rows = rows_to_delete(tx, &search, deletion.limit).await?;
    if rows.is_empty() && deletion.or_refuse {
        return Ok(false);
    }
    if rows.len() as u64 >= listed.count.max(MANY) {
        // All objects match: they are hidden at once and removed by purges.
        return Ok(delete_collection(tx, name, true, time));
    }
    let mut totals = Totals::default();
    let ids: Vec<&str> = rows.iter().map(|(id, _)| &**id).collect();
    for ids in ids.chunks(super::objects::MAX_ROWS) {
        tx.delete(number, ids).await?;
    }
    for (_, size) in &rows {
        totals += Totals {
            objects: -1,
            bytes: -size,
        };
    }
    adjust(tx, at, totals, Some(time.next));
    Ok(true)
}

fn delete_collection(
    tx: &mut UserTransaction,
    name: CollectionName,
    keeps_name: bool,
    time: WriteTime,
) -> bool {
    let Ok(at) = tx.state.position(name) else {
        return false;
    };
    let dropped = tx.state.collections.remove(at);
    tx.drop_collection(&dropped);
    if keeps_name {
        let collection = empty(tx.state.take_number(), name, time.next);
        tx.insert_collection(&collection);
        tx.state.collections.insert(at, collection);
    }
    true
}

fn delete_all(tx: &mut UserTransaction) {
    for collection in std::mem::take(&mut tx.state.collections) {
        tx.drop_collection(&collection);
    }
    for batch in tx.state.batches.clone() {
        tx.end_batch(batch.number);
    }
}
