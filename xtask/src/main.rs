//! All of Foxden's automation, run as `cargo xtask <command>`.
//!
//! - [`mod@test`]: installs what the tests need and runs all of them
//! - [`ci`]: the checks of the hosted jobs: formatting, lints, documents, and the tests
//! - [`golden`]: updates the answers of golden conversations
//! - [`tidy`]: rules that can be checked automatically
//! - [`engines`]: database servers for the tests
//! - [`mod@history`]: what clients see while servers fail
//! - [`packages`]: programs that only the tests need
//! - [`mod@bench`]: measures a release server
//! - [`soak`]: an ordinary load together with attacks
//! - [`fuzz`]: fuzzes every parser of network input
//! - [`cargo`]: calls of cargo

#![expect(clippy::print_stdout, reason = "automation prints to the terminal")]

mod bench;
mod cargo;
mod ci;
mod engines;
mod fuzz;
mod golden;
mod history;
mod packages;
mod python;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--long] [--clusters] [FILTER...]
                 set up what the tests need, then run all of them; --long adds the long
                 ones, --clusters those with clusters of database servers; with
                 filters, only the tests with such names
  ci [--long]    formatting, lints, tidy, documents, then the tests; with --long slim builds, too
  tidy           check the rules that can be checked automatically; --update
                 regenerates the generated pages
  engines up|down|status [--clusters] [NAME...]
                 start servers for the tests, end them, or print which run: postgres,
                 mariadb, redis, memcached, or with --clusters members of clusters
  history ENGINE [--seed N] [--seconds N]
                 clients of two processes on one database server while it, the lines to it
                 and the processes fail; checks every answer. ENGINE is postgres, mariadb,
                 galera (one member killed, one paused) or failover (to a standby)
  golden [--update] [NAME]
                 run golden conversations, or update their answers
  fuzz [SECS]    fuzz every parser, for so many seconds each; --briefly as in the tests
  bench [SECS] [PROGRAM]
                 measure a release server, beside an earlier build's program if
                 one is given, and write docs/performance.md
  bench servers|moves|caches
                 measure the engines on database servers, moves between engines, or
                 caches in front of a database server, for the same page
  bench --gate [--accept WHY]
                 count instructions and allocations of each operation, and fail where they grow
                 by more than 3 % over xtask/bench/gate.tsv; --accept records them with a reason
  bench --report [FOLDER]
                 five minutes of load on a release server; keeps results and reports, and makes
                 a page of trends from all results of the folder
  bench instructions [PROGRAM]
                 count the instructions and allocations of a request in a release
                 server, beside an earlier build's
  soak --attacks [--seconds N] [--only ATTACK,...]
                 an ordinary load beside all attacks at once; checks ordinary requests,
                 memory, disk and the security log
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; returns `false` if it found and printed a fault.
fn run(args: &[&str]) -> Result<bool> {
    match args {
        ["test", rest @ ..] => test::run(rest),
        ["history", rest @ ..] => history::run(rest),
        ["engines", rest @ ..] => engines::command(rest),
        ["ci"] => ci::run(false),
        ["ci", "--long"] => ci::run(true),
        ["tidy"] => tidy::run(),
        ["tidy", "--update"] => tidy::update(),
        ["golden", rest @ ..] => golden::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["soak", rest @ ..] => soak::run(rest),
        _ => {
            eprint!("{USAGE}");
            Ok(args.is_empty())
        }
    }
}
