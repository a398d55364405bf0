//! Compares a client's request with the stores of its account: the rules of consistency.

use foxden_sql::Fetch;

use crate::register::store::{self, StoreRow};
use crate::{AccountId, StateFault, TokenError};

/// The client's values; 0 and empty stand for missing ones.
pub(super) struct Request {
    /// The account, if it is one of ours.
    pub(super) own: Option<AccountId>,
    pub(super) email: String,
    pub(super) generation: i64,
    pub(super) keys_changed_at: i64,
    pub(super) client_state: String,
}

/// The stores of one name.
pub(super) struct StoreHistory {
    pub(super) current: StoreRow,
    pub(super) old: Vec<StoreRow>,
}

impl StoreHistory {
    pub(super) async fn read(
        from: &impl Fetch,
        service: i64,
        email: &str,
    ) -> Result<Option<Self>, TokenError> {
        let mut rows = store::of(from, service, email).await?;
        rows.sort_by_key(|row| std::cmp::Reverse((row.generation, row.created_at, row.uid)));
        let mut rows = rows.into_iter();
        Ok(rows.next().map(|current| Self {
            current,
            old: rows.collect(),
        }))
    }
}

impl Request {
    /// The rules of consistency, in their order; the first that fails answers.
    pub(super) fn check(&self, found: &StoreHistory) -> Result<(), TokenError> {
        let current = &found.current;
        let (g, k, c) = (self.generation, self.keys_changed_at, &self.client_state);
        let (last_g, last_k) = (current.generation, current.keys_changed_at.unwrap_or(0));
        let is_new = *c != current.client_state;
        let is_stale = is_new && found.old.iter().any(|row| row.client_state == *c);
        let wrong_state = |fault| Err(TokenError::InvalidClientState(fault));
        if k > last_k && g > 0 && g < k {
            Err(TokenError::InvalidKeysChangedAt)
        } else if c.is_empty() && is_new {
            wrong_state(StateFault::Empty)
        } else if is_stale {
            wrong_state(StateFault::Stale)
        } else if is_new && g > 0 && g <= last_g {
            wrong_state(StateFault::NewWithoutGeneration)
        } else if is_new && last_k > 0 && k <= last_k {
            wrong_state(StateFault::NewWithoutKeyChange)
        } else if g > 0 && g < last_g {
            Err(TokenError::InvalidGeneration)
        } else if last_k > 0 && k < last_k {
            Err(TokenError::InvalidKeysChangedAt)
        } else {
            Ok(())
        }
    }

    /// Generation and time of the key change as they stand after this request; neither ever goes back.
    pub(super) fn times(&self, current: &StoreRow) -> (i64, Option<i64>) {
        let last_k = current.keys_changed_at.unwrap_or(0);
        let (g, k) = (self.generation, self.keys_changed_at);
        let generation = if g == 0 && k > last_k && k > current.generation {
            k
        } else {
            g.max(current.generation)
        };
        let keys_changed_at = if k == 0 {
            current.keys_changed_at
        } else {
            Some(k.max(last_k))
        };
        (generation, keys_changed_at)
    }
}
