//! Builds a release server and lets an ordinary load run beside attacks.

use anyhow::{Result, bail};

use crate::cargo::{cargo, must, passes, target_dir};

/// Runs for so long; ten minutes where nothing is said. False where a bound is broken.
pub fn run(words: &[&str]) -> Result<bool> {
    let seconds = match words {
        ["--attacks"] => "600",
        ["--attacks", "--seconds", seconds] => seconds,
        _ => bail!("usage: cargo xtask soak --attacks [--seconds N]"),
    };
    must(&mut cargo(&["build", "--release", "--package", "foxden-server"]))?;
    must(&mut cargo(&["build", "--release", "--package", "foxden-bench"]))?;
    let programs = target_dir().join("release");
    let mut command = std::process::Command::new(programs.join("foxden-bench"));
    command
        .arg("soak")
        .arg(programs.join("foxden"))
        .arg(seconds)
        .arg(target_dir().join("soak.svg"));
    passes(&mut command)
}
