//! Fuzzes every parser of network input, on the stable compiler: LLVM's coverage pass needs no nightly.

use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::cargo::{cargo, must, root, target_dir};

/// Coverage for libFuzzer without a sanitizer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Packages that change often. To optimise them with coverage takes three times as long as to compile them.
const WORKSPACE_PACKAGES: [&str; 8] = [
    "foxden-accounts",
    "foxden-fuzz",
    "foxden-http",
    "foxden-model",
    "foxden-server",
    "foxden-sql",
    "foxden-storage",
    "foxden-test-support",
];

/// How the program is built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// Without optimisation of the project's own packages: it is built sooner, and runs a third of the inputs a second.
    Quick,
    /// Optimised.
    Optimised,
}

/// What is asked for in the tests: a few seconds for each parser; it is longer before a release.
pub const BRIEFLY: &str = "--briefly";

/// Runs every target, and reports like `cargo test`. The first argument is the seconds for each, by default sixty, or [`BRIEFLY`].
pub fn run(args: &[&str]) -> Result<bool> {
    let (seconds, mode) = match args.first() {
        Some(&BRIEFLY) => (5, Build::Quick),
        Some(seconds) => (
            seconds.parse().context("seconds for each target")?,
            Build::Optimised,
        ),
        None => (60, Build::Optimised),
    };
    let mut is_good = true;
    for (target, crash) in all(seconds, mode)? {
        match crash {
            None => println!("test fuzz {target} ... ok"),
            Some(output) => {
                is_good = false;
                println!("{output}\ntest fuzz {target} ... FAILED");
            }
        }
    }
    Ok(is_good)
}

/// Builds and runs every target for this many seconds, as many at once as there are processors. Returns their names, and the end of
/// the output of those that failed, which names the file with the input.
fn all(seconds: u32, mode: Build) -> Result<Vec<(String, Option<String>)>> {
    let host = host()?;
    let folder = target_dir().with_file_name("fuzz");
    let mut build = cargo(&["build", "--manifest-path", "fuzz/Cargo.toml", "--target", &host]);
    if mode == Build::Quick {
        for package in WORKSPACE_PACKAGES {
            build.args(["--config", &format!("profile.dev.package.{package}.opt-level=0")]);
        }
    }
    must(build.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &folder))?;
    let programs = folder.join(&host).join("debug");
    let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut done = Vec::new();
    for group in targets()?.chunks(at_once) {
        let programs = &programs;
        let results: Vec<_> = std::thread::scope(|threads| {
            let mut running = Vec::new();
            for target in group {
                running.push(threads.spawn(move || run_target(programs, target, seconds)));
            }
            running
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        for result in results {
            done.push(result.map_err(|_| anyhow!("a thread that runs a target panicked"))??);
        }
    }
    Ok(done)
}

fn run_target(programs: &Path, target: &str, seconds: u32) -> Result<(String, Option<String>)> {
    let corpus = programs.join("corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    let output = Command::new(programs.join("foxden-fuzz"))
        .env("FOXDEN_FUZZ_TARGET", target)
        .arg(&corpus)
        .args([
            &format!("-max_total_time={seconds}"),
            "-max_len=4096",
            "-rss_limit_mb=2048",
            "-timeout=10",
        ])
        .arg(format!("-artifact_prefix={}/", corpus.display()))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("the fuzz target {target} cannot be started"))?;
    let crash = (!output.status.success()).then(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        let from = errors.lines().count().saturating_sub(30);
        errors.lines().skip(from).collect::<Vec<_>>().join("\n")
    });
    Ok((target.to_owned(), crash))
}

/// The names of the targets, from their files.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/targets"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        names.extend(name.filter(|name| *name != "main").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// The machine's own target. It is named to cargo so that build scripts are built without coverage.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc cannot be started")?;
    let text = String::from_utf8(output.stdout)?;
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc does not name its host"),
    }
}
