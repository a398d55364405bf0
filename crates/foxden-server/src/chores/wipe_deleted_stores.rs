//! Empties the stores of closed accounts and replaced stores, on any node.

use std::time::Duration;

use async_trait::async_trait;

use super::{Chore, Done};
use crate::app::App;

/// Stores emptied in one go.
const STORES: u32 = 50;

/// Empties closed stores.
pub struct WipeDeletedStores;

#[async_trait]
impl Chore for WipeDeletedStores {
    fn name(&self) -> &'static str {
        "wipe-deleted-stores"
    }

    fn description(&self) -> &'static str {
        "empties the stores of removed accounts and of former keys"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self, app: &App) -> anyhow::Result<Done> {
        let Some(accounts) = &app.accounts else {
            return Ok(Done::default());
        };
        let stores = accounts.stores_to_empty(STORES).await?;
        let (mut count, mut failure) = (0, None);
        for store in &stores {
            // A node that does not answer does not delay the others.
            match app.empty_store(store).await {
                Ok(()) => {
                    accounts.store_emptied(store.user).await?;
                    count += 1;
                }
                Err(error) => {
                    accounts.store_not_emptied(store.user).await?;
                    failure = Some(error);
                }
            }
        }
        if let Some(error) = failure {
            return Err(anyhow::Error::from(error)
                .context(format!("{count} of {} stores were emptied", stores.len())));
        }
        Ok(Done {
            count,
            has_more: count >= u64::from(STORES),
        })
    }
}
