//! The system's user as which a server runs.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::passes;
use crate::packages::is_root;

/// The system's user as which a server runs: another than root if root starts it, since some refuse to run as root.
pub struct SystemUser {
    /// The user and group of another user.
    other: Option<(u32, u32)>,
}

impl SystemUser {
    /// The user of that name if root asks, else the user that asks.
    pub fn for_server(name: &str) -> Result<Self> {
        let other = if is_root() {
            Some((id("-u", name)?, id("-g", name)?))
        } else {
            None
        };
        Ok(Self { other })
    }

    /// Has a command run as this user.
    pub fn run(&self, command: &mut Command) {
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
    }

    /// Gives it a file or folder.
    pub fn own(&self, path: &Path) -> Result<()> {
        if let Some((user, group)) = self.other {
            chown(path, Some(user), Some(group))
                .with_context(|| format!("{}: no new owner", path.display()))?;
        }
        Ok(())
    }

    /// Returns whether it has access to every folder above this one.
    pub fn can_enter(&self, folder: &Path) -> Result<bool> {
        let mut test = Command::new("test");
        self.run(test.arg("-x").arg(folder));
        passes(&mut test)
    }
}

fn id(option: &str, name: &str) -> Result<u32> {
    let output = Command::new("id")
        .args([option, name])
        .stderr(Stdio::null())
        .output()?;
    match str::from_utf8(output.stdout.trim_ascii()).map(str::parse) {
        Ok(Ok(id)) => Ok(id),
        _ => bail!("there is no user {name}, as which root would start the server"),
    }
}
