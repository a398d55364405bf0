//! A look at a database of a server, which changes nothing.

use super::ServerUrl;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::connection::Pools;
use crate::{Migrations, SqlError};

/// What was found at a server that this program can work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLook {
    /// The server's name and version.
    pub server: String,
    /// The version of the tables; 0 before there are any.
    pub found: i64,
    /// The version that this program makes of them, which is not less.
    pub known: i64,
}

impl ServerLook {
    /// Connects as a program would that starts, and refuses what it would refuse, but migrates nothing.
    /// [`SqlError::Unsuitable`] says what is wrong and what to do, [`SqlError::Newer`] that tables are from a later program.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub async fn at(url: &ServerUrl, migrations: Migrations) -> Result<Self, SqlError> {
        let pools = Pools::connect(url, "check").await?;
        let looked = pools.look(migrations).await;
        pools.close().await;
        looked
    }

    /// There is no driver to look with. Such a URL is refused when it is read.
    #[cfg(not(any(feature = "postgres", feature = "mysql")))]
    #[expect(clippy::unused_async, reason = "it is called as the other one is")]
    pub async fn at(url: &ServerUrl, _migrations: Migrations) -> Result<Self, SqlError> {
        Err(SqlError::UnknownEngine(url.to_string()))
    }
}
