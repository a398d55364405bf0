//! The checks of the hosted jobs.

use std::process::Command;

use anyhow::Result;

use crate::cargo::{cargo, passes, target_dir};
use crate::{test, tidy};

/// Formatting, lints, tidy, documents, then all tests. With `is_long` the slim builds as well, each of which takes minutes.
pub fn run(is_long: bool) -> Result<bool> {
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
    if is_long {
        is_good &= slim_builds()?;
    }
    is_good &= test::run(&[])?;
    Ok(is_good)
}

/// The program with SQLite alone, and with each kind of database server alone. It compiles without warnings.
fn slim_builds() -> Result<bool> {
    let mut is_good = true;
    for (features, name) in [
        ("", "SQLite alone"),
        ("postgres", "PostgreSQL"),
        ("mysql", "MySQL and MariaDB"),
    ] {
        let mut check = cargo(&["check", "-p", "foxden-server", "--no-default-features"]);
        check.args(["--features", features]);
        check.env("RUSTFLAGS", "-D warnings");
        // Other features and flags would have everything built again.
        check.env("CARGO_TARGET_DIR", target_dir().join("slim"));
        is_good &= step(&format!("a slim build with {name}"), check)?;
    }
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
