//! Attacks on a local server, with the numbers of the table in `docs/security.md`.
//!
//! Every request goes to 127.0.0.1, names its network in `X-Forwarded-For`, and is counted. Each attack has a fixed rate and
//! ends by itself.

mod devices;
mod disk;
mod enumeration;
mod mails;
mod members;
mod networks;
mod pairing;
mod readers;
mod resets;
mod stale;
mod uploads;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::request::{Basic, bearer};
use crate::soak::client::{Answer, Client, accounts};

/// All attacks; the position of each determines its networks.
pub const NAMES: [&str; 11] = [
    "devices",
    "uploads",
    "readers",
    "disk",
    "resets",
    "mails",
    "enumeration",
    "networks",
    "stale",
    "pairing",
    "members",
];

/// The numbers of the attackers' accounts, which are confirmed before the run.
pub fn members() -> impl Iterator<Item = u64> {
    let accounts = [("devices", 0), ("disk", 3)];
    let number = |wanted| NAMES.iter().position(|name| *name == wanted);
    accounts
        .into_iter()
        .filter_map(move |(name, account)| Some(own(number(name)?, account)))
}

/// The number of an account that belongs to the attack of that number.
const fn own(number: usize, account: u64) -> u64 {
    10_000 + number as u64 * 1000 + account
}

/// The network that the attack of that number comes from, but for its last part.
pub fn network(number: usize) -> String {
    format!("198.18.{}.", 10 + number)
}

/// Whether a name in the security log is one of the users and accounts of the attack of that number.
pub fn is_own(number: usize, name: &str) -> bool {
    let first = own(number, 0);
    let account = name
        .strip_prefix("user")
        .and_then(|rest| rest.split('@').next()?.parse().ok());
    let users: &[&str] = match NAMES[number] {
        "readers" => &["2000000"],
        "disk" => &["2000001", "2000002"],
        "members" => &["2000010"],
        _ => &[],
    };
    users.contains(&name) || account.is_some_and(|account: u64| (first..first + 1000).contains(&account))
}

/// The /48 that the attack of that number comes from where it uses IPv6.
pub fn wide_network(number: usize) -> String {
    format!("2001:db8:{:x}:", 0x10 + number)
}

/// The target of an attack.
#[derive(Clone)]
pub struct Field {
    port: u16,
    /// The mailbox of the attackers.
    mail: u16,
    number: usize,
    tally: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// An account that an attacker owns.
struct Member {
    number: u64,
    /// The credentials of the account API.
    authorization: String,
}

/// Runs every fourth of the `wanted` attacks (or of all), from the given one on, and prints the answers. `ports` are those of
/// the server and of the mailbox.
pub async fn run([port, mail]: [u16; 2], seconds: u64, quarter: usize, wanted: &str) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut all = JoinSet::new();
    let is_wanted = |name: &str| wanted == "all" || wanted.split(',').any(|wanted| wanted == name);
    let all_attacks = NAMES.into_iter().enumerate();
    for (number, name) in all_attacks.filter(|(number, name)| number % 4 == quarter && is_wanted(name)) {
        let tally = Arc::default();
        let field = Field {
            port,
            mail,
            number,
            tally: Arc::clone(&tally),
        };
        all.spawn(async move {
            let over = tokio::time::sleep_until(until);
            let failed = tokio::select! {
                () = over => None,
                ended = begin(name, field) => ended.err(),
            };
            (name, tally, failed)
        });
    }
    while let Some(done) = all.join_next().await {
        let (name, tally, failed) = done?;
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        let sent: u64 = tally.values().sum();
        let answers: Vec<String> = tally
            .iter()
            .map(|(what, count)| format!("{what}×{count}"))
            .collect();
        let failed = failed.map_or(String::new(), |error| format!(" (ended: {error:#})"));
        println!("{name} {sent} {}{failed}", answers.join(" "));
    }
    Ok(())
}

async fn begin(name: &str, field: Field) -> Result<()> {
    match name {
        "devices" => devices::run(field).await,
        "uploads" => uploads::run(field).await,
        "readers" => readers::run(field).await,
        "disk" => disk::run(field).await,
        "resets" => resets::run(field).await,
        "mails" => mails::run(field).await,
        "enumeration" => enumeration::run(field).await,
        "networks" => networks::run(field).await,
        "stale" => stale::run(field).await,
        "pairing" => pairing::run(field).await,
        "members" => members::run(field).await,
        _ => bail!("no attack is called {name}"),
    }
}

impl Field {
    /// The address of this attack with that number.
    fn address(&self, number: u64) -> String {
        format!("{}{}", network(self.number), number % 250 + 1)
    }

    /// A client with that address of this attack.
    fn client(&self, number: u64) -> Client {
        Client::new(self.port, self.address(number))
    }

    /// Sends a request and counts the answer.
    async fn send(&self, client: &mut Client, request: &[u8]) -> Option<Answer> {
        let answer = client.send(request).await.ok();
        self.count(
            answer
                .as_ref()
                .map_or("cut".to_owned(), |answer| answer.status.to_string()),
        );
        answer
    }

    fn count(&self, what: impl Into<String>) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        *tally.entry(what.into()).or_default() += 1;
    }

    /// Waits to keep the rate.
    async fn pause(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    /// Opens a connection, sends this, does not read the answer until the server closes the connection, and repeats.
    async fn never_read(&self, number: u64, request: Vec<u8>) -> Result<()> {
        let request = Client::new(self.port, self.address(number)).addressed(&request);
        loop {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4096)?;
            let mut stream = socket.connect(([127, 0, 0, 1], self.port).into()).await?;
            if stream.write_all(&request).await.is_ok() {
                self.count("unread");
                // Reading one byte now and then shows when the connection is closed, and frees no buffer.
                while stream.write_all(b"x").await.is_ok() {
                    self.pause(1000).await;
                }
                let _ = stream.read_u8().await;
            }
            self.count("given up");
            self.pause(200).await;
        }
    }

    /// Does the same on this many connections at once.
    async fn never_read_at(&self, connections: u64, request: impl Fn(u64) -> Vec<u8>) -> Result<()> {
        let mut all = JoinSet::new();
        for number in 0..connections {
            let (field, request) = (self.clone(), request(number));
            all.spawn(async move { field.never_read(number, request).await });
            self.pause(10).await;
        }
        while let Some(done) = all.join_next().await {
            done??;
        }
        Ok(())
    }

    /// The number of an account of this attack's own.
    const fn own(&self, number: u64) -> u64 {
        own(self.number, number)
    }

    async fn sign_in(&self, own: u64, number: u64) -> Result<Member> {
        let answer = self
            .send(&mut self.client(number), &Basic::sign_in(own, self.port))
            .await;
        let answer = answer.context("the connection ended")?;
        let token = answer.member("sessionToken").context(answer.body.clone())?;
        Ok(Member {
            number: own,
            authorization: bearer(token, "sessionToken"),
        })
    }

    /// A request of the account API.
    fn send_request(&self, method: &str, path: &str, authorization: &str, body: &str) -> Vec<u8> {
        accounts(self.port, method, path, authorization, body)
    }
}
