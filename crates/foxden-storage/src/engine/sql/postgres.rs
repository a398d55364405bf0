//! What PostgreSQL does in one statement: arrays carry the patches, and the statement merges them with the rows.

use super::connection::Arg;
use super::fault::Fault;
use super::object_change::{ObjectChange, ObjectTarget, Totals};
use super::transaction::UserTransaction;
use crate::engine::Corrupt;

/// Applies changes of objects, each given once, and returns how count and bytes change. The old rows are read by this statement,
/// which begins after the user's row is locked.
const UPSERT: &str = "
WITH given AS (
    SELECT * FROM unnest(?::text[], ?::bytea[], ?::bigint[], ?::bigint[], ?::bytea[], ?::bytea[], ?::bigint[])
        AS g (id, payload, sortindex, expiry, parent_id, predecessor_id, flags)
), kept AS (
    SELECT g.id, g.payload, g.sortindex, g.expiry, g.parent_id, g.predecessor_id, g.flags,
        o.id IS NULL AS is_new,
        o.id IS NOT NULL AND (o.expiry IS NULL OR o.expiry > ? OR g.flags & 32 <> 0) AS lives,
        o.modified AS old_modified, o.sortindex AS old_sortindex, o.expiry AS old_expiry,
        o.parent_id AS old_parent_id, o.predecessor_id AS old_predecessor_id,
        coalesce(o.size, 0) AS old_size
    FROM given g LEFT JOIN sync_object o ON o.uid = ? AND o.collection = ? AND o.id = g.id
), merged AS (
    SELECT id, is_new, old_size,
        CASE WHEN lives AND flags & 1 = 0 THEN old_modified ELSE ? END AS modified,
        CASE WHEN lives AND flags & 2 = 0 THEN old_sortindex ELSE sortindex END AS sortindex,
        CASE WHEN lives AND flags & 4 = 0 THEN old_expiry ELSE expiry END AS expiry,
        CASE WHEN lives AND flags & 8 = 0 THEN old_parent_id ELSE parent_id END AS parent_id,
        CASE WHEN lives AND flags & 16 = 0 THEN old_predecessor_id ELSE predecessor_id END AS predecessor_id,
        CASE WHEN payload IS NOT NULL THEN octet_length(payload) WHEN lives THEN old_size ELSE 0 END AS size,
        CASE WHEN payload IS NULL AND NOT lives THEN ''::bytea ELSE payload END AS payload
    FROM kept
), stored AS (
    INSERT INTO sync_object AS o
        (uid, collection, id, modified, sortindex, expiry, parent_id, predecessor_id, size, payload)
    SELECT ?, ?, id, modified, sortindex, expiry, parent_id, predecessor_id, size, payload FROM merged
    ON CONFLICT (uid, collection, id) DO UPDATE SET modified = excluded.modified,
        sortindex = excluded.sortindex, expiry = excluded.expiry, parent_id = excluded.parent_id,
        predecessor_id = excluded.predecessor_id, size = excluded.size,
        payload = coalesce(excluded.payload, o.payload)
)
SELECT count(*) FILTER (WHERE is_new), coalesce(sum(size - old_size), 0)::bigint FROM merged";

/// Applies changes of objects, each given once.
pub(super) async fn upsert(
    transaction: &mut UserTransaction,
    target: ObjectTarget,
    changes: &[ObjectChange<'_>],
) -> Result<Totals, Fault> {
    let user = transaction.user();
    let ObjectTarget { collection, time } = target;
    let int = |number: i64| Arg::Int(Some(number));
    let rows = transaction
        .connection
        .fetch(
            UPSERT,
            &[
                Arg::Texts(changes.iter().map(|change| change.id).collect()),
                Arg::Blobs(changes.iter().map(|change| bytes(change.payload)).collect()),
                Arg::Ints(changes.iter().map(|change| change.sortindex).collect()),
                Arg::Ints(changes.iter().map(|change| change.expiry).collect()),
                Arg::Blobs(changes.iter().map(|change| bytes(change.parent_id)).collect()),
                Arg::Blobs(
                    changes
                        .iter()
                        .map(|change| bytes(change.predecessor_id))
                        .collect(),
                ),
                Arg::Ints(changes.iter().map(|change| Some(change.flags)).collect()),
                int(time.now.hundredths()),
                int(user),
                int(collection),
                int(time.next.hundredths()),
                int(user),
                int(collection),
            ],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Err(Corrupt("the answer of an upsert").into());
    };
    Ok(Totals {
        objects: row.int(0)?,
        bytes: row.int(1)?,
    })
}

fn bytes(text: Option<&str>) -> Option<&[u8]> {
    text.map(str::as_bytes)
}
