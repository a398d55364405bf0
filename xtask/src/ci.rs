//! The checks of the hosted jobs.

use std::process::Command;

use anyhow::Result;

use crate::cargo::{cargo, passes};
use crate::{test, tidy};

/// Formatting, lints, tidy, documents, then all tests.
pub fn run() -> Result<bool> {
    let mut is_good = true;
    is_good &= step("formatting", cargo(&["fmt", "--all", "--check"]))?;
    is_good &= step(
        "lints",
        cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    is_good &= tidy::run()?;
    let mut documents = cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    documents.env("RUSTDOCFLAGS", "-D warnings");
    is_good &= step("documents", documents)?;
    is_good &= deny()?;
    is_good &= test::run(&[])?;
    Ok(is_good)
}

/// Licences, sources and duplicate crates, if `cargo-deny` is installed: building it takes longer than all other checks.
fn deny() -> Result<bool> {
    if !passes(
        cargo(&["deny", "--version"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null()),
    )? {
        println!("== dependencies: skipped, cargo-deny is not installed (cargo install cargo-deny)");
        return Ok(true);
    }
    step(
        "dependencies",
        cargo(&["deny", "check", "bans", "licenses", "sources"]),
    )
}

fn step(name: &str, mut command: Command) -> Result<bool> {
    println!("== {name}");
    let is_good = passes(&mut command)?;
    if !is_good {
        println!("== {name}: failed");
    }
    Ok(is_good)
}
