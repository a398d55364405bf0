//! Removes sessions, tokens, codes and invitations that have expired.

use std::time::Duration;

use async_trait::async_trait;

use super::{Chore, Done};
use crate::app::App;

/// Rows of each kind removed in one go.
const ROWS: u32 = 1_000;

/// Removes expired credentials from the register.
pub struct PurgeExpiredCredentials;

#[async_trait]
impl Chore for PurgeExpiredCredentials {
    fn name(&self) -> &'static str {
        "purge-expired-credentials"
    }

    fn description(&self) -> &'static str {
        "removes expired sessions, tokens, codes and invitations"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(60 * 60)
    }

    async fn run(&self, app: &App) -> anyhow::Result<Done> {
        let Some(accounts) = &app.accounts else {
            return Ok(Done::default());
        };
        let count = accounts.purge(ROWS, app.horizon.until(&*app.clock)).await?;
        Ok(Done {
            count,
            has_more: count >= u64::from(ROWS),
        })
    }
}
