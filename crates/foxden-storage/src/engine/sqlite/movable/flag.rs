//! The flag of a move. It is in the first file, whose version says whether it holds.

use rusqlite::{Connection, TransactionBehavior};

use crate::engine::movable::{MoveFlag, MoveRole};
use crate::engine::{Corrupt, EngineError};

/// What is added to the version of the first file while it is flagged.
pub(in crate::engine::sqlite) const MOVED: u32 = 1_000_000;
const _: () = assert!(foxden_sql::MOVED == 1_000_000, "one number for all databases");

/// The version of the tables of a file.
pub(in crate::engine::sqlite) fn version_of(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Reads the flag; `None` if there is none.
pub(in crate::engine::sqlite) fn read(connection: &Connection) -> Result<Option<MoveFlag>, EngineError> {
    if version_of(connection)? < MOVED {
        return Ok(None);
    }
    let flag = connection.query_row("select id, role, peer from move", (), |row| {
        let role: String = row.get(1)?;
        Ok((row.get(0)?, MoveRole::of(&role), row.get(2)?))
    });
    let (id, role, peer) = flag?;
    let role = role.ok_or(Corrupt("the flag of a move"))?;
    Ok(Some(MoveFlag { id, role, peer }))
}

/// Sets or removes the flag, in one transaction.
pub(super) fn write(connection: &mut Connection, flag: Option<&MoveFlag>) -> rusqlite::Result<()> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version_of(&step)? % MOVED;
    step.execute_batch("drop table if exists move")?;
    if let Some(flag) = flag {
        step.execute_batch(
            "create table move (id text not null, role text not null, peer text not null) strict",
        )?;
        step.execute(
            "insert into move (id, role, peer) values (?1, ?2, ?3)",
            (&flag.id, flag.role.word(), &flag.peer),
        )?;
        step.pragma_update(None, "user_version", version + MOVED)?;
    } else {
        step.pragma_update(None, "user_version", version)?;
    }
    step.commit()
}
