//! Letters to people: what they say, and how they get to them.
//!
//! The accounts write letters down in the step that makes them needed; here they are taken out and sent.
//!
//! - [`wording`]: what each kind of letter says
//! - [`compose`]: the same as plain text and as HTML, in one message
//! - [`carrier`]: the mail server
//! - [`deliver`]: when letters are tried, and tried again

pub mod carrier;
pub mod compose;
pub mod deliver;
pub mod wording;

use crate::log::Utc;

/// A time as people read it: to the minute, since a letter is not read to the second.
struct Minute(i64);

impl std::fmt::Display for Minute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = Utc(self.0).to_string();
        write!(f, "{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
    }
}
