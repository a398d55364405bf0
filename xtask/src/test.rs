//! Installs what the tests need, runs all tests, and prints one line with the numbers of passed, failed and skipped tests.

mod tally;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::packages::{CPP, FAKETIME, FIREFOX, MAIL_SERVER, OPENSSL, PROXIES};
use crate::{fuzz, python, tidy};
use tally::Tally;

/// How long each parser is fuzzed in the tests; it is longer before a release (`cargo xtask fuzz`).
const FUZZ_SECONDS: u32 = 5;

/// The tests that start the whole program. Choosing the package instead would build everything again: its dependencies have fewer
/// features than those of the workspace.
const PROGRAM: [&str; 3] = ["--workspace", "--test", "process"];
/// The tests with a browser.
const BROWSER: [&str; 3] = ["--workspace", "--test", "firefox"];

/// Runs all tests. Arguments are filters for the first stage, and other stages are then skipped.
pub fn run(filters: &[&str]) -> Result<bool> {
    let mut tally = Tally::default();
    if filters.is_empty() {
        tally.check("the rules of the house (cargo xtask tidy)", tidy::run()?);
        stage(
            &mut tally,
            "all that needs nothing but this checkout",
            &mut tests(&["--workspace"], &[]),
        )?;
        whole_program(&mut tally)?;
        proxies(&mut tally)?;
        fuzz_briefly(&mut tally)?;
        firefox(&mut tally)?;
    } else {
        stage(
            &mut tally,
            "the tests asked for",
            &mut tests(&["--workspace"], filters),
        )?;
    }
    tally.print();
    Ok(tally.is_good())
}

/// Kills the program repeatedly, has it send mail, sets its clock, and uses it with PyFxA.
fn whole_program(tally: &mut Tally) -> Result<()> {
    let mut to_tests = vec!["--ignored", "--skip", "proxies::"];
    for program in [MAIL_SERVER, OPENSSL] {
        if let Err(what_to_do) = program.ensure()? {
            tally.check(&format!("a real mail server: {what_to_do}"), false);
            to_tests.extend(["--skip", "mail::", "--skip", "pyfxa::"]);
        }
    }
    if let Err(what_to_do) = FAKETIME.ensure()? {
        tally.check(&format!("a clock that is wrong: {what_to_do}"), false);
        to_tests.extend(["--skip", "clock::"]);
    }
    let pyfxa = python::pyfxa()?;
    if let Err(what_to_do) = &pyfxa {
        tally.check(&format!("the real PyFxA: {what_to_do}"), false);
        to_tests.extend(["--skip", "pyfxa::"]);
    }
    let name = "repeated kills, mails through a real mail server, clocks that are wrong, and PyFxA";
    let mut command = tests(&PROGRAM, &to_tests);
    if let Ok(python) = pyfxa {
        command.env("FOXDEN_TEST_PYFXA", python);
    }
    stage(tally, name, &mut command)
}

/// Runs the tests of scripted clients with the program behind real proxies.
fn proxies(tally: &mut Tally) -> Result<()> {
    for program in PROXIES {
        if let Err(what_to_do) = program.ensure()? {
            tally.check(&format!("real proxies: {what_to_do}"), false);
            return Ok(());
        }
    }
    let to_tests = ["--ignored", "--test-threads=3", "proxies::"];
    stage(
        tally,
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
        stage(tally, &name, flows.env("FOXDEN_TEST_PROXY", proxy))?;
    }
    Ok(())
}

/// Fuzzes each parser for a few seconds.
fn fuzz_briefly(tally: &mut Tally) -> Result<()> {
    if let Err(what_to_do) = CPP.ensure()? {
        tally.skip("fuzz targets", &what_to_do);
        return Ok(());
    }
    println!("\n== every parser, fuzzed for {FUZZ_SECONDS} seconds");
    match fuzz::all(FUZZ_SECONDS, fuzz::Build::Quick) {
        Ok(targets) => {
            for (target, crash) in targets {
                if let Some(crash) = &crash {
                    println!("{}", crash.output);
                }
                tally.check(&format!("fuzz {target}"), crash.is_none());
            }
        }
        Err(error) => {
            println!("{error:#}");
            tally.check("fuzz targets build and start", false);
        }
    }
    Ok(())
}

/// Runs the tests with a real Firefox, one pair of browsers at a time: each takes half a gigabyte.
fn firefox(tally: &mut Tally) -> Result<()> {
    if let Err(what_to_do) = FIREFOX.ensure()? {
        tally.check(&format!("a real Firefox: {what_to_do}"), false);
        return Ok(());
    }
    let to_tests = ["--ignored", "--test-threads=2"];
    let mut browser = tests(&BROWSER, &to_tests);
    stage(tally, "a real Firefox", &mut browser)
}

fn tests(what: &[&str], to_tests: &[&str]) -> Command {
    let words = [&["test", "--no-fail-fast"], what, &["--"], to_tests].concat();
    cargo(&words)
}

/// Runs `cargo test`, prints its output and counts the results.
fn stage(tally: &mut Tally, name: &str, command: &mut Command) -> Result<()> {
    println!("\n== {name}");
    // One pipe for both streams: the name of the test program comes on one, the names of its tests on the other.
    let (output, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cargo cannot be started")?;
    // The command holds the write end of the pipe; the output ends when the last process with it ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    let status = child.wait()?;
    tally.stage_ended(name, status.success());
    Ok(())
}
