//! Empties the stores of closed accounts and replaced stores, on any node.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use super::{Chore, Done};
use crate::app::App;
use crate::node::EmptyStoreError;

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
        let (mut count, mut failure, mut silent) = (0, None, BTreeSet::new());
        for store in &stores {
            // A node that does not answer is waited for once, or the stores of the others would wait for hours.
            if silent.contains(&store.node) {
                continue;
            }
            let Err(error) = app.empty_store(store).await else {
                accounts.store_emptied(store.user).await?;
                count += 1;
                continue;
            };
            if let EmptyStoreError::Unreachable { .. } = error {
                accounts.node_not_reached(&store.node).await?;
                silent.insert(&store.node);
            } else {
                accounts.store_not_emptied(store.user).await?;
            }
            failure = Some(error);
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
