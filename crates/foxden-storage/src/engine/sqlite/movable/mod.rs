//! The rows of the files, for a move to or from another engine.
//!
//! No thread or cache of the engine is involved: the folder is locked, and the connections that write also read. A user who is half
//! there has the number [`HALF`] in the place of whether the store is closed.

mod export;
pub(super) mod flag;
mod import;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::{Bso, ObjectId, UserId};
use foxden_sql::FolderLock;
use rusqlite::Connection;

use super::errors::EngineFault;
use super::open::{self, OpenError, Purpose};
use super::select::FileId;
use super::shard_of;
use crate::engine::EngineError;
use crate::engine::movable::{
    Barred, CollectionHead, MovableStore, MoveFlag, MoveKeys, MoveSide, MoveTotals, MovedPart, ObjectsPage,
    UserHead,
};

/// The value of `store.closed` of a user who is half there.
const HALF: i64 = 2;
/// The pages of the WAL after which it is copied into the file.
const WAL_PAGES: i64 = 1000;

/// The files of a folder, for a move. Work that goes on after its caller has gone keeps the folder locked.
pub(in crate::engine) struct SqliteRows(Arc<Folder>);

struct Folder {
    files: Vec<File>,
    /// `None` after `close`. It ends after the files.
    lock: Mutex<Option<FolderLock>>,
}

/// The connection of a file; `None` after it was closed.
type File = Mutex<Option<Connection>>;

/// The id of a file.
pub(super) fn id_of(connection: &Connection) -> rusqlite::Result<FileId> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

impl SqliteRows {
    /// Opens the files, and creates them if the folder is new.
    pub(in crate::engine) fn open(folder: &Path, count: u32, side: MoveSide) -> Result<Self, OpenError> {
        let purpose = match side {
            MoveSide::From | MoveSide::To => Purpose::Moving,
            MoveSide::GivingUp => Purpose::GivingUp,
        };
        let (lock, opened) = open::open_files(folder, count, purpose)?;
        let mut files = Vec::with_capacity(opened.len());
        for (path, connection) in opened {
            connection
                .busy_timeout(Duration::from_secs(5))
                .and_then(|()| connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES))
                .map_err(|source| open::unavailable(&path, source))?;
            files.push(Mutex::new(Some(connection)));
        }
        let lock = Mutex::new(Some(lock));
        Ok(Self(Arc::new(Folder { files, lock })))
    }

    /// Whether a folder has files of objects.
    pub(in crate::engine) fn exist(folder: &Path) -> Result<bool, OpenError> {
        let first = open::path_of(folder, 0);
        first
            .try_exists()
            .map_err(|source| open::unavailable(&first, source))
    }

    /// Runs work with the connection of a file, on a thread that may wait.
    async fn with_file<T: Send + 'static>(
        &self,
        file: usize,
        work: impl FnOnce(&mut Connection) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let folder = Arc::clone(&self.0);
        let run = move || {
            let mut file = folder.files[file].lock().unwrap_or_else(PoisonError::into_inner);
            work(file.as_mut().ok_or(EngineFault::Closed)?)
        };
        let ran = tokio::task::spawn_blocking(run).await;
        ran.unwrap_or_else(|panic| Err(EngineError::Unavailable(panic.into())))
    }

    async fn of_user<T: Send + 'static>(
        &self,
        user: UserId,
        work: impl FnOnce(&mut Connection, i64) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let file = shard_of(user, self.0.files.len());
        let uid = user.0.cast_signed();
        self.with_file(file, move |connection| work(connection, uid))
            .await
    }

    /// Runs the same work with each file.
    async fn with_each<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection) -> Result<T, EngineError> + Clone + Send + 'static,
    ) -> Result<Vec<T>, EngineError> {
        let mut all = Vec::with_capacity(self.0.files.len());
        for file in 0..self.0.files.len() {
            all.push(self.with_file(file, work.clone()).await?);
        }
        Ok(all)
    }
}

#[async_trait]
impl MovableStore for SqliteRows {
    async fn flag(&self) -> Result<Option<MoveFlag>, EngineError> {
        self.with_file(0, |connection| flag::read(connection)).await
    }

    async fn set_flag(&self, flag: Option<&MoveFlag>) -> Result<(), EngineError> {
        let flag = flag.cloned();
        let halves = self.with_each(|connection| export::has_half(connection)).await?;
        if flag.is_none() && halves.into_iter().any(|has_half| has_half) {
            return Err(Barred("it has a user who is only half there").into());
        }
        self.with_file(0, move |connection| Ok(flag::write(connection, flag.as_ref())?))
            .await
    }

    async fn is_empty(&self) -> Result<bool, EngineError> {
        let files = self.with_each(|connection| export::is_empty(connection)).await?;
        Ok(files.into_iter().all(|is_empty| is_empty))
    }

    async fn clear(&self) -> Result<(), EngineError> {
        self.with_each(import::clear).await.map(drop)
    }

    async fn totals(&self) -> Result<MoveTotals, EngineError> {
        let files = self.with_each(|connection| export::totals(connection)).await?;
        Ok(files
            .into_iter()
            .fold(MoveTotals::default(), |sum, file| MoveTotals {
                users: sum.users + file.users,
                objects: sum.objects + file.objects,
                bytes: sum.bytes + file.bytes,
            }))
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        let Some(first) = after.map_or(Some(i64::MIN), |after| after.0.cast_signed().checked_add(1)) else {
            return Ok(Vec::new());
        };
        let files = self
            .with_each(move |connection| export::users(connection, first, limit))
            .await?;
        let mut users: Vec<i64> = files.into_iter().flatten().collect();
        users.sort_unstable();
        users.truncate(limit);
        Ok(users.into_iter().map(|uid| UserId(uid.cast_unsigned())).collect())
    }

    async fn head(&self, user: UserId) -> Result<UserHead, EngineError> {
        self.of_user(user, |connection, uid| export::head(connection, uid))
            .await
    }

    async fn objects(
        &self,
        user: UserId,
        collection: &CollectionHead,
        after: Option<&ObjectId>,
    ) -> Result<ObjectsPage, EngineError> {
        let (owner, after) = (collection.key, after.cloned());
        self.of_user(user, move |connection, _| {
            export::objects(connection, owner, after.as_ref())
        })
        .await
    }

    async fn parts(&self, user: UserId, batch: i64, after: i64) -> Result<Vec<MovedPart>, EngineError> {
        self.of_user(user, move |connection, _| export::parts(connection, batch, after))
            .await
    }

    async fn begin_user(&self, user: UserId, head: &UserHead) -> Result<MoveKeys, EngineError> {
        let head = head.clone();
        self.of_user(user, move |connection, uid| {
            import::begin_user(connection, uid, &head)
        })
        .await
    }

    async fn add_objects(&self, user: UserId, objects: Vec<(i64, Bso)>) -> Result<(), EngineError> {
        self.of_user(user, move |connection, _| {
            import::add_objects(connection, &objects)
        })
        .await
    }

    async fn add_parts(&self, user: UserId, batch: i64, parts: Vec<MovedPart>) -> Result<(), EngineError> {
        self.of_user(user, move |connection, _| {
            import::add_parts(connection, batch, &parts)
        })
        .await
    }

    async fn finish_user(&self, user: UserId, head: &UserHead) -> Result<(), EngineError> {
        let head = head.clone();
        self.of_user(user, move |connection, uid| {
            import::finish_user(connection, uid, &head)
        })
        .await
    }

    fn concurrency(&self) -> usize {
        self.0.files.len()
    }

    async fn close(&self) {
        let folder = Arc::clone(&self.0);
        let closing = tokio::task::spawn_blocking(move || {
            for file in &folder.files {
                // The connection that is closed last copies the WAL into the file.
                drop(file.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            *folder.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        });
        if let Err(error) = closing.await {
            tracing::error!(%error, "the SQLite files were not closed");
        }
    }
}
