//! Builds a release server and measures it beside reference programs or an earlier build.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo::{cargo, must, passes, root, target_dir};
use crate::packages::VALGRIND;

/// Measures a release server.
///
/// - `instructions [EARLIER]` counts the instructions of a request, beside those of an earlier build's program.
/// - Else writes `docs/performance.md`. The first argument is the seconds of a round, by default three; the second is the program
///   of an earlier build to compare with.
pub fn run(words: &[&str]) -> Result<bool> {
    if let ["instructions", earlier @ ..] = words {
        if let Err(what_to_do) = VALGRIND.ensure()? {
            bail!("{what_to_do}");
        }
        let (mut bench, program) = built()?;
        return passes(bench.arg("instructions").arg(program).args(earlier));
    }
    let seconds = words.first().copied().unwrap_or("3");
    let (mut bench, program) = built()?;
    bench.arg("run").arg(program);
    bench.arg(root().join("docs/performance.md")).arg(seconds);
    passes(bench.args(words.get(1)))
}

/// Builds both programs; returns the command that measures and the path of the server.
fn built() -> Result<(Command, PathBuf)> {
    must(&mut cargo(&["build", "--release", "--package", "foxden-server"]))?;
    must(&mut cargo(&["build", "--release", "--package", "foxden-bench"]))?;
    let programs = target_dir().join("release");
    Ok((
        Command::new(programs.join("foxden-bench")),
        programs.join("foxden"),
    ))
}
