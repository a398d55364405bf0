//! Programs that only the tests need: found, or installed if that is allowed.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

use anyhow::Result;

use crate::cargo::{passes, variable};

/// A program and its Debian package.
pub struct Program {
    name: &'static str,
    package: &'static str,
    /// The service of the package, which the tests do not start.
    service: Option<&'static str>,
}

/// The browser that the tests drive.
pub const FIREFOX: Program = Program {
    name: "firefox-esr",
    package: "firefox-esr",
    service: None,
};
/// The mail server.
pub const MAIL_SERVER: Program = Program {
    name: "aiosmtpd",
    package: "python3-aiosmtpd",
    service: None,
};
/// Creates the certificates of the mail server.
pub const OPENSSL: Program = Program {
    name: "openssl",
    package: "openssl",
    service: None,
};
/// Shifts the clock of a program.
pub const FAKETIME: Program = Program {
    name: "faketime",
    package: "faketime",
    service: None,
};
/// The database server.
pub const POSTGRES: Program = Program {
    name: "postgres",
    package: "postgresql",
    service: Some("postgresql"),
};
/// The other database server.
pub const MARIADB: Program = Program {
    name: "mariadbd",
    package: "mariadb-server",
    service: Some("mariadb"),
};
/// The same server as a member of a cluster, whose library comes with it.
pub const GALERA: Program = Program {
    name: "wsrep_sst_rsync",
    package: "mariadb-server",
    service: Some("mariadb"),
};
/// The pooler before the first of them.
pub const PGBOUNCER: Program = Program {
    name: "pgbouncer",
    package: "pgbouncer",
    service: Some("pgbouncer"),
};
/// A cache server.
pub const REDIS: Program = Program {
    name: "redis-server",
    package: "redis-server",
    service: Some("redis-server"),
};
/// The other cache server.
pub const MEMCACHED: Program = Program {
    name: "memcached",
    package: "memcached",
    service: Some("memcached"),
};
/// Counts the instructions of a program.
pub const VALGRIND: Program = Program {
    name: "valgrind",
    package: "valgrind",
    service: None,
};
/// The compiler that libFuzzer is built with.
pub const CPP: Program = Program {
    name: "c++",
    package: "g++",
    service: None,
};
/// Creates virtual environments. It is a module of an interpreter, so `python.rs` looks for it.
pub const VENV: Program = Program {
    name: "the module venv of Python 3",
    package: "python3-venv",
    service: None,
};
/// The proxies that the tests put before the program.
pub const PROXIES: [Program; 3] = [
    Program {
        name: "nginx",
        package: "nginx",
        service: Some("nginx"),
    },
    Program {
        name: "apache2",
        // Without `apache2` itself, which is the service.
        package: "apache2-bin",
        service: None,
    },
    HAPROXY,
];
/// One of them, which the tests with two processes need, too.
pub const HAPROXY: Program = Program {
    name: "haproxy",
    package: "haproxy",
    service: Some("haproxy"),
};

/// The lists of packages are fetched once.
static UPDATE: Once = Once::new();

impl Program {
    /// Ensures that the program is installed. The inner `Err` tells how to install it by hand.
    pub fn ensure(&self) -> Result<Result<(), String>> {
        if self.is_there() {
            return Ok(Ok(()));
        }
        self.install()?;
        if self.is_there() {
            return Ok(Ok(()));
        }
        Ok(Err(self.what_to_do()))
    }

    /// The message that it must be installed by hand.
    pub fn what_to_do(&self) -> String {
        format!(
            "{} is missing and could not be installed: apt-get install {}",
            self.name, self.package
        )
    }

    /// Installs the package, if that is allowed.
    pub fn install(&self) -> Result<()> {
        eprintln!("installing {}", self.package);
        if is_root() && has("apt-get") {
            // Until the end of this block.
            let _unstarted = self.service.map(|_| Unstarted::begin()).transpose()?;
            let _empty = self.service.map(|_| NoCluster::begin()).transpose()?;
            UPDATE.call_once(|| apt_get(&["update"]));
            apt_get(&["-y", "install", "--no-install-recommends", self.package]);
            if let Some(service) = self.service.filter(|_| has("systemctl")) {
                // Nor does it start with the machine: this is no server.
                passes(Command::new("systemctl").args(["-q", "disable", service]))?;
            }
        }
        Ok(())
    }

    fn is_there(&self) -> bool {
        has(self.name)
    }
}

/// Prevents packages from starting their services, by a Debian policy that denies each start.
struct Unstarted {
    is_ours: bool,
}

impl Unstarted {
    const FILE: &str = "/usr/sbin/policy-rc.d";

    /// An existing policy stays in force.
    fn begin() -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(Self::FILE);
        match file {
            Ok(mut file) => {
                file.write_all(b"#!/bin/sh\nexit 101\n")?;
                Ok(Self { is_ours: true })
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { is_ours: false }),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if self.is_ours && fs::remove_file(Self::FILE).is_err() {
            eprintln!("{} is left behind: please remove it", Self::FILE);
        }
    }
}

/// Keeps the packages of PostgreSQL from creating a database cluster, which would start with the machine.
struct NoCluster {
    /// What is to be deleted, the file first.
    ours: Vec<&'static Path>,
}

impl NoCluster {
    const FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/etc/postgresql-common/createcluster.d"];
    const FILE: &str = "/etc/postgresql-common/createcluster.d/foxden.conf";

    fn begin() -> Result<Self> {
        let mut ours = Vec::new();
        for folder in Self::FOLDERS {
            if !Path::new(folder).is_dir() {
                fs::create_dir(folder)?;
                ours.insert(0, Path::new(folder));
            }
        }
        fs::write(Self::FILE, "create_main_cluster = false\n")?;
        ours.insert(0, Path::new(Self::FILE));
        Ok(Self { ours })
    }
}

impl Drop for NoCluster {
    fn drop(&mut self) {
        for path in &self.ours {
            // A folder stays that the package has put files into.
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
        }
    }
}

/// Calls `apt-get`, and prints what it said if it failed. Whether the program is there then is asked afterwards.
fn apt_get(arguments: &[&str]) {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments);
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            eprintln!("{command:?} failed:\n{}", String::from_utf8_lossy(&text));
        }
        Err(error) => eprintln!("{command:?} cannot be started: {error}"),
    }
}

fn has(name: &str) -> bool {
    find(name).is_some()
}

/// Finds a program on the path, in the folders of servers, or among PostgreSQL's, the newest version first.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    let mut folders = folders.chain(versions.into_iter().rev());
    folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()))
}

/// Returns whether root runs this.
pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
