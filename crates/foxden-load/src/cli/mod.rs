//! The command line.
//!
//! - [`commands`]: what each command does
//! - [`asked`]: a plan from what was asked for
//! - [`mistake`]: what is wrong with what was asked for

mod asked;
mod commands;
mod mistake;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::protocol::Protocol;
use crate::quantity::duration;
use crate::threshold::Threshold;
use crate::user::accounts::FIRST_UID;
use mistake::Mistake;

/// The exit status of a mistake on the command line.
const MISTAKE: u8 = 2;

/// Measures a Sync server by the life of many browsers, and checks what it answers.
#[derive(Debug, Parser)]
#[command(name = "foxden-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lets made users act for a while, and says how fast and how right the server was
    Run(Run),
    /// Lists the scenarios in this program, or prints one as a start for your own
    Scenarios {
        /// The name of a scenario
        name: Option<String>,
    },
    /// Says again what a run found, from its result
    Show {
        /// The file that `run --json` wrote
        result: PathBuf,
        /// Writes a page that shows it; it needs no other file
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Compares the runs of several servers: how much faster or slower each is than the first, and whether that is more than
    /// noise
    Compare(Compare),
    /// Runs a scenario against several servers in turn, again and again, and compares them
    Alternate(Alternate),
    /// Makes a part of the load of a run on another machine, which was begun with --workers
    Worker(Worker),
    /// Looks at many recorded runs over time: where they became faster or slower for good
    Trend {
        /// The folder with the files that `run --json` wrote
        results: PathBuf,
        /// Writes a page that shows what was found; it needs no other file
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Removes made users and all that they have stored
    Clean(Clean),
}

/// Which server, and which users.
#[derive(Debug, Args)]
struct Server {
    /// The address of the server, such as <http://127.0.0.1:5000>
    #[arg(long)]
    target: String,
    #[command(flatten)]
    access: Access,
}

/// How a server is used.
#[derive(Debug, Args)]
struct Access {
    /// The protocol
    #[arg(long, default_value = "1.5")]
    protocol: Protocol,
    /// A file with the secret: in 1.5 the master secret of the server, with which tokens are signed, or secrets.toml of its
    /// data folder, which has it; in 1.1 and with --accounts any text, from which the passwords of made users follow
    #[arg(long, value_name = "FILE", required_unless_present = "bearer_file")]
    secret_file: Option<PathBuf>,
    /// In 1.5, users have accounts at the server, and their tokens come from its tokenserver
    #[arg(long)]
    accounts: bool,
    /// In 1.5, users have the access tokens of this file, each in a line with its key id, and their tokens come from the
    /// tokenserver
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_file", "accounts"])]
    bearer_file: Option<PathBuf>,
    /// The uid of the first made user of 1.5; the others follow it
    #[arg(long, default_value_t = FIRST_UID)]
    first_uid: u64,
    /// Confirms that the server on another machine is yours, and may be loaded
    #[arg(long = "yes-this-is-my-server")]
    is_own: bool,
    /// How long an answer may take
    #[arg(long, default_value = "30s", value_parser = duration)]
    timeout: Duration,
}

/// What load is made.
#[derive(Debug, Args)]
struct Load {
    /// How many users there are, in place of the scenario's number
    #[arg(long)]
    users: Option<u32>,
    /// How long is measured
    #[arg(long, default_value = "60s", value_parser = duration)]
    length: Duration,
    /// How long users act before that
    #[arg(long, default_value = "5s", value_parser = duration)]
    warm_up: Duration,
    /// The time between the begins of two operations of a user, in place of the scenario's; 0 for none
    #[arg(long, value_parser = duration)]
    every: Option<Duration>,
    /// An open load: how many operations a second begin, of all users together, by chance and whether or not those before
    /// them are done
    #[arg(long, conflicts_with = "every")]
    rate: Option<f64>,
    /// Over how long the users begin, one after the other
    #[arg(long, default_value = "0s", value_parser = duration)]
    ramp: Duration,
    /// The seed of everything random: the same seed gives the same users, objects and operations
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct Run {
    /// The name of a scenario, or a file *.toml with one
    scenario: String,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    load: Load,
    /// Several numbers of users, such as 10,20,40: each acts in turn for the whole length, and the report shows rate and
    /// latency against load
    #[arg(long, value_delimiter = ',', value_name = "USERS", conflicts_with_all = ["users", "rate"])]
    cycles: Vec<u32>,
    #[command(flatten)]
    spread: Spread,
    /// The id of the server's process on this machine: its processor time and memory are in the report
    #[arg(long)]
    server_pid: Option<u32>,
    /// Writes the result to a file, for machines
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a page that shows what was found; it needs no other file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// A limit such as p99>20ms, reads.p999>50ms, rate<500, faults>0; exit status 3 where one holds
    #[arg(long, value_name = "LIMIT")]
    fail_if: Vec<Threshold>,
    /// Removes the made users after the run
    #[arg(long)]
    clean: bool,
}

/// Other machines that make the load.
#[derive(Debug, Args)]
struct Spread {
    /// Lets so many workers (foxden-load worker) make the load; their reports are awaited at --listen
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "shared_secret_file",
        conflicts_with = "cycles"
    )]
    workers: Option<u32>,
    /// The address for workers
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7700")]
    listen: SocketAddr,
    /// A file with any secret, which the workers have, too
    #[arg(long, value_name = "FILE")]
    shared_secret_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Worker {
    /// The address at which the run waits for workers, such as <http://192.0.2.1:7700>
    #[arg(long)]
    coordinator: String,
    /// A file with the secret that the run and its workers share
    #[arg(long, value_name = "FILE")]
    shared_secret_file: PathBuf,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Compare {
    /// Two to four folders with the files that `run --json` or `alternate` wrote; a single file stands for a folder with it
    #[arg(required = true, num_args = 2..=4, value_name = "RESULTS")]
    results: Vec<PathBuf>,
    #[command(flatten)]
    found: Found,
}

/// Where a comparison goes.
#[derive(Debug, Args)]
struct Found {
    /// Writes a page that shows what was found; it needs no other file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Exit status 3 where anything is slower than with the first server
    #[arg(long)]
    fail_if_slower: bool,
}

#[derive(Debug, Args)]
struct Alternate {
    /// The name of a scenario, or a file *.toml with one
    scenario: String,
    /// The addresses of two to four servers, the first of which the others are compared with
    #[arg(long, required = true)]
    target: Vec<String>,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    load: Load,
    /// How often each server has its turn
    #[arg(long, default_value_t = 15)]
    runs: u32,
    /// The folder for the results: one below it for each server
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
    #[command(flatten)]
    found: Found,
}

#[derive(Debug, Args)]
struct Clean {
    #[command(flatten)]
    server: Server,
    /// How many users there may be
    #[arg(long, default_value_t = 1000)]
    users: u32,
}

/// Runs the program with these arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Without an output there is no place for help.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { MISTAKE } else { 0 });
        }
    };
    let done = match cli.command {
        Command::Run(run) => commands::run(&run),
        Command::Scenarios { name } => commands::scenarios(name.as_deref()),
        Command::Show { result, report } => commands::show(&result, report.as_deref()),
        Command::Compare(compare) => commands::compare(&compare),
        Command::Alternate(alternate) => commands::alternate(&alternate),
        Command::Worker(worker) => commands::worker(&worker),
        Command::Trend { results, report } => commands::trend(&results, report.as_deref()),
        Command::Clean(clean) => commands::clean(&clean),
    };
    done.unwrap_or_else(|error| {
        // There is no other place to say it.
        let _ = writeln!(io::stderr(), "foxden-load: {error:#}");
        if error.is::<Mistake>() {
            ExitCode::from(MISTAKE)
        } else {
            ExitCode::FAILURE
        }
    })
}
