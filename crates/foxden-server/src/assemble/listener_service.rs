//! The way from a listener to its surfaces.

use std::mem;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use foxden_http::sync::{self, SyncState};
use foxden_http::wire::{AccessLogFields, Peer};
use tower::Service;

/// A request that is being answered.
pub type Answering<'a> = Pin<Box<dyn Future<Output = (Response, AccessLogFields)> + Send + 'a>>;

/// Everything a listener answers.
///
/// A router costs a small read of storage a fifth of its time, so storage stands beside it as long as its
/// paths begin at the root. The router knows those paths all the same: nothing depends on the shorter way.
#[derive(Clone)]
pub struct ListenerService {
    storage: Option<SyncState>,
    router: Router,
}

impl ListenerService {
    /// Leads to storage directly, if it is given and found at the root, and to all else by the router.
    pub const fn new(storage: Option<SyncState>, router: Router) -> Self {
        Self { storage, router }
    }

    /// Answers one request of that client: the response, and the fields for the access log. It works in a box, so that a
    /// connection that waits is not as large as one that works. Of the request only the URI is left.
    pub fn answer<'a>(&'a self, parts: &'a mut Parts, body: Body, peer: Peer) -> Answering<'a> {
        match &self.storage {
            Some(storage) if storage.owns(parts.uri.path()) => {
                Box::pin(sync::serve_client(storage, parts, body, Some(peer)))
            }
            _ => {
                let mut request = Request::from_parts(take(parts), body);
                request.extensions_mut().insert(peer);
                Box::pin(self.route(request))
            }
        }
    }

    async fn route(&self, request: Request) -> (Response, AccessLogFields) {
        let mut response = match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let fields = response.extensions_mut().remove().unwrap_or_default();
        (response, fields)
    }
}

/// Takes everything but a copy of the URI.
fn take(parts: &mut Parts) -> Parts {
    let (mut rest, ()) = Request::new(()).into_parts();
    rest.uri.clone_from(&parts.uri);
    mem::replace(parts, rest)
}

impl From<Router> for ListenerService {
    fn from(router: Router) -> Self {
        Self::new(None, router)
    }
}
