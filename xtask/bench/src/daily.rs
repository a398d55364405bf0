//! What is measured every day: the load tester against fresh servers, with the same load as the day before.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{DiskLatency, Process};

/// The scenarios, and how long each is measured. After an ordinary day come requests without a pause, which show the rate.
const RUNS: [(&str, &str); 6] = [
    ("everyday", "60s"),
    ("read-heavy", "20s"),
    ("write-heavy", "20s"),
    ("check", "15s"),
    ("post-100", "15s"),
    ("first-sync", "15s"),
];

/// Runs every scenario against a server of its own. Puts the result and the report of each into a folder, under a name that begins
/// with `day`. Returns whether all answers were right.
pub async fn run(program: &Path, tester: &Path, folder: &Path, day: &str) -> Result<bool> {
    let mut is_good = true;
    for (scenario, length) in RUNS {
        let server = Process::foxden(program, DiskLatency::Native).await?;
        let secret = server.secret_file()?;
        let file = folder.join(format!("{day}-{scenario}"));
        println!("\n== {scenario}");
        let mut run = Command::new(tester);
        run.args(["run", scenario, "--length", length])
            .args(["--target", &format!("http://127.0.0.1:{}", server.port)])
            .arg("--secret-file")
            .arg(secret)
            .args(["--server-pid", &server.id().to_string()])
            .arg("--json")
            .arg(file.with_extension("json"))
            .arg("--report")
            .arg(file.with_extension("html"));
        let status = run.status().context("foxden-load cannot be started")?;
        is_good &= status.success();
    }
    Ok(is_good)
}
