//! Compares the speed of this build with an earlier one, or with itself and another allocator.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Figure, at_least, fill, spread};
use crate::comparison::compare;
use crate::load::Script;
use crate::process::{DiskLatency, Process};
use crate::request::{Signer, id, objects};

/// Builds the requests of one connection.
type Maker = fn(&Signer, u64) -> Script;

/// The measurements, and their numbers of connections.
const CASES: [(&str, u64, Maker); 6] = [
    ("`info/collections`", 64, |signer, _| {
        vec![signer.request("GET", "/info/collections", "")]
    }),
    ("one object", 64, |signer, n| {
        let ids = (0..50).map(|k| id((n * 31 + k * 37) % 2000));
        ids.map(|id| signer.request("GET", &format!("/storage/history/{id}"), ""))
            .collect()
    }),
    ("1,000 full objects", 16, |signer, _| {
        vec![signer.request("GET", "/storage/history?full=1&limit=1000", "")]
    }),
    ("POST of 1", 64, |signer, n| {
        let bodies = (0..20).map(|k| objects((n * 100 + k) % 1900, 1));
        bodies
            .map(|body| signer.request("POST", "/storage/history", &body))
            .collect()
    }),
    ("POST of 100 to long histories", 64, |signer, n| {
        let bodies = (0..20).map(|k| objects(10_000 + n * 2000 + k * 100, 100));
        bodies
            .map(|body| signer.request("POST", "/storage/history", &body))
            .collect()
    }),
    ("POST of 100", 16, |signer, n| {
        let bodies = (0..20).map(|k| objects((n * 100 + k * 100) % 1900, 100));
        bodies
            .map(|body| signer.request("POST", "/storage/history", &body))
            .collect()
    }),
];

/// Measures the same requests against both, alternating.
pub async fn run(program: &Path, earlier: &Path, length: Duration, figures: &mut Vec<Figure>) -> Result<()> {
    let (ours, theirs) = (
        Process::foxden(program, DiskLatency::Native).await?,
        Process::foxden(earlier, DiskLatency::Native).await?,
    );
    for server in [&ours, &theirs] {
        fill(server).await?;
    }
    for (what, connections, maker) in CASES {
        let scripts = |port| spread(connections, port, maker);
        let (here, there) = (scripts(ours.port), scripts(theirs.port));
        let ratio = compare((ours.port, &here), (theirs.port, &there), length).await?;
        let goal = format!("{what}, this build / the earlier one, {connections} connections");
        figures.push(at_least(goal, "0.95", "1.0", &ratio, 0.95));
    }
    Ok(())
}
