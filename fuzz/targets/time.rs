//! A time in a header or a query: no text panics, and what was read prints and reads back as itself.

use foxden_fuzz::text;
use foxden_model::SyncTime;

/// Parses one input.
pub fn fuzz(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(time) = text.parse::<SyncTime>() {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
}
