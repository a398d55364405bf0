//! Reads the rows of users.

use foxden_model::{Bso, CollectionName, ObjectId, SyncTime, UserId};

use super::{HALF, SqlRows};
use crate::engine::movable::{
    BatchHead, CollectionHead, MAX_MOVED_BYTES, MAX_MOVED_OBJECTS, MAX_MOVED_PARTS, MoveTotals, MovedPart,
    ObjectsPage, UserHead,
};
use crate::engine::sql::connection::{Arg, Row, int};
use crate::engine::sql::fault::Fault;
use crate::engine::{Corrupt, EngineError};

/// Those users from a uid on who are wholly there and have a write or an open batch.
const LISTED: &str = "u.uid >= ? AND u.closed <> ? AND (u.modified > 0
    OR EXISTS (SELECT 1 FROM moving_batch b WHERE b.uid = u.uid AND b.ended = 0))";

/// The users that are counted with one statement: the server ends those that take long.
const COUNTED_USERS: i64 = 5000;

impl SqlRows {
    pub(super) async fn read_totals(&self) -> Result<MoveTotals, EngineError> {
        let integer = self.server.dialect().integer();
        let held = |column| {
            format!("(SELECT sum(c.{column}) FROM moving_collection c WHERE c.uid = u.uid) AS {column}")
        };
        let sql = format!(
            "SELECT max(uid), count(*), CAST(coalesce(sum(objects), 0) AS {integer}), CAST(coalesce(sum(bytes), 0) AS {integer})
             FROM (SELECT u.uid, {}, {} FROM moving_user u WHERE {LISTED} ORDER BY u.uid LIMIT {COUNTED_USERS}) t",
            held("objects"),
            held("bytes"),
        );
        let mut totals = MoveTotals::default();
        let mut first = Some(i64::MIN);
        while let Some(from) = first {
            let rows = self.fetch(&sql, &[int(from), int(HALF)]).await?;
            first = self.fault(add_page(&mut totals, &rows))?;
        }
        Ok(totals)
    }

    pub(super) async fn read_users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>, EngineError> {
        let Some(first) = after.map_or(Some(i64::MIN), |after| after.0.cast_signed().checked_add(1)) else {
            return Ok(Vec::new());
        };
        let sql = format!("SELECT u.uid FROM moving_user u WHERE {LISTED} ORDER BY u.uid LIMIT ?");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.fetch(&sql, &[int(first), int(HALF), int(limit)]).await?;
        let users = rows.iter().map(|row| Ok(UserId(row.int(0)?.cast_unsigned())));
        self.fault(users.collect())
    }

    pub(super) async fn read_head(&self, user: UserId) -> Result<UserHead, EngineError> {
        let uid = user.0.cast_signed();
        let script = format!(
            "SELECT modified, closed FROM moving_user WHERE uid = {uid}; \
             SELECT number, name, modified, objects, bytes FROM moving_collection WHERE uid = {uid} ORDER BY name; \
             SELECT number, name, collection, opened, parts, objects, bytes FROM moving_batch \
             WHERE uid = {uid} AND ended = 0 ORDER BY number"
        );
        let answers = self.script(&script).await?;
        self.fault(head(&answers))
    }

    pub(super) async fn read_objects(
        &self,
        user: UserId,
        collection: &CollectionHead,
        after: Option<&ObjectId>,
    ) -> Result<ObjectsPage, EngineError> {
        let after = after.map_or("", ObjectId::as_str);
        let is_small =
            collection.objects < MAX_MOVED_OBJECTS as u64 && collection.bytes < MAX_MOVED_BYTES as u64;
        let limit = i64::try_from(MAX_MOVED_OBJECTS).unwrap_or(i64::MAX);
        let mut args = vec![int(user.0.cast_signed()), int(collection.key), Arg::Text(after)];
        let (last, is_cut) = if is_small {
            (None, false)
        } else {
            args.push(int(limit));
            let sql = format!(
                "SELECT id, CAST(size AS {}) FROM moving_object WHERE uid = ? AND collection = ? AND id > ?
                 ORDER BY id LIMIT ?",
                self.server.dialect().integer()
            );
            let sizes = self.fetch(&sql, &args).await?;
            let Some((last, is_cut)) = self.fault(last_of_page(&sizes))? else {
                return Ok(ObjectsPage::default());
            };
            args.pop();
            (Some(last), is_cut)
        };
        let until = match &last {
            Some(last) => {
                args.push(Arg::Text(last));
                "AND id <= ?"
            }
            None => "",
        };
        let sql = format!(
            "SELECT id, modified, sortindex, expiry, parent_id, predecessor_id, payload, CAST(size AS {})
             FROM moving_object WHERE uid = ? AND collection = ? AND id > ? {until} ORDER BY id LIMIT ?",
            self.server.dialect().integer()
        );
        args.push(int(limit));
        let rows = self.fetch(&sql, &args).await?;
        let mut wrong_size = None;
        let objects = rows.iter().map(|row| {
            let object = object(row)?;
            if row.count(7)? != object.payload.len() as u64 {
                wrong_size = Some(object.id.clone());
            }
            Ok(object)
        });
        Ok(ObjectsPage {
            objects: self.fault(objects.collect())?,
            wrong_size,
            // Should a count be wrong, a collection that it says to be small is not.
            has_more: is_cut || rows.len() >= MAX_MOVED_OBJECTS,
        })
    }

    pub(super) async fn read_parts(
        &self,
        user: UserId,
        batch: i64,
        after: i64,
    ) -> Result<Vec<MovedPart>, EngineError> {
        let sql = "SELECT part, patches FROM moving_part WHERE uid = ? AND batch = ? AND part > ?
                   ORDER BY part LIMIT ?";
        let limit = i64::try_from(MAX_MOVED_PARTS).unwrap_or(i64::MAX);
        let args = [user.0.cast_signed(), batch, after, limit].map(int);
        let rows = self.fetch(sql, &args).await?;
        let parts = rows.iter().map(|row| {
            Ok(MovedPart {
                number: row.int(0)?,
                patches: row.bytes(1)?.unwrap_or_default().to_vec(),
            })
        });
        self.fault(parts.collect())
    }
}

/// Adds what some users hold; returns the first uid of those who follow, if there may be any.
fn add_page(totals: &mut MoveTotals, rows: &[Row]) -> Result<Option<i64>, Fault> {
    let row = rows.first().ok_or(Corrupt("the totals"))?;
    let Some(last) = row.number(0)? else {
        return Ok(None);
    };
    totals.users += row.count(1)?;
    totals.objects += row.count(2)?;
    totals.bytes += row.count(3)?;
    Ok(last.checked_add(1))
}

/// The id with which a page ends, and whether its bytes end it.
fn last_of_page(sizes: &[Row]) -> Result<Option<(String, bool)>, Fault> {
    let mut bytes = 0;
    for (at, row) in sizes.iter().enumerate() {
        bytes += row.count(1)?;
        let is_full = bytes >= MAX_MOVED_BYTES as u64;
        if is_full || at + 1 == sizes.len() {
            return Ok(Some((row.text(0)?.to_owned(), is_full)));
        }
    }
    Ok(None)
}

fn head(answers: &[Vec<Row>]) -> Result<UserHead, Fault> {
    let [users, collections, batches, ..] = answers else {
        return Err(Corrupt("the answer about a user").into());
    };
    let user = users.first().ok_or(Corrupt("the row of a user"))?;
    let collections = collections.iter().map(|row| {
        Ok(CollectionHead {
            key: row.int(0)?,
            name: name(row, 1)?,
            modified: SyncTime::from_hundredths(row.int(2)?),
            objects: row.count(3)?,
            bytes: row.count(4)?,
        })
    });
    let batches = batches.iter().map(|row| {
        Ok(BatchHead {
            key: row.int(0)?,
            name: row.text(1)?.to_owned(),
            collection: name(row, 2)?,
            opened: SyncTime::from_hundredths(row.int(3)?),
            parts: row.count(4)?,
            objects: row.count(5)?,
            bytes: row.count(6)?,
        })
    });
    Ok(UserHead {
        modified: SyncTime::from_hundredths(user.int(0)?),
        is_closed: user.int(1)? != 0,
        collections: collections.collect::<Result<_, Fault>>()?,
        batches: batches.collect::<Result<_, Fault>>()?,
    })
}

fn object(row: &Row) -> Result<Bso, Fault> {
    let text = |column| Ok::<_, Fault>(row.blob_text(column)?.map(str::to_owned));
    Ok(Bso {
        id: ObjectId::new(row.text(0)?).map_err(|_| Corrupt("the id of an object"))?,
        modified: SyncTime::from_hundredths(row.int(1)?),
        sortindex: row.number(2)?,
        expiry: row.number(3)?.map(SyncTime::from_hundredths),
        parent_id: text(4)?,
        predecessor_id: text(5)?,
        payload: text(6)?.unwrap_or_default(),
    })
}

fn name(row: &Row, column: usize) -> Result<CollectionName, Fault> {
    CollectionName::new(row.text(column)?).map_err(|_| Corrupt("a collection's name").into())
}
