//! That the proof of whom a browser did not talk to is one.

use anyhow::{Result, ensure};

use crate::lab::scenario;

/// Whatever a browser asks of elsewhere is written down, and requests to forbidden hosts are recognised.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn forbidden_requests_are_seen() -> Result<()> {
    scenario("forbidden_requests", |lab| {
        for (host, is_forbidden) in [
            ("example.org", false),
            ("accounts.firefox.com", true),
            ("sync-1-us.sync.services.mozilla.com", true),
        ] {
            lab.recorder.clear();
            // A page that cannot be had is an error, and it cannot be had.
            let outcome = lab.a.wire.navigate(&format!("https://{host}/"));
            ensure!(outcome.is_err(), "{host} was reached");
            let lines = lab.recorder.lines();
            ensure!(lines.iter().any(|line| line.contains(host)), "{host}: {lines:?}");
            ensure!(
                lab.recorder.forbidden_requests().is_empty() != is_forbidden,
                "{host}"
            );
        }
        lab.recorder.clear();
        Ok(())
    })
}
