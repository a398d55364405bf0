//! A statement that is put together.

use super::connection::Arg;

/// A statement and its values.
#[derive(Default)]
pub(super) struct Statement<'a> {
    pub(super) sql: String,
    pub(super) args: Vec<Arg<'a>>,
}

impl<'a> Statement<'a> {
    /// Adds text, and the values of its placeholders.
    pub(super) fn add(&mut self, sql: &str, args: impl IntoIterator<Item = Arg<'a>>) {
        self.sql.push_str(sql);
        self.args.extend(args);
    }
}
