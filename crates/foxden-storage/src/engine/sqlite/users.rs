//! Listing the users of one file.

use std::collections::BTreeSet;

use foxden_model::UserId;
use rusqlite::Connection;

use super::file::DataFile;
use crate::engine::EngineError;

/// Select users from a uid on.
const STATEMENTS: [&str; 2] = [
    "select distinct uid from collection where uid >= ?1 order by uid limit ?2",
    "select uid from store where uid >= ?1 order by uid limit ?2",
];

/// Returns the first users after `after`, in the order of the signed numbers that the file stores.
pub(super) fn list(
    file: &DataFile,
    after: Option<UserId>,
    limit: usize,
) -> Result<BTreeSet<i64>, EngineError> {
    let Some(first) = after.map_or(Some(i64::MIN), |after| after.0.cast_signed().checked_add(1)) else {
        return Ok(BTreeSet::new());
    };
    file.with_reader(|reader| {
        let mut users = BTreeSet::new();
        for statement in STATEMENTS {
            collect(reader, statement, first, limit, &mut users)?;
        }
        Ok(users)
    })
}

fn collect(
    reader: &Connection,
    statement: &str,
    first: i64,
    limit: usize,
    users: &mut BTreeSet<i64>,
) -> Result<(), EngineError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = reader.prepare_cached(statement)?;
    let mut rows = statement.query((first, limit))?;
    while let Some(row) = rows.next()? {
        users.insert(row.get(0)?);
    }
    Ok(())
}
