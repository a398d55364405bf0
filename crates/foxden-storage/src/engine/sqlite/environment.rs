//! The environment that all files share: the clock, random numbers, and the time that was announced to readers.

use std::sync::Arc;

use foxden_model::{Clock, Rng, SyncTime};

use crate::engine::announced::Announced;

pub(super) struct Environment {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) announced: Announced,
}

impl Environment {
    pub(super) fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            clock,
            rng,
            announced: Announced::nothing(),
        }
    }

    pub(super) fn now(&self) -> SyncTime {
        self.clock.now()
    }
}
