//! A time in a header or a query: no text panics, and what was read prints and reads back as itself.
#![no_main]

use foxden_model::SyncTime;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(time) = text.parse::<SyncTime>() {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
});
