//! Installs what the tests need, runs all tests, and prints one line with the numbers of passed, failed and skipped tests.

pub mod servers;
mod tally;

use std::io::{BufRead, BufReader, PipeReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

use crate::cargo::cargo;
use crate::engines::process::Process;
use crate::packages::{CPP, FAKETIME, FIREFOX, HAPROXY, MAIL_SERVER, OPENSSL, PROXIES};
use crate::{fuzz, python, tidy};
use servers::Servers;
use tally::Tally;

/// How long each parser is fuzzed in the tests; it is longer before a release (`cargo xtask fuzz`).
const FUZZ_SECONDS: u32 = 5;

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
            let name = "all that needs nothing but this checkout and database servers";
            self.stage(name, &mut tests(&["--workspace"], &[]))?;
            // Most of the others wait more than they compute.
            let firefox = self.firefox()?;
            let others = self.beside_firefox(options);
            self.end(firefox)?;
            others?;
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

    fn beside_firefox(&mut self, options: &Options) -> Result<()> {
        self.engines()?;
        self.registers()?;
        self.pooler(options.long)?;
        self.whole_program()?;
        self.proxies()?;
        self.fuzz_briefly()
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

    /// Compares the engines on servers with the one in memory, and cuts their connections.
    fn engines(&mut self) -> Result<()> {
        let programs = [
            "--workspace",
            "--test",
            "model",
            "--test",
            "history",
            "--test",
            "on_servers",
            "--test",
            "caches",
            "--test",
            "moving",
        ];
        let to_tests = ["--ignored", "--skip", LONG];
        self.stage("engines on database servers", &mut tests(&programs, &to_tests))
    }

    /// Runs the tests of accounts with their registers on database servers, all at once: they wait for their servers more
    /// than they compute.
    fn registers(&mut self) -> Result<()> {
        let stages = REGISTERS.map(|(word, name)| {
            let mut command = tests(&RULES, &["--test-threads=4", "--skip", LONG]);
            command.env("FOXDEN_TEST_REGISTER", word);
            Suite::again(format!("accounts on {name}"), command)
        });
        let mut stages: Vec<_> = stages.into();
        stages.extend(self.histories()?);
        self.side_by_side(stages)
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

    /// Runs the tests of objects and of accounts through a pooler, which gives each transaction another session of PostgreSQL.
    /// All tests of accounts would take minutes: without `is_long` those of transactions that meet run.
    fn pooler(&mut self, is_long: bool) -> Result<()> {
        let mut pooler = Servers::named(&["pgbouncer"], &self.variables)?;
        let addresses = pooler.wait()?;
        for failure in addresses.failures {
            self.tally
                .check(&format!("a pooler for the tests: {failure}"), false);
        }
        let Some((_, url)) = addresses.variables.first() else {
            return Ok(());
        };
        let mut objects = tests(&PROMISES, &["postgres::"]);
        let mut to_tests = vec!["--test-threads=4", "--skip", LONG];
        if !is_long {
            to_tests.extend(THAT_MEET);
        }
        let mut accounts = tests(&RULES, &to_tests);
        accounts.env("FOXDEN_TEST_REGISTER", "postgres");
        let of_servers = ["--ignored", "postgres", "on_servers"];
        let mut moves = tests(&["--workspace", "--test", "moving"], &of_servers);
        for command in [&mut objects, &mut accounts, &mut moves] {
            command.env("FOXDEN_TEST_POSTGRES", format!("{url}?pgbouncer=true"));
        }
        self.side_by_side(vec![
            Suite::again("objects on PostgreSQL behind pgbouncer", objects),
            Suite::again("accounts on PostgreSQL behind pgbouncer", accounts),
            Suite::again("moves on PostgreSQL behind pgbouncer", moves),
        ])
    }

    /// Kills the program repeatedly, has it send mail, sets its clock, and uses it with PyFxA.
    fn whole_program(&mut self) -> Result<()> {
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
        self.stage(name, &mut command)
    }

    /// Runs the tests of scripted clients with the program behind real proxies.
    fn proxies(&mut self) -> Result<()> {
        for program in PROXIES {
            if let Err(what_to_do) = program.ensure()? {
                self.tally.check(&format!("real proxies: {what_to_do}"), false);
                return Ok(());
            }
        }
        let to_tests = ["--ignored", "--test-threads=3", "proxies::", "--skip", LONG];
        self.stage(
            "behind nginx, Apache and HAProxy",
            &mut tests(&PROGRAM, &to_tests),
        )?;
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
            self.side_by_side(vec![Suite::again(name, flows)])?;
        }
        Ok(())
    }

    /// Fuzzes each parser for a few seconds.
    fn fuzz_briefly(&mut self) -> Result<()> {
        if let Err(what_to_do) = CPP.ensure()? {
            self.tally.skip("fuzz targets", &what_to_do);
            return Ok(());
        }
        println!("\n== every parser, fuzzed for {FUZZ_SECONDS} seconds");
        match fuzz::all(FUZZ_SECONDS, fuzz::Build::Quick) {
            Ok(targets) => {
                for (target, crash) in targets {
                    if let Some(crash) = &crash {
                        println!("{}", crash.output);
                    }
                    self.tally.check(&format!("fuzz {target}"), crash.is_none());
                }
            }
            Err(error) => {
                println!("{error:#}");
                self.tally.check("fuzz targets build and start", false);
            }
        }
        Ok(())
    }

    /// Begins the tests with a real Firefox, one pair of browsers at a time: each takes half a gigabyte.
    fn firefox(&mut self) -> Result<Vec<RunningStage>> {
        for program in [FIREFOX, HAPROXY] {
            if let Err(what_to_do) = program.ensure()? {
                self.tally.check(&format!("a real Firefox: {what_to_do}"), false);
                return Ok(Vec::new());
            }
        }
        let to_tests = ["--ignored", "--test-threads=2", "--skip", LONG];
        let browser = tests(&BROWSER, &to_tests);
        self.begin(vec![Suite::new("a real Firefox", browser)])
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

    /// Runs stages at once.
    fn side_by_side(&mut self, stages: Vec<Suite>) -> Result<()> {
        let running = self.begin(stages)?;
        self.end(running)
    }

    /// Begins stages.
    fn begin(&self, stages: Vec<Suite>) -> Result<Vec<RunningStage>> {
        let begin = |mut suite: Suite| {
            println!("\n== {}: has begun", suite.name);
            self.tell(&mut suite.command);
            RunningStage::begin(suite)
        };
        stages.into_iter().map(begin).collect()
    }

    /// Waits for stages, prints their output and counts the results.
    fn end(&mut self, running: Vec<RunningStage>) -> Result<()> {
        for mut stage in running {
            let (output, is_good) = stage.end()?;
            let RunningStage { name, setting, .. } = &stage;
            println!("\n== {name}");
            self.tally.begin(setting);
            for line in output {
                println!("{line}");
                self.tally.read(&line);
            }
            self.tally.stage_ended(name, is_good);
        }
        Ok(())
    }
}

/// A stage that is to run beside others.
struct Suite {
    name: String,
    /// What its tests run with, if they run in other stages with something else: they count once for each setting.
    setting: String,
    command: Command,
}

impl Suite {
    fn new(name: &str, command: Command) -> Self {
        Self {
            name: name.to_owned(),
            setting: String::new(),
            command,
        }
    }

    /// A stage of tests that run in other stages, too, with another setting.
    fn again(name: impl Into<String>, command: Command) -> Self {
        let name = name.into();
        Self {
            setting: name.clone(),
            name,
            command,
        }
    }
}

/// The lines that a stage has printed, and whether it succeeded.
type StageOutput = (Vec<String>, bool);

/// A stage that has begun. Dropped before its end, it is killed: the servers that it needs end with the run.
struct RunningStage {
    name: String,
    setting: String,
    process: Process,
    /// `None` once it was taken.
    output: Option<JoinHandle<Result<StageOutput>>>,
}

impl RunningStage {
    fn begin(mut suite: Suite) -> Result<Self> {
        let (child, lines) = spawn(&mut suite.command)?;
        let process = Process::with_pid(child.id())?;
        let read = move || {
            let mut output = Vec::new();
            let is_good = print_wanted(child, lines, |line| {
                output.push(line.to_owned());
                false
            });
            is_good.map(|is_good| (output, is_good))
        };
        Ok(Self {
            name: suite.name,
            setting: suite.setting,
            process,
            output: Some(std::thread::spawn(read)),
        })
    }

    /// Waits for its end.
    fn end(&mut self) -> Result<StageOutput> {
        let output = self.output.take().context("it has ended before")?;
        output
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for RunningStage {
    fn drop(&mut self) {
        if self.output.is_none() {
            return;
        }
        println!("\n== {}: is ended", self.name);
        match self.process.kill_with_descendants() {
            // How it ended is of no use.
            Ok(()) => drop(self.end()),
            Err(error) => println!("{error:#}"),
        }
    }
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

/// Runs a command, prints the lines of its output that are wanted, and returns whether it succeeded.
fn print_lines(command: &mut Command, is_wanted: impl FnMut(&str) -> bool) -> Result<bool> {
    let (child, lines) = spawn(command)?;
    print_wanted(child, lines, is_wanted)
}

/// Starts a command. Returns it with all of its output.
fn spawn(command: &mut Command) -> Result<(Child, PipeReader)> {
    // One pipe for both streams: the name of the test program comes on one, the names of its tests on the other.
    let (output, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn().context("cargo cannot be started")?;
    // The command holds the write end of the pipe; the output ends when the last process with it ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((child, output))
}

/// Prints the lines that are wanted until the command ends. Returns whether it succeeded.
fn print_wanted(
    mut child: Child,
    output: PipeReader,
    mut is_wanted: impl FnMut(&str) -> bool,
) -> Result<bool> {
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if is_wanted(&line) {
            println!("{line}");
        }
    }
    Ok(child.wait()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(script: &str) -> RunningStage {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        RunningStage::begin(Suite::new("a stage", command)).unwrap()
    }

    #[test]
    fn a_stage_that_is_given_up_leaves_no_process_behind() {
        let stage = stage("echo begun; sh -c 'sleep 600; true'; true");
        let descendants = || {
            let children = stage.process.children().unwrap();
            let of_each = children.iter().map(|child| child.children().unwrap());
            let grandchildren: Vec<Process> = of_each.flatten().collect();
            (children, grandchildren)
        };
        let (mut children, mut grandchildren) = descendants();
        while grandchildren.is_empty() {
            std::thread::yield_now();
            (children, grandchildren) = descendants();
        }
        let all: Vec<Process> = [children, grandchildren, vec![stage.process.clone()]].concat();
        drop(stage);
        assert!(all.iter().all(|process| !process.is_running()));
    }

    #[test]
    fn a_stage_that_has_ended_has_its_output() {
        let (lines, is_good) = stage("echo one; echo two >&2; exit 1").end().unwrap();
        assert_eq!(
            (lines, is_good),
            (vec!["one".to_owned(), "two".to_owned()], false)
        );
    }

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
