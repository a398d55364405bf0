//! What goes on when its client has gone: a request's own work ends wherever it stands once the client hangs up.

use std::pin::Pin;
use std::sync::Arc;

use foxden_accounts::AccountError;
use tokio::sync::oneshot;

use super::refusal::Refusal;

/// A piece of work.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries a piece of work out to its end, whatever becomes of the request that asked for it.
pub type ToTheEnd = Arc<dyn Fn(Work) + Send + Sync>;

/// Has the work carried out and waits for what comes of it.
pub(super) async fn finish<T: Send + 'static>(
    to_the_end: &ToTheEnd,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Refusal> {
    let (sender, outcome) = oneshot::channel();
    to_the_end(Box::pin(async move {
        // Nobody waits any more where the client has gone.
        let _ = sender.send(work.await);
    }));
    outcome.await.map_err(|_| AccountError::Busy.into())
}
