//! Prints to the terminal; no other module does.
//!
//! Results go to standard output, warnings and errors to standard error. Colour appears only on a terminal
//! and only where `NO_COLOR` is not set.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use foxden_model::is_invisible;

use crate::config::environment;

/// The style of a text.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// A title or an important text.
    Bold,
    /// A less important text.
    Dim,
    /// All is well.
    Good,
    /// Something to look at.
    Warning,
    /// Something is wrong.
    Bad,
    /// An address or a thing to type.
    Accent,
}

impl Style {
    const ALL: [Self; 6] = [
        Self::Bold,
        Self::Dim,
        Self::Good,
        Self::Warning,
        Self::Bad,
        Self::Accent,
    ];

    /// Whether the text begins with an escape sequence of this module.
    fn begins(text: &str) -> bool {
        let Some(rest) = text.strip_prefix("\x1b[") else {
            return false;
        };
        let is_code = |code: &str| rest.strip_prefix(code).is_some_and(|rest| rest.starts_with('m'));
        is_code("0") || Self::ALL.iter().any(|style| is_code(style.code()))
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Accent => "38;5;208",
        }
    }
}

/// A text with a style, which appears only if colour is on.
#[derive(Clone, Copy, Debug)]
pub struct Styled<T> {
    text: T,
    style: Option<Style>,
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(style) = self.style else {
            return self.text.fmt(f);
        };
        write!(f, "\x1b[{}m", style.code())?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

/// The text as it appears on standard output.
pub fn styled<T: fmt::Display>(text: T, style: Style) -> Styled<T> {
    let style = stdout_has_colour().then_some(style);
    Styled { text, style }
}

/// The text as it appears on standard error.
pub fn styled_error<T: fmt::Display>(text: T, style: Style) -> Styled<T> {
    let style = stderr_has_colour().then_some(style);
    Styled { text, style }
}

/// Whether standard output is a terminal that a person may be reading.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The columns of the terminal that standard output is; `None` if it is none.
pub fn stdout_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // Some pseudo-terminals do not know.
    Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
}

/// Whether standard output may be coloured.
pub fn stdout_has_colour() -> bool {
    stdout_is_terminal() && !environment::refuses_colour()
}

/// Whether standard error may be coloured.
pub fn stderr_has_colour() -> bool {
    io::stderr().is_terminal() && !environment::refuses_colour()
}

/// A text that is safe for a terminal: it may contain untrusted names and addresses, so every character that a terminal obeys or a
/// reader does not see is written as its number. Line breaks and styles of this module stay.
struct Sanitized(String);

impl Sanitized {
    fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Sanitized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.char_indices() {
            let is_ours = || Style::begins(&self.0[at..]);
            if matches!(character, '\n' | '\t') || !is_invisible(character) || is_ours() {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_unicode())?;
            }
        }
        Ok(())
    }
}

/// Says one line on standard output.
pub fn print_line(text: impl fmt::Display) {
    // A reader that closed the pipe has read enough.
    let _ = writeln!(io::stdout().lock(), "{}", Sanitized::new(text));
}

/// Says a text that ends its own lines on standard output.
pub fn print_text(text: impl fmt::Display) {
    // A reader that closed the pipe has read enough.
    let _ = write!(io::stdout().lock(), "{}", Sanitized::new(text));
}

/// Says one line on standard error.
pub fn eprint_line(text: impl fmt::Display) {
    // Nothing is left to tell it to when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{}", Sanitized::new(text));
}

/// The columns of the terminal on standard error; `None` if it is none, or one that cannot go back to the start of its line.
pub fn stderr_width() -> Option<usize> {
    if !io::stderr().is_terminal() || environment::is_dumb_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(io::stderr()).ok()?.ws_col;
    // A terminal that does not know its size says zero.
    Some(if columns == 0 { 80 } else { columns.into() })
}

/// Replaces the line on standard error with this one, without ending it. Only for a terminal.
pub fn replace_status(text: impl fmt::Display) {
    let mut stderr = io::stderr().lock();
    // Nothing is left to tell it to when standard error is gone.
    let _ = write!(stderr, "\r\x1b[K{}", Sanitized::new(text));
    let _ = stderr.flush();
}

/// Prints an error and its causes on standard error.
pub fn print_error(error: &anyhow::Error) {
    let word = Styled {
        text: "foxden:",
        style: stderr_has_colour().then_some(Style::Bad),
    };
    eprint_line(format_args!("{word} {error:#}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_clients_do_not_reach_the_terminal() {
        let seen = |text: &str| Sanitized::new(text).to_string();
        assert_eq!(seen("a\tb\nann@exämple.org"), "a\tb\nann@exämple.org");
        assert_eq!(
            seen("\x1b[1mbold\x1b[0m \x1b[38;5;208mx"),
            "\x1b[1mbold\x1b[0m \x1b[38;5;208mx"
        );
        assert_eq!(
            seen("\x1b[2J\x1b]0;title\x07\x1b[8m\r\u{202e}\u{200b}"),
            "\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{1b}[8m\\u{d}\\u{202e}\\u{200b}"
        );
    }
}
