//! Clients of two processes on one database server while it, the lines to it and the processes fail.

use anyhow::{Context, Result, bail};

use crate::cargo::passes;
use crate::packages::FAKETIME;
use crate::test::{own_path, tests};

const USAGE: &str = "\
usage: cargo xtask history ENGINE [--seed N] [--seconds N]

ENGINE is postgres or mariadb: one server, which is killed and stands still; galera: three members, of which
one is killed and one stands still; failover: a PostgreSQL whose synchronous standby takes over.

The seed decides what clients do and which faults happen; without one it is another each time, and is printed.
A history that cannot be explained is kept in a folder, which is printed, too.
";

/// The engines, and their tests.
const ENGINES: [(&str, &str); 4] = [
    ("postgres", "history::postgres"),
    ("mariadb", "history::mariadb"),
    ("galera", "history::clusters::galera"),
    ("failover", "history::clusters::failover"),
];

/// Runs one history, with the variables that the tests take.
pub fn run(words: &[&str]) -> Result<bool> {
    let [engine, options @ ..] = words else {
        bail!("{USAGE}");
    };
    let named = ENGINES.iter().find(|(name, _)| name == engine);
    let (_, test) = named.with_context(|| USAGE.to_owned())?;
    if let Err(what_to_do) = FAKETIME.ensure()? {
        bail!(what_to_do);
    }
    let program = ["--workspace", "--test", "process"];
    let mut command = tests(&program, &["--ignored", "--exact", "--nocapture", test]);
    command.env("FOXDEN_TEST_XTASK", own_path()?);
    for option in options.chunks(2) {
        let (name, value) = match option {
            ["--seed", value] => ("FOXDEN_HISTORY_SEED", value),
            ["--seconds", value] => ("FOXDEN_HISTORY_SECONDS", value),
            _ => bail!("{USAGE}"),
        };
        value.parse::<u64>().with_context(|| USAGE.to_owned())?;
        command.env(name, value);
    }
    passes(&mut command)
}
