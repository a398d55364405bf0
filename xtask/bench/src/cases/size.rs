//! The cost of ten million objects, compared with a quarter of a million.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Figure;
use crate::comparison::median_round;
use crate::load::{self, Script};
use crate::process::{DiskLatency, Process};
use crate::request::{Signer, id, objects};

/// Users that the objects are spread over.
const USERS: u64 = 200;
const FEW: u64 = 256_000;
const MANY: u64 = 10_000_000;

/// Builds the requests of one connection, for a user, a connection number and a number of objects.
type Maker<'a> = &'a dyn Fn(&Signer, u64, u64) -> Script;

/// Measures the same requests against a small and a large store.
pub async fn run(program: &Path, length: Duration, figures: &mut Vec<Figure>) -> Result<()> {
    let small = Process::foxden(program, DiskLatency::Native).await?;
    fill(small.port, FEW / USERS).await?;
    let large = Process::foxden(program, DiskLatency::Native).await?;
    fill(large.port, MANY / USERS).await?;
    let get = |signer: &Signer, n: u64, each: u64| -> Script {
        let ids = (0..200).map(|k| id((n * 7919 + k * 104_729) % each));
        ids.map(|id| signer.request("GET", &format!("/storage/history/{id}"), ""))
            .collect()
    };
    let poll = |signer: &Signer, _, _| {
        vec![signer.request(
            "GET",
            "/storage/history?full=1&newer=4102444800.00&limit=1000",
            "",
        )]
    };
    let post = |signer: &Signer, n: u64, each: u64| -> Script {
        let bodies = (0..20).map(|k| objects((n * 7919 + k * 104_729) % (each - 100), 100));
        bodies
            .map(|body| signer.request("POST", "/storage/history", &body))
            .collect()
    };
    let cases: [(&str, &str, &str, f64, Maker<'_>); 3] = [
        ("one object", "1.6 ×", "1.3 ×", 1.6, &get),
        ("empty poll", "1.3 ×", "1.1 ×", 1.3, &poll),
        ("POST of 100, ids overwritten", "1.15 ×", "1.0 ×", 1.15, &post),
    ];
    for (what, floor, moonshot, most, script) in cases {
        let scripts = |port, each| -> Vec<Script> {
            (0..16)
                .map(|n| script(&Signer::new(n * 12 % USERS + 1, port), n, each))
                .collect()
        };
        let few = median_round(&small, &scripts(small.port, FEW / USERS), length)
            .await?
            .rate;
        let many = median_round(&large, &scripts(large.port, MANY / USERS), length)
            .await?
            .rate;
        let ratio = few / many;
        println!("{what}, ten million objects: {ratio:.2} times as long");
        figures.push(Figure {
            goal: format!("time of {what}, 10 million objects / 256 thousand"),
            floor,
            moonshot,
            value: format!("{ratio:.2} ×"),
            note: format!("{many:.0} beside {few:.0} a second at 16 connections"),
            holds: ratio <= most,
        });
    }
    Ok(())
}

/// Stores this many objects for each user, eight users at a time.
async fn fill(port: u16, each: u64) -> Result<()> {
    let turns = Arc::new(Semaphore::new(8));
    let mut users = JoinSet::new();
    for user in 1..=USERS {
        let turns = Arc::clone(&turns);
        users.spawn(async move {
            let _turn = turns.acquire().await?;
            let signer = Signer::new(user, port);
            for first in (0..each).step_by(5000) {
                let posts = (first..each.min(first + 5000)).step_by(100);
                let script: Script = posts
                    .map(|at| signer.request("POST", "/storage/history", &objects(at, 100.min(each - at))))
                    .collect();
                load::once(port, &script).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = users.join_next().await {
        done??;
    }
    Ok(())
}
