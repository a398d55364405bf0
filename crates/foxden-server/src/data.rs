//! The data folder: everything the server keeps, in one place, locked by the process that serves it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use foxden_model::Rng;
use foxden_sql::{FolderLock, FolderLockError};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::values::SHORTEST_SECRET;
use crate::rng;

/// The data folder, for as long as this process serves it.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: FolderLock,
}

/// Secrets made on the first start.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Signs storage tokens.
    #[serde(deserialize_with = "long_enough")]
    pub master_secret: String,
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Another process serves it.
    #[error("the data folder {} is in use by process {process}; stop that one first, or name another folder with --data-dir", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The number of the process, if the file has it.
        process: String,
    },
    /// The system does not allow it.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file of secrets was damaged.
    #[error("{} does not hold the secrets it was made with", path.display())]
    BadSecrets {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: toml::de::Error,
    },
}

/// The file that is locked.
const LOCK: &str = "lock";
/// The file that holds the secrets.
const SECRETS: &str = "secrets.toml";
/// The owner alone.
const PRIVATE_FOLDER: u32 = 0o700;
/// The owner alone.
const PRIVATE_FILE: u32 = 0o600;

/// Where SQLite keeps objects in a data folder.
pub fn storage_folder(data: &Path) -> PathBuf {
    data.join("storage")
}

impl DataFolder {
    /// Makes the folder where there is none, and locks it.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let unusable = |source| DataError::Unusable {
            path: path.to_owned(),
            source,
        };
        make_folder(path).map_err(unusable)?;
        let path = fs::canonicalize(path).map_err(unusable)?;
        let lock = FolderLock::acquire(&path, LOCK).map_err(DataError::of_lock)?;
        Ok(Self { path, _lock: lock })
    }

    /// The secrets; made now if this is the first start.
    pub(crate) fn secrets(&self, rng: &dyn Rng) -> Result<Secrets, DataError> {
        if let Some(secrets) = existing_secrets(&self.path)? {
            return Ok(secrets);
        }
        let secrets = Secrets::new(rng);
        let text = toml::to_string(&secrets).expect("texts can always be written as TOML");
        let path = self.path.join(SECRETS);
        write_whole(&path, &text).map_err(|source| DataError::Unusable { path, source })?;
        Ok(secrets)
    }

    /// Where SQLite keeps objects.
    pub fn storage(&self) -> PathBuf {
        storage_folder(&self.path)
    }

    /// Where SQLite keeps accounts.
    pub fn register(&self) -> PathBuf {
        register(&self.path)
    }

    /// The file with the horizon of the chores.
    pub fn horizon(&self) -> PathBuf {
        self.path.join("horizon")
    }

    /// The file that marks a private server as reached from elsewhere.
    pub fn public_mark(&self) -> PathBuf {
        self.path.join("public")
    }

    /// The socket for commands that change a running server.
    pub fn socket(&self) -> PathBuf {
        socket(&self.path)
    }
}

/// Where SQLite keeps accounts in this data folder.
pub fn register(folder: &Path) -> PathBuf {
    folder.join("register.sqlite")
}

/// The control socket of the process that serves this folder.
pub fn socket(path: &Path) -> PathBuf {
    path.join("foxden.sock")
}

/// The secrets of a data folder, if they were made already.
pub fn existing_secrets(folder: &Path) -> Result<Option<Secrets>, DataError> {
    let path = folder.join(SECRETS);
    match fs::read_to_string(&path) {
        Ok(text) => match toml::from_str(&text) {
            Ok(secrets) => Ok(Some(secrets)),
            Err(source) => Err(DataError::BadSecrets { path, source }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DataError::Unusable { path, source }),
    }
}

/// Refuses a secret that can be guessed: it opens every store.
fn long_enough<'de, D: Deserializer<'de>>(text: D) -> Result<String, D::Error> {
    let secret = String::deserialize(text)?;
    if secret.trim().len() < SHORTEST_SECRET {
        return Err(D::Error::custom(format_args!(
            "a secret of at least {SHORTEST_SECRET} characters is needed"
        )));
    }
    Ok(secret)
}

impl Secrets {
    fn new(rng: &dyn Rng) -> Self {
        Self {
            master_secret: rng::hex(rng, 32),
        }
    }
}

impl DataError {
    fn of_lock(error: FolderLockError) -> Self {
        match error {
            FolderLockError::InUse { folder, process } => Self::InUse {
                path: folder,
                process,
            },
            FolderLockError::Unavailable { path, source } => Self::Unusable { path, source },
        }
    }
}

/// Makes a folder, and those it lies in, so that a power cut takes none of them: secrets that were made in it
/// have signed tokens already.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(PRIVATE_FOLDER).create(&path)?;
    for parent in missing.iter().filter_map(|folder| folder.parent()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Removes a file so that no power cut brings it back. There may be none.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Writes a file so that it is there wholly or not at all.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(PRIVATE_FILE);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
