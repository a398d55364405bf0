//! Builds a release server and compares it with the reference programs.

use anyhow::Result;

use crate::cargo::{cargo, must, passes, root, target_dir};

/// Measures and writes `docs/performance.md`. The first argument is the seconds of a round, by default three; the second is
/// the program of an earlier build to compare with.
pub fn run(words: &[&str]) -> Result<bool> {
    let seconds = words.first().copied().unwrap_or("3");
    must(&mut cargo(&["build", "--release", "--package", "foxden-server"]))?;
    must(&mut cargo(&["build", "--release", "--package", "foxden-bench"]))?;
    let programs = target_dir().join("release");
    let mut command = std::process::Command::new(programs.join("foxden-bench"));
    command
        .arg("run")
        .arg(programs.join("foxden"))
        .arg(root().join("docs/performance.md"))
        .arg(seconds)
        .args(words.get(1));
    passes(&mut command)
}
