//! What is fixed at the first start and must never follow from the configuration.

use data_encoding::HEXLOWER;
use foxden_model::Chance;
use foxden_sql::{Database, Tx};

use crate::AccountError;
use crate::register::{node, setting};

/// The fixed settings.
pub(crate) struct Settings {
    pub(crate) server_id: String,
    /// Stands for our own accounts in the tokenserver's records. Were it made from the public address, a server that
    /// gets a new name would give everybody a new, empty store.
    pub(crate) issuer: String,
    pub(crate) service: i64,
    pub(crate) pattern: String,
}

/// Makes the settings at the first start, reads them at later ones, and puts the own node's address right.
pub(crate) async fn prepare(
    database: &Database,
    chance: &dyn Chance,
    address: &str,
) -> Result<Settings, AccountError> {
    let tx = database.begin().await?;
    let server_id = fixed(&tx, chance, "server_id", "").await?;
    let issuer = fixed(&tx, chance, "issuer", "foxden-").await?;
    let service = node::service(&tx).await?;
    match node::own(&tx, service.id).await? {
        None => node::insert_own(&tx, service.id, address).await?,
        Some(own) if own.node != address => node::set_address(&tx, own.id, address).await?,
        Some(_) => {}
    }
    tx.commit().await?;
    Ok(Settings {
        server_id,
        issuer,
        service: service.id,
        pattern: service.pattern,
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
