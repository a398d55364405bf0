//! Opening the files: creation, migrations and the settings of connections.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use foxden_sql::{FolderLock, FolderLockError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::movable::flag::{self, MOVED, version_of};
use crate::engine::movable::MovedAway;

/// Migrations, one for each version. Never edited once released.
const MIGRATIONS: [&str; 2] = [
    include_str!("../../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../../migrations/sqlite/0002_closed.sql"),
];

/// The version of the tables after them.
#[expect(clippy::cast_possible_truncation, reason = "there are few")]
const VERSION: u32 = MIGRATIONS.len() as u32;
/// The greatest number of files in a folder.
pub(in crate::engine) const MAX_FILES: u32 = 64;

/// The file that is locked. The data folder of a server, which may be the same folder, has a lock of its own.
const LOCK: &str = "objects.lock";
/// The bytes of a page.
const PAGE_BYTES: i64 = 8192;
/// The pages from which the writer thread itself restarts the WAL.
pub(super) const MAX_WAL_PAGES: i64 = 4000;

/// The page caches of a write connection and of a read connection, in KiB. There are up to four readers for each file; larger
/// caches cost memory without more speed, since the system caches the pages of the file, too.
const WRITER_CACHE_KIB: i32 = 1024;
const READER_CACHE_KIB: i32 = 512;

/// Why the folder was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The number of files is not possible.
    #[error("{0} files asked for, 1 to {MAX_FILES} are possible")]
    FileCount(u32),
    /// The folder was created with another number of files, which cannot be changed afterwards.
    #[error("{folder} was made with {made} files and must be opened with as many, not with {requested}")]
    OtherFileCount {
        /// The folder.
        folder: PathBuf,
        /// The number it was created with.
        made: u32,
        /// The number in the options.
        requested: u32,
    },
    /// Another engine has the folder open, in this process or in another one.
    #[error(
        "the objects in {} are in use by process {process}; stop that one first, or name another folder in the URL of the store",
        folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The number of the process. It may be missing.
        process: String,
    },
    /// A file is missing, or has another file's name.
    #[error("{0} is not the file that belongs there")]
    Misplaced(PathBuf),
    /// The file was written by a newer release.
    #[error("{0} was written by a newer release")]
    Newer(PathBuf),
    /// The objects are being moved to or from another store, or were moved.
    #[error("{}: {moved}", folder.display())]
    Moved {
        /// The folder.
        folder: PathBuf,
        /// What becomes of the objects, and what the operator can do.
        moved: MovedAway,
    },
    /// The files take part in a move that another release began.
    #[error(
        "{folder} takes part in a move that another release began; go on with that release, or give the move up: \
         foxden migrate --give-up URL"
    )]
    MovedByOther {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder or a file cannot be created, read or written.
    #[error("cannot open {path}")]
    Unavailable {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What the files are opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To serve the objects; refused while they are moved, and afterwards.
    Serving,
    /// To move them.
    Moving,
    /// To give a move up, also one that another release began.
    GivingUp,
}

/// The files of a folder, each with a connection that writes.
pub(super) type OpenFiles = Vec<(PathBuf, Connection)>;

/// Locks the folder and opens its files for writing; creates missing files of a new folder.
pub(super) fn open_files(
    folder: &Path,
    count: u32,
    purpose: Purpose,
) -> Result<(FolderLock, OpenFiles), OpenError> {
    if count == 0 || count > MAX_FILES {
        return Err(OpenError::FileCount(count));
    }
    make_folder(folder)?;
    let lock = lock(folder)?;
    // The first file is created last: once it exists, all do, and a missing file has been lost. From then on it is opened first: it says
    // whether the folder may be used at all, before others are migrated.
    let is_made = path_of(folder, 0).exists();
    let mut numbers: Vec<u32> = (0..count).collect();
    if !is_made {
        numbers.reverse();
    }
    let mut files = Vec::new();
    for number in numbers {
        let path = path_of(folder, number);
        if !path.exists() {
            if is_made {
                return Err(missing(folder, count, path));
            }
            if number == 0 {
                sync(folder)?;
            }
            make_private(&path).map_err(|source| unavailable(&path, source))?;
        }
        let connection = connect_writer(&path, Duration::ZERO)
            .and_then(|mut connection| migrate(&mut connection, count, number).map(|()| connection))
            .map_err(|source| unavailable(&path, source))?;
        check_version(folder, &path, &connection, purpose)?;
        check_place(folder, &path, &connection, count, number)?;
        files.push((path, connection));
    }
    sync(folder)?;
    if !is_made {
        files.reverse();
    }
    Ok((lock, files))
}

fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    FolderLock::acquire(folder, LOCK).map_err(|error| match error {
        FolderLockError::InUse { folder, process } => OpenError::InUse { folder, process },
        error @ FolderLockError::Unavailable { .. } => unavailable(folder, error),
    })
}

/// Opens a connection that writes: the one of the writer thread, and the one for checkpoints.
pub(super) fn connect_writer(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, timeout)?;
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if pages == 0 {
        // Both take effect only in an empty file; in another one the second pragma would wait for the current writer.
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", MAX_WAL_PAGES * PAGE_BYTES)?;
    // Deleted data is overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", "on")?;
    Ok(connection)
}

/// Opens a read-only connection.
pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, Duration::from_secs(1))
}

pub(super) fn connect(path: &Path, access: OpenFlags, timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(timeout)?;
    // Without it, SQLite plans a statement again for each new value of a bound range.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(48);
    let is_reader = access.contains(OpenFlags::SQLITE_OPEN_READ_ONLY);
    let cache = if is_reader {
        READER_CACHE_KIB
    } else {
        WRITER_CACHE_KIB
    };
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, files: u32, number: u32) -> rusqlite::Result<()> {
    let version = version_of(connection)?;
    for (at, migration) in (0u32..).zip(MIGRATIONS).skip_while(|&(at, _)| at < version) {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step.execute_batch(migration)?;
        if at == 0 {
            step.execute(
                "insert into place (files, number) values (?1, ?2)",
                (files, number),
            )?;
        }
        step.pragma_update(None, "user_version", at + 1)?;
        step.commit()?;
    }
    Ok(())
}

pub(super) fn check_version(
    folder: &Path,
    path: &Path,
    connection: &Connection,
    purpose: Purpose,
) -> Result<(), OpenError> {
    let version = version_of(connection).map_err(|source| unavailable(path, source))?;
    let is_moved = version >= MOVED;
    let is_known = version % MOVED == VERSION;
    match purpose {
        Purpose::Serving if is_moved => {
            Err(OpenError::Moved {
                folder: folder.to_owned(),
                // The store stays closed if the flag cannot be read.
                moved: MovedAway::of(flag::read(connection).unwrap_or_default()),
            })
        }
        Purpose::Moving if is_moved && !is_known => Err(OpenError::MovedByOther {
            folder: folder.to_owned(),
        }),
        _ if !is_moved && version > VERSION => Err(OpenError::Newer(path.to_owned())),
        Purpose::Serving | Purpose::Moving | Purpose::GivingUp => Ok(()),
    }
}

fn check_place(
    folder: &Path,
    path: &Path,
    connection: &Connection,
    requested: u32,
    number: u32,
) -> Result<(), OpenError> {
    let (made, found): (u32, u32) = connection
        .query_row("select files, number from place", (), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(|source| unavailable(path, source))?;
    if made != requested {
        let folder = folder.to_owned();
        return Err(OpenError::OtherFileCount {
            folder,
            made,
            requested,
        });
    }
    if found != number {
        return Err(OpenError::Misplaced(path.to_owned()));
    }
    Ok(())
}

/// Returns why a file is missing: it was lost, or the folder was created with fewer files.
fn missing(folder: &Path, requested: u32, path: PathBuf) -> OpenError {
    let first = path_of(folder, 0);
    let made = connect_reader(&first)
        .and_then(|first| first.query_row("select files from place", (), |row| row.get(0)));
    match made {
        Ok(made) if made != requested => OpenError::OtherFileCount {
            folder: folder.to_owned(),
            made,
            requested,
        },
        _ => OpenError::Misplaced(path),
    }
}

pub(super) fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number}.sqlite"))
}

/// Creates the folder and its missing parents, durably.
fn make_folder(folder: &Path) -> Result<(), OpenError> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|source| unavailable(folder, source))?;
    for parent in missing.iter().filter_map(|made| made.parent()) {
        // The parent of a bare name is the empty path.
        let is_here = parent.as_os_str().is_empty();
        sync(if is_here { Path::new(".") } else { parent })?;
    }
    Ok(())
}

/// Flushes a folder's entries to the disk.
fn sync(folder: &Path) -> Result<(), OpenError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| unavailable(folder, source))
}

/// Creates an empty file that only this system user may read; SQLite gives the WAL the same permissions.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

pub(super) fn unavailable(
    path: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> OpenError {
    OpenError::Unavailable {
        path: path.to_owned(),
        source: source.into(),
    }
}
