//! The log on standard error: one line for each request, warnings and errors.
//!
//! A line never holds a query, a token, a password or an address of mail.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::time::Duration;

use foxden_model::{Clock, Escaped, SystemClock, UserId};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::calendar::Utc;
use crate::terminal;

/// The target of the lines about requests.
pub const REQUESTS: &str = "request";

/// Names one request in the log and in the answer's `X-Request-Id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u64);

thread_local! {
    /// The request that this thread is working on. A span would say the same at many times the cost.
    static CURRENT: Cell<Option<RequestId>> = const { Cell::new(None) };
}

/// Runs code for a request, so that its log lines carry the id of the request.
pub fn with_request_id<T>(id: RequestId, work: impl FnOnce() -> T) -> T {
    struct Before(Option<RequestId>);
    impl Drop for Before {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _before = Before(CURRENT.replace(Some(id)));
    work()
}

/// Begins to write the log.
pub fn start(level: LevelFilter) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(terminal::stderr_has_colour())
        .event_format(PlainFormat)
        .finish();
    // A second start, as in tests, keeps the first log.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Time, weight, request, words.
struct PlainFormat;

impl<S, N> FormatEvent<S, N> for PlainFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (word, colour) = match *event.metadata().level() {
            Level::ERROR => ("ERROR", "31"),
            Level::WARN => ("WARN ", "33"),
            Level::INFO => ("INFO ", "32"),
            Level::DEBUG => ("DEBUG", "34"),
            Level::TRACE => ("TRACE", "35"),
        };
        let time = Utc(SystemClock.millis());
        if writer.has_ansi_escapes() {
            write!(writer, "\x1b[2m{time}\x1b[0m \x1b[{colour}m{word}\x1b[0m ")?;
        } else {
            write!(writer, "{time} {word} ")?;
        }
        if let Some(id) = CURRENT.get() {
            write!(writer, "{id} ")?;
        }
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// A path as it may stand in a line: without control characters and not endless.
#[derive(Clone, Copy, Debug)]
pub struct EscapedPath<'a>(pub &'a str);

/// The most of a path or a method that is written.
const PATH_CHARACTERS: usize = 200;

impl fmt::Display for EscapedPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(PATH_CHARACTERS) {
            if character.is_ascii_graphic() {
                write!(f, "{character}")?;
            } else {
                write!(f, "{}", character.escape_unicode())?;
            }
        }
        if characters.next().is_some() {
            f.write_str("…")?;
        }
        Ok(())
    }
}

/// A span of time in milliseconds, to the tenth.
#[derive(Clone, Copy, Debug)]
pub struct DisplayMillis(pub Duration);

impl fmt::Display for DisplayMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_micros() / 100;
        write!(f, "{}.{} ms", tenths / 10, tenths % 10)
    }
}

/// The status of an answer, or a dash where there was none.
#[derive(Clone, Copy, Debug)]
pub struct Status(pub Option<u16>);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("-"),
        }
    }
}

/// Fields that only some lines have.
#[derive(Clone, Copy, Debug)]
pub struct Details<'a> {
    /// How the caller was authenticated.
    pub auth: Option<&'static str>,
    /// The user or account of the request.
    pub user: Option<UserId>,
    /// Why the request was refused.
    pub why: Option<&'a str>,
    /// Why the answer did not reach the client whole.
    pub end: Option<&'a str>,
}

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(auth) = self.auth {
            write!(f, " {auth}")?;
        }
        if let Some(user) = self.user {
            write!(f, " user {user}")?;
        }
        for why in [self.why, self.end].into_iter().flatten() {
            // Some reasons repeat what a client wrote.
            write!(f, ": {}", Escaped(why))?;
        }
        Ok(())
    }
}

impl From<u64> for RequestId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0 & 0xffff_ffff_ffff)
    }
}

impl RequestId {
    /// The same digits as in the log, without the machinery of formatting: every response carries them.
    pub fn digits(self) -> [u8; 12] {
        const HEX: [u8; 16] = *b"0123456789abcdef";
        let digit = |at| HEX[usize::try_from(self.0 >> (44 - 4 * at) & 15).unwrap_or_default()];
        std::array::from_fn(digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_and_the_answer_name_a_request_alike() {
        for id in [0, 1, 0xffff_ffff_ffff, 0x1234_5678_9abc_def0].map(RequestId::from) {
            assert_eq!(id.digits(), id.to_string().as_bytes());
        }
    }

    #[test]
    fn a_path_cannot_forge_a_line() {
        assert_eq!(EscapedPath("/1.5/42/a%20b").to_string(), "/1.5/42/a%20b");
        assert_eq!(EscapedPath("/a\nb").to_string(), "/a\\u{a}b");
        assert!(EscapedPath(&"x".repeat(5000)).to_string().chars().count() <= PATH_CHARACTERS + 1);
    }

    #[test]
    fn a_request_carries_its_id_only_while_it_is_worked_on() {
        let id = RequestId(7);
        assert_eq!(with_request_id(id, || CURRENT.get()), Some(id));
        assert_eq!(CURRENT.get(), None);
    }
}
