//! Listing the users of one file.

use std::collections::BTreeSet;

use foxden_model::UserId;
use rusqlite::Connection;

use super::file::DataFile;
use crate::engine::EngineError;

/// Rows with the uid that the list goes on from, or a greater one.
const STATEMENTS: [&str; 2] = [
    "select distinct uid from collection where uid >= ?1 order by uid limit ?2",
    "select uid from store where uid >= ?1 order by uid limit ?2",
];

/// The first users after that one, by the signed number under which the files list them.
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
