//! The database servers of one run of the tests. They start while code compiles, and end with the run.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo::variable;
use crate::engines::{HAS_FAILED, IS_READY, SERVERS};

/// Servers that start or run. They end when this is dropped, and when this process ends in another way: they belong to a
/// process that waits for the end of this one.
pub struct Servers {
    keeper: Child,
    lines: BufReader<ChildStdout>,
}

/// What came of starting them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Variables with the URLs of those that run.
    pub variables: Vec<(String, String)>,
    /// Why others do not run.
    pub failures: Vec<String>,
}

impl Servers {
    /// Starts one of each kind that the environment does not name; `None` if it names all.
    pub fn start() -> Result<Option<Self>> {
        let missing = SERVERS
            .iter()
            .filter(|server| variable(server.variable()).is_none());
        let names: Vec<&str> = missing.map(|server| server.name()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        Self::named(&names, &[]).map(Some)
    }

    /// Starts those of that name, with more variables in their environment.
    pub fn named(names: &[&str], variables: &[(String, String)]) -> Result<Self> {
        let program = std::env::current_exe().context("the path of this program")?;
        let mut command = Command::new(program);
        command.args(["engines", "run"]).args(names);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // An interrupt of the terminal ends this process, and thereby the input of the other.
        let mut keeper = command.process_group(0).spawn().context("the servers' process")?;
        let lines = BufReader::new(keeper.stdout.take().context("its output is a pipe")?);
        Ok(Self { keeper, lines })
    }

    /// Waits until each runs or has failed.
    pub fn wait(&mut self) -> Result<Addresses> {
        read(&mut self.lines)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // The end of its input tells it to end the servers.
        drop(self.keeper.stdin.take());
        if !self.keeper.wait().is_ok_and(|status| status.success()) {
            eprintln!("not every server has ended: cargo xtask engines status");
        }
    }
}

fn read(lines: &mut impl BufRead) -> Result<Addresses> {
    let mut addresses = Addresses::default();
    for line in lines.lines() {
        let line = line?;
        if line == IS_READY {
            return Ok(addresses);
        }
        if let Some(failure) = line.strip_prefix(HAS_FAILED) {
            addresses.failures.push(failure.to_owned());
        } else if let Some((name, url)) = line.split_once('=') {
            addresses.variables.push((name.to_owned(), url.to_owned()));
        }
    }
    let failure = "the process that starts the servers ended early; it says above why";
    addresses.failures.push(failure.to_owned());
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &str) -> Addresses {
        read(&mut lines.as_bytes()).unwrap()
    }

    #[test]
    fn one_server_may_run_and_another_have_failed() {
        let addresses = of("failed MariaDB: no package\nA=mysql://a:b@c/d?e=f\nready\n");
        assert_eq!(addresses.failures, ["MariaDB: no package"]);
        let variable = ("A".to_owned(), "mysql://a:b@c/d?e=f".to_owned());
        assert_eq!(addresses.variables, [variable]);
    }

    #[test]
    fn an_early_end_is_a_failure() {
        assert!(of("A=b\nready\n").failures.is_empty());
        assert_eq!(of("A=b\n").failures.len(), 1);
    }
}
