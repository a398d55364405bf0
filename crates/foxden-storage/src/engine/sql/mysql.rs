//! What MySQL and MariaDB do in two statements: the old rows are read and merged here, and several rows are stored at once.

use std::cmp::Ordering;
use std::iter::Peekable;

use super::connection::{Arg, Row, bytes, int};
use super::fault::Fault;
use super::id_list::{padded, padded_ids, placeholders};
use super::object_change::{
    GivenFields, ObjectChange, ObjectField, ObjectTarget, PlainChanges, Totals, flag,
};
use super::transaction::UserTransaction;

/// The sizes of statements. A statement is prepared for each size on each connection, so that there are few; any number of rows is a
/// sum of some.
const SIZES: [usize; 5] = [100, 32, 8, 3, 1];

/// The columns of an object without its payload, as [`OldRow`] reads them.
const OLD_COLUMNS: &str = "id, modified, sortindex, expiry, parent_id, predecessor_id, size";

/// What a replaced row adds to `LAST_INSERT_ID` besides its size: more than all sizes of a transaction.
pub(super) const REPLACED_ROW: u64 = 1 << 40;

/// An object's row without its payload.
struct OldRow {
    modified: i64,
    sortindex: Option<i64>,
    expiry: Option<i64>,
    parent_id: Option<Vec<u8>>,
    predecessor_id: Option<Vec<u8>>,
    size: i64,
}

/// Applies changes of objects, each given once, in the order of their ids.
pub(super) async fn upsert(
    transaction: &mut UserTransaction,
    target: ObjectTarget,
    changes: &[ObjectChange<'_>],
) -> Result<Totals, Fault> {
    if let Some(plain) = PlainChanges::of(changes) {
        return upsert_plain(transaction, target, plain).await;
    }
    let rows = read(transaction, target, changes).await?;
    let mut old = OldRows(rows.into_iter().peekable());
    let mut totals = Totals::default();
    for changes in statements(changes) {
        totals += store(transaction, target, changes, &mut old).await?;
    }
    Ok(totals)
}

/// The changes of each statement.
fn statements<'c, 'a>(changes: &'c [ObjectChange<'a>]) -> impl Iterator<Item = &'c [ObjectChange<'a>]> {
    let mut rest = changes;
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rest.len())?;
        let (now, later) = rest.split_at(size);
        rest = later;
        Some(now)
    })
}

/// The same for plain changes: the statement keeps what they do not give, and how many rows it replaces, and the sum
/// of their sizes, the server tells as the last "inserted id". The number of changed rows would not do: the server counts a row that stays
/// as it was like a new one.
async fn upsert_plain(
    transaction: &mut UserTransaction,
    target: ObjectTarget,
    changes: PlainChanges<'_, '_>,
) -> Result<Totals, Fault> {
    let mut columns = String::new();
    for field in changes.given.iter() {
        columns.push_str(", ");
        columns.push_str(field.column());
    }
    let row = format!("(?, ?, ?, ?, ?, ?{})", ", ?".repeat(changes.given.iter().count()));
    let update = kept_or_given(changes.given, "?");
    let kept = ObjectField::ALL.len() - changes.given.iter().count();
    let mut totals = Totals::default();
    for all in statements(changes.all) {
        let sql = format!(
            "INSERT INTO sync_object (uid, collection, id, modified, size, payload{columns}) VALUES {}
             ON DUPLICATE KEY UPDATE {update}",
            placeholders(&row, all.len())
        );
        let mut args = Vec::with_capacity(all.len() * (6 + changes.given.iter().count()) + kept);
        for change in all {
            let payload = change.payload.unwrap_or_default();
            let size = i64::try_from(payload.len()).unwrap_or(i64::MAX);
            args.extend([
                int(transaction.user()),
                int(target.collection),
                Arg::Text(change.id),
                int(target.time.next.hundredths()),
                int(size),
                Arg::Bytes(Some(payload.as_bytes())),
            ]);
            args.extend(changes.given.iter().map(|field| value(field, change)));
            totals += Totals {
                objects: 1,
                bytes: size,
            };
        }
        args.extend((0..kept).map(|_| int(target.time.now.hundredths())));
        let executed = transaction.connection.execute(&sql, &args).await?;
        let replaced = transaction.replaced(&executed);
        totals.objects -= (replaced / REPLACED_ROW).cast_signed();
        totals.bytes -= (replaced % REPLACED_ROW).cast_signed();
    }
    Ok(totals)
}

/// What becomes of a row that is there. A field that is not given is kept unless the row has expired by `now`.
pub(super) fn kept_or_given(given: GivenFields, now: &str) -> String {
    let mut update = format!(
        "modified = VALUES(modified), \
         size = VALUES(size) + 0 * LAST_INSERT_ID(LAST_INSERT_ID() + {REPLACED_ROW} + size), payload = VALUES(payload)"
    );
    for field in ObjectField::ALL {
        let column = field.column();
        let value = if given.contains(field) {
            format!("VALUES({column})")
        } else {
            format!("IF(expiry <= {now}, NULL, {column})")
        };
        update.extend([", ", column, " = ", &value]);
    }
    update
}

const fn value<'a>(field: ObjectField, change: &ObjectChange<'a>) -> Arg<'a> {
    match field {
        ObjectField::Sortindex => Arg::Int(change.sortindex),
        ObjectField::Expiry => Arg::Int(change.expiry),
        ObjectField::ParentId => Arg::Bytes(bytes(change.parent_id)),
        ObjectField::PredecessorId => Arg::Bytes(bytes(change.predecessor_id)),
    }
}

async fn read(
    transaction: &mut UserTransaction,
    target: ObjectTarget,
    changes: &[ObjectChange<'_>],
) -> Result<Vec<Row>, Fault> {
    let mut rows = Vec::with_capacity(changes.len());
    for changes in changes.chunks(SIZES[0]) {
        let sql = format!(
            "SELECT {OLD_COLUMNS} FROM sync_object WHERE uid = ? AND collection = ? AND id IN ({}) ORDER BY id",
            placeholders("?", padded(changes.len()))
        );
        let mut args = vec![int(target.collection)];
        args.extend(padded_ids(changes.iter().map(|change| change.id)));
        rows.extend(transaction.fetch(&sql, args).await?);
    }
    Ok(rows)
}

/// Rows in the order of their ids.
struct OldRows(Peekable<std::vec::IntoIter<Row>>);

impl OldRows {
    /// The row with this id, which comes after all that were asked for before.
    fn find(&mut self, id: &str) -> Result<Option<OldRow>, Fault> {
        while let Some(row) = self.0.peek() {
            match row.text(0)?.cmp(id) {
                Ordering::Less => drop(self.0.next()),
                Ordering::Equal => return OldRow::read(row).map(Some),
                Ordering::Greater => break,
            }
        }
        Ok(None)
    }
}

/// Stores rows. All values are final: between the reading and this, no one else writes the user's objects.
async fn store(
    transaction: &mut UserTransaction,
    target: ObjectTarget,
    changes: &[ObjectChange<'_>],
    old: &mut OldRows,
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
    let old = changes.iter().map(|change| old.find(change.id));
    let old = old.collect::<Result<Vec<_>, _>>()?;
    let mut args = Vec::with_capacity(changes.len() * 10);
    for (change, old) in changes.iter().zip(&old) {
        let old = old.as_ref();
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
            int(user),
            int(target.collection),
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
            int(size),
            Arg::Bytes(bytes(payload)),
        ]);
        totals.objects += i64::from(is_new);
        totals.bytes += size - old_size;
    }
    transaction.connection.execute(&sql, &args).await?;
    Ok(totals)
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
