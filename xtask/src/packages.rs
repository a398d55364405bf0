//! Programs that only the tests need: found, or installed where that is allowed.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::cargo::{passes, variable};

/// A program and the Debian package that brings it.
pub struct Program {
    name: &'static str,
    package: &'static str,
}

/// The browser that the tests drive.
pub const FIREFOX: Program = Program {
    name: "firefox-esr",
    package: "firefox-esr",
};
/// The mail server that letters are sent through.
pub const MAIL_SERVER: Program = Program {
    name: "aiosmtpd",
    package: "python3-aiosmtpd",
};
/// What makes the certificates of that mail server.
pub const OPENSSL: Program = Program {
    name: "openssl",
    package: "openssl",
};
/// The compiler that libFuzzer is built with.
pub const CPP: Program = Program {
    name: "c++",
    package: "g++",
};

impl Program {
    /// Makes sure that the program is there. `Err(text)` inside says what a person has to do.
    pub fn ensure(&self) -> Result<Result<(), String>> {
        if self.is_there() {
            return Ok(Ok(()));
        }
        println!("installing {}", self.package);
        if is_root() && has("apt-get") {
            let quiet = |command: &mut Command| {
                passes(
                    command
                        .env("DEBIAN_FRONTEND", "noninteractive")
                        .stdin(Stdio::null()),
                )
            };
            quiet(Command::new("apt-get").args(["-q", "update"]))?;
            quiet(Command::new("apt-get").args([
                "-q",
                "-y",
                "install",
                "--no-install-recommends",
                self.package,
            ]))?;
        }
        if self.is_there() {
            return Ok(Ok(()));
        }
        Ok(Err(format!(
            "{} is missing and could not be installed: apt-get install {}",
            self.name, self.package
        )))
    }

    fn is_there(&self) -> bool {
        has(self.name)
    }
}

/// Whether a program is on the path.
fn has(name: &str) -> bool {
    let path = variable("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
