//! The `Authorization` header of a Hawk request.

use foxden_fuzz::text;
use foxden_http::wire::hawk::HawkHeader;

/// Parses one input.
pub fn fuzz(bytes: &[u8]) {
    let text = text(bytes);
    // Half of the inputs get past the scheme.
    let _ = HawkHeader::parse(text);
    let _ = HawkHeader::parse(&format!("Hawk {text}"));
}
