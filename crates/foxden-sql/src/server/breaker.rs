//! A breaker: while a server is known to be down, requests are refused at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pause between two trials of a server that is down.
const TRIAL_PAUSE: Duration = Duration::from_secs(1);

/// What is known about a server.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    /// Why the server is known to be down, and when it is tried next.
    down: Option<Down>,
    /// When a connection was last lost: older ones are not used any more.
    lost_at: Option<Instant>,
    /// Whether nothing has been heard from the server since a connection was lost.
    is_in_doubt: bool,
    /// When the server last accepted or refused a connection of a trial.
    heard_at: Option<Instant>,
}

struct Down {
    cause: String,
    next_trial: Instant,
}

/// Whether a request may go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// The server is thought to be up.
    Free,
    /// The server is down, or in doubt since a connection was lost: this request is to try it first.
    Trial,
    /// The server is down, for this reason.
    Barred(String),
}

impl Breaker {
    /// Whether a request may go on now. One each second is to try the server.
    pub(super) fn enter(&self, now: Instant) -> Passage {
        let mut state = self.state();
        let is_in_doubt = state.is_in_doubt;
        let Some(down) = &mut state.down else {
            return if is_in_doubt {
                Passage::Trial
            } else {
                Passage::Free
            };
        };
        if down.next_trial > now {
            return Passage::Barred(down.cause.clone());
        }
        down.next_trial = now + TRIAL_PAUSE;
        Passage::Trial
    }

    /// The server does not answer.
    pub(super) fn open(&self, server: &str, cause: &str, now: Instant) {
        let mut state = self.state();
        if state.down.is_none() {
            tracing::error!(
                server,
                cause,
                "the database cannot be reached; requests are refused until it can"
            );
        }
        state.lost_at = Some(now);
        state.heard_at = Some(now);
        state.is_in_doubt = false;
        state.down = Some(Down {
            cause: cause.to_owned(),
            next_trial: now + TRIAL_PAUSE,
        });
    }

    /// The server answers.
    pub(super) fn close(&self, server: &str, now: Instant) {
        let mut state = self.state();
        state.heard_at = Some(now);
        state.is_in_doubt = false;
        if state.down.take().is_some() {
            tracing::info!(server, "the database can be reached again");
        }
    }

    /// The outcome of a trial that ended within that time and is not in doubt: why the server is down, if it is.
    pub(super) fn heard_within(&self, time: Duration) -> Option<Result<(), String>> {
        let state = self.state();
        state.heard_at.filter(|heard_at| heard_at.elapsed() < time)?;
        Some(state.down.as_ref().map_or(Ok(()), |down| Err(down.cause.clone())))
    }

    /// A connection was lost: all that are as old may be, too.
    pub(super) fn lose(&self, server: &str, cause: &str, now: Instant) {
        let mut state = self.state();
        // Many may be lost at once.
        if !state.is_in_doubt && state.down.is_none() {
            tracing::warn!(server, cause, "a connection to the database was lost");
        }
        state.lost_at = Some(now);
        state.is_in_doubt = true;
        state.heard_at = None;
    }

    /// Whether a connection of that age may still be used.
    pub(super) fn is_usable(&self, age: Duration, now: Instant) -> bool {
        let state = self.state();
        state
            .lost_at
            .is_none_or(|lost_at| age < now.saturating_duration_since(lost_at))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_each_second_tries_a_server_that_is_down() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.enter(now), Passage::Free);
        breaker.open("db", "refused", now);
        assert_eq!(breaker.enter(now), Passage::Barred("refused".into()));
        let later = now + TRIAL_PAUSE;
        assert_eq!(breaker.enter(later), Passage::Trial);
        assert_eq!(breaker.enter(later), Passage::Barred("refused".into()));
        breaker.close("db", later);
        assert_eq!(breaker.enter(later), Passage::Free);
    }

    #[test]
    fn connections_older_than_a_lost_one_are_not_used() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert!(breaker.is_usable(Duration::from_secs(3600), now));
        breaker.lose("db", "reset", now);
        let later = now + Duration::from_secs(5);
        assert!(!breaker.is_usable(Duration::from_secs(6), later));
        assert!(breaker.is_usable(Duration::from_secs(4), later));
        assert_eq!(breaker.enter(later), Passage::Trial);
        breaker.close("db", later);
        assert_eq!(breaker.enter(later), Passage::Free);
    }
}
