//! No slower than yesterday: what operations cost, in instructions and allocations, may differ by a few percent from what is
//! recorded, or needs a line in the record that says why.
//!
//! - [`record`]: the file with what is accepted, and its history
//! - [`comparison`]: which costs have grown
//! - [`tools`]: what counts depend on beside the code

mod comparison;
mod record;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{cargo, must, root, target_dir};
use crate::packages::VALGRIND;
use comparison::{Comparison, Outcome};
use record::{Line, Measured, Record};

/// With this word results are printed as those of tests.
pub const AS_TESTS: &str = "--as-tests";
/// How a growth is accepted.
const ACCEPT: &str = "cargo xtask bench --gate --accept \"WHY\"";
/// The record, in the root of the checkout.
const RECORD: &str = "xtask/bench/gate.tsv";
/// What to do about an operation that is recorded only.
const GONE: &str = "An operation of the record was not measured. If it is gone for good, delete its lines.";

/// Counts what operations cost and compares it with the record. `--accept WHY` records what has changed.
pub fn run(words: &[&str]) -> Result<bool> {
    match words {
        [] => check(Format::Table),
        [AS_TESTS] => check(Format::Tests),
        ["--accept", why] => accept(why),
        _ => bail!("usage: cargo xtask bench --gate [--accept WHY]"),
    }
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Table,
    /// As those of tests, after the table.
    Tests,
}

fn check(format: Format) -> Result<bool> {
    let record = Record::read(&path())?;
    let (measured, tools) = count()?;
    let comparisons = comparison::compare(&measured, &record, &tools);
    print!("{}", comparison::table(&comparisons));
    let advice = advice(&comparisons, &tools);
    if !advice.is_empty() {
        println!("\n{advice}");
    }
    if format == Format::Tests {
        for comparison in &comparisons {
            println!("{}", comparison.as_test());
        }
    }
    Ok(!comparisons.iter().any(Comparison::fails))
}

/// What to do, after the table.
fn advice(comparisons: &[Comparison<'_>], tools: &str) -> String {
    let has = |outcome| comparisons.iter().any(|comparison| comparison.outcome == outcome);
    let mut parts = Vec::new();
    if has(Outcome::Grown) {
        parts.push(format!(
            "Slower than recorded. Make it cheaper, or say why it must cost more:\n    {ACCEPT}\n\
             Where the instructions go: callgrind_annotate {}/OPERATION.callgrind",
            profiles().display()
        ));
    }
    if has(Outcome::GrownBeyondTools) {
        parts.push(format!(
            "Much slower than what was recorded with other tools than {tools}.\n\
             Count a commit that passed with those tools. Where it costs as much, record it:\n    {ACCEPT}"
        ));
    }
    if has(Outcome::Unrecorded) {
        parts.push(format!(
            "An operation has no record yet. Record it:\n    {ACCEPT}"
        ));
    }
    if has(Outcome::Unmeasured) {
        parts.push(GONE.to_owned());
    }
    if has(Outcome::Shrunk) {
        parts.push(format!(
            "Cheaper than recorded. Record it, else the gain can be lost again unnoticed:\n    {ACCEPT}"
        ));
    }
    if has(Outcome::OtherTools) {
        parts.push(format!(
            "NOT CHECKED beyond 15 %: this is {tools}, and what is recorded was counted with other tools.\n\
             Compare by eye, on a commit that passed with those tools, and record it anew:\n    {ACCEPT}"
        ));
    }
    parts.join("\n\n")
}

fn accept(why: &str) -> Result<bool> {
    let why = why.trim();
    if why.is_empty() || why.contains(['\t', '\n']) {
        bail!("a reason is one line of text");
    }
    let record = Record::read(&path())?;
    let (measured, tools) = count()?;
    let comparisons = comparison::compare(&measured, &record, &tools);
    print!("{}", comparison::table(&comparisons));
    let date = today()?;
    let line = |comparison: &Comparison<'_>| {
        Some(Line {
            date: date.clone(),
            operation: comparison.operation.to_owned(),
            cost: comparison.worth_a_line()?,
            tools: tools.clone(),
            why: why.to_owned(),
        })
    };
    let lines: Vec<Line> = comparisons.iter().filter_map(line).collect();
    record::append(&path(), &lines)?;
    println!("\n{} operations recorded in {RECORD}", lines.len());
    let is_unmeasured = |comparison: &Comparison<'_>| comparison.outcome == Outcome::Unmeasured;
    let is_complete = !comparisons.iter().any(is_unmeasured);
    if !is_complete {
        println!("{GONE}");
    }
    Ok(is_complete)
}

/// Builds the server and counts what its operations cost. Also returns the tools that it was built and counted with.
fn count() -> Result<(Vec<Measured>, String)> {
    if let Err(what_to_do) = VALGRIND.ensure()? {
        bail!("{what_to_do}");
    }
    // Drivers of database servers take a minute to compile, and no request here uses them.
    must(&mut cargo(&[
        "build",
        "--profile",
        "gate",
        "--package",
        "foxden-server",
        "--no-default-features",
    ]))?;
    // With the whole workspace its dependencies are those that tests have built.
    must(&mut cargo(&["build", "--workspace", "--bin", "foxden-bench"]))?;
    fs::create_dir_all(profiles())?;
    let output = Command::new(target_dir().join("debug/foxden-bench"))
        .arg("counts")
        .arg(target_dir().join("gate/foxden"))
        .arg(profiles())
        .stderr(Stdio::inherit())
        .output()
        .context("foxden-bench cannot be started")?;
    if !output.status.success() {
        bail!("the operations cannot be measured");
    }
    let measured = record::measured(&String::from_utf8(output.stdout)?)?;
    Ok((measured, tools::names()?))
}

/// The folder with callgrind's profiles of the last run.
fn profiles() -> PathBuf {
    target_dir().join("gate/profiles")
}

fn path() -> PathBuf {
    root().join(Path::new(RECORD))
}

/// The date, as `2026-12-01`.
fn today() -> Result<String> {
    let output = Command::new("date")
        .args(["-u", "+%F"])
        .output()
        .context("date")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
