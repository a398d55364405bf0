//! The row of the agreement on a cache.

use std::sync::Arc;

use async_trait::async_trait;

use super::connection::{Arg, Connection, Dialect};
use super::fault::Fault;
use super::server::Server;
use crate::engine::agreement::{CacheControl, CacheRow, SeenRow};
use crate::engine::{Corrupt, EngineError};

/// The row in the database of an engine.
pub(super) struct SqlCacheRow(pub(super) Arc<Server>);

#[async_trait]
impl CacheControl for SqlCacheRow {
    async fn look(&self) -> Result<SeenRow, EngineError> {
        let mut connection = self.0.acquire_alone().await?;
        let seen = read(&mut connection, self.0.dialect()).await;
        self.end(connection, seen).await
    }

    async fn replace(&self, version: i64, next: CacheRow) -> Result<bool, EngineError> {
        let mut connection = self.0.acquire_alone().await?;
        let replaced = replace(&mut connection, self.0.dialect(), version, next).await;
        self.end(connection, replaced).await
    }
}

impl SqlCacheRow {
    async fn end<T>(&self, connection: Connection, answer: Result<T, Fault>) -> Result<T, EngineError> {
        let answer = answer.map_err(|fault| self.0.error(fault))?;
        let ended = connection.end_alone().await;
        ended.map_err(|fault| self.0.error(fault))?;
        Ok(answer)
    }
}

async fn read(connection: &mut Connection, dialect: Dialect) -> Result<SeenRow, Fault> {
    // A row that is missing is made by the first change.
    let sql = format!(
        "SELECT {}, version, phase, epoch, cache FROM (SELECT 1 AS always) a LEFT JOIN sync_cache ON one = always",
        dialect.clock()
    );
    let rows = connection.fetch(&sql, &[]).await?;
    let row = rows.first().ok_or(Corrupt("the row of the cache"))?;
    let seen = match row.number(1)? {
        Some(version) => CacheRow::of(version, row.int(2)?, row.int(3)?, row.int(4)?)?,
        None => CacheRow::default(),
    };
    Ok(SeenRow {
        row: seen,
        clock: row.int(0)?,
    })
}

async fn replace(
    connection: &mut Connection,
    dialect: Dialect,
    version: i64,
    next: CacheRow,
) -> Result<bool, Fault> {
    if version == 0 {
        let row = "sync_cache (one, version, phase, epoch, cache) VALUES (1, 0, 0, 0, 0)";
        let insert = match dialect {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!("INSERT INTO {row} ON CONFLICT DO NOTHING"),
            #[cfg(feature = "mysql")]
            Dialect::Mysql => format!("INSERT IGNORE INTO {row}"),
        };
        connection.execute(&insert, &[]).await?;
    }
    let sql = "UPDATE sync_cache SET version = version + 1, phase = ?, epoch = ?, cache = ?
               WHERE one = 1 AND version = ?";
    let args = [
        Arg::Int(Some(next.phase.number())),
        Arg::Int(Some(next.epoch)),
        Arg::Int(Some(next.cache.number())),
        Arg::Int(Some(version)),
    ];
    Ok(connection.execute(sql, &args).await?.rows == 1)
}
