//! Whether the databases of servers, the cache in front of one, and the files of objects are fit for this server. Nothing in them is
//! changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use foxden_model::SystemClock;
use foxden_sql::SqlError;
use foxden_sql::server::{ServerLook, ServerUrl};
use foxden_storage::engine::sqlite;
use foxden_storage::{CacheAddress, CacheLook, CacheUrl, OpenError, inspect_cache};

use super::{Finding, wait_for};
use crate::config::Config;
use crate::config::listener::Surface;
use crate::config::register::RegisterUrl;
use crate::data;
use crate::rng::SystemRng;

/// The URL of the files in the data folder.
const OWN_FILES: &str = "sqlite:";
/// What to do if another release has been here.
const NEWER: &str = "run the newer program, or restore a backup that the older one made";

/// Findings about the databases and files that the start would open and migrate.
pub fn check(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let own_folder = data::storage_folder(&config.server.data_dir);
    if let Some(folder) = config.storage.url.folder(&own_folder)
        && config.surfaces().contains(&Surface::Sync)
    {
        findings.extend(check_files(folder));
    }
    if let Some(folder) = left_behind(config) {
        findings.push(Finding::warning(
            format!("objects: the files in {} hold objects that are not served", folder.display()),
            "foxden migrate moves them to the store of storage.url, if that is empty; delete them if they are not needed",
        ));
    }
    if let Some(url) = config.storage.url.server()
        && config.surfaces().contains(&Surface::Sync)
    {
        findings.push(match wait_for(foxden_storage::inspect(url))? {
            Err(SqlError::Moved) => check_moved(url)?,
            looked => judge("objects", url, looked),
        });
        match &config.storage.cache {
            CacheUrl::None => {}
            CacheUrl::Local => findings.push(Finding::ok("cache: local, in the memory of the process")),
            CacheUrl::Shared(address) => findings.push(check_cache(address)?),
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

/// The folder in the data folder with objects that a store somewhere else hides: it was named and they were not moved. Nothing if it
/// cannot be looked at.
pub fn left_behind(config: &Config) -> Option<PathBuf> {
    let own_folder = data::storage_folder(&config.server.data_dir);
    let url = &config.storage.url;
    let is_elsewhere = match url.folder(&own_folder) {
        Some(_) => !url.is_same_store(&OWN_FILES.parse().ok()?, &own_folder),
        None => url.server().is_some(),
    };
    let is_asked = is_elsewhere && config.surfaces().contains(&Surface::Sync);
    let holds_objects =
        is_asked && foxden_storage::inspect_files(&own_folder).is_ok_and(|held| held == Some(true));
    holds_objects.then_some(own_folder)
}

/// Whether the files of objects can be opened; nothing if there are none yet.
fn check_files(folder: &Path) -> Option<Finding> {
    let looked = foxden_storage::inspect_files(folder).transpose()?;
    Some(match looked {
        Ok(_) => Finding::ok(format!("objects: SQLite files in {}", folder.display())),
        Err(OpenError::Sqlite(sqlite::OpenError::Moved { folder, moved })) => Finding::error(
            format!("objects: {}: {}", folder.display(), moved.what()),
            moved.cure(),
        ),
        Err(error @ OpenError::Sqlite(sqlite::OpenError::Newer(_))) => {
            Finding::error(format!("objects: {error}"), NEWER)
        }
        Err(error) => Finding::error(
            format!("objects: {:#}", anyhow::Error::from(error)),
            "run this as the user who runs the server; else restore a backup",
        ),
    })
}

/// What becomes of the objects in a database that takes part in a move, or did.
fn check_moved(url: &ServerUrl) -> anyhow::Result<Finding> {
    let moved = wait_for(foxden_storage::moved_away(url, Arc::new(SystemRng::new())))?;
    Ok(match moved {
        Ok(moved) => Finding::error(
            format!("objects: the database {url}: {}", moved.what()),
            moved.cure(),
        ),
        Err(error) => refused("objects", url, error),
    })
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
        SqlError::Newer { .. } => Finding::error(format!("{what}: {error}"), NEWER),
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
