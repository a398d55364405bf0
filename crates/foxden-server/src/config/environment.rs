//! The process's environment. The only place that reads it.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The prefix of every setting's variable.
pub const PREFIX: &str = "FOXDEN__";
/// The prefix of variables that may be meant as those of settings.
pub const SHORT_PREFIX: &str = "FOXDEN_";

/// The variables with either prefix, in the order of their names.
pub fn settings() -> Vec<(String, String)> {
    let mut found: Vec<_> = env::vars_os().filter_map(setting).collect();
    found.sort();
    found
}

fn setting((name, value): (OsString, OsString)) -> Option<(String, String)> {
    let name = name.into_string().ok()?;
    let value = value.into_string().ok()?;
    name.starts_with(SHORT_PREFIX).then_some((name, value))
}

/// The configuration file that the environment names.
#[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
pub fn config_file() -> Option<PathBuf> {
    env::var_os("FOXDEN_CONFIG")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// Whether the person at the terminal wants no colour, see <https://no-color.org>.
#[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
pub fn refuses_colour() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || is_dumb_terminal()
}

/// Whether the terminal understands no escape sequences.
#[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
pub fn is_dumb_terminal() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}
