//! What the log says of a cache that is away.

use std::sync::{Mutex, PoisonError};

/// How long, in milliseconds, a cache that has failed again has not been reported again.
const QUIET_MILLIS: i64 = 60_000;
/// How long, in milliseconds, a cache has answered before it is said to answer again.
const GOOD_MILLIS: i64 = 5_000;

/// Whether the cache answers. A line is logged once in a while, not for each call.
#[derive(Default)]
pub(super) struct CacheHealth(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the last failure was, if the log has said that the cache is away.
    away: Option<i64>,
    /// When the log said so.
    told: Option<i64>,
}

impl CacheHealth {
    /// Notes a failure.
    pub(super) fn failed(&self, place: &str, cause: &str, now: i64) {
        // No code panics under this lock.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = state.away.is_none() && state.told.is_none_or(|told| now - told >= QUIET_MILLIS);
        if is_news {
            state.told = Some(now);
        }
        if is_news || state.away.is_some() {
            state.away = Some(now);
        }
        drop(state);
        if is_news {
            tracing::warn!(
                cache = place,
                cause,
                "the cache does not answer: reads ask the database"
            );
        }
    }

    /// Notes an answer.
    pub(super) fn answered(&self, place: &str, now: i64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = state.away.is_some_and(|away| now - away >= GOOD_MILLIS);
        if is_news {
            state.away = None;
        }
        drop(state);
        if is_news {
            tracing::info!(cache = place, "the cache answers again");
        }
    }
}
