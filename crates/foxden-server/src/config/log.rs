//! `[log]`: how much is written down.

use tracing::level_filters::LevelFilter;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of the log.
pub const SECTION: Section = Section {
    title: "[log]",
    about: "The log on standard error. It never contains a query, a token, a password or a mail address.",
    settings: &[Setting {
        key: "log.level",
        kind: Kind::Choice(&["off", "error", "warn", "info", "debug"]),
        default: "info",
        help: "The least severe level that is logged. At `info` and `debug` each request has a line.",
    }],
};

/// The least severe level that is logged.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// The least important that is written.
    pub level: LevelFilter,
}

impl Log {
    /// Reads the settings.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let levels = [
            LevelFilter::OFF,
            LevelFilter::ERROR,
            LevelFilter::WARN,
            LevelFilter::INFO,
            LevelFilter::DEBUG,
        ];
        let level = values.choice("log.level", &levels)?.unwrap_or(LevelFilter::INFO);
        Ok(Self { level })
    }
}
