//! How chores fared since the start.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How each chore fared, by its name.
#[derive(Debug, Default)]
pub struct ChoreHistory(Mutex<BTreeMap<&'static str, ChoreStatus>>);

/// How a chore fared since the start.
#[derive(Clone, Debug, Default)]
pub struct ChoreStatus {
    /// When it last succeeded, in milliseconds since 1970.
    pub last_success: Option<i64>,
    /// How often it failed since then.
    pub failures: u64,
    /// Why it failed the last time.
    pub last_failure: Option<String>,
}

impl ChoreHistory {
    /// A run succeeded, at this time in milliseconds since 1970.
    pub fn succeeded(&self, name: &'static str, now: i64) {
        let fared = ChoreStatus {
            last_success: Some(now),
            ..ChoreStatus::default()
        };
        self.all().insert(name, fared);
    }

    /// A run failed.
    pub fn failed(&self, name: &'static str, why: String) {
        let mut all = self.all();
        let fared = all.entry(name).or_default();
        fared.failures += 1;
        fared.last_failure = Some(why);
    }

    /// Every chore that has run.
    pub fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, ChoreStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
