//! The format of a line: `CEF:0|Foxden|foxden|version|id|name|severity|key=value key=value`.
//!
//! Names, reasons and paths are untrusted. A line break does not end a line, an equals sign does not begin a key, and
//! control and invisible characters are written as `\u` and their number.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use foxden_model::is_invisible;

use super::QueuedEvent;
use super::signature::{LINES_MISSING, Signature};
use crate::version::VERSION;

/// A line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CefLine {
    /// The line.
    pub(super) text: String,
    /// From 0 to 10.
    pub(super) severity: u8,
    /// In milliseconds.
    pub(super) time: i64,
}

/// The number of repetitions of an event, and the times of the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeats {
    pub(super) count: u64,
    pub(super) first: i64,
    pub(super) last: i64,
}

impl CefLine {
    /// The line for an event, or for its repetitions.
    pub(super) fn of(event: &QueuedEvent, repeats: Option<Repeats>, host: &str) -> Self {
        let signature = Signature::of(event.kind);
        let time = repeats.map_or(event.time, |repeats| repeats.last);
        let mut line = Self::begin(signature, host, time);
        line.add("cs1Label", "entryPoint");
        line.add("cs1", event.entry_point);
        match event.from {
            Some(IpAddr::V4(address)) => line.add("src", address),
            // The `src` of CEF is IPv4 only.
            Some(IpAddr::V6(address)) => {
                line.add("c6a2Label", "Source IPv6 Address");
                line.add("c6a2", address);
            }
            None => {}
        }
        let (name, id) = match event.kind {
            foxden_accounts::security::EventKind::Operator(_) => {
                line.add("suser", "operator");
                ("duser", "duid")
            }
            _ => ("suser", "suid"),
        };
        line.add_text(name, event.name.as_deref());
        line.add_text(id, event.account.as_deref());
        line.add_text("reason", event.why.as_deref());
        line.add_text("requestMethod", event.method.as_deref());
        line.add_text("request", event.path.as_deref());
        if let Some(repeats) = repeats {
            line.add("cnt", repeats.count);
            line.add("start", repeats.first);
            line.add("end", repeats.last);
        }
        line
    }

    /// The line that gives the number of missing lines and the reason.
    pub(super) fn missing(count: u64, why: &str, host: &str, time: i64) -> Self {
        let mut line = Self::begin(LINES_MISSING, host, time);
        line.add("reason", why);
        line.add("cnt", count);
        line
    }

    fn begin(signature: Signature, host: &str, time: i64) -> Self {
        let mut line = Self {
            text: String::with_capacity(400),
            severity: signature.severity,
            time,
        };
        let _ = write!(
            line.text,
            "CEF:0|Foxden|foxden|{}|{}|{}|{}|rt={time}",
            Header(VERSION.version),
            signature.id,
            Header(signature.name),
            signature.severity
        );
        line.add("dvchost", host);
        line.add("act", signature.act);
        line.add("outcome", signature.outcome.word());
        line
    }

    fn add_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.add(key, value);
        }
    }

    fn add(&mut self, key: &str, value: impl fmt::Display) {
        let _ = write!(self.text, " {key}={}", Value(&value.to_string()));
    }
}

/// A text between pipes, escaped.
struct Header<'a>(&'a str);

impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' | '|' => write!(f, "\\{character}")?,
                // A header has one line and no other escapes.
                character if is_invisible(character) => f.write_char(' ')?,
                character => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A text after a key, escaped.
struct Value<'a>(&'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' | '=' => write!(f, "\\{character}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                character if is_invisible(character) => write!(f, "\\\\u{:04x}", u32::from(character))?,
                character => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_where_they_stand() {
        assert_eq!(Header("a|b\\c=d\ne").to_string(), "a\\|b\\\\c=d e");
        assert_eq!(
            Value("a|b\\c=d\ne\r\0\u{202e}f\u{2028}").to_string(),
            "a|b\\\\c\\=d\\ne\\r\\\\u0000\\\\u202ef\\\\u2028"
        );
    }
}
