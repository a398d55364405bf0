//! The rows of a database, for a move to or from another engine.
//!
//! All statements but those of the [flag] are on the tables of a flagged store. A user who is half there has the number [`HALF`]
//! in the place of whether the store is closed.

mod export;
mod flag;
mod import;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use async_trait::async_trait;
use foxden_model::{Bso, ObjectId, Rng, UserId};
use foxden_sql::server::fault::{Fault as Class, classify};
use foxden_sql::server::{ServerLook, ServerUrl};
use foxden_sql::{MOVED, SqlError};

use super::connection::{Arg, Row};
use super::fault::Fault;
use super::server::{MIGRATIONS, Server};
use crate::engine::EngineError;
use crate::engine::movable::{
    CollectionHead, MovableError, MovableStore, MoveFlag, MoveKeys, MoveSide, MoveTotals, MovedAway,
    MovedPart, ObjectsPage, UserHead,
};

/// The purpose of the connections, which the server lists.
const ROLE: &str = "move";
/// The value of `closed` of a user who is half there.
const HALF: i64 = 2;
/// How many users are moved at once.
const CONCURRENCY: usize = 4;

/// The tables of a database, for a move.
pub(in crate::engine) struct SqlRows {
    server: Server,
    rng: Arc<dyn Rng>,
    concurrency: usize,
    /// The random number of this run, once it has flagged the store; else zero.
    run: AtomicI64,
}

impl SqlRows {
    /// Connects, checks the server and that no other session uses the database, and creates or migrates the tables of a store that
    /// is not flagged.
    pub(in crate::engine) async fn open(
        url: &ServerUrl,
        side: MoveSide,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, MovableError> {
        let refused = |source| MovableError::Server {
            place: url.to_string(),
            source,
        };
        if side != MoveSide::To {
            match ServerLook::at(url, MIGRATIONS).await {
                Ok(look) if look.found == 0 => return Err(MovableError::Missing(url.to_string())),
                Ok(_) | Err(SqlError::Moved) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        let server = Server::connect(url, ROLE).await.map_err(refused)?;
        let pool = usize::try_from(url.pool()).unwrap_or(1);
        let rows = Self {
            server,
            rng,
            // Each user takes a connection.
            concurrency: pool.clamp(1, CONCURRENCY),
            run: AtomicI64::new(0),
        };
        sessions::check(&rows, url).await?;
        match rows.server.migrate().await {
            Ok(()) => {}
            // It is opened to engines as it is, and migrated by them.
            Err(SqlError::Moved) if side == MoveSide::GivingUp => {}
            Err(SqlError::Moved) => rows.check_release(url).await?,
            Err(error) => return Err(refused(error)),
        }
        Ok(rows)
    }

    /// What becomes of the objects of a flagged store.
    pub(in crate::engine) async fn moved(url: &ServerUrl, rng: Arc<dyn Rng>) -> Result<MovedAway, SqlError> {
        let rows = Self {
            server: Server::connect(url, "check").await?,
            rng,
            concurrency: 1,
            run: AtomicI64::new(0),
        };
        let flag = rows.read_flag().await;
        rows.server.close().await;
        Ok(MovedAway::of(flag.unwrap_or_default()))
    }

    /// Refuses a store that was flagged by a program with other tables.
    async fn check_release(&self, url: &ServerUrl) -> Result<(), MovableError> {
        let place = url.to_string();
        let version = self.version().await;
        let found = version.map_err(|source| MovableError::Engine {
            place: place.clone(),
            source,
        })? % MOVED;
        let known = self.server.known_version();
        if found != known {
            return Err(MovableError::OtherRelease { place, found, known });
        }
        Ok(())
    }

    /// The rows of one statement.
    async fn fetch(&self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, EngineError> {
        let mut connection = self.server.acquire_alone().await?;
        let rows = connection.fetch(sql, args).await;
        let rows = self.fault(rows)?;
        let ended = connection.end_alone().await;
        self.fault(ended)?;
        Ok(rows)
    }

    /// Sends several statements without values in one transaction; returns the rows of each.
    async fn script(&self, statements: &str) -> Result<Vec<Vec<Row>>, EngineError> {
        let mut connection = self.server.acquire().await?;
        let begin = self.begin_text(&connection);
        // A script that sets options first begins with several answers.
        let before = begin.split(';').count();
        let answers = connection.script(format!("{begin}; {statements}; COMMIT")).await;
        let mut answers = self.fault(answers)?;
        connection.give_back();
        answers.drain(..before.min(answers.len()));
        Ok(answers)
    }

    fn fault<T>(&self, answer: Result<T, Fault>) -> Result<T, EngineError> {
        answer.map_err(|fault| self.error(fault))
    }

    /// The error for a fault. Unlike that of a client's request it says what the server said.
    fn error(&self, fault: Fault) -> EngineError {
        let Fault::Server(error) = &fault else {
            return self.server.error(fault);
        };
        let cure = match classify(error) {
            Class::Repeat | Class::Busy => {
                "the server is busy, or another session has locked the tables, as a backup does: wait for its end"
            }
            Class::Privilege => {
                "a move gives the tables other names: let the user own them (PostgreSQL: ALTER TABLE … OWNER TO), or have all rights on \
                 the database (MariaDB: GRANT ALL)"
            }
            _ => return self.server.error(fault),
        };
        let cause = error
            .as_database_error()
            .map_or_else(|| error.to_string(), |error| error.message().to_owned());
        EngineError::Unavailable(Box::new(SqlError::Unsuitable {
            cause,
            cure: cure.to_owned(),
        }))
    }
}

#[async_trait]
impl MovableStore for SqlRows {
    async fn flag(&self) -> Result<Option<MoveFlag>, EngineError> {
        self.read_flag().await
    }

    async fn set_flag(&self, flag: Option<&MoveFlag>) -> Result<(), EngineError> {
        match flag {
            Some(flag) => self.close_to_engines(flag).await,
            None => self.open_to_engines().await,
        }
    }

    async fn is_empty(&self) -> Result<bool, EngineError> {
        let sql = "SELECT 1 FROM sync_user WHERE modified > 0 UNION ALL SELECT 1 FROM sync_batch WHERE ended = 0 LIMIT 1";
        Ok(self.fetch(sql, &[]).await?.is_empty())
    }

    async fn clear(&self) -> Result<(), EngineError> {
        let mut tables = Vec::new();
        for table in flag::TABLES {
            // A store that another release flagged may have others.
            if self.has_table(&format!("moving_{table}")).await? {
                tables.push(format!("TRUNCATE TABLE moving_{table}"));
            }
        }
        self.change(&tables.join("; ")).await
    }

    async fn totals(&self) -> Result<MoveTotals, EngineError> {
        self.read_totals().await
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        self.read_users(after, limit).await
    }

    async fn head(&self, user: UserId) -> Result<UserHead, EngineError> {
        self.read_head(user).await
    }

    async fn objects(
        &self,
        user: UserId,
        collection: &CollectionHead,
        after: Option<&ObjectId>,
    ) -> Result<ObjectsPage, EngineError> {
        self.read_objects(user, collection, after).await
    }

    async fn parts(&self, user: UserId, batch: i64, after: i64) -> Result<Vec<MovedPart>, EngineError> {
        self.read_parts(user, batch, after).await
    }

    async fn begin_user(&self, user: UserId, head: &UserHead) -> Result<MoveKeys, EngineError> {
        self.insert_user(user, head).await
    }

    async fn add_objects(&self, user: UserId, objects: Vec<(i64, Bso)>) -> Result<(), EngineError> {
        self.insert_objects(user, &objects).await
    }

    async fn add_parts(&self, user: UserId, batch: i64, parts: Vec<MovedPart>) -> Result<(), EngineError> {
        self.insert_parts(user, batch, &parts).await
    }

    async fn finish_user(&self, user: UserId, head: &UserHead) -> Result<(), EngineError> {
        self.complete_user(user, head).await
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    async fn close(&self) {
        self.server.close().await;
    }
}
