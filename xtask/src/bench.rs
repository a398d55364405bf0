//! Builds a release server and measures it beside reference programs or an earlier build.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{cargo, must, passes, root, target_dir};
use crate::packages::VALGRIND;
use crate::test::servers::Servers;

/// Measures a release server.
///
/// - `instructions [EARLIER]` counts the instructions of a request, beside those of an earlier build's program.
/// - `servers` measures the engines on database servers and moves between engines, and writes their rows of `docs/performance.md`.
/// - Else does that, too, and writes `docs/performance.md`. The first argument is the seconds of a round, by default three; the second is the program
///   of an earlier build to compare with.
pub fn run(words: &[&str]) -> Result<bool> {
    if let ["instructions", earlier @ ..] = words {
        if let Err(what_to_do) = VALGRIND.ensure()? {
            bail!("{what_to_do}");
        }
        let (mut bench, program) = built()?;
        return passes(bench.arg("instructions").arg(program).args(earlier));
    }
    if words == ["servers"] {
        return servers();
    }
    let seconds = words.first().copied().unwrap_or("3");
    let (mut bench, program) = built()?;
    bench.arg("run").arg(program);
    bench.arg(root().join("docs/performance.md")).arg(seconds);
    Ok(passes(bench.args(words.get(1)))? && servers()?)
}

/// The rows of database servers come last in `docs/performance.md`.
const SERVERS: &str = "
## Objects on database servers

The engine beside a direct driver in one run, both in one process with the server on the same machine. The driver sends one prepared
statement for each call, to a table of the same shape: it answers the same, but takes no locks, keeps no counts and checks nothing.
A move copies 100,000 objects of 50 users; raw inserts put the same objects into the same tables, with as many connections.

| Goal | Floor | Moonshot | Measured | Holds | |
| --- | --- | --- | --- | --- | --- |
";

/// Measures the engines on database servers of their own.
fn servers() -> Result<bool> {
    let mut servers = Servers::start()?;
    let addresses = servers.as_mut().map(Servers::wait).transpose()?;
    let addresses = addresses.unwrap_or_default();
    if !addresses.failures.is_empty() {
        bail!("{}", addresses.failures.join("; "));
    }
    let mut bench = cargo(&["bench", "--workspace", "--bench", "servers", "--bench", "moves"]);
    let mut bench = bench.envs(addresses.variables).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(bench.stdout.take().context("its output is a pipe")?).lines();
    let mut rows = Vec::new();
    for line in lines {
        let line = line?;
        println!("{line}");
        rows.extend(line.starts_with("| ").then_some(line));
    }
    if !bench.wait()?.success() {
        return Ok(false);
    }
    let page = root().join("docs/performance.md");
    let text = fs::read_to_string(&page)?;
    let rest = text.split(SERVERS).next().unwrap_or_default();
    fs::write(&page, format!("{rest}{SERVERS}{}\n", rows.join("\n")))?;
    Ok(!rows.is_empty())
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
