//! Builds a release server and measures it beside reference programs or an earlier build.
//!
//! - [`gate`]: what operations cost may not grow without a reason
//! - [`report`]: how fast the server is today, for the page of trends

pub mod gate;
mod report;

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
/// - `--gate` compares what operations cost with what is recorded, and `--report [FOLDER]` measures for the page of trends.
/// - `instructions [EARLIER]` counts the instructions and allocations of a request, beside those of an earlier build's program.
/// - `servers` measures the engines on database servers, `moves` moves between engines, and `caches` caches in front of a database
///   server: each writes its own rows of `docs/performance.md`.
/// - Else does that, too, and writes `docs/performance.md`. The first argument is the seconds of a round, by default three; the second is the program
///   of an earlier build to compare with.
pub fn run(words: &[&str]) -> Result<bool> {
    match words {
        ["--gate", rest @ ..] => gate::run(rest),
        ["--report", rest @ ..] => report::run(rest),
        ["instructions", earlier @ ..] => {
            if let Err(what_to_do) = VALGRIND.ensure()? {
                bail!("{what_to_do}");
            }
            let (mut bench, program) = built()?;
            passes(bench.arg("instructions").arg(program).args(earlier))
        }
        ["servers"] => servers(),
        ["moves"] => moves(),
        ["caches"] => caches(),
        _ => {
            let seconds = words.first().copied().unwrap_or(ROUND);
            let (mut bench, program) = built()?;
            bench.arg("run").arg(program).arg(page()).arg(seconds);
            Ok(passes(bench.args(words.get(1)))? && servers()? && moves()? && caches()?)
        }
    }
}

/// The seconds of a round.
const ROUND: &str = "3";

/// A part of `docs/performance.md` behind that of the release server, up to its rows.
struct Section(&'static str);

const SERVERS: Section = Section(
    "## Objects on database servers

The engine beside a direct driver in one run, both in one process with the server on the same machine. The driver sends one prepared
statement for each call, to a table of the same shape: it answers the same, but takes no locks, keeps no counts and checks nothing.

Measured by hand: a process with accounts and objects in one database, a pool of 16 for each, used by 48 clients at once, takes
18.5 MB on PostgreSQL and 18.6 MB on MariaDB ten seconds later; 20 MB are allowed.
",
);

const MOVES: Section = Section(
    "## Moves between engines

A move copies 100,000 objects of 50 users; raw inserts put the same objects into the same tables, with as many connections, in the same
run.
",
);

const CACHES: Section = Section(
    "## Caches in front of a database server

Release servers with PostgreSQL and the cache on the same machine, beside one with SQLite, in the same run over HTTP. For misses each
connection stores an object and reads the times of the collections, in turn; the times are those of the reads.

A miss asks a shared cache before the database. With one connection that is a second wait for another process of the same machine, about
as long as the whole read, so the goal is out of reach there; with 16 connections others work meanwhile.
",
);

const HEAD: &str = "
| Goal | Floor | Moonshot | Measured | Holds | |
| --- | --- | --- | --- | --- | --- |
";

impl Section {
    /// Runs a measurement beside servers of these kinds, and puts the rows that it prints in place of those before.
    fn measure(&self, mut servers: Servers, bench: &mut Command) -> Result<bool> {
        let addresses = servers.wait()?;
        if !addresses.failures.is_empty() {
            bail!("{}", addresses.failures.join("; "));
        }
        let mut bench = bench.envs(addresses.variables).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(bench.stdout.take().context("its output is a pipe")?).lines();
        let mut rows = String::new();
        for line in lines {
            let line = line?;
            println!("{line}");
            if line.starts_with("| ") {
                rows.push_str(&line);
                rows.push('\n');
            }
        }
        if !bench.wait()?.success() || rows.is_empty() {
            return Ok(false);
        }
        let text = fs::read_to_string(page())?;
        fs::write(page(), self.put(&text, &rows))?;
        Ok(true)
    }

    /// The page with these rows: in place of the section, or at the end.
    fn put(&self, page: &str, rows: &str) -> String {
        let Self(text) = self;
        let title = text.lines().next().unwrap_or_default();
        let (before, rest) = page.split_once(title).unwrap_or((page, ""));
        let after = rest
            .find("\n## ")
            .and_then(|at| rest.get(at..))
            .unwrap_or_default();
        let before = before.trim_end();
        format!("{before}\n\n{text}{HEAD}{rows}{after}")
    }
}

/// Measures the engines on database servers.
fn servers() -> Result<bool> {
    let servers = Servers::named(&["postgres", "mariadb"], &[])?;
    let mut bench = cargo(&["bench", "--workspace", "--bench", "servers"]);
    SERVERS.measure(servers, &mut bench)
}

/// Measures moves between engines.
fn moves() -> Result<bool> {
    let servers = Servers::named(&["postgres", "mariadb"], &[])?;
    let mut bench = cargo(&["bench", "--workspace", "--bench", "moves"]);
    MOVES.measure(servers, &mut bench)
}

/// Measures caches in front of a database server.
fn caches() -> Result<bool> {
    let (mut bench, program) = built()?;
    let servers = Servers::named(&["postgres", "redis", "memcached"], &[])?;
    CACHES.measure(servers, bench.arg("caches").arg(program).arg(ROUND))
}

fn page() -> PathBuf {
    root().join("docs/performance.md")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_put_in_their_section_or_at_the_end() {
        let (one, other) = (Section("## One\n\nText.\n"), Section("## Other\n\nMore.\n"));
        let first = one.put("# Page\n\nRest.\n", "| a |\n");
        assert_eq!(
            first,
            format!("# Page\n\nRest.\n\n## One\n\nText.\n{HEAD}| a |\n")
        );
        let both = other.put(&first, "| b |\n");
        assert_eq!(both, format!("{first}\n## Other\n\nMore.\n{HEAD}| b |\n"));
        assert_eq!(one.put(&both, "| a |\n"), both);
        assert_eq!(other.put(&both, "| b |\n"), both);
    }
}
