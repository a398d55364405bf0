//! Tasks that continue after their client has disconnected. The future of a request is dropped at that moment.

use std::pin::Pin;
use std::sync::Arc;

use foxden_accounts::{Accounts, Removed, Unavailable};
use foxden_storage::Storage;
use tokio::sync::oneshot;

/// A boxed task.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a task to its end, whatever happens to the request.
pub type TaskSpawner = Arc<dyn Fn(BoxFuture) + Send + Sync>;

/// Runs a task detached from the request and waits for its result.
async fn run_detached<T: Send + 'static>(
    task_spawner: &TaskSpawner,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Unavailable> {
    let (sender, outcome) = oneshot::channel();
    task_spawner(Box::pin(async move {
        // The receiver is gone if the client has disconnected.
        let _ = sender.send(work.await);
    }));
    outcome.await.map_err(|_| Unavailable::Busy)
}

/// Removes an account, closes its stores and wipes its rows off the disk. A client that disconnects once the
/// account is gone must not keep its stores open.
pub(crate) async fn remove_account<E: From<Unavailable> + Send + 'static>(
    task_spawner: &TaskSpawner,
    accounts: Accounts,
    storage: Option<Storage>,
    removal: impl Future<Output = Result<Removed, E>> + Send + 'static,
) -> Result<(), E> {
    let work = async move {
        let close = async |user| match &storage {
            Some(storage) => storage.close(user).await,
            None => Ok(()),
        };
        for (user, error) in accounts.complete_removal(removal, close).await? {
            tracing::warn!(%user, error = &error as &dyn std::error::Error, "a closed store is not empty yet");
        }
        Ok(())
    };
    run_detached(task_spawner, work).await?
}
