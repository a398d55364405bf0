//! How fast a release server is today: its results are kept, and the page of trends shows those of all days.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::built;
use crate::cargo::{cargo, must, passes, target_dir};

/// Measures a release server with the load tester. Results and reports go into the folder, by default one in the target folder.
pub fn run(words: &[&str]) -> Result<bool> {
    let folder = match words {
        [] => target_dir().join("reports"),
        [folder] if !folder.starts_with('-') => PathBuf::from(folder),
        _ => bail!("usage: cargo xtask bench --report [FOLDER]"),
    };
    let (mut bench, program) = built()?;
    must(&mut cargo(&["build", "--release", "--package", "foxden-load"]))?;
    let tester = target_dir().join("release/foxden-load");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    bench
        .arg("report")
        .args([&program, &tester, &folder])
        .arg(begin()?);
    let is_good = passes(&mut bench)?;
    let page = folder.join("trend.html");
    Ok(passes(&mut trend(&tester, &folder, &page))? && is_good)
}

fn trend(tester: &Path, folder: &Path, page: &Path) -> Command {
    println!("\n== all days: {}", page.display());
    let mut trend = Command::new(tester);
    trend.arg("trend").arg(folder).arg("--report").arg(page);
    trend
}

/// The time, which the names of files begin with: `2026-12-01-0330`.
fn begin() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%F-%H%M"]).output();
    Ok(String::from_utf8(output.context("date")?.stdout)?
        .trim()
        .to_owned())
}
