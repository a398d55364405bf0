//! Adds the rows of users.

use std::fmt::Write;

use foxden_model::{Bso, SyncTime, UserId};

use super::{HALF, SqlRows};
use crate::engine::EngineError;
use crate::engine::movable::{Barred, MoveKeys, MovedPart, UserHead};
#[cfg(feature = "mysql")]
use crate::engine::sql::connection::bytes;
use crate::engine::sql::connection::{Arg, Connection, Dialect, int};
use crate::engine::sql::guard::new_mark;
#[cfg(feature = "mysql")]
use crate::engine::sql::id_list::placeholders;

/// The sizes of statements for MySQL. A statement is prepared for each on each connection, so that there are few.
#[cfg(feature = "mysql")]
const SIZES: [usize; 6] = [500, 100, 32, 8, 3, 1];

impl SqlRows {
    pub(super) async fn insert_user(&self, user: UserId, head: &UserHead) -> Result<MoveKeys, EngineError> {
        let uid = user.0.cast_signed();
        let found = "SELECT closed, next_number FROM moving_user WHERE uid = ?";
        let found = self.fetch(found, &[int(uid)]).await?;
        let (mut script, first) = match found.first() {
            None => (String::new(), 1),
            Some(row) if self.fault(row.int(0))? == HALF => (drop_user(uid), self.fault(row.int(1))?),
            Some(_) => return Err(Barred("the user is there already").into()),
        };
        let number = |count: usize| first.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        let (collections, all) = (
            head.collections.len(),
            head.collections.len() + head.batches.len(),
        );
        let keys = MoveKeys {
            collections: (first..number(collections)).collect(),
            batches: (number(collections)..number(all)).collect(),
        };
        // Writing to a text cannot fail.
        let _ = write!(
            script,
            "INSERT INTO moving_user (uid, modified, closed, mark, next_number) VALUES ({uid}, {}, {HALF}, 0, {})",
            head.modified.hundredths(),
            number(all)
        );
        for (collection, key) in head.collections.iter().zip(&keys.collections) {
            // The letters of such a name need no quoting.
            let _ = write!(
                script,
                "; INSERT INTO moving_collection (uid, name, number, modified, objects, bytes) \
                 VALUES ({uid}, '{}', {key}, {}, 0, 0)",
                collection.name,
                collection.modified.hundredths()
            );
        }
        self.change(&script).await?;
        for (batch, key) in head.batches.iter().zip(&keys.batches) {
            let sql = "INSERT INTO moving_batch (uid, number, name, collection, opened, ended, parts, objects, bytes, mark)
                       VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, 0)";
            let args = [
                int(uid),
                int(*key),
                Arg::Text(&batch.name),
                Arg::Text(batch.collection.as_str()),
                int(batch.opened.hundredths()),
                int(batch.parts.cast_signed()),
                int(batch.objects.cast_signed()),
                int(batch.bytes.cast_signed()),
            ];
            self.insert(sql, &args).await?;
        }
        Ok(keys)
    }

    /// Executes one statement in a fenced transaction.
    async fn insert(&self, sql: &str, args: &[Arg<'_>]) -> Result<(), EngineError> {
        let mut connection = self.fenced().await?;
        let inserted = connection.execute(sql, args).await;
        self.fault(inserted)?;
        self.commit(connection).await
    }

    async fn commit(&self, mut connection: Connection) -> Result<(), EngineError> {
        let committed = connection.script("COMMIT".to_owned()).await;
        self.fault(committed)?;
        connection.give_back();
        Ok(())
    }

    pub(super) async fn insert_objects(
        &self,
        user: UserId,
        objects: &[(i64, Bso)],
    ) -> Result<(), EngineError> {
        let uid = user.0.cast_signed();
        match self.server.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => self.insert(UNNEST, &arrays(uid, objects)).await,
            #[cfg(feature = "mysql")]
            Dialect::Mysql => self.insert_values(uid, objects).await,
        }
    }

    /// Inserts objects with few statements, in one transaction.
    #[cfg(feature = "mysql")]
    async fn insert_values(&self, uid: i64, objects: &[(i64, Bso)]) -> Result<(), EngineError> {
        let mut connection = self.fenced().await?;
        let mut rest = objects;
        while let Some(size) = SIZES.into_iter().find(|size| *size <= rest.len()) {
            let (rows, later) = rest.split_at(size);
            rest = later;
            let sql = format!(
                "INSERT INTO moving_object
                 (uid, collection, id, modified, expiry, sortindex, size, parent_id, predecessor_id, payload) VALUES {}",
                placeholders("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows.len())
            );
            let mut args = Vec::with_capacity(rows.len() * 10);
            for (collection, object) in rows {
                args.extend(values(uid, *collection, object));
            }
            let inserted = connection.execute(&sql, &args).await;
            self.fault(inserted)?;
        }
        self.commit(connection).await
    }

    pub(super) async fn insert_parts(
        &self,
        user: UserId,
        batch: i64,
        parts: &[MovedPart],
    ) -> Result<(), EngineError> {
        for part in parts {
            let sql = "INSERT INTO moving_part (uid, batch, part, patches) VALUES (?, ?, ?, ?)";
            let args = [
                int(user.0.cast_signed()),
                int(batch),
                int(part.number),
                Arg::Bytes(Some(&part.patches)),
            ];
            self.insert(sql, &args).await?;
        }
        Ok(())
    }

    pub(super) async fn complete_user(&self, user: UserId, head: &UserHead) -> Result<(), EngineError> {
        let uid = user.0.cast_signed();
        let mut script = String::new();
        for collection in &head.collections {
            // Writing to a text cannot fail.
            let _ = write!(
                script,
                "UPDATE moving_collection SET objects = {}, bytes = {} WHERE uid = {uid} AND name = '{}'; ",
                collection.objects, collection.bytes, collection.name
            );
        }
        let _ = write!(
            script,
            "UPDATE moving_user SET closed = {}, mark = {} WHERE uid = {uid}",
            i32::from(head.is_closed),
            new_mark(&*self.rng)
        );
        self.change(&script).await
    }
}

/// Drops what an interrupted move left of a user, as engines drop collections and batches: their purge removes the rows.
fn drop_user(uid: i64) -> String {
    format!(
        "INSERT INTO moving_dropped (uid, collection) SELECT uid, number FROM moving_collection WHERE uid = {uid}; \
         DELETE FROM moving_collection WHERE uid = {uid}; \
         UPDATE moving_batch SET ended = 1 WHERE uid = {uid}; \
         DELETE FROM moving_user WHERE uid = {uid}; "
    )
}

/// Inserts objects from arrays.
#[cfg(feature = "postgres")]
const UNNEST: &str = "
INSERT INTO moving_object (uid, collection, id, modified, expiry, sortindex, size, parent_id, predecessor_id, payload)
SELECT ?, collection, id, modified, expiry, sortindex, octet_length(payload), parent_id, predecessor_id, payload
FROM unnest(?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bytea[], ?::bytea[], ?::bytea[])
    AS g (collection, id, modified, expiry, sortindex, parent_id, predecessor_id, payload)";

#[cfg(feature = "postgres")]
fn arrays(uid: i64, objects: &[(i64, Bso)]) -> [Arg<'_>; 9] {
    let ints = |number: fn(&(i64, Bso)) -> Option<i64>| Arg::Ints(objects.iter().map(number).collect());
    let blobs = |text: fn(&Bso) -> Option<&str>| {
        let texts = objects.iter().map(|(_, object)| text(object).map(str::as_bytes));
        Arg::Blobs(texts.collect())
    };
    [
        int(uid),
        ints(|(collection, _)| Some(*collection)),
        Arg::Texts(objects.iter().map(|(_, object)| object.id.as_str()).collect()),
        ints(|(_, object)| Some(object.modified.hundredths())),
        ints(|(_, object)| object.expiry.map(SyncTime::hundredths)),
        ints(|(_, object)| object.sortindex),
        blobs(|object| object.parent_id.as_deref()),
        blobs(|object| object.predecessor_id.as_deref()),
        blobs(|object| Some(&object.payload)),
    ]
}

#[cfg(feature = "mysql")]
fn values(uid: i64, collection: i64, object: &Bso) -> [Arg<'_>; 10] {
    [
        int(uid),
        int(collection),
        Arg::Text(object.id.as_str()),
        int(object.modified.hundredths()),
        Arg::Int(object.expiry.map(SyncTime::hundredths)),
        Arg::Int(object.sortindex),
        int(i64::try_from(object.payload.len()).unwrap_or(i64::MAX)),
        Arg::Bytes(bytes(object.parent_id.as_deref())),
        Arg::Bytes(bytes(object.predecessor_id.as_deref())),
        Arg::Bytes(Some(object.payload.as_bytes())),
    ]
}
