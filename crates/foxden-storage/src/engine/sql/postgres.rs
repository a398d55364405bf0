//! What PostgreSQL does in one statement: arrays carry the patches, and the statement merges them with the rows.

use super::connection::{Arg, Connection, Dialect, Row, bytes, int};
use super::fault::Fault;
use super::landing::Gate;
use super::object_change::{ObjectChange, ObjectField, ObjectTarget, PlainChanges, Totals};
use super::statement::Statement;
use super::transaction::UserTransaction;
use crate::engine::Corrupt;
use crate::pass::Landing;

/// Applies changes of objects, each given once, and returns how count and bytes change. The old rows are read by this statement,
/// which begins after the user's row is locked, one by one (that is what the offset is for): the server keeps the plan that it made
/// while the table was empty.
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
    FROM given g LEFT JOIN LATERAL (
        SELECT id, modified, sortindex, expiry, parent_id, predecessor_id, size FROM sync_object
        WHERE uid = ? AND collection = ? AND id = g.id OFFSET 0
    ) o ON true
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
    let rows = match PlainChanges::of(changes) {
        Some(plain) => {
            let statement = plain_upsert(user, target, plain, None);
            transaction
                .connection
                .fetch(&statement.sql, &statement.args)
                .await?
        }
        None => {
            transaction
                .connection
                .fetch(UPSERT, &args(user, target, changes))
                .await?
        }
    };
    let Some(row) = rows.first() else {
        return Err(Corrupt("the answer of an upsert").into());
    };
    totals(row)
}

/// Applies changes of objects to a collection that is there, outside a transaction. `None`: the user's row has another mark, or the
/// write may not land, and nothing was changed.
///
/// The change that gave the known mark was committed before this statement begins, and the row is locked and looked at as it is
/// then: so no other change came between, and the old rows that the statement sees are the current ones.
pub(super) async fn upsert_if_known(
    connection: &mut Connection,
    user: i64,
    gate: &Gate,
    target: ObjectTarget,
    changes: PlainChanges<'_, '_>,
) -> Result<Option<Totals>, Fault> {
    let statement = plain_upsert(user, target, changes, Some(gate));
    let rows = connection.fetch(&statement.sql, &statement.args).await?;
    rows.first().map(totals).transpose()
}

/// The statement for plain changes, which is simpler than [`UPSERT`] and takes less than half the time: a row that is replaced
/// keeps the size that it had, so that no statement has to look for it before.
fn plain_upsert<'a>(
    user: i64,
    target: ObjectTarget,
    changes: PlainChanges<'_, 'a>,
    gate: Option<&'a Gate>,
) -> Statement<'a> {
    let ObjectTarget { collection, time } = target;
    let (next, now) = (time.next.hundredths(), time.now.hundredths());
    let mut columns = String::new();
    for field in changes.given.iter() {
        columns.push_str(", ");
        columns.push_str(field.column());
    }
    let mut statement = Statement::default();
    statement.add("WITH ", []);
    if let Some(gate) = gate {
        statement.add(
            "gate AS (UPDATE sync_user SET modified = ?, mark = ? WHERE uid = ? AND mark = ?",
            [int(next), int(gate.mark), int(user), int(gate.known)],
        );
        if let Some(Landing { epoch, until }) = gate.landing {
            let lands = Dialect::Postgres.lands("?", "?");
            statement.add(&format!(" AND {lands}"), [int(epoch), int(until)]);
        }
        statement.add(" RETURNING uid), ", []);
    }
    let sql = format!(
        "stored AS (INSERT INTO sync_object AS o (uid, collection, id, modified, size, payload{columns})
         SELECT ?, ?, id, ?, octet_length(payload), payload{columns} FROM "
    );
    statement.add(&sql, [int(user), int(collection), int(next)]);
    statement.add(if gate.is_some() { "gate CROSS JOIN " } else { "" }, []);
    statement.add(
        "unnest(?::text[], ?::bytea[]",
        [
            Arg::Texts(changes.all.iter().map(|change| change.id).collect()),
            Arg::Blobs(changes.all.iter().map(|change| bytes(change.payload)).collect()),
        ],
    );
    for field in changes.given.iter() {
        let (cast, values) = array(field, changes.all);
        statement.add(cast, [values]);
    }
    let sql = format!(
        ") AS g (id, payload{columns})
         ON CONFLICT (uid, collection, id) DO UPDATE SET modified = excluded.modified, size = excluded.size,
         replaced_size = o.size, payload = excluded.payload"
    );
    statement.add(&sql, []);
    for field in ObjectField::ALL {
        let column = field.column();
        if changes.given.contains(field) {
            statement.add(&format!(", {column} = excluded.{column}"), []);
        } else {
            let kept = format!(", {column} = CASE WHEN o.expiry <= ? THEN NULL ELSE o.{column} END");
            statement.add(&kept, [int(now)]);
        }
    }
    statement.add(
        " RETURNING o.size, o.replaced_size), total AS (
         SELECT count(*) FILTER (WHERE replaced_size IS NULL) AS objects,
         sum(size - coalesce(replaced_size, 0))::bigint AS bytes FROM stored)",
        [],
    );
    match gate {
        Some(gate) => statement.add(
            ", counted AS (UPDATE sync_collection c
             SET modified = ?, objects = c.objects + t.objects, bytes = c.bytes + t.bytes
             FROM gate, total t WHERE c.uid = ? AND c.name = ?) SELECT t.objects, t.bytes FROM gate, total t",
            [int(next), int(user), Arg::Text(gate.collection.as_str())],
        ),
        None => statement.add(" SELECT objects, bytes FROM total", []),
    }
    statement
}

/// The values of a field, as one more array.
fn array<'a>(field: ObjectField, changes: &[ObjectChange<'a>]) -> (&'static str, Arg<'a>) {
    let ints = |number: fn(&ObjectChange<'a>) -> Option<i64>| {
        (", ?::bigint[]", Arg::Ints(changes.iter().map(number).collect()))
    };
    let blobs = |text: fn(&ObjectChange<'a>) -> Option<&'a str>| {
        let texts = changes.iter().map(|change| bytes(text(change)));
        (", ?::bytea[]", Arg::Blobs(texts.collect()))
    };
    match field {
        ObjectField::Sortindex => ints(|change| change.sortindex),
        ObjectField::Expiry => ints(|change| change.expiry),
        ObjectField::ParentId => blobs(|change| change.parent_id),
        ObjectField::PredecessorId => blobs(|change| change.predecessor_id),
    }
}

fn totals(row: &Row) -> Result<Totals, Fault> {
    Ok(Totals {
        objects: row.int(0)?,
        bytes: row.int(1)?,
    })
}

fn args<'a>(user: i64, target: ObjectTarget, changes: &[ObjectChange<'a>]) -> [Arg<'a>; 13] {
    let ObjectTarget { collection, time } = target;
    let blobs = |blob: fn(&ObjectChange<'a>) -> Option<&'a str>| {
        Arg::Blobs(changes.iter().map(|change| bytes(blob(change))).collect())
    };
    let ints = |number: fn(&ObjectChange<'a>) -> Option<i64>| Arg::Ints(changes.iter().map(number).collect());
    [
        Arg::Texts(changes.iter().map(|change| change.id).collect()),
        blobs(|change| change.payload),
        ints(|change| change.sortindex),
        ints(|change| change.expiry),
        blobs(|change| change.parent_id),
        blobs(|change| change.predecessor_id),
        ints(|change| Some(change.flags)),
        int(time.now.hundredths()),
        int(user),
        int(collection),
        int(time.next.hundredths()),
        int(user),
        int(collection),
    ]
}
