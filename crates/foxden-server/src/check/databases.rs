//! Whether the databases of servers, and the cache in front of one, are fit for the objects and the accounts of this server. Nothing
//! in them is changed.

use std::sync::Arc;

use foxden_model::SystemClock;
use foxden_sql::SqlError;
use foxden_sql::server::{ServerLook, ServerUrl};
use foxden_storage::{CacheAddress, CacheLook, CacheUrl, inspect_cache};

use super::{Finding, wait_for};
use crate::config::Config;
use crate::config::listener::Surface;
use crate::config::register::RegisterUrl;

/// Findings about the databases that the start would open and migrate; none about files.
pub fn check(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if let Some(url) = config.storage.url.server()
        && config.surfaces().contains(&Surface::Sync)
    {
        findings.push(judge("objects", url, wait_for(foxden_storage::inspect(url))?));
        if let CacheUrl::Shared(address) = &config.storage.cache {
            findings.push(check_cache(address)?);
        }
    }
    if let RegisterUrl::Server { shown, .. } = &config.accounts.register
        && config.keeps_accounts()
    {
        let looked = wait_for(ServerLook::at(shown, foxden_accounts::MIGRATIONS))?;
        findings.push(judge("accounts", shown, looked));
    }
    Ok(findings)
}

/// Whether the cache can be used.
fn check_cache(address: &CacheAddress) -> anyhow::Result<Finding> {
    let looked = wait_for(inspect_cache(address, Arc::new(SystemClock)))?;
    Ok(match looked {
        Ok(CacheLook { server, advice: None }) => Finding::ok(format!("cache: {server} at {address}")),
        Ok(CacheLook {
            server,
            advice: Some((what, cure)),
        }) => Finding::warning(format!("cache: {server} at {address} {what}"), cure),
        Err(cause) => Finding::error(
            format!("cache: {address} cannot be used: {cause}"),
            "correct storage.cache or that server; until then the server starts, and each request asks the database",
        ),
    })
}

fn judge(what: &str, url: &ServerUrl, looked: Result<ServerLook, SqlError>) -> Finding {
    let ServerLook { server, found, known } = match looked {
        Ok(look) => look,
        Err(error) => return refused(what, url, error),
    };
    let place = format!("{what}: {server} at {}, database {}", url.place(), url.database());
    if found == known {
        Finding::ok(place)
    } else if found == 0 {
        Finding::warning(
            format!("{place}, which has no tables yet"),
            "the first start makes them; or name the right database",
        )
    } else {
        Finding::warning(
            format!("{place}: the tables are at version {found}, this program makes version {known}"),
            "back up the database and stop the older programs; the next start migrates it",
        )
    }
}

/// The database cannot be used. Neither text shows a password.
pub fn refused(what: &str, url: &ServerUrl, error: SqlError) -> Finding {
    match error {
        SqlError::Unsuitable { cause, cure } => Finding::error(format!("{what}: {cause}"), cure),
        SqlError::Newer { .. } => Finding::error(
            format!("{what}: {error}"),
            "run the newer program, or restore a backup that the older one made",
        ),
        SqlError::Moved => Finding::error(
            format!("{what}: the objects at {url} are being moved to or from another store, or were moved"),
            "run that foxden migrate to its end, set storage.url to where they are, or: foxden migrate --give-up",
        ),
        error => Finding::error(
            format!("{what}: {url} cannot be used: {:#}", anyhow::Error::from(error)),
            "check the URL and the server's log",
        ),
    }
}
