//! Settings stored in the accounts database: ids generated once at first start, and values that the accounts process
//! publishes for storage nodes.

use data_encoding::HEXLOWER;
use foxden_model::Rng;
use foxden_sql::{Database, Fetch, SqlError, Tx};

use crate::register::{node, setting};
use crate::{NewUsers, Nodes, OpenError, Unavailable};

/// Key of the setting that decides whether accounts without a store are assigned one.
const NEW_USERS: &str = "new_users";

/// The fixed settings.
pub(crate) struct Settings {
    pub(crate) server_id: String,
    /// Tokenserver issuer of local accounts. Random, not derived from the public URL: changing the URL must not
    /// assign every account a new, empty store.
    pub(crate) issuer: String,
    /// The stores of current browsers.
    pub(crate) sync_service_id: i64,
    pub(crate) sync_url_pattern: String,
    /// The stores of old clients.
    pub(crate) legacy_service_id: i64,
}

/// Creates the settings at the first start, reads them later, and synchronizes the node list.
pub(crate) async fn prepare(
    database: &Database,
    rng: &dyn Rng,
    nodes: &Nodes,
    new_users: NewUsers,
    now: i64,
) -> Result<Settings, OpenError> {
    let prepared = database.transact(|tx| async move {
        let server_id = get_or_generate(&tx, rng, "server_id", "").await?;
        let issuer = get_or_generate(&tx, rng, "issuer", "foxden-").await?;
        let sync = node::service(&tx, node::SYNC).await?;
        let legacy = node::service(&tx, node::LEGACY).await?;
        let renamed = nodes.write_list(&tx, [sync.id, legacy.id], now).await?;
        if *nodes != Nodes::Unmanaged {
            setting::set(&tx, NEW_USERS, new_users.word()).await?;
        }
        let settings = Settings {
            server_id,
            issuer,
            sync_service_id: sync.id,
            sync_url_pattern: sync.pattern,
            legacy_service_id: legacy.id,
        };
        Ok::<_, OpenError>((settings, renamed))
    });
    let (settings, renamed) = prepared.await?;
    if let Some(renamed) = renamed {
        renamed.log_warning();
    }
    Ok(settings)
}

/// Returns the stored `new_users` policy, which nodes follow as well.
pub(crate) async fn new_users(from: &impl Fetch) -> Result<NewUsers, SqlError> {
    let word = setting::get(from, NEW_USERS).await?;
    Ok(match word {
        Some(word) if word == NewUsers::Refused.word() => NewUsers::Refused,
        Some(_) | None => NewUsers::Welcome,
    })
}

impl NewUsers {
    const fn word(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::Refused => "refused",
        }
    }
}

async fn get_or_generate(tx: &Tx, rng: &dyn Rng, name: &str, prefix: &str) -> Result<String, Unavailable> {
    if let Some(value) = setting::get(tx, name).await? {
        return Ok(value);
    }
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    let value = format!("{prefix}{}", HEXLOWER.encode(&bytes));
    setting::put(tx, name, &value).await?;
    Ok(value)
}
