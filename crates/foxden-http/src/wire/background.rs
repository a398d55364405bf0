//! What goes on when its client has gone: a request's own work ends wherever it stands once the client hangs up.

use std::pin::Pin;
use std::sync::Arc;

use foxden_accounts::{Accounts, Removed, Unavailable};
use foxden_storage::Storage;
use tokio::sync::oneshot;

/// A piece of work.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries a piece of work out to its end, whatever becomes of the request that asked for it.
pub type ToTheEnd = Arc<dyn Fn(Work) + Send + Sync>;

/// Has the work carried out and waits for what comes of it.
async fn finish<T: Send + 'static>(
    to_the_end: &ToTheEnd,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Unavailable> {
    let (sender, outcome) = oneshot::channel();
    to_the_end(Box::pin(async move {
        // Nobody waits any more where the client has gone.
        let _ = sender.send(work.await);
    }));
    outcome.await.map_err(|_| Unavailable::Busy)
}

/// Has an account removed, closes its stores and wipes its rows off the disk. A client that hangs up once the
/// account is gone must not keep its stores open.
pub(crate) async fn remove_account<E: From<Unavailable> + Send + 'static>(
    to_the_end: &ToTheEnd,
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
    finish(to_the_end, work).await?
}
