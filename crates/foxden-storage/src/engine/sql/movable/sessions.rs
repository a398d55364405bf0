//! Whether other sessions have the database open.

use std::time::Duration;

use foxden_sql::server::ServerUrl;

use super::SqlRows;
use crate::engine::EngineError;
use crate::engine::movable::MovableError;
#[cfg(feature = "postgres")]
use crate::engine::sql::connection::Arg;
use crate::engine::sql::connection::Dialect;

/// How often the other sessions are counted, and the pause between: those of a program that was killed end soon.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// Refuses a database that others have open. It finds out about sessions alone: a program that had nothing to do for five minutes
/// has none. Neither that one nor one behind a pooler, which hides sessions, can do harm once the store is flagged.
pub(super) async fn check(rows: &SqlRows, url: &ServerUrl) -> Result<(), MovableError> {
    if url.has_pooler() {
        return Ok(());
    }
    let place = url.to_string();
    let mut sessions = 0;
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        sessions = others(rows, url).await.map_err(|source| MovableError::Engine {
            place: place.clone(),
            source,
        })?;
        if sessions == 0 {
            return Ok(());
        }
    }
    Err(MovableError::InUse { place, sessions })
}

/// The number of other sessions.
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "MySQL's sessions have no names")
)]
async fn others(rows: &SqlRows, url: &ServerUrl) -> Result<i64, EngineError> {
    let answer = match rows.server.dialect() {
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            use foxden_sql::server::postgres::session_name;
            let (serving, moving) = (
                session_name(url, crate::engine::sql::server::ROLE),
                session_name(url, super::ROLE),
            );
            // Sessions of accounts, of another schema and of other programs do not matter.
            let sql = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()
                       AND application_name IN (?, ?)";
            rows.fetch(sql, &[Arg::Text(&serving), Arg::Text(&moving)])
                .await?
        }
        #[cfg(feature = "mysql")]
        Dialect::Mysql => {
            // The server lists the sessions of this user, and those of others if the user may see them. It does not say what they are for.
            let sql = "SELECT CAST(COUNT(*) AS signed) FROM information_schema.processlist
                       WHERE db = DATABASE() AND id <> CONNECTION_ID()";
            rows.fetch(sql, &[]).await?
        }
    };
    rows.fault(answer.first().map_or(Ok(0), |row| row.int(0)))
}
