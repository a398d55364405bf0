//! Migrations of the tables: forward only, one transaction each.

/// One step from one version of the tables to the next. Never edited once released.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The name of its file.
    pub name: &'static str,
    /// Its statements, separated by semicolons.
    pub statements: &'static str,
}
