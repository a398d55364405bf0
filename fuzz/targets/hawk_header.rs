//! The `Authorization` header of a Hawk request.
#![no_main]

use foxden_http::wire::hawk::HawkHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Half of the inputs get past the scheme.
    let _ = HawkHeader::parse(text);
    let _ = HawkHeader::parse(&format!("Hawk {text}"));
});
