//! Hands the users of a store out to those who work on them at once.

use std::collections::VecDeque;

use foxden_model::UserId;
use tokio::sync::Mutex;

use super::{MoveError, NamedStore};

/// The users that are listed at once.
pub(super) const USERS_AT_ONCE: usize = 256;

/// Users who wait for a worker.
pub(super) struct UserFeed<'a> {
    from: NamedStore<'a>,
    /// The store whose users are left out.
    done_in: Option<NamedStore<'a>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<UserId>,
    last: Option<UserId>,
    is_at_end: bool,
}

impl<'a> UserFeed<'a> {
    /// The users of a store, without those of another one.
    pub(super) fn new(from: NamedStore<'a>, done_in: Option<NamedStore<'a>>) -> Self {
        Self {
            from,
            done_in,
            state: Mutex::default(),
        }
    }

    /// The next user; `None` at the end.
    pub(super) async fn next(&self) -> Result<Option<UserId>, MoveError> {
        let mut state = self.state.lock().await;
        loop {
            if let Some(user) = state.waiting.pop_front() {
                return Ok(Some(user));
            }
            if state.is_at_end {
                return Ok(None);
            }
            let users = list(self.from, state.last).await?;
            let done = match self.done_in {
                // Both lists have one order, and this one is the shorter.
                Some(place) => list(place, state.last).await?,
                None => Vec::new(),
            };
            state.is_at_end = users.is_empty();
            state.last = users.last().copied().or(state.last);
            let is_left = |user: &UserId| !done.contains(user);
            state.waiting = users.into_iter().filter(is_left).collect();
        }
    }
}

/// The users after that one.
pub(super) async fn list(place: NamedStore<'_>, after: Option<UserId>) -> Result<Vec<UserId>, MoveError> {
    let users = place.store.users(after, USERS_AT_ONCE).await;
    users.map_err(|error| place.failed(error))
}

/// Runs up to eight workers at once until all have ended or one has failed.
pub(super) async fn at_once<F>(count: usize, worker: impl Fn() -> F) -> Result<(), MoveError>
where
    F: Future<Output = Result<(), MoveError>>,
{
    let run = async |number: usize| {
        if number < count.max(1) {
            worker().await
        } else {
            Ok(())
        }
    };
    tokio::try_join!(run(0), run(1), run(2), run(3), run(4), run(5), run(6), run(7)).map(drop)
}
