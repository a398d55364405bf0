//! A look at the files of a folder that changes nothing, and may be taken while a process serves them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::movable::flag::version_of;
use super::open::{OpenError, Purpose, check_version, connect, connect_reader, path_of, unavailable};

/// Looks at the files of a folder, and writes nothing. Returns whether there are collections; `None` if there are no tables. Refuses
/// what [`open_files`](super::open::open_files) would refuse because of a move or of a newer release; older tables are fine.
pub(in crate::engine) fn inspect(folder: &Path) -> Result<Option<bool>, OpenError> {
    let first = path_of(folder, 0);
    if !first.try_exists().map_err(|source| unavailable(&first, source))? {
        return Ok(None);
    }
    let connection = connect_looker(&first).map_err(|source| unavailable(&first, source))?;
    check_version(folder, &first, &connection, Purpose::Serving)?;
    if version_of(&connection).map_err(|source| unavailable(&first, source))? == 0 {
        return Ok(None);
    }
    let files = connection.query_row("select files from place", (), |row| row.get(0));
    let files: u32 = files.map_err(|source| unavailable(&first, source))?;
    for number in 0..files {
        let path = path_of(folder, number);
        let connection = connect_looker(&path).map_err(|source| unavailable(&path, source))?;
        let has_any = "select exists (select 1 from collection)";
        let has_any = connection.query_row(has_any, (), |row| row.get(0));
        if has_any.map_err(|source| unavailable(&path, source))? {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}

/// Opens a connection that leaves no files behind: where there is no WAL, no process has the file open, and none is made.
fn connect_looker(path: &Path) -> rusqlite::Result<Connection> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if Path::new(&wal).exists() {
        return connect_reader(path);
    }
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = whole.to_string_lossy();
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    connect(
        Path::new(&format!("file:{name}?immutable=1")),
        access,
        Duration::ZERO,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that was replaced looks before it migrates the tables.
    #[test]
    fn older_tables_are_looked_at_and_are_left_as_they_are() {
        let folder = std::env::temp_dir().join(format!("foxden-inspect-{}?#%", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = path_of(&folder, 0);
        assert_eq!(inspect(&folder).unwrap(), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(inspect(&folder).unwrap(), None);
        let file = Connection::open(&path).unwrap();
        file.pragma_update(None, "journal_mode", "wal").unwrap();
        file.execute_batch(include_str!("../../../migrations/sqlite/0001_initial.sql"))
            .unwrap();
        file.execute_batch("insert into place (files, number) values (1, 0); pragma user_version = 1")
            .unwrap();
        // What is in the WAL alone is seen.
        assert_eq!(inspect(&folder).unwrap(), Some(false));
        drop(file);
        assert_eq!(inspect(&folder).unwrap(), Some(false));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
