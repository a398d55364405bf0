//! What is fixed at the first start and must never follow from the configuration.

use data_encoding::HEXLOWER;
use foxden_model::Chance;
use foxden_sql::{Database, Tx};

use crate::register::{node, setting};
use crate::{AccountError, Nodes};

/// The fixed settings.
pub(crate) struct Settings {
    pub(crate) server_id: String,
    /// Stands for our own accounts in the tokenserver's records. Were it made from the public address, a server that
    /// gets a new name would give everybody a new, empty store.
    pub(crate) issuer: String,
    /// The stores of browsers of today.
    pub(crate) service: i64,
    pub(crate) pattern: String,
    /// The stores of old clients.
    pub(crate) legacy: i64,
}

/// Makes the settings at the first start, reads them at later ones, and puts the list of nodes right.
pub(crate) async fn prepare(
    database: &Database,
    chance: &dyn Chance,
    nodes: &Nodes,
    now: i64,
) -> Result<Settings, AccountError> {
    let tx = database.begin().await?;
    let server_id = fixed(&tx, chance, "server_id", "").await?;
    let issuer = fixed(&tx, chance, "issuer", "foxden-").await?;
    let sync = node::service(&tx, node::SYNC).await?;
    let legacy = node::service(&tx, node::LEGACY).await?;
    nodes.write_down(&tx, [sync.id, legacy.id], now).await?;
    tx.commit().await?;
    Ok(Settings {
        server_id,
        issuer,
        service: sync.id,
        pattern: sync.pattern,
        legacy: legacy.id,
    })
}

async fn fixed(tx: &Tx, chance: &dyn Chance, name: &str, prefix: &str) -> Result<String, AccountError> {
    if let Some(value) = setting::get(tx, name).await? {
        return Ok(value);
    }
    let mut bytes = [0; 8];
    chance.fill(&mut bytes);
    let value = format!("{prefix}{}", HEXLOWER.encode(&bytes));
    setting::put(tx, name, &value).await?;
    Ok(value)
}
