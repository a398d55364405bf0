//! What a tool that asks the root of the server for JSON is told.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use foxden_accounts::OLDSYNC;
use serde_json::json;

use crate::wire::{Site, print_json};

/// Whether a request for the root is a tool's: it asks for JSON and not for a page.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter();
    let texts: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let asks_for = |kind: &str| texts.iter().any(|text| text.contains(kind));
    asks_for("application/json") && !asks_for("text/html")
}

/// The discovery document: which services there are, and whose credentials are taken.
pub fn document(site: &Site) -> Response {
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
    print_json(StatusCode::OK, &document)
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
