//! What the servers of a cluster know of each other: it lies beside the folders of their states.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use super::files::random_text;
use super::start::free_port;

/// The password and the ports of a cluster.
pub struct Cluster {
    /// The password of its accounts: they are those of one server, which the others copy.
    pub password: String,
    /// Ports for its members.
    pub ports: Vec<u16>,
}

impl Cluster {
    /// The cluster of that name, of which the server with this folder is a member. The first member makes it, with so many ports.
    pub fn join(home: &Path, name: &str, ports: usize) -> Result<Self> {
        // Members start side by side.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let file = file(home, name)?;
        if !file.exists() {
            let ports: Vec<String> = (0..ports)
                .map(|_| free_port().map(|port| port.to_string()))
                .collect::<Result<_>>()?;
            let text = format!("{} {}", random_text(12)?, ports.join(" "));
            fs::write(&file, text)?;
        }
        Self::of(home, name)
    }

    /// The cluster of that name, which was made.
    pub fn of(home: &Path, name: &str) -> Result<Self> {
        let text = fs::read_to_string(file(home, name)?).context("there is no such cluster")?;
        let mut words = text.split_whitespace();
        let password = words.next().unwrap_or_default().to_owned();
        let ports = words.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { password, ports })
    }
}

/// Forgets the cluster of which the server with this folder was a member.
pub fn forget(home: &Path, name: &str) -> Result<()> {
    match fs::remove_file(file(home, name)?) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn file(home: &Path, name: &str) -> Result<PathBuf> {
    let folder = home.parent().context("a server has a folder")?;
    Ok(folder.join(format!("cluster-{name}")))
}
