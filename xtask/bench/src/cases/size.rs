//! The cost of ten million objects, compared with a quarter of a million.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Figure;
use crate::callgrind::Counts;
use crate::comparison::median_round;
use crate::load::{self, Connection, Script};
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
    fill(small.port, USERS, FEW / USERS).await?;
    let large = Process::foxden(program, DiskLatency::Native).await?;
    fill(large.port, USERS, MANY / USERS).await?;
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

/// Users of a store whose reads are counted: each reads once, so that no cache answers. A fifth of them read before the counted ones.
const READERS: u64 = 50;
/// Objects of a store that is small.
const SMALL: u64 = 10_000;
/// A store in one file.
const ONE_FILE: &str = "sqlite:?shards=1";

/// Counts the instructions of reads in one file of ten million objects, beside one of ten thousand.
pub async fn instructions(program: &Path, figures: &mut Vec<Figure>) -> Result<()> {
    let one = format!("/storage/history/{}", id(7));
    let paths = [
        "/info/collections",
        &one,
        "/storage/history?full=1&sort=newest&limit=100",
    ];
    let names = ["info/collections", "one object", "the newest 100 objects"];
    let few = counted_reads(program, SMALL, paths).await?;
    let many = counted_reads(program, MANY, paths).await?;
    for (what, (few, many)) in names.iter().zip(few.iter().zip(&many)) {
        let ratio = many / few;
        println!("instructions of {what}, ten million objects in one file: {ratio:.2} times as many");
        figures.push(Figure {
            goal: format!(
                "instructions of {what} that no cache has, 10 million objects / 10 thousand in one file"
            ),
            floor: "1.2 ×",
            moonshot: "–",
            value: format!("{ratio:.2} ×"),
            note: format!("{many:.0} beside {few:.0}"),
            holds: ratio <= 1.2,
        });
    }
    Ok(())
}

/// The instructions of each of these reads in a file of so many objects.
async fn counted_reads<const N: usize>(program: &Path, objects: u64, paths: [&str; N]) -> Result<[f64; N]> {
    let mut counts = [0.0; N];
    let server = Process::with_store(program, ONE_FILE, "none").await?;
    fill(server.port, READERS, objects / READERS).await?;
    let mut server = Some(server);
    for (path, count) in paths.iter().zip(&mut counts) {
        // For each anew, as a read fills caches.
        let restarted = server.take().context("it is put back")?;
        let mut counted = restarted.restart_under_callgrind(program, ONE_FILE).await?;
        let mut connection = Connection::open(counted.port).await?;
        let warm_up = READERS / 5;
        for user in 1..=READERS {
            if user == warm_up + 1 {
                counted.reset_counts()?;
            }
            let request = Signer::new(user, counted.port).request("GET", path, "");
            connection.ask(&request).await?;
            counted.settle()?;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let each = Counts::read(&counted.counts()?)?.instructions as f64 / (READERS - warm_up) as f64;
        *count = each;
        server = Some(counted);
    }
    Ok(counts)
}

/// Stores this many objects for each of so many users, eight users at a time.
async fn fill(port: u16, users: u64, each: u64) -> Result<()> {
    let turns = Arc::new(Semaphore::new(8));
    let mut fills = JoinSet::new();
    for user in 1..=users {
        let turns = Arc::clone(&turns);
        fills.spawn(async move {
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
    while let Some(done) = fills.join_next().await {
        done??;
    }
    Ok(())
}
