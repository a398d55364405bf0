//! Mail to account owners: its texts, and its delivery.
//!
//! The accounts put mail into the outbox in the transaction that makes it needed. This module takes it out and sends it.
//!
//! - [`mail_text`]: the text of each kind of mail
//! - [`compose`]: the same as plain text and as HTML, in one message
//! - [`smtp_client`]: sends a mail to the mail server; [`cause`]: why that failed
//! - [`smtp_connection`]: a connection to it, up to the first mail
//! - [`deliver`]: takes mail from the outbox, sends it, and retries

pub mod cause;
pub mod compose;
pub mod deliver;
pub mod mail_text;
pub mod smtp_client;
pub mod smtp_connection;

use crate::calendar::date_time;

/// A time as people read it: `14:20 UTC on 3 November 2026`. The reader's time zone is not known here.
struct DisplayTime(i64);

impl std::fmt::Display for DisplayTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = date_time(self.0);
        let (hour, minute, day, month, year) = (at.hour(), at.minute(), at.day(), at.month(), at.year());
        write!(f, "{hour:02}:{minute:02} UTC on {day} {month} {year}")
    }
}

#[cfg(test)]
mod tests {
    use super::DisplayTime;

    #[test]
    fn a_time_is_read_as_people_say_it() {
        assert_eq!(DisplayTime(0).to_string(), "00:00 UTC on 1 January 1970");
        assert_eq!(
            DisplayTime(1_798_761_599_999).to_string(),
            "23:59 UTC on 31 December 2026"
        );
    }
}
