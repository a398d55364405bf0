//! `[chores]`: background work.

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of background work.
pub const SECTION: Section = Section {
    title: "[chores]",
    about: "Chores: background work such as removing expired data. `foxden chore run` runs one by hand.",
    settings: &[Setting {
        key: "chores.enabled",
        kind: Kind::Switch,
        default: "true",
        help: "Whether this process runs the chores. One of the processes that share a database is enough; more do no harm.",
    }],
};

/// Background work.
#[derive(Clone, Copy, Debug)]
pub struct Chores {
    /// Whether this process does it.
    pub is_enabled: bool,
}

impl Chores {
    /// Reads the settings.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let is_enabled = values.switch("chores.enabled")?;
        Ok(Self { is_enabled })
    }
}
