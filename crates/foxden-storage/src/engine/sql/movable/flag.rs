//! The flag of a move on a database server.
//!
//! While a store is flagged, its tables have other names: a program that has the database open, whatever stands between, can neither
//! read nor write a row from then on, and pays nothing before. The version of the tables keeps programs from opening it anew. The flag
//! also names the run of `foxden migrate` that has the store: each transaction of a run begins with a look at it, so that a run which
//! was forgotten changes nothing once another one has begun.

use std::sync::atomic::Ordering;

use foxden_sql::MOVED;

use super::{HALF, SqlRows};
use crate::engine::movable::{Barred, MoveFlag, MoveRole};
use crate::engine::sql::connection::{Arg, Connection, Dialect, Row, int};
use crate::engine::sql::fault::Fault;
use crate::engine::sql::guard::new_mark;
use crate::engine::sql::server::MIGRATIONS;
use crate::engine::{Corrupt, EngineError};

/// The tables of an engine with the rows of users: `sync_…` for engines, `moving_…` while they are moved.
pub(super) const TABLES: [&str; 6] = ["user", "collection", "object", "batch", "part", "dropped"];
/// The table with the agreement on a cache. It has another name as well, so that a cache which is in use is looked for in vain and read
/// no more; its row stays, with a higher version.
const CACHE: &str = "cache";

/// Withdraws a cache that processes have agreed on: no entry from before the move is used after it. The first writer then waits until no
/// process can read the old entries any more.
const WITHDRAW_CACHE: &str = "UPDATE moving_cache SET version = version + 1, epoch = 0, cache = 0,
    phase = CASE WHEN phase = 0 THEN 0 ELSE 3 END";

impl SqlRows {
    /// Reads the flag; `None` if there is none.
    pub(super) async fn read_flag(&self) -> Result<Option<MoveFlag>, EngineError> {
        if self.version().await? < MOVED {
            return Ok(None);
        }
        let damaged = || Corrupt("the flag of a move");
        let rows = self.fetch("SELECT id, role, peer FROM sync_move", &[]).await?;
        let row = rows.first().ok_or_else(damaged)?;
        let text = |column| self.fault(row.text(column));
        Ok(Some(MoveFlag {
            id: text(0)?.to_owned(),
            role: MoveRole::of(text(1)?).ok_or_else(damaged)?,
            peer: text(2)?.to_owned(),
        }))
    }

    /// The version of the tables, which are there.
    pub(super) async fn version(&self) -> Result<i64, EngineError> {
        let version = format!("SELECT version FROM {}", MIGRATIONS.table);
        let rows = self.fetch(&version, &[]).await?;
        let row = rows.first().ok_or(Corrupt("the version of the tables"))?;
        self.fault(row.int(0))
    }

    /// Sets the flag. Each step may be repeated after an interruption.
    pub(super) async fn close_to_engines(&self, flag: &MoveFlag) -> Result<(), EngineError> {
        let create = match self.server.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                "CREATE TABLE IF NOT EXISTS sync_move (one bigint PRIMARY KEY, id text NOT NULL, role text NOT NULL,
                 peer text NOT NULL, run bigint NOT NULL)"
            }
            // The second statement fails for a user who may not rename tables, before anything is flagged.
            #[cfg(feature = "mysql")]
            Dialect::Mysql => {
                "CREATE TABLE IF NOT EXISTS sync_move (one bigint NOT NULL PRIMARY KEY, id varbinary(64) NOT NULL,
                 role varbinary(64) NOT NULL, peer varbinary(2000) NOT NULL, run bigint NOT NULL) ENGINE = InnoDB;
                 RENAME TABLE sync_move TO moving_move, moving_move TO sync_move"
            }
        };
        self.script(create).await?;
        let renames = self.renames("sync", "moving").await?;
        let mut connection = self.server.acquire().await?;
        let claimed = self.claim(&mut connection, flag).await;
        self.fault(claimed)?;
        // MySQL commits the flag before it renames: no program opens the database between.
        let closed = connection
            .script(format!("{renames}{WITHDRAW_CACHE}; COMMIT"))
            .await;
        self.fault(closed)?;
        connection.give_back();
        Ok(())
    }

    /// Writes the flag in a transaction that stays open, and takes the store over from an earlier run of the same move.
    async fn claim(&self, connection: &mut Connection, flag: &MoveFlag) -> Result<(), Fault> {
        let begin = self.begin_text(connection);
        let version = format!("{begin}; SELECT version FROM {} FOR UPDATE", MIGRATIONS.table);
        let version = first(&connection.script(version).await?).map_or(Ok(0), |row| row.int(0))?;
        let own = self.run.load(Ordering::SeqCst);
        let run = if own == 0 {
            (new_mark(&*self.rng) & i64::MAX).max(1)
        } else {
            own
        };
        if version < MOVED {
            // A move that has ended may have left it.
            connection.execute("DELETE FROM sync_move", &[]).await?;
            let raise = format!("UPDATE {} SET version = version + {MOVED}", MIGRATIONS.table);
            connection.execute(&raise, &[]).await?;
        } else {
            let held = connection
                .fetch("SELECT id, run FROM sync_move FOR UPDATE", &[])
                .await?;
            let held = held.first().ok_or(Corrupt("the flag of a move"))?;
            if held.text(0)? != flag.id {
                return Err(EngineError::from(Barred("another move has begun with this store")).into());
            }
            if own != 0 && held.int(1)? != own {
                return Err(taken_over().into());
            }
            connection.execute("DELETE FROM sync_move", &[]).await?;
        }
        let insert = "INSERT INTO sync_move (one, id, role, peer, run) VALUES (1, ?, ?, ?, ?)";
        let args = [
            Arg::Text(&flag.id),
            Arg::Text(flag.role.word()),
            Arg::Text(&flag.peer),
            int(run),
        ];
        connection.execute(insert, &args).await?;
        self.run.store(run, Ordering::SeqCst);
        Ok(())
    }

    /// Removes the flag. Each step may be repeated after an interruption. Users who were here before get another mark: a write that was
    /// under way when the store was closed, behind a pooler perhaps, would land once the tables have their names again.
    pub(super) async fn open_to_engines(&self) -> Result<(), EngineError> {
        let lower = format!(
            "UPDATE {} SET version = version - {MOVED} WHERE version >= {MOVED}",
            MIGRATIONS.table
        );
        let renames = self.renames("moving", "sync").await?;
        let mut connection = self.fenced().await?;
        let mut marks = String::new();
        if self.has_table("moving_user").await? {
            let half = format!("SELECT uid FROM moving_user WHERE closed = {HALF} LIMIT 1");
            let half = connection.fetch(&half, &[]).await;
            if !self.fault(half)?.is_empty() {
                return Err(Barred("it has a user who is only half there").into());
            }
            marks = format!(
                "UPDATE moving_user SET mark = {} WHERE EXISTS (SELECT 1 FROM sync_move WHERE role <> '{}'); ",
                new_mark(&*self.rng),
                MoveRole::Arrived.word()
            );
        }
        let opened = connection
            .script(format!(
                "{marks}{renames}{lower}; DROP TABLE IF EXISTS sync_move; COMMIT"
            ))
            .await;
        self.fault(opened)?;
        connection.give_back();
        self.run.store(0, Ordering::SeqCst);
        Ok(())
    }

    /// A connection with a transaction that is to end with `COMMIT`: until then no other run takes the store over.
    pub(super) async fn fenced(&self) -> Result<Connection, EngineError> {
        let mut connection = self.server.acquire().await?;
        let share = match self.server.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "FOR SHARE",
            #[cfg(feature = "mysql")]
            Dialect::Mysql => "LOCK IN SHARE MODE",
        };
        let begin = self.begin_text(&connection);
        let answers = connection
            .script(format!("{begin}; SELECT run FROM sync_move {share}"))
            .await;
        let answers = self.fault(answers)?;
        let run = first(&answers).map(|row| row.int(0)).transpose();
        if self.fault(run)? != Some(self.run.load(Ordering::SeqCst)) {
            return Err(taken_over());
        }
        Ok(connection)
    }

    /// Sends statements without values in one fenced transaction.
    pub(super) async fn change(&self, statements: &str) -> Result<(), EngineError> {
        let mut connection = self.fenced().await?;
        let changed = connection.script(format!("{statements}; COMMIT")).await;
        self.fault(changed)?;
        connection.give_back();
        Ok(())
    }

    /// The script that begins a transaction which waits for no lock of a table for long.
    pub(super) fn begin_text(&self, connection: &Connection) -> String {
        match self.server.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => connection.begin_text().to_owned(),
            #[cfg(feature = "mysql")]
            Dialect::Mysql => format!("SET SESSION lock_wait_timeout = 5; {}", connection.begin_text()),
        }
    }

    /// Statements, each with a semicolon, that give those tables other names that do not have them yet.
    async fn renames(&self, from: &str, to: &str) -> Result<String, EngineError> {
        let mut pairs = Vec::new();
        for table in TABLES.into_iter().chain([CACHE]) {
            let (from, to) = (format!("{from}_{table}"), format!("{to}_{table}"));
            if self.has_table(&from).await? {
                pairs.push((from, to));
            }
        }
        if pairs.is_empty() {
            return Ok(String::new());
        }
        let renames = pairs.iter().map(|(from, to)| match self.server.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!("ALTER TABLE {from} RENAME TO {to}; "),
            #[cfg(feature = "mysql")]
            Dialect::Mysql => format!(", {from} TO {to}"),
        });
        let renames: String = renames.collect();
        Ok(match self.server.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => renames,
            #[cfg(feature = "mysql")]
            Dialect::Mysql => format!("RENAME TABLE {}; ", renames.trim_start_matches(", ")),
        })
    }

    pub(super) async fn has_table(&self, name: &str) -> Result<bool, EngineError> {
        let sql = match self.server.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "SELECT CASE WHEN to_regclass(?) IS NULL THEN 0 ELSE 1 END::bigint",
            #[cfg(feature = "mysql")]
            Dialect::Mysql => {
                "SELECT CAST(COUNT(*) AS signed) FROM information_schema.tables
                 WHERE table_schema = DATABASE() AND table_name = ?"
            }
        };
        let rows = self.fetch(sql, &[Arg::Text(name)]).await?;
        Ok(self.fault(rows.first().map_or(Ok(0), |row| row.int(0)))? > 0)
    }
}

/// The first row of the last answer.
fn first(answers: &[Vec<Row>]) -> Option<&Row> {
    answers.last().and_then(|rows| rows.first())
}

fn taken_over() -> EngineError {
    Barred("another run of this move has taken over").into()
}

#[cfg(test)]
mod tests {
    use super::{CACHE, MIGRATIONS, TABLES};

    /// A table that keeps its name would be served, and written, while users are moved.
    #[test]
    fn every_table_is_renamed() {
        for migrations in [MIGRATIONS.postgres, MIGRATIONS.mysql] {
            let created = migrations
                .iter()
                .flat_map(|migration| migration.statements.split("CREATE TABLE ").skip(1));
            let created = created.map(|rest| rest.trim_start_matches("IF NOT EXISTS "));
            let mut created: Vec<&str> = created.filter_map(|rest| rest.split(' ').next()).collect();
            let renamed = TABLES.into_iter().chain([CACHE]);
            let mut renamed: Vec<_> = renamed.map(|table| format!("sync_{table}")).collect();
            created.sort_unstable();
            renamed.sort_unstable();
            assert_eq!(created, renamed);
        }
    }
}
