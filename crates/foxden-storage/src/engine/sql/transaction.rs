//! A transaction on one user's data: the user's row is locked first, so that writers of one user queue and cannot deadlock.

use std::fmt::Write;

use foxden_model::{SyncTime, UserId};

#[cfg(feature = "mysql")]
use super::connection::Executed;
use super::connection::{Arg, Connection, Dialect, Row};
use super::fault::Fault;
#[cfg(feature = "mysql")]
use super::id_list::{padded, padded_ids, placeholders};
use super::state::{Batch, Collection, UserState};
use crate::engine::Corrupt;
use crate::pass::Landing;

/// How long, in milliseconds, a transaction may hold the lock before it commits. The server ends a transaction whose client is
/// silent for three and a half seconds. Together they are less than [`super::AS_OF_SECONDS`].
const MAX_MILLIS: i64 = 6000;

/// An open transaction that holds the lock of a user's row. Dropped without an end, its connection is closed.
pub(super) struct UserTransaction {
    pub(super) connection: Connection,
    pub(super) dialect: Dialect,
    user: i64,
    pub(super) state: UserState,
    /// When it got the lock, by the steady clock.
    began: i64,
    /// What must hold when it commits.
    pub(super) landing: Option<Landing>,
    /// Whether no change was seen that may not be acknowledged yet.
    pub(super) was_known: bool,
    /// The statements that are sent together with the commit. They consist of numbers and of names that need no quoting.
    script: String,
    /// What `LAST_INSERT_ID` is: the rows that upserts have replaced, and their sizes.
    #[cfg(feature = "mysql")]
    replaced: u64,
}

impl UserTransaction {
    /// Begins a transaction and locks the user's row, which is created if it is missing. The state is read by statements that
    /// begin after the lock is held: a statement that waits for the lock would show what it saw before. A state that is known
    /// is taken if the row still has its mark.
    pub(super) async fn begin(
        mut connection: Connection,
        dialect: Dialect,
        user: UserId,
        known: Option<&UserState>,
        steady_millis: impl Fn() -> i64,
    ) -> Result<Self, Fault> {
        let user = user.0.cast_signed();
        let lock = format!(
            "SELECT {} FROM sync_user WHERE uid = {user} FOR UPDATE",
            user_columns(dialect)
        );
        let rest = format!(
            "SELECT number, name, modified, objects, bytes FROM sync_collection WHERE uid = {user} ORDER BY name; \
             SELECT number, name, collection, opened, parts, objects, bytes, mark FROM sync_batch \
             WHERE uid = {user} AND ended = 0 ORDER BY number"
        );
        let mut script = format!("{}; {lock}", connection.begin_text());
        if known.is_none() {
            script = format!("{script}; {rest}");
        }
        let mut answers = connection.script(script).await?;
        let (mut state, mut was_known) = (None, false);
        if let Some(known) = known {
            if UserState::mark(&answers)? == Some(known.mark) {
                state = Some(known.clone());
                was_known = true;
            } else {
                answers.extend(connection.script(rest.clone()).await?);
            }
        }
        if state.is_none() {
            state = UserState::read(&answers)?;
        }
        if state.is_none() {
            let insert = format!(
                "INSERT INTO sync_user (uid, modified, closed, mark, next_number) VALUES ({user}, 0, 0, 0, 1)"
            );
            let insert = match dialect {
                #[cfg(feature = "postgres")]
                Dialect::Postgres => format!("{insert} ON CONFLICT DO NOTHING; {lock}; {rest}"),
                #[cfg(feature = "mysql")]
                Dialect::Mysql => format!("{insert} ON DUPLICATE KEY UPDATE uid = uid; {lock}; {rest}"),
            };
            answers = connection.script(insert).await?;
            state = UserState::read(&answers)?;
            // There is nothing to be seen.
            was_known = state.as_ref().is_some_and(|state| state.mark == 0);
        }
        let state = state.ok_or(Corrupt("the row of a user"))?;
        Ok(Self {
            connection,
            dialect,
            user,
            began: steady_millis(),
            landing: None,
            was_known,
            script: String::new(),
            #[cfg(feature = "mysql")]
            replaced: 0,
            state,
        })
    }

    /// Adds a collection.
    pub(super) fn insert_collection(&mut self, collection: &Collection) {
        let (user, listed) = (self.user, &collection.listed);
        self.send(format_args!(
            "INSERT INTO sync_collection (uid, name, number, modified, objects, bytes) \
             VALUES ({user}, '{}', {}, {}, {}, {})",
            listed.name,
            collection.number,
            listed.modified.hundredths(),
            listed.count,
            listed.bytes
        ));
    }

    /// Stores the time and the counts of a collection.
    pub(super) fn update_collection(&mut self, collection: &Collection) {
        let (user, listed) = (self.user, &collection.listed);
        self.send(format_args!(
            "UPDATE sync_collection SET modified = {}, objects = {}, bytes = {} WHERE uid = {user} AND name = '{}'",
            listed.modified.hundredths(),
            listed.count,
            listed.bytes,
            listed.name
        ));
    }

    /// Takes expired objects off the counts of a collection, given by its number. A deleted collection has no counts.
    pub(super) fn discount(&mut self, collection: i64, objects: i64, bytes: i64) {
        let mut collections = self.state.collections.iter_mut();
        if let Some(found) = collections.find(|found| found.number == collection) {
            found.adjust(-objects, -bytes);
            let found = *found;
            self.update_collection(&found);
        }
    }

    /// Removes a collection, whose objects a purge will remove.
    pub(super) fn drop_collection(&mut self, collection: &Collection) {
        let user = self.user;
        self.send(format_args!(
            "DELETE FROM sync_collection WHERE uid = {user} AND name = '{}'; \
             INSERT INTO sync_dropped (uid, collection) VALUES ({user}, {})",
            collection.listed.name, collection.number
        ));
    }

    /// Adds a batch.
    pub(super) fn insert_batch(&mut self, batch: Batch) {
        let user = self.user;
        // The name of a batch that a client sent is never written.
        self.send(format_args!(
            "INSERT INTO sync_batch (uid, number, name, collection, opened, ended, parts, objects, bytes, mark) \
             VALUES ({user}, {}, '{}', '{}', {}, 0, {}, {}, {}, {})",
            batch.number,
            batch.name.0,
            batch.collection,
            batch.opened.hundredths(),
            batch.parts,
            batch.usage.objects,
            batch.usage.bytes,
            batch.mark
        ));
        self.state.batches.push(batch);
    }

    /// Stores the counts of a batch.
    pub(super) fn update_batch(&mut self, batch: Batch) {
        let user = self.user;
        self.send(format_args!(
            "UPDATE sync_batch SET parts = {}, objects = {}, bytes = {}, mark = {} \
             WHERE uid = {user} AND number = {}",
            batch.parts, batch.usage.objects, batch.usage.bytes, batch.mark, batch.number
        ));
        let mut batches = self.state.batches.iter_mut();
        if let Some(found) = batches.find(|found| found.number == batch.number) {
            *found = batch;
        }
    }

    /// Ends a batch, whose parts a purge will remove.
    pub(super) fn end_batch(&mut self, number: i64) {
        let user = self.user;
        self.send(format_args!(
            "UPDATE sync_batch SET ended = 1 WHERE uid = {user} AND number = {number}"
        ));
        self.state.batches.retain(|batch| batch.number != number);
    }

    /// Returns the rows of a statement, whose first value is the user.
    pub(super) async fn fetch(&mut self, sql: &str, args: Vec<Arg<'_>>) -> Result<Vec<Row>, Fault> {
        self.connection.fetch(sql, &with_user(self.user, args)).await
    }

    /// Executes a statement, whose first value is the user.
    pub(super) async fn execute(&mut self, sql: &str, args: Vec<Arg<'_>>) -> Result<(), Fault> {
        let executed = self.connection.execute(sql, &with_user(self.user, args)).await;
        executed.map(drop)
    }

    /// What an upsert has added to `LAST_INSERT_ID`. The server tells its value if anything was added.
    #[cfg(feature = "mysql")]
    pub(super) fn replaced(&mut self, upsert: &Executed) -> u64 {
        let now = upsert.last_insert_id.max(self.replaced);
        now - std::mem::replace(&mut self.replaced, now)
    }

    /// Deletes objects of a collection by their ids.
    pub(super) async fn delete(&mut self, collection: i64, ids: &[&str]) -> Result<(), Fault> {
        let (list, ids) = self.id_list(ids);
        let sql = format!("DELETE FROM sync_object WHERE uid = ? AND collection = ? AND id {list}");
        let mut args = vec![Arg::Int(Some(collection))];
        args.extend(ids);
        self.execute(&sql, args).await
    }

    /// Deletes those of the objects that expired until a time.
    pub(super) async fn delete_expired(
        &mut self,
        collection: i64,
        ids: &[&str],
        until: SyncTime,
    ) -> Result<(), Fault> {
        let (list, ids) = self.id_list(ids);
        let sql =
            format!("DELETE FROM sync_object WHERE uid = ? AND collection = ? AND expiry <= ? AND id {list}");
        let mut args = vec![Arg::Int(Some(collection)), Arg::Int(Some(until.hundredths()))];
        args.extend(ids);
        self.execute(&sql, args).await
    }

    /// Returns the number and the bytes of those of the objects that expired until a time.
    pub(super) async fn still_expired(
        &mut self,
        collection: i64,
        ids: &[&str],
        until: SyncTime,
    ) -> Result<(i64, i64), Fault> {
        let (list, ids) = self.id_list(ids);
        let sql = format!(
            "SELECT count(*), CAST(coalesce(sum(size), 0) AS {}) FROM sync_object
             WHERE uid = ? AND collection = ? AND expiry <= ? AND id {list}",
            self.dialect.integer()
        );
        let mut args = vec![Arg::Int(Some(collection)), Arg::Int(Some(until.hundredths()))];
        args.extend(ids);
        let rows = self.fetch(&sql, args).await?;
        rows.first()
            .map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
    }

    /// A condition on a list of ids, and its values.
    fn id_list<'a>(&self, ids: &[&'a str]) -> (String, Vec<Arg<'a>>) {
        match self.dialect {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => ("= ANY(?)".to_owned(), vec![Arg::Texts(ids.to_vec())]),
            #[cfg(feature = "mysql")]
            Dialect::Mysql => (
                format!("IN ({})", placeholders("?", padded(ids.len()))),
                padded_ids(ids.iter().copied()).collect(),
            ),
        }
    }

    /// When it got the lock, by the steady clock.
    pub(super) const fn began(&self) -> i64 {
        self.began
    }

    /// The user's number in the tables.
    pub(super) const fn user(&self) -> i64 {
        self.user
    }

    /// Stores the user's row with the mark of this change, commits, and returns the state. An error may mean that the outcome is
    /// unknown.
    pub(super) async fn commit(mut self, now_steady: i64) -> Result<UserState, CommitFault> {
        if now_steady - self.began > MAX_MILLIS {
            self.roll_back().await;
            return Err(CommitFault::NotCommitted(Fault::Overdue));
        }
        let (user, state) = (self.user, &self.state);
        let update = format!(
            "UPDATE sync_user SET modified = {}, closed = {}, mark = {}, next_number = {} WHERE uid = {user}; COMMIT",
            state.modified.hundredths(),
            i32::from(state.is_closed),
            self.dialect.if_lands(self.landing, state.mark),
            state.next_number
        );
        self.send(format_args!("{update}"));
        let script = std::mem::take(&mut self.script);
        match self.connection.script(script).await {
            Ok(_) => {
                self.connection.give_back();
                Ok(self.state)
            }
            // The mark is never NULL but by its condition.
            Err(fault) if self.landing.is_some() && fault.is_about_null() => {
                self.roll_back().await;
                Err(CommitFault::NotCommitted(Fault::PassEnded))
            }
            Err(fault) if fault.committed_nothing() => Err(CommitFault::NotCommitted(fault)),
            Err(fault) => Err(CommitFault::Unknown(fault)),
        }
    }

    /// Rolls back, so that the connection can be used again.
    pub(super) async fn roll_back(mut self) {
        if self.connection.script("ROLLBACK".to_owned()).await.is_ok() {
            self.connection.give_back();
        }
    }

    fn send(&mut self, statement: std::fmt::Arguments<'_>) {
        if !self.script.is_empty() {
            self.script.push_str("; ");
        }
        // Writing to a text cannot fail.
        let _ = self.script.write_fmt(statement);
    }
}

/// The columns of a user's row, as [`UserState::read`] reads them. In MySQL the lock also sets to zero what the upserts of the
/// transaction add to.
const fn user_columns(dialect: Dialect) -> &'static str {
    match dialect {
        #[cfg(feature = "postgres")]
        Dialect::Postgres => "modified, closed, mark, next_number",
        #[cfg(feature = "mysql")]
        Dialect::Mysql => "modified, closed, mark, next_number, LAST_INSERT_ID(0)",
    }
}

/// Why a commit failed.
pub(super) enum CommitFault {
    /// Nothing was committed.
    NotCommitted(Fault),
    /// The answer was lost.
    Unknown(Fault),
}

fn with_user(user: i64, args: Vec<Arg<'_>>) -> Vec<Arg<'_>> {
    let mut all = Vec::with_capacity(args.len() + 1);
    all.push(Arg::Int(Some(user)));
    all.extend(args);
    all
}
