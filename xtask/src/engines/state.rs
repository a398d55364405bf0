//! What is written down of a running server, so that another command finds it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::Process;

/// A server that was started: it may have ended since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The folder of this state.
    pub folder: PathBuf,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its process.
    pub process: Process,
    /// The folder of its files.
    pub files: PathBuf,
    /// The folder of its Unix sockets.
    pub sockets: PathBuf,
    /// The password of its accounts.
    pub password: String,
}

impl State {
    const FILE: &str = "state";

    /// The state in a folder; `None` if no server was started there, or it was ended.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let file = folder.join(Self::FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
        };
        let state = Self::parse(folder, &text);
        let state =
            state.with_context(|| format!("{} is no state of a server; delete it", file.display()))?;
        Ok(Some(state))
    }

    /// Writes it down. The file has a password, so that only its owner can read it.
    pub fn write(&self) -> Result<()> {
        let text = format!(
            "port {}\nprocess {}\nfiles {}\nsockets {}\npassword {}\n",
            self.port,
            self.process,
            self.files.display(),
            self.sockets.display(),
            self.password
        );
        // Written aside and renamed: a reader meets all of it or none.
        let aside = self.folder.join("state.new");
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(text.as_bytes())?;
        fs::rename(aside, self.folder.join(Self::FILE))?;
        Ok(())
    }

    /// Forgets it, once the server has ended.
    pub fn delete(&self) -> Result<()> {
        fs::remove_file(self.folder.join(Self::FILE)).context("the state cannot be deleted")
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns whether it answers this question soon, and its answer begins so.
    pub fn is_answered(&self, question: &[u8], beginning: &[u8]) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()) else {
            return false;
        };
        let mut answer = vec![0; beginning.len()];
        let has_answered = stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .and_then(|()| stream.write_all(question))
            .and_then(|()| stream.read_exact(&mut answer));
        has_answered.is_ok() && answer == beginning
    }

    /// What it prints.
    pub fn log(&self) -> PathBuf {
        self.files.join("log")
    }

    fn parse(folder: &Path, text: &str) -> Result<Self> {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let found = lines.find(|(key, _)| *key == name);
            found
                .map(|(_, value)| value)
                .with_context(|| format!("the line {name} is missing"))
        };
        Ok(Self {
            folder: folder.to_owned(),
            port: value("port")?.parse()?,
            process: value("process")?.parse()?,
            files: value("files")?.into(),
            sockets: value("sockets")?.into(),
            password: value("password")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder for one test.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("foxden-xtask-{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn a_state_is_the_same_after_it_was_written_down() {
        let folder = folder("written");
        assert_eq!(State::read(&folder).unwrap(), None);
        let state = State {
            folder: folder.clone(),
            port: 54321,
            process: Process::this().unwrap(),
            files: "/a folder/with blanks".into(),
            sockets: "/b".into(),
            password: "secret".to_owned(),
        };
        state.write().unwrap();
        assert_eq!(State::read(&folder).unwrap().as_ref(), Some(&state));
        let mode = fs::metadata(folder.join(State::FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        state.delete().unwrap();
        assert_eq!(State::read(&folder).unwrap(), None);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_damaged_state_is_named() {
        let folder = folder("damaged");
        fs::write(folder.join(State::FILE), "port 1\n").unwrap();
        let error = format!("{:#}", State::read(&folder).unwrap_err());
        assert!(
            error.contains("delete it") && error.contains("process"),
            "{error}"
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
