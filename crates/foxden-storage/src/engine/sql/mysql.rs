//! What MySQL and MariaDB do in two statements: the old rows are read and merged here, and several rows are stored at once.

use std::collections::HashMap;

use super::connection::{Arg, Row};
use super::fault::Fault;
use super::id_list::{padded, padded_ids, placeholders};
use super::object_change::{ObjectChange, ObjectTarget, Totals, flag};
use super::transaction::UserTransaction;

/// The sizes of statements. A statement is prepared for each size on each connection, so that there are few; any number of rows is a
/// sum of some.
const SIZES: [usize; 5] = [100, 32, 8, 3, 1];

/// An object's row without its payload.
struct OldRow {
    modified: i64,
    sortindex: Option<i64>,
    expiry: Option<i64>,
    parent_id: Option<Vec<u8>>,
    predecessor_id: Option<Vec<u8>>,
    size: i64,
}

/// Applies changes of objects, each given once.
pub(super) async fn upsert(
    transaction: &mut UserTransaction,
    target: ObjectTarget,
    changes: &[ObjectChange<'_>],
) -> Result<Totals, Fault> {
    let mut totals = Totals::default();
    let mut old = HashMap::with_capacity(changes.len());
    for changes in changes.chunks(SIZES[0]) {
        let sql = format!(
            "SELECT id, modified, sortindex, expiry, parent_id, predecessor_id, size FROM sync_object
             WHERE uid = ? AND collection = ? AND id IN ({})",
            placeholders("?", padded(changes.len()))
        );
        let mut args = vec![Arg::Int(Some(target.collection))];
        args.extend(padded_ids(changes.iter().map(|change| change.id)));
        for row in transaction.fetch(&sql, args).await? {
            old.insert(row.text(0)?.to_owned(), OldRow::read(&row)?);
        }
    }
    let mut rest = changes;
    for size in SIZES {
        while let Some((now, later)) = rest.split_at_checked(size) {
            totals += store(transaction, target, now, &old).await?;
            rest = later;
        }
    }
    Ok(totals)
}

/// Stores rows. All values are final: between the reading and this, no one else writes the user's objects.
async fn store(
    transaction: &mut UserTransaction,
    target: ObjectTarget,
    changes: &[ObjectChange<'_>],
    old: &HashMap<String, OldRow>,
) -> Result<Totals, Fault> {
    let mut totals = Totals::default();
    let sql = format!(
        "INSERT INTO sync_object
         (uid, collection, id, modified, sortindex, expiry, parent_id, predecessor_id, size, payload)
         VALUES {}
         ON DUPLICATE KEY UPDATE modified = VALUES(modified), sortindex = VALUES(sortindex),
         expiry = VALUES(expiry), parent_id = VALUES(parent_id), predecessor_id = VALUES(predecessor_id),
         size = VALUES(size), payload = COALESCE(VALUES(payload), payload)",
        placeholders("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", changes.len())
    );
    let user = transaction.user();
    let time = target.time;
    let mut args = Vec::with_capacity(changes.len() * 10);
    for change in changes {
        let old = old.get(change.id);
        let (old_size, is_new) = old.map_or((0, true), |old| (old.size, false));
        let now = time.now.hundredths();
        let live =
            old.filter(|old| old.expiry.is_none_or(|expiry| expiry > now) || change.flags & flag::LIVES != 0);
        let kept = |flag| live.filter(|_| change.flags & flag == 0);
        let size = match change.payload {
            Some(payload) => i64::try_from(payload.len()).unwrap_or(i64::MAX),
            None => live.map_or(0, |old| old.size),
        };
        let payload = change.payload.or_else(|| live.is_none().then_some(""));
        args.extend([
            Arg::Int(Some(user)),
            Arg::Int(Some(target.collection)),
            Arg::Text(change.id),
            Arg::Int(Some(
                kept(flag::RENEWS).map_or(time.next.hundredths(), |old| old.modified),
            )),
            Arg::Int(kept(flag::SORTINDEX).map_or(change.sortindex, |old| old.sortindex)),
            Arg::Int(kept(flag::EXPIRY).map_or(change.expiry, |old| old.expiry)),
            Arg::Bytes(kept(flag::PARENT).map_or(bytes(change.parent_id), |old| old.parent_id.as_deref())),
            Arg::Bytes(
                kept(flag::PREDECESSOR)
                    .map_or(bytes(change.predecessor_id), |old| old.predecessor_id.as_deref()),
            ),
            Arg::Int(Some(size)),
            Arg::Bytes(bytes(payload)),
        ]);
        totals.objects += i64::from(is_new);
        totals.bytes += size - old_size;
    }
    transaction.connection.execute(&sql, &args).await?;
    Ok(totals)
}

fn bytes(text: Option<&str>) -> Option<&[u8]> {
    text.map(str::as_bytes)
}

impl OldRow {
    fn read(row: &Row) -> Result<Self, Fault> {
        Ok(Self {
            modified: row.int(1)?,
            sortindex: row.number(2)?,
            expiry: row.number(3)?,
            parent_id: row.bytes(4)?.map(<[u8]>::to_vec),
            predecessor_id: row.bytes(5)?.map(<[u8]>::to_vec),
            size: row.int(6)?,
        })
    }
}
