//! Builds a release server and measures it beside the reference programs.

use anyhow::Result;

use crate::cargo::{cargo, must, passes, root, target_dir};

/// Measures and writes `docs/performance.md`. The first word is the seconds a round takes, three without; the second
/// is an earlier build's program to measure beside.
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
