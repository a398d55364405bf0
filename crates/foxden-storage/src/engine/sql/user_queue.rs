//! Bounds what one user may do at once, so that the connections are left to others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foxden_model::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::EngineError;

/// The most commands of one user that wait.
const MAX_WAITING: usize = 64;
/// How long a command waits for its turn.
const MOST_WAIT: Duration = Duration::from_secs(15);

/// The commands of each user that run or wait.
pub(super) struct UserQueues {
    at_once: usize,
    users: Mutex<HashMap<UserId, Queue>>,
}

struct Queue {
    semaphore: Arc<Semaphore>,
    /// Those that run and those that wait.
    inside: usize,
}

/// The turn of a user's command: it may run.
pub(super) struct Turn<'a> {
    _permit: OwnedSemaphorePermit,
    _slot: QueueSlot<'a>,
}

struct QueueSlot<'a> {
    queues: &'a UserQueues,
    user: UserId,
}

impl UserQueues {
    /// Queues of which each lets this many commands run at once.
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            at_once,
            users: Mutex::default(),
        }
    }

    /// Waits until the user's command may run; refuses it if too many wait, or if its turn does not come.
    pub(super) async fn enter(&self, user: UserId) -> Result<Turn<'_>, EngineError> {
        self.enter_within(user, MOST_WAIT).await
    }

    async fn enter_within(&self, user: UserId, most_wait: Duration) -> Result<Turn<'_>, EngineError> {
        let (semaphore, slot) = {
            let mut users = self.users();
            let queue = users.entry(user).or_insert_with(|| Queue {
                semaphore: Arc::new(Semaphore::new(self.at_once)),
                inside: 0,
            });
            if queue.inside >= self.at_once + MAX_WAITING {
                return Err(EngineError::Busy);
            }
            queue.inside += 1;
            (Arc::clone(&queue.semaphore), QueueSlot { queues: self, user })
        };
        let permit = tokio::time::timeout(most_wait, semaphore.acquire_owned()).await;
        let permit = permit.map_err(|_| EngineError::Busy)?;
        Ok(Turn {
            _permit: permit.map_err(|closed| EngineError::Unavailable(closed.into()))?,
            _slot: slot,
        })
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Queue>> {
        // No code panics under this lock.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut queue) = self.queues.users().entry(self.user) {
            queue.get_mut().inside -= 1;
            if queue.get().inside == 0 {
                queue.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_user_waits_for_its_own_commands_alone() {
        let queues = UserQueues::new(1);
        let first = queues.enter(UserId(1)).await.unwrap();
        let other = queues.enter(UserId(2)).await.unwrap();
        let mut second = Box::pin(queues.enter(UserId(1)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop((first, other));
        let second = second.await.unwrap();
        assert_eq!(queues.users().len(), 1);
        drop(second);
        assert!(queues.users().is_empty());
    }

    #[tokio::test]
    async fn no_command_waits_for_long() {
        let queues = UserQueues::new(1);
        let running = queues.enter(UserId(1)).await.unwrap();
        let refused = queues.enter_within(UserId(1), Duration::from_millis(10)).await;
        assert!(matches!(refused, Err(EngineError::Busy)));
        drop((refused, running));
        assert!(queues.users().is_empty());
    }

    #[tokio::test]
    async fn too_many_waiting_commands_are_refused() {
        let queues = UserQueues::new(1);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let running = queues.enter(UserId(1)).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..MAX_WAITING {
            let mut command = Box::pin(queues.enter(UserId(1)));
            assert!(command.as_mut().poll(&mut context).is_pending());
            waiting.push(command);
        }
        assert!(matches!(queues.enter(UserId(1)).await, Err(EngineError::Busy)));
        drop((waiting, running));
        assert!(queues.users().is_empty());
    }
}
