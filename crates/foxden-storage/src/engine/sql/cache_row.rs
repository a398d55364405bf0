//! The row of the agreement on a cache.

use std::sync::Arc;

use async_trait::async_trait;

use super::connection::{Arg, Connection, Dialect};
use super::fault::Fault;
use super::server::Server;
use crate::engine::EngineError;
use crate::engine::agreement::{CacheControl, CacheRow};

/// The row in the database of an engine.
pub(super) struct SqlCacheRow(pub(super) Arc<Server>);

#[async_trait]
impl CacheControl for SqlCacheRow {
    async fn look(&self) -> Result<CacheRow, EngineError> {
        let mut connection = self.0.acquire_alone().await?;
        let seen = read(&mut connection).await;
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

async fn read(connection: &mut Connection) -> Result<CacheRow, Fault> {
    let sql = "SELECT version, phase, epoch, cache FROM sync_cache WHERE one = 1";
    let rows = connection.fetch(sql, &[]).await?;
    // A row that is missing is made by the first change.
    let Some(row) = rows.first() else {
        return Ok(CacheRow::default());
    };
    let row = CacheRow::of(row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?)?;
    Ok(row)
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
