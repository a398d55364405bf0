//! The checks of the hosted jobs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

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
    let mut is_good = step("a slim build with SQLite alone", slim("build", ""))?;
    if is_good {
        is_good &= refuses_servers()?;
    }
    for (features, name) in [("postgres", "PostgreSQL"), ("mysql", "MySQL and MariaDB")] {
        is_good &= step(&format!("a slim build with {name}"), slim("check", features))?;
    }
    Ok(is_good)
}

fn slim(what: &str, features: &str) -> Command {
    let mut command = cargo(&[what, "-p", "foxden-server", "--no-default-features"]);
    command.args(["--features", features]);
    command.env("RUSTFLAGS", "-D warnings");
    // Other features and flags would have everything built again.
    command.env("CARGO_TARGET_DIR", slim_dir());
    command
}

fn slim_dir() -> PathBuf {
    target_dir().join("slim")
}

/// Starts the program with SQLite alone, with databases that need a driver: it names what it was built without, and the cure.
fn refuses_servers() -> Result<bool> {
    println!("== a program with SQLite alone refuses database servers");
    let mut is_good = true;
    for (url, server, feature) in [
        ("postgres://ann:sesame@127.0.0.1/foxden", "PostgreSQL", "postgres"),
        (
            "mysql://ann:sesame@127.0.0.1/foxden",
            "MySQL and MariaDB",
            "mysql",
        ),
    ] {
        for variable in ["FOXDEN__STORAGE__URL", "FOXDEN__ACCOUNTS__URL"] {
            for word in ["serve", "check"] {
                let output = Command::new(slim_dir().join("debug/foxden"))
                    .arg(word)
                    .arg("--data-dir")
                    .arg(slim_dir().join("data"))
                    .env(variable, url)
                    .output()
                    .context("the program cannot be started")?;
                let text = String::from_utf8_lossy(&output.stderr);
                let cause = format!("this program was built without {server}; ");
                let cure = format!("build it with --features {feature}");
                if output.status.success()
                    || ![&cause, &cure].iter().all(|part| text.contains(part.as_str()))
                    || text.contains("sesame")
                {
                    println!("foxden {word} with {variable}={url}: {}: {text}", output.status);
                    is_good = false;
                }
            }
        }
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
