//! Builds a release server and runs an ordinary load together with attacks.

use anyhow::{Result, bail};

use crate::cargo::{cargo, must, passes, target_dir};

const USAGE: &str = "usage: cargo xtask soak --attacks [--seconds N] [--only ATTACK,...]";

/// Runs for the given time, by default ten minutes. Returns `false` if a limit is exceeded.
pub fn run(words: &[&str]) -> Result<bool> {
    let ["--attacks", options @ ..] = words else {
        bail!("{USAGE}");
    };
    let (mut seconds, mut wanted) = ("600", "all");
    for option in options.chunks(2) {
        match option {
            ["--seconds", given] => seconds = given,
            ["--only", given] => wanted = given,
            _ => bail!("{USAGE}"),
        }
    }
    must(&mut cargo(&["build", "--release", "--package", "foxden-server"]))?;
    must(&mut cargo(&["build", "--release", "--package", "foxden-bench"]))?;
    let programs = target_dir().join("release");
    let mut command = std::process::Command::new(programs.join("foxden-bench"));
    command
        .arg("soak")
        .arg(programs.join("foxden"))
        .arg(seconds)
        .arg(target_dir().join("soak.svg"))
        .arg(wanted);
    passes(&mut command)
}
