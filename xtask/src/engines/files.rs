//! The files of one server.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::system_user::SystemUser;

/// The files of one server, and the user that it runs as.
pub struct Files {
    /// The folder of its state, beside those of the others of a cluster.
    pub home: PathBuf,
    /// The folder with everything but the sockets.
    pub folder: PathBuf,
    /// The folder of Unix sockets: their paths may have about a hundred bytes.
    pub sockets: PathBuf,
    /// The password of its accounts.
    pub password: String,
    /// The system's user as which it runs.
    pub user: SystemUser,
}

impl Files {
    /// Makes empty folders: the first below `wanted` if the user can enter that, else in `/var/tmp`; the second in `/tmp`.
    pub fn create(wanted: &Path, name: &str, user: SystemUser) -> Result<Self> {
        let unique = format!("foxden-{name}-{}", random_text(4)?);
        let mut folder = wanted.join("files");
        make(&folder, &user)?;
        if !user.can_enter(&folder)? {
            fs::remove_dir(&folder)?;
            folder = Path::new("/var/tmp").join(&unique);
            make(&folder, &user)?;
        }
        let sockets = Path::new("/tmp").join(unique);
        make(&sockets, &user)?;
        let password = random_text(12)?;
        Ok(Self {
            home: wanted.to_owned(),
            folder,
            sockets,
            password,
            user,
        })
    }

    /// The folder of the database.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the server prints.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// A call as the user that the server runs as, in its folder.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.user.run(&mut command);
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Writes a file that only that user can read, in place of the one with that name.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
        self.user.own(&path)?;
        Ok(path)
    }
}

/// Runs a command of the preparation with an input; its failure is an error with its output.
pub fn prepare(command: &mut Command, input: &str) -> Result<()> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let program = command.get_program().to_owned();
    let mut child = command
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    // A program that fails early does not read it; its output says why it failed.
    let _ = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!(
            "{} failed: {}",
            program.display(),
            last_lines(&String::from_utf8_lossy(&text))
        );
    }
    Ok(())
}

/// Deletes the folders of a server.
pub fn delete(folder: &Path, sockets: &Path) -> Result<()> {
    for folder in [folder, sockets] {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} cannot be deleted", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The end of a log, for an error.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(8);
    lines[from..].join("\n")
}

/// Makes a folder; an existing one is an error, since it may belong to another program.
fn make(folder: &Path, user: &SystemUser) -> Result<()> {
    let made = fs::DirBuilder::new().mode(0o755).create(folder);
    made.with_context(|| format!("{} cannot be made", folder.display()))?;
    user.own(folder)
}

pub fn random_text(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut text = String::new();
    for byte in random {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
