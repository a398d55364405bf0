//! What the program says on a terminal: the only place that prints.
//!
//! Answers go to standard output, remarks and faults to standard error. Colour appears only on a terminal
//! and only where `NO_COLOR` is not set.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use crate::config::environment;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// A title, or what must be seen.
    Bold,
    /// What may be overlooked.
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

impl Look {
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

/// A text with a look, which shows only where colour is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    text: T,
    look: Option<Look>,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(look) = self.look else {
            return self.text.fmt(f);
        };
        write!(f, "\x1b[{}m", look.code())?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

/// The text as it appears on standard output.
pub fn paint<T: fmt::Display>(text: T, look: Look) -> Painted<T> {
    let look = stdout_has_colour().then_some(look);
    Painted { text, look }
}

/// Whether standard output is a terminal that a person may be reading.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output may be coloured.
pub fn stdout_has_colour() -> bool {
    stdout_is_terminal() && !environment::refuses_colour()
}

/// Whether standard error may be coloured.
pub fn stderr_has_colour() -> bool {
    io::stderr().is_terminal() && !environment::refuses_colour()
}

/// Says one line on standard output.
pub fn line(text: impl fmt::Display) {
    // Whoever closed the pipe has read enough.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Says a text that ends its own lines on standard output.
pub fn text(text: impl fmt::Display) {
    // Whoever closed the pipe has read enough.
    let _ = write!(io::stdout().lock(), "{text}");
}

/// Says one line on standard error.
pub fn remark(text: impl fmt::Display) {
    // Nothing is left to tell it to when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells an error and what lies beneath it, on standard error.
pub fn fault(error: &anyhow::Error) {
    let word = Painted {
        text: "foxden:",
        look: stderr_has_colour().then_some(Look::Bad),
    };
    remark(format_args!("{word} {error:#}"));
}
