//! The way from a listener to its surfaces.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use foxden_http::sync::{self, SyncState};
use tower::Service;

/// Everything a listener answers.
///
/// A router costs a small read of storage a fifth of its time, so storage stands beside it as long as its
/// paths begin at the root. The router knows those paths all the same: nothing depends on the shorter way.
#[derive(Clone)]
pub struct Doors {
    storage: Option<SyncState>,
    router: Router,
}

impl Doors {
    /// Leads to storage directly, if it is given and found at the root, and to all else by the router.
    pub const fn new(storage: Option<SyncState>, router: Router) -> Self {
        Self { storage, router }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Response {
        match &self.storage {
            // In a box, so that a connection that waits is not as large as one that works.
            Some(storage) if storage.owns(request.uri().path()) => {
                Box::pin(sync::serve(storage, request)).await
            }
            _ => match self.router.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
        }
    }
}

impl From<Router> for Doors {
    fn from(router: Router) -> Self {
        Self::new(None, router)
    }
}
