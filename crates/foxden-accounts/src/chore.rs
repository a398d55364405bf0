//! What has to be cleared up now and then. Everything here may run twice, even at once, without harm.

use foxden_model::UserId;

use crate::{AccountError, Accounts};

impl Accounts {
    /// Deletes expired rows, at most `budget` of each kind; says how many went.
    pub async fn purge(&self, budget: u32) -> Result<u64, AccountError> {
        todo!()
    }

    /// Closed stores that are due to be emptied now, at most `limit`. Empty each, then call [`Accounts::store_emptied`].
    pub async fn stores_to_empty(&self, limit: u32) -> Result<Vec<UserId>, AccountError> {
        todo!()
    }

    /// Notes that a closed store was emptied. It comes up once more after the last token for it has expired.
    pub async fn store_emptied(&self, store: UserId) -> Result<(), AccountError> {
        todo!()
    }

    /// Every store of a removed account that a live token may still ask for: the storage part of the same process
    /// refuses them from the start on.
    pub async fn closed_stores(&self) -> Result<Vec<UserId>, AccountError> {
        todo!()
    }
}
