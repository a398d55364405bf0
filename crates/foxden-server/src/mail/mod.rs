//! Letters to people: what they say, and how they get to them.
//!
//! The accounts write letters down in the step that makes them needed; here they are taken out and sent.
//!
//! - [`wording`]: what each kind of letter says
//! - [`compose`]: the same as plain text and as HTML, in one message
//! - [`carrier`]: the mail server; [`cause`]: what it says
//! - [`line`]: a connection to it, up to the first letter
//! - [`deliver`]: when letters are tried, and tried again

pub mod carrier;
pub mod cause;
pub mod compose;
pub mod deliver;
pub mod line;
pub mod wording;

use crate::calendar::date_time;

/// A time as people read it: `14:20 UTC on 3 November 2026`. Nobody knows the reader's zone here.
struct Minute(i64);

impl std::fmt::Display for Minute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = date_time(self.0);
        let (hour, minute, day, month, year) = (at.hour(), at.minute(), at.day(), at.month(), at.year());
        write!(f, "{hour:02}:{minute:02} UTC on {day} {month} {year}")
    }
}

#[cfg(test)]
mod tests {
    use super::Minute;

    #[test]
    fn a_time_is_read_as_people_say_it() {
        assert_eq!(Minute(0).to_string(), "00:00 UTC on 1 January 1970");
        assert_eq!(
            Minute(1_798_761_599_999).to_string(),
            "23:59 UTC on 31 December 2026"
        );
    }
}
