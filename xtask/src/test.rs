//! Installs what the tests need, runs all tests, and prints one line with the numbers of passed, failed and skipped tests.

pub mod servers;
mod suites;
mod tally;

use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::bench::gate;
use crate::cargo::cargo;
use crate::packages::{CPP, FAKETIME, FIREFOX, HAPROXY, MAIL_SERVER, OPENSSL, PROXIES};
use crate::{fuzz, python, tidy};
use servers::Servers;
use suites::{News, Suite, print_lines};
use tally::Tally;

/// The tests that start the whole program. Choosing the package instead would build everything again: its dependencies have fewer
/// features than those of the workspace.
const PROGRAM: [&str; 3] = ["--workspace", "--test", "process"];
/// The tests with a browser.
const BROWSER: [&str; 3] = ["--workspace", "--test", "firefox"];

/// The tests of objects: each engine keeps each promise.
const PROMISES: [&str; 3] = ["--workspace", "--test", "conformance"];

/// The tests of accounts, and the databases that they run with once more, as they are called in `FOXDEN_TEST_REGISTER`.
const RULES: [&str; 3] = ["--workspace", "--test", "rules"];
/// Those among them whose transactions meet others, and some of each other kind.
const THAT_MEET: [&str; 5] = ["rivals::", "shared::", "tokenserver::", "account::", "session::"];
const REGISTERS: [(&str, &str); 2] = [("postgres", "PostgreSQL"), ("mariadb", "MariaDB")];

/// The tests whose calls are written down while servers and processes fail.
const HISTORIES: &str = "history::";
/// Those of them with clusters of database servers.
const CLUSTERS: &str = "clusters::";

/// The variable that names this program to tests that have servers of their own.
const PROGRAM_OF_SERVERS: &str = "FOXDEN_TEST_XTASK";

/// The module of long tests: they are ignored, and run by `--long` alone.
const LONG: &str = "long::";

/// What the arguments ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    /// The long tests, too.
    long: bool,
    /// The tests with clusters, too.
    clusters: bool,
    /// Filters and options for the test programs; without them everything runs.
    filters: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(words: &[&'a str]) -> Self {
        let mut options = Self::default();
        for word in words {
            match *word {
                "--long" => options.long = true,
                "--clusters" => options.clusters = true,
                filter => options.filters.push(filter),
            }
        }
        options
    }
}

/// One run of the tests.
struct Run {
    tally: Tally,
    /// What every test finds in its environment.
    variables: Vec<(String, String)>,
}

/// Runs all tests. Filters select tests of the first stage, and other stages are then skipped.
pub fn run(words: &[&str]) -> Result<bool> {
    let options = Options::parse(words);
    let mut servers = Servers::start()?;
    let mut run = Run {
        tally: Tally::default(),
        variables: vec![
            ("FOXDEN_TEST_ENGINES".to_owned(), "all".to_owned()),
            (PROGRAM_OF_SERVERS.to_owned(), own_path()?),
        ],
    };
    if options.filters.is_empty() {
        let name = "the rules of the house (cargo xtask tidy)";
        run.tally.check(name, tidy::run()?);
    }
    if run.compiles()? {
        run.wait_for(servers.as_mut())?;
        run.stages(&options)?;
    }
    // They end before the last line is printed.
    drop(servers);
    run.tally.print();
    Ok(run.tally.is_good())
}

impl Run {
    fn stages(&mut self, options: &Options) -> Result<()> {
        if options.filters.is_empty() {
            // It ends after the suites.
            let (_pooler, lanes) = self.all(options.long)?;
            self.side_by_side(lanes);
            if options.long {
                let to_tests = ["--ignored", LONG, "--skip", CLUSTERS];
                self.stage("long tests", &mut tests(&["--workspace"], &to_tests))?;
            }
        } else {
            let mut filters = options.filters.clone();
            if options.long {
                filters.insert(0, "--include-ignored");
            }
            self.stage("the tests asked for", &mut tests(&["--workspace"], &filters))?;
        }
        if options.clusters {
            // One after the other: each has several servers.
            let to_tests = ["--ignored", "--test-threads=1", CLUSTERS];
            let mut clusters = tests(&["--workspace", "--test", "process"], &to_tests);
            self.stage("clusters of database servers", &mut clusters)?;
        }
        Ok(())
    }

    /// Everything, in three lanes: one computes, and two wait more than they compute. More at once would disturb the tests in which
    /// something fails or is slow.
    fn all(&mut self, is_long: bool) -> Result<(Servers, Vec<Vec<Suite>>)> {
        let [accounts_on_postgres, accounts_on_mariadb] = registers();
        let everything = "all that needs nothing but this checkout and database servers";
        let mut computes = vec![Suite::new(everything, tests(&["--workspace"], &[]))];
        computes.push(accounts_on_postgres);
        let (pooler, behind) = self.pooler(is_long)?;
        computes.extend(behind);
        computes.extend(self.fuzz_briefly()?);
        computes.push(costs()?);

        let mut waits = engines();
        waits.push(self.whole_program()?);
        waits.extend(self.histories()?);
        waits.extend(self.proxies()?);

        // Its second suite begins when the others of the lane that waits are nearly over.
        let mut browser = self.firefox()?;
        browser.push(accounts_on_mariadb);
        Ok((pooler, vec![browser, waits, computes]))
    }

    /// Compiles all tests. Without it the servers would be waited for.
    fn compiles(&mut self) -> Result<bool> {
        println!("\n== compiling all tests");
        let mut command = cargo(&["test", "--workspace", "--no-run"]);
        // The list of programs is left out.
        let is_good = print_lines(&mut command, |line| !line.trim_start().starts_with("Executable "))?;
        self.tally.check("everything compiles", is_good);
        Ok(is_good)
    }

    /// Waits for the servers. A suite whose server is missing fails as well.
    fn wait_for(&mut self, servers: Option<&mut Servers>) -> Result<()> {
        let Some(servers) = servers else {
            return Ok(());
        };
        let addresses = servers.wait()?;
        for failure in addresses.failures {
            self.tally
                .check(&format!("a database server for the tests: {failure}"), false);
        }
        self.variables.extend(addresses.variables);
        Ok(())
    }

    /// What clients see while database servers, processes, lines and clocks fail. They wait most of the time.
    fn histories(&mut self) -> Result<Option<Suite>> {
        if let Err(what_to_do) = FAKETIME.ensure()? {
            self.tally
                .check(&format!("a clock that jumps: {what_to_do}"), false);
            return Ok(None);
        }
        let to_tests = ["--ignored", HISTORIES, "--skip", LONG, "--skip", CLUSTERS];
        let name = "histories: what clients see while servers and processes fail";
        Ok(Some(Suite::new(name, tests(&PROGRAM, &to_tests))))
    }

    /// Starts a pooler, which gives each transaction another session of PostgreSQL. Returns it with the tests of objects and of
    /// accounts through it. All tests of accounts would take minutes: without `is_long` those of transactions that meet run.
    fn pooler(&mut self, is_long: bool) -> Result<(Servers, Vec<Suite>)> {
        let mut pooler = Servers::named(&["pgbouncer"], &self.variables)?;
        let addresses = pooler.wait()?;
        for failure in addresses.failures {
            self.tally
                .check(&format!("a pooler for the tests: {failure}"), false);
        }
        let Some((_, url)) = addresses.variables.first() else {
            return Ok((pooler, Vec::new()));
        };
        let mut to_tests = vec!["--test-threads=4", "--skip", LONG];
        if !is_long {
            to_tests.extend(THAT_MEET);
        }
        let mut accounts = tests(&RULES, &to_tests);
        accounts.env("FOXDEN_TEST_REGISTER", "postgres");
        let of_servers = ["--ignored", "postgres", "on_servers"];
        let suites = [
            ("objects", tests(&PROMISES, &["postgres::"])),
            ("accounts", accounts),
            ("moves", tests(&["--workspace", "--test", "moving"], &of_servers)),
        ];
        let suites = suites.map(|(what, mut command)| {
            command.env("FOXDEN_TEST_POSTGRES", format!("{url}?pgbouncer=true"));
            Suite::again(format!("{what} on PostgreSQL behind pgbouncer"), command)
        });
        Ok((pooler, suites.into()))
    }

    /// Kills the program repeatedly, has it send mail, sets its clock, and uses it with PyFxA.
    fn whole_program(&mut self) -> Result<Suite> {
        let mut to_tests = vec![
            "--ignored",
            "--skip",
            "proxies::",
            "--skip",
            HISTORIES,
            "--skip",
            LONG,
        ];
        for program in [MAIL_SERVER, OPENSSL] {
            if let Err(what_to_do) = program.ensure()? {
                self.tally
                    .check(&format!("a real mail server: {what_to_do}"), false);
                to_tests.extend(["--skip", "mail::", "--skip", "pyfxa::"]);
            }
        }
        if let Err(what_to_do) = FAKETIME.ensure()? {
            self.tally
                .check(&format!("a clock that is wrong: {what_to_do}"), false);
            to_tests.extend(["--skip", "clock::"]);
        }
        let pyfxa = python::pyfxa()?;
        if let Err(what_to_do) = &pyfxa {
            self.tally.check(&format!("the real PyFxA: {what_to_do}"), false);
            to_tests.extend(["--skip", "pyfxa::"]);
        }
        let name = "repeated kills, mails through a real mail server, clocks that are wrong, and PyFxA";
        let mut command = tests(&PROGRAM, &to_tests);
        if let Ok(python) = pyfxa {
            command.env("FOXDEN_TEST_PYFXA", python);
        }
        Ok(Suite::new(name, command))
    }

    /// The tests of scripted clients with the program behind real proxies.
    fn proxies(&mut self) -> Result<Vec<Suite>> {
        for program in PROXIES {
            if let Err(what_to_do) = program.ensure()? {
                self.tally.check(&format!("real proxies: {what_to_do}"), false);
                return Ok(Vec::new());
            }
        }
        let to_tests = ["--ignored", "--test-threads=3", "proxies::", "--skip", LONG];
        let name = "behind nginx, Apache and HAProxy";
        let mut suites = vec![Suite::new(name, tests(&PROGRAM, &to_tests))];
        for proxy in ["nginx", "apache"] {
            let name = format!("what clients of Sync 1.1 and 1.5 do, behind {proxy}");
            // The first has more sign-ups than one address behind a proxy is allowed; the second tests a server without a proxy.
            let of_clients = [
                "legacy_flow::",
                "account_flow::",
                "--skip",
                "people_are_spread",
                "--skip",
                "each_loopback_name",
            ];
            let mut flows = tests(&PROGRAM, &of_clients);
            flows.env("FOXDEN_TEST_PROXY", proxy);
            suites.push(Suite::again(name, flows));
        }
        Ok(suites)
    }

    /// Fuzzes each parser for a few seconds.
    fn fuzz_briefly(&mut self) -> Result<Option<Suite>> {
        if let Err(what_to_do) = CPP.ensure()? {
            self.tally.skip("fuzz targets", &what_to_do);
            return Ok(None);
        }
        let mut command = Command::new(own_path()?);
        command.args(["fuzz", fuzz::BRIEFLY]);
        Ok(Some(Suite::new(
            "every parser, fuzzed for a few seconds",
            command,
        )))
    }

    /// The tests with a real Firefox, one pair of browsers at a time: each takes half a gigabyte.
    fn firefox(&mut self) -> Result<Vec<Suite>> {
        for program in [FIREFOX, HAPROXY] {
            if let Err(what_to_do) = program.ensure()? {
                self.tally.check(&format!("a real Firefox: {what_to_do}"), false);
                return Ok(Vec::new());
            }
        }
        let to_tests = ["--ignored", "--test-threads=2", "--skip", LONG];
        let browser = tests(&BROWSER, &to_tests);
        Ok(vec![Suite::new("a real Firefox", browser)])
    }

    /// Runs `cargo test`, prints its output and counts the results.
    fn stage(&mut self, name: &str, command: &mut Command) -> Result<()> {
        println!("\n== {name}");
        self.tally.begin("");
        self.tell(command);
        let is_good = print_lines(command, |line| {
            self.tally.read(line);
            true
        })?;
        self.tally.stage_ended(name, is_good);
        Ok(())
    }

    /// Puts the variables of this run into the environment of a command, but for those that it has already.
    fn tell(&self, command: &mut Command) {
        for (name, value) in &self.variables {
            if !command.get_envs().any(|(given, _)| given == name.as_str()) {
                command.env(name, value);
            }
        }
    }

    /// Runs lanes of suites. The output of each is printed when it has ended, and its results are counted.
    fn side_by_side(&mut self, mut lanes: Vec<Vec<Suite>>) {
        for suite in lanes.iter_mut().flatten() {
            self.tell(&mut suite.command);
        }
        suites::run(lanes, |news| match news {
            News::Begun(name) => println!("\n== {name}: has begun"),
            News::Ended(suite) => {
                println!("\n== {} ({} s)", suite.name, suite.took.as_secs());
                self.tally.begin(&suite.setting);
                for line in suite.lines {
                    println!("{line}");
                    self.tally.read(&line);
                }
                self.tally.stage_ended(&suite.name, suite.is_good);
            }
        });
    }
}

/// Compares the engines on servers and behind caches with the one in memory, and cuts their connections.
fn engines() -> Vec<Suite> {
    let suite = |name, programs: &[&str], options: &[&str]| {
        let what = [&["--workspace"], programs].concat();
        let to_tests = [&["--ignored", "--skip", LONG], options].concat();
        Suite::new(name, tests(&what, &to_tests))
    };
    let others = ["--test", "history", "--test", "on_servers", "--test", "moving"];
    vec![
        suite("random commands on database servers", &["--test", "model"], &[]),
        suite("engines on database servers", &others, &[]),
        // They wait most of the time.
        suite("caches that fail", &["--test", "caches"], &["--test-threads=6"]),
    ]
}

/// Compares what operations cost with what is recorded. Other suites do not disturb it: it counts, and looks at no clock.
fn costs() -> Result<Suite> {
    let mut command = Command::new(own_path()?);
    command.args(["bench", "--gate", gate::AS_TESTS]);
    Ok(Suite::new("no operation costs more than is recorded", command))
}

/// The tests of accounts with their registers on database servers.
fn registers() -> [Suite; 2] {
    REGISTERS.map(|(word, name)| {
        let mut command = tests(&RULES, &["--test-threads=4", "--skip", LONG]);
        command.env("FOXDEN_TEST_REGISTER", word);
        Suite::again(format!("accounts on {name}"), command)
    })
}

/// The path of this program, for tests that start servers with it.
pub fn own_path() -> Result<String> {
    let path = std::env::current_exe().context("the path of this program")?;
    let path = path.into_os_string().into_string();
    path.map_err(|path| anyhow!("{} is no UTF-8", path.display()))
}

/// A call of `cargo test`.
pub fn tests(what: &[&str], to_tests: &[&str]) -> Command {
    let words = [&["test", "--no-fail-fast"], what, &["--"], to_tests].concat();
    cargo(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_from_filters() {
        let expected = Options {
            long: true,
            clusters: false,
            filters: vec!["sql::", "--nocapture"],
        };
        assert_eq!(Options::parse(&["sql::", "--long", "--nocapture"]), expected);
        assert_eq!(Options::parse(&[]), Options::default());
    }
}
