//! Tests of what is specific to this engine; the conformance tests check its promises.

mod cached_reads;
mod files;
mod growth;
mod long;
mod maintenance;
mod write_queue;
mod writers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use foxden_model::{CollectionName, ManualClock, ObjectId, SeededRng, SyncTime, UserId};

use super::{SqliteEngine, SqliteOptions};
use crate::command::{Change, Detail, Field, Fields, Patch, Query, Write};
use crate::engine::{Engine, EngineError};
use crate::page::Written;

/// A folder that is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let thread = std::thread::current();
        let test = thread.name().unwrap().replace("::", "-");
        let folder = std::env::temp_dir().join(format!("foxden-{}-{test}", std::process::id()));
        Self(folder)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An engine with a clock that stands still.
struct TestContext {
    clock: Arc<ManualClock>,
    engine: Arc<SqliteEngine>,
}

const START: i64 = 1_700_000_000_000;

impl TestContext {
    fn open(folder: &Folder, files: u32) -> Self {
        let clock = Arc::new(ManualClock::at_millis(START));
        let options = SqliteOptions {
            shards: files,
            ..SqliteOptions::new(folder.path())
        };
        Self::with(options, clock)
    }

    fn with(options: SqliteOptions, clock: Arc<ManualClock>) -> Self {
        let rng = Arc::new(SeededRng::new(7));
        let engine = SqliteEngine::open(options, clock.clone(), rng).unwrap();
        Self {
            clock,
            engine: Arc::new(engine),
        }
    }

    async fn put(&self, user: u64, id: &str, payload: &str) -> Result<Written, EngineError> {
        put(&self.engine, user, "history", &[(id, payload)]).await
    }

    async fn payload(&self, user: u64, id: &str) -> Result<Option<String>, EngineError> {
        let query = Query::one(name("history"), ObjectId::new(id).unwrap());
        let page = self.engine.read(UserId(user), &query).await?;
        Ok(page.rows.iter().next().map(|row| row.payload.to_owned()))
    }

    async fn ids(&self, user: u64) -> Vec<String> {
        let query = Query::all(name("history"), Fields::Ids);
        let page = self.engine.read(UserId(user), &query).await.unwrap();
        page.rows.iter().map(|row| row.id.to_owned()).collect()
    }

    async fn modified(&self, user: u64) -> SyncTime {
        let summary = self.engine.summary(UserId(user), Detail::Times).await;
        summary.unwrap().modified
    }
}

async fn put(
    engine: &SqliteEngine,
    user: u64,
    collection: &str,
    objects: &[(&str, &str)],
) -> Result<Written, EngineError> {
    let patches = objects.iter().map(|(id, payload)| patch(id, payload)).collect();
    let change = Change::Upsert {
        collection: name(collection),
        patches,
    };
    engine.write(UserId(user), Write::new(change)).await
}

fn patch(id: &str, payload: &str) -> Patch {
    Patch {
        payload: Field::Set(payload.to_owned()),
        renews: true,
        ..Patch::empty(ObjectId::new(id).unwrap())
    }
}

fn name(name: &str) -> CollectionName {
    CollectionName::new(name).unwrap()
}
