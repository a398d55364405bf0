//! Fifty users who sync, and one who only reads and is measured.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;

use super::client::Client;
use crate::process::Process;
use crate::request::{Basic, Signer, id, objects};

/// The number of users.
pub const PEOPLE: u64 = 50;
/// The number of them behind one address, with fifty others whose devices repeat an old password.
const NEIGHBOURS: u64 = 5;
/// That address.
pub const SHARED_ADDRESS: &str = "203.0.113.50";
/// The account that is attacked with wrong passwords. It is no ordinary user, since its owner is locked out for a while.
pub const VICTIM: u64 = 500;
/// The first of the fifty with a stale device.
const STALE: u64 = 600;
/// The number of the first store of today's dialect.
const STORES: u64 = 1_000_001;

/// The results of the ordinary requests.
#[derive(Debug, Default)]
pub struct SyncStats {
    /// The number of successful requests.
    good: AtomicU64,
    /// The errors, and their numbers.
    refused: Mutex<BTreeMap<String, u64>>,
    is_over: AtomicBool,
}

/// The number of an ordinary user.
pub const fn person(number: u64) -> u64 {
    number % PEOPLE
}

/// The number of a user with a stale device.
pub const fn stale(number: u64) -> u64 {
    STALE + number % 50
}

/// Creates and confirms all accounts, and those of `others`, each from a network of its own.
pub async fn register(server: &Process, others: impl Iterator<Item = u64>) -> Result<()> {
    let port = server.port;
    let users = (0..PEOPLE).chain([VICTIM]).chain((0..50).map(stale));
    for (at, number) in users.chain(others).enumerate() {
        let mut client = Client::new(port, format!("100.64.{at}.9"));
        let answer = client.send(&Basic::registration(number, port)).await?;
        if answer.status != 200 {
            bail!(
                "person {number} got no account: {} {}",
                answer.status,
                answer.body
            );
        }
        server.confirm(&Basic::email(number))?;
    }
    Ok(())
}

/// All users sync until the measurement is over.
pub fn sync(port: u16, stats: &Arc<SyncStats>) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for number in 0..PEOPLE {
        let stats = Arc::clone(stats);
        all.spawn(async move { live(port, number, &stats).await });
    }
    all
}

async fn live(port: u16, number: u64, stats: &SyncStats) {
    let address = match number {
        0..NEIGHBOURS => SHARED_ADDRESS.to_owned(),
        _ => format!("100.65.{number}.9"),
    };
    let mut client = Client::new(port, address);
    let signer = Signer::new(STORES + number, port);
    let old = Basic::new(number, port);
    tokio::time::sleep(Duration::from_millis(number * 40)).await;
    for round in 0..u64::MAX {
        if stats.is_over.load(Ordering::Relaxed) {
            return;
        }
        let place = format!("/storage/history/{}", id(round % 20 * 5));
        let mut script = vec![
            ("1.5 read", signer.request("GET", "/info/collections", "")),
            (
                "1.5 write",
                signer.request("POST", "/storage/history", &objects(round % 20 * 5, 5)),
            ),
            ("1.5 read", signer.request("GET", &place, "")),
            (
                "1.5 list",
                signer.request("GET", "/storage/history?full=1&limit=20", ""),
            ),
            ("1.1 read", old.request("GET", "/info/collections", "")),
            (
                "1.1 write",
                old.request("POST", "/storage/history", &objects(round % 20, 2)),
            ),
        ];
        // A browser signs in once, and again when a 401 tells it to.
        if round % 40 == number % 40 {
            script.push(("sign-in", Basic::sign_in(number, port)));
        }
        for (what, request) in script {
            let answer = client.send(&request).await;
            stats.count(what, answer.map(|answer| answer.status));
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}

impl SyncStats {
    fn count(&self, what: &str, status: Result<u16>) {
        let why = match status {
            Ok(200..=399) => {
                self.good.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok(status) => format!("{what}: {status}"),
            Err(error) => format!("{what}: {error:#}"),
        };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(why).or_default() += 1;
    }

    /// The number of successful requests.
    pub fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    /// The errors since the last call.
    pub fn take_refused(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends all clients.
    pub fn is_over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Measures the reads of a user who is not attacked, until then. The times are sorted.
pub async fn read_apart(port: u16, until: Instant) -> Result<Vec<Duration>> {
    let mut client = Client::new(port, "100.66.0.9".to_owned());
    let signer = Signer::new(STORES + 1000, port);
    client
        .send(&signer.request("POST", "/storage/history", &objects(0, 100)))
        .await?;
    let requests = [
        signer.request("GET", "/info/collections", ""),
        signer.request("GET", &format!("/storage/history/{}", id(7)), ""),
    ];
    let mut times = Vec::new();
    while Instant::now() < until {
        for request in &requests {
            let began = Instant::now();
            let answer = client.send(request).await?;
            if answer.status != 200 {
                bail!("an uninvolved reader was answered {}", answer.status);
            }
            times.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(times)
}
