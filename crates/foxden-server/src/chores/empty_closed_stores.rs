//! Empties the stores of closed accounts, wherever they are kept.

use std::time::Duration;

use async_trait::async_trait;

use super::{Chore, Done};
use crate::house::House;

/// Stores emptied in one go.
const STORES: u32 = 50;

/// Empties the stores of closed accounts.
pub struct EmptyClosedStores;

#[async_trait]
impl Chore for EmptyClosedStores {
    fn name(&self) -> &'static str {
        "empty-closed-stores"
    }

    fn about(&self) -> &'static str {
        "empties the stores of removed accounts"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self, house: &House) -> anyhow::Result<Done> {
        let Some(accounts) = &house.accounts else {
            return Ok(Done::default());
        };
        let stores = accounts.stores_to_empty(STORES).await?;
        for store in &stores {
            house.empty_store(*store).await?;
            accounts.store_emptied(*store).await?;
        }
        let count = stores.len() as u64;
        Ok(Done {
            count,
            has_more: count >= u64::from(STORES),
        })
    }
}
