//! The discovery document at the root, for tools that ask for JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use foxden_accounts::OLDSYNC;
use serde_json::json;

use crate::wire::{Site, print_json, set_route};

/// Adds the discovery document at the root, for requests that ask for JSON. Other requests go to `root`.
pub fn layered_over(root: Router, site: Arc<Site>) -> Router {
    root.layer(from_fn_with_state(site, answer_tools))
}

async fn answer_tools(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && request.uri().path() == "/" && is_wanted(request.headers()) {
        return document(&site);
    }
    next.run(request).await
}

/// Returns whether a request for the root asks for JSON and not for a page.
fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter();
    let texts: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let asks_for = |kind: &str| texts.iter().any(|text| text.contains(kind));
    asks_for("application/json") && !asks_for("text/html")
}

/// The discovery document: the services of this server, and whose credentials it accepts.
fn document(site: &Site) -> Response {
    let url = &site.public_url;
    let document = json!({
        "services": { "sync": ["1.5"] },
        "auth": url.base(),
        "oauth": {
            "default_issuer": url.host(),
            "scope": OLDSYNC,
            "server_url": format!("{}/v1", url.origin()),
        },
    });
    let mut response = print_json(StatusCode::OK, &document);
    set_route(&mut response, Some("/"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_the_page_and_tools_the_document() {
        for (accept, wanted) in [
            ("application/json", true),
            ("application/json, */*;q=0.1", true),
            ("text/html,application/json", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(is_wanted(&headers), wanted, "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }
}
