//! What is fixed at the first start and must never follow from the configuration, and what the process that keeps the
//! accounts tells those that only ask.

use data_encoding::HEXLOWER;
use foxden_model::Rng;
use foxden_sql::{Database, Fetch, SqlError, Tx};

use crate::register::{node, setting};
use crate::{NewUsers, Nodes, Unavailable};

/// Key of the setting that decides whether accounts without a store are assigned one.
const NEW_USERS: &str = "new_users";

/// The fixed settings.
pub(crate) struct Settings {
    pub(crate) server_id: String,
    /// Names our own accounts in the records of the tokenserver. If it followed from the public address, a server
    /// with a new name would give every account a new, empty store.
    pub(crate) issuer: String,
    /// The stores of current browsers.
    pub(crate) service: i64,
    pub(crate) pattern: String,
    /// The stores of old clients.
    pub(crate) legacy: i64,
}

/// Makes the settings at the first start, reads them at later ones, and puts the list of nodes right.
pub(crate) async fn prepare(
    database: &Database,
    rng: &dyn Rng,
    nodes: &Nodes,
    new_users: NewUsers,
    now: i64,
) -> Result<Settings, Unavailable> {
    let prepared = database.transact(|tx| async move {
        let server_id = fixed(&tx, rng, "server_id", "").await?;
        let issuer = fixed(&tx, rng, "issuer", "foxden-").await?;
        let sync = node::service(&tx, node::SYNC).await?;
        let legacy = node::service(&tx, node::LEGACY).await?;
        let renamed = nodes.write_list(&tx, [sync.id, legacy.id], now).await?;
        if *nodes != Nodes::Unmanaged {
            setting::set(&tx, NEW_USERS, new_users.word()).await?;
        }
        let settings = Settings {
            server_id,
            issuer,
            service: sync.id,
            pattern: sync.pattern,
            legacy: legacy.id,
        };
        Ok::<_, Unavailable>((settings, renamed))
    });
    let (settings, renamed) = prepared.await?;
    if let Some(renamed) = renamed {
        renamed.log_warning();
    }
    Ok(settings)
}

/// Whether those without a store get one, as the process that keeps the accounts has it: nodes hold to that, too.
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

async fn fixed(tx: &Tx, rng: &dyn Rng, name: &str, prefix: &str) -> Result<String, Unavailable> {
    if let Some(value) = setting::get(tx, name).await? {
        return Ok(value);
    }
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    let value = format!("{prefix}{}", HEXLOWER.encode(&bytes));
    setting::put(tx, name, &value).await?;
    Ok(value)
}
