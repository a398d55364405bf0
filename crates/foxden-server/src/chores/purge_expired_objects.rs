//! Removes expired objects and batches, and returns disk space to the system.

use std::time::Duration;

use async_trait::async_trait;
use foxden_model::SyncTime;
use foxden_storage::Budget;

use super::{Chore, Done};
use crate::app::App;

/// Rows removed in one go; a write waits for no longer than that takes.
const ROWS: u64 = 5_000;

/// Removes expired objects and batches from storage.
pub struct PurgeExpiredObjects;

#[async_trait]
impl Chore for PurgeExpiredObjects {
    fn name(&self) -> &'static str {
        "purge-expired-objects"
    }

    fn description(&self) -> &'static str {
        "removes expired objects and abandoned uploads"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }

    async fn run(&self, app: &App) -> anyhow::Result<Done> {
        let Some(storage) = &app.storage else {
            return Ok(Done::default());
        };
        let budget = Budget {
            rows: ROWS,
            until: SyncTime::from_millis(app.horizon.until(&*app.clock)),
        };
        let purged = storage.purge(budget).await?;
        Ok(Done {
            count: purged.rows,
            has_more: purged.has_more,
        })
    }
}
