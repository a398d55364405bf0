//! Whether two clocks agree, and dates as HTTP writes them.

use std::time::UNIX_EPOCH;

use foxden_http::wire::PublicUrl;

use super::Finding;

/// Further apart than this, two clocks cannot both be right.
const APART: i64 = 30;

/// Whether the clock there agrees with ours: another machine has one of its own.
pub fn check(url: &PublicUrl, theirs: Option<i64>, ours: i64) -> Finding {
    match theirs {
        Some(theirs) if (theirs - ours).abs() > APART => Finding::error(
            format!(
                "the clock behind {url} and this machine's are {} seconds apart",
                (theirs - ours).abs()
            ),
            "keep both right with a time service such as systemd-timesyncd or chrony",
        ),
        _ => Finding::ok(format!("{url} leads here")),
    }
}

/// The seconds since 1970 of a date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn seconds_of(date: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(date).ok()?;
    let since_1970 = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_1970.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn dates_are_read() {
        for (date, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("soon", None),
            ("Sun, 06 Nvm 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(seconds_of(date), seconds, "{date}");
        }
    }

    #[test]
    fn clocks_that_disagree_are_bad() {
        let url: PublicUrl = "https://sync.example.org".parse().unwrap();
        assert_eq!(check(&url, Some(1000), 1010).severity, Severity::Ok);
        assert_eq!(check(&url, Some(1000), 1100).severity, Severity::Error);
        assert_eq!(check(&url, None, 1100).severity, Severity::Ok);
    }
}
