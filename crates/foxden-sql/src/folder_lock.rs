//! A lock on a folder of files that one process at a time may use.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Keeps a folder locked until it is dropped. The system releases the lock when the process ends, also by a crash. The locked
/// file holds the id of the process that locked it last.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

/// Why a folder was not locked.
#[derive(Debug, thiserror::Error)]
pub enum FolderLockError {
    /// Another process, or another handle of this one, holds the lock.
    #[error("{} is in use by process {process}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The id of the process. It may be missing.
        process: String,
    },
    /// The file cannot be created, locked or written.
    #[error("cannot lock {}", path.display())]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl FolderLock {
    /// Locks a folder, which must exist, by the file of this name in it, and does not wait. Locks of different names do not
    /// exclude each other: a folder may hold files of several kinds.
    pub fn acquire(folder: &Path, name: &str) -> Result<Self, FolderLockError> {
        let path = folder.join(name);
        let unavailable = |source| FolderLockError::Unavailable {
            path: path.clone(),
            source,
        };
        let mut file = open(&path).map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {
                write_process_id(&mut file).map_err(unavailable)?;
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                // An unreadable id does not change the result.
                let _ = file.read_to_string(&mut process);
                Err(FolderLockError::InUse {
                    folder: folder.to_owned(),
                    process: process.trim().to_owned(),
                })
            }
            Err(TryLockError::Error(source)) => Err(unavailable(source)),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file is not enough while a child process is started: it has the file open, too, until its program begins.
        let _ = self.file.unlock();
    }
}

/// Opens the file, and creates it for this system user alone.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write_process_id(file: &mut File) -> io::Result<()> {
    // Written before the rest is cut off, so that a process that is refused meanwhile reads a number.
    let number = format!("{}\n", std::process::id());
    file.rewind()?;
    file.write_all(number.as_bytes())?;
    file.set_len(number.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_until_the_lock_is_dropped() {
        let folder = std::env::temp_dir().join(format!("foxden-{}-folder-lock", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lock = FolderLock::acquire(&folder, "lock").unwrap();
        let refused = FolderLock::acquire(&folder, "lock").unwrap_err();
        let FolderLockError::InUse { process, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!(*process, std::process::id().to_string());
        FolderLock::acquire(&folder, "other").unwrap();
        drop(lock);
        FolderLock::acquire(&folder, "lock").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let missing = FolderLock::acquire(&folder, "lock").unwrap_err();
        assert!(
            matches!(missing, FolderLockError::Unavailable { .. }),
            "{missing}"
        );
    }
}
