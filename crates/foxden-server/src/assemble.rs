//! What each listener serves, and what that needs to be opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::map_request;
use foxden_accounts::token::TokenSecrets;
use foxden_http::ops::{self, OpsState};
use foxden_http::pages::{self, LookOut, Outlook, PagesState};
use foxden_http::sync::{self, SyncState};
use foxden_http::wire::Site;
use foxden_model::{Chance, Clock, SystemClock};
use foxden_storage::{Engine, MemoryEngine, SqliteEngine, SqliteOptions, Storage};

use crate::config::Config;
use crate::config::listener::Surface;
use crate::config::storage::Place;
use crate::config::values::Secret;
use crate::data::DataFolder;
use crate::version::VERSION;

/// All that surfaces are made of.
pub struct House {
    site: Arc<Site>,
    clock: Arc<dyn Clock>,
    secrets: Arc<TokenSecrets>,
    storage: Option<Storage>,
}

impl House {
    /// Opens what these surfaces need, and nothing else.
    pub fn open(
        config: &Config,
        data: &DataFolder,
        site: Arc<Site>,
        chance: &Arc<dyn Chance>,
    ) -> anyhow::Result<Self> {
        let surfaces: BTreeSet<Surface> = config
            .listeners
            .iter()
            .flat_map(|listener| listener.surfaces.iter().copied())
            .collect();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let storage = match surfaces.contains(&Surface::Sync) {
            true => Some(open_storage(config, data, &clock, chance)?),
            false => None,
        };
        Ok(Self {
            site,
            clock,
            secrets: Arc::new(token_secrets(config, data, &**chance)?),
            storage,
        })
    }

    /// Where this server is found.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Everything a listener with these surfaces answers.
    pub fn router(&self, surfaces: &BTreeSet<Surface>) -> Router {
        let mut router = self.below_the_path(surfaces);
        if surfaces.contains(&Surface::Ops) {
            router = router.merge(ops::router(OpsState {
                storage: self.storage.clone(),
                version: VERSION,
            }));
        }
        if surfaces.contains(&Surface::Pages) {
            router.merge(pages::router(self.pages()))
        } else {
            router.route("/", ops::root())
        }
    }

    fn pages(&self) -> PagesState {
        let storage = self.storage.clone();
        let outlook = move || -> LookOut {
            let storage = storage.clone();
            Box::pin(async move {
                Outlook {
                    storage_answers: match storage {
                        Some(storage) => Some(storage.check().await.is_ok()),
                        None => None,
                    },
                    is_inhabited: None,
                }
            })
        };
        PagesState {
            site: Arc::clone(&self.site),
            clock: Arc::clone(&self.clock),
            sign_up: None,
            contact: None,
            outlook: Arc::new(outlook),
        }
    }

    /// Storage and tokens, found with and without the path of the public address: some proxies cut it off.
    fn below_the_path(&self, surfaces: &BTreeSet<Surface>) -> Router {
        let mut router = Router::new();
        if let Some(storage) = self.storage.clone().filter(|_| surfaces.contains(&Surface::Sync)) {
            let (secrets, site) = (Arc::clone(&self.secrets), Arc::clone(&self.site));
            router = router.merge(sync::router(SyncState::new(
                storage,
                secrets,
                site,
                Arc::clone(&self.clock),
            )));
        }
        let path = self.site.public_url.path();
        if path.is_empty() {
            return router;
        }
        let path: Arc<str> = path.into();
        let cut = router.clone().layer(map_request(move |request: Request| {
            let request = with_path_restored(request, &path);
            async { request }
        }));
        Router::new().nest(self.site.public_url.path(), router).merge(cut)
    }
}

/// Puts the path that a proxy cut off back where signatures are checked: clients sign what they ask for.
fn with_path_restored(mut request: Request, path: &str) -> Request {
    let asked = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = format!("{path}{asked}").parse().ok();
    // What cannot be an address cannot have been signed either: the request stays as it came.
    if let Ok(uri) = Uri::from_parts(parts) {
        request.extensions_mut().insert(OriginalUri(uri));
    }
    request
}

fn open_storage(
    config: &Config,
    data: &DataFolder,
    clock: &Arc<dyn Clock>,
    chance: &Arc<dyn Chance>,
) -> anyhow::Result<Storage> {
    let (clock, chance) = (Arc::clone(clock), Arc::clone(chance));
    let engine: Arc<dyn Engine> = match &config.storage.place {
        Place::Memory => Arc::new(MemoryEngine::new(clock, chance)),
        Place::Sqlite(folder) => {
            let folder = folder.clone().unwrap_or_else(|| data.storage());
            let options = SqliteOptions {
                files: config.storage.files,
                ..SqliteOptions::new(folder)
            };
            Arc::new(SqliteEngine::open(options, clock, chance)?)
        }
    };
    Ok(Storage::new(engine, config.storage.limits, config.storage.quota))
}

/// The secrets that sign tokens: the operator's, else the one in the data folder.
fn token_secrets(config: &Config, data: &DataFolder, chance: &dyn Chance) -> anyhow::Result<TokenSecrets> {
    match config.server.master_secrets.split_last() {
        Some((newest, earlier)) => Ok(TokenSecrets::new(
            earlier.iter().map(Secret::reveal),
            newest.reveal(),
        )),
        None => Ok(TokenSecrets::new(
            [],
            data.secrets(chance)?.master_secret.as_str(),
        )),
    }
}
