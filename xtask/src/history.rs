//! Clients of two processes on one database server while it, the lines to it and the processes fail.

use anyhow::{Context, Result, bail};

use crate::cargo::passes;
use crate::packages::FAKETIME;
use crate::test::{own_path, tests};

const USAGE: &str = "\
usage: cargo xtask history ENGINE [--seed N] [--seconds N] [--cache CACHE]

ENGINE is postgres or mariadb: one server, which is killed and stands still; galera: three members, of which
one is killed and one stands still; failover: a PostgreSQL whose synchronous standby takes over, once the
primary was killed; failover-returns: the same, and the primary only stood still and comes back.

CACHE is redis, memcached or local. The cache fails, too, whenever it has come into use, which takes 80 seconds:
so let the history take some minutes.

The seed decides what clients do and which faults happen; without one it is another each time, and is printed.
A history that cannot be explained is kept in a folder, which is printed, too.
";

/// The engines, and their tests.
const ENGINES: [(&str, &str); 5] = [
    ("postgres", "history::postgres"),
    ("mariadb", "history::mariadb"),
    ("galera", "history::clusters::galera"),
    ("failover", "history::clusters::failover"),
    (
        "failover-returns",
        "history::clusters::failover_from_a_primary_that_returns",
    ),
];

/// What may stand before one server.
const CACHES: [&str; 3] = ["redis", "memcached", "local"];

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
        let is_number = |value: &str| value.parse::<u64>().is_ok();
        let (name, value) = match option {
            ["--seed", value] if is_number(value) => ("FOXDEN_HISTORY_SEED", value),
            ["--seconds", value] if is_number(value) => ("FOXDEN_HISTORY_SECONDS", value),
            ["--cache", value] if CACHES.contains(value) => ("FOXDEN_HISTORY_CACHE", value),
            _ => bail!("{USAGE}"),
        };
        command.env(name, value);
    }
    passes(&mut command)
}
