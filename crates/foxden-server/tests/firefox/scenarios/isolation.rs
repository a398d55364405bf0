//! The recorder, by which the tests prove which hosts a browser did not contact, sees them all.

use anyhow::{Result, ensure};

use crate::test_context::scenario;

/// The recorder sees every request to another host, and recognises forbidden hosts.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn forbidden_requests_are_seen() -> Result<()> {
    scenario("forbidden_requests", |test| {
        for (host, is_forbidden) in [
            ("example.org", false),
            ("accounts.firefox.com", true),
            ("sync-1-us.sync.services.mozilla.com", true),
        ] {
            test.recorder.clear();
            // The recorder refuses every request, which Firefox reports as an error.
            let outcome = test.a.marionette.navigate(&format!("https://{host}/"));
            ensure!(outcome.is_err(), "{host} was reached");
            let lines = test.recorder.lines();
            ensure!(lines.iter().any(|line| line.contains(host)), "{host}: {lines:?}");
            ensure!(
                test.recorder.forbidden_requests().is_empty() != is_forbidden,
                "{host}"
            );
        }
        test.recorder.clear();
        Ok(())
    })
}
