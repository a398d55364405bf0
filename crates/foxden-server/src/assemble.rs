//! What each listener serves, and what that needs to be opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use foxden_http::ops::{self, OpsState};
use foxden_http::wire::Site;
use foxden_model::{Chance, Clock, SystemClock};
use foxden_storage::engine::memory::MemoryEngine;
use foxden_storage::{Engine, Storage};

use crate::config::Config;
use crate::config::listener::Surface;
use crate::config::storage::Place;
use crate::data::DataFolder;
use crate::version::VERSION;

/// All that surfaces are made of.
pub struct House {
    site: Arc<Site>,
    storage: Option<Storage>,
}

impl House {
    /// Opens what these surfaces need, and nothing else.
    pub fn open(
        config: &Config,
        _data: &DataFolder,
        site: Arc<Site>,
        chance: &Arc<dyn Chance>,
    ) -> anyhow::Result<Self> {
        let surfaces: BTreeSet<Surface> = config
            .listeners
            .iter()
            .flat_map(|listener| listener.surfaces.iter().copied())
            .collect();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let storage = surfaces.contains(&Surface::Sync).then(|| {
            let engine: Arc<dyn Engine> = match config.storage.place {
                Place::Memory | Place::Sqlite(_) => Arc::new(MemoryEngine::new(clock, Arc::clone(chance))),
            };
            Storage::new(engine, config.storage.limits, config.storage.quota)
        });
        Ok(Self { site, storage })
    }

    /// Where this server is found.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Everything a listener with these surfaces answers.
    pub fn router(&self, surfaces: &BTreeSet<Surface>) -> Router {
        let mut router = Router::new();
        if surfaces.contains(&Surface::Ops) {
            router = router.merge(ops::router(OpsState {
                storage: self.storage.clone(),
                version: VERSION,
            }));
        }
        if !surfaces.contains(&Surface::Pages) {
            router = router.route("/", ops::root());
        }
        router
    }
}
