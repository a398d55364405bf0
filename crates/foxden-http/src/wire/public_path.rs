//! Routes below the path of the public address.

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::map_request;

/// Serves routes below a path and without it: some proxies remove the path.
pub fn with_and_without_path(router: Router, path: &str) -> Router {
    if path.is_empty() {
        return router;
    }
    let prefix: Arc<str> = path.into();
    let cut = router.clone().layer(map_request(move |request: Request| {
        let request = with_path_restored(request, &prefix);
        async { request }
    }));
    Router::new().nest(path, router).merge(cut)
}

/// Restores the path that a proxy removed, for signatures: clients sign what they ask for.
fn with_path_restored(mut request: Request, path: &str) -> Request {
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = format!("{path}{target}").parse().ok();
    // An invalid address cannot have been signed, so the request stays as it is.
    if let Ok(uri) = Uri::from_parts(parts) {
        request.extensions_mut().insert(OriginalUri(uri));
    }
    request
}
