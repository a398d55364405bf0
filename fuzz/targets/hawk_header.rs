//! The `Authorization` header of a Hawk request.

use axum::http::HeaderValue;
use foxden_fuzz::text;
use foxden_http::wire::hawk::HawkHeader;

/// Parses one input.
pub fn fuzz(bytes: &[u8]) {
    let text = text(bytes);
    // Half of the inputs get past the scheme.
    for text in [text, &format!("Hawk {text}")] {
        if let Ok(header) = HeaderValue::from_str(text) {
            let _ = HawkHeader::parse(&header);
        }
    }
}
