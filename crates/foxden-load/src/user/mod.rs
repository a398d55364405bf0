//! A made user: one account with the browsers that use it, and what it has stored.
//!
//! - [`read`]: requests that read, and the comparison with what was stored
//! - [`mod@write`]: requests that write
//! - [`accounts`]: where users come from
//! - [`login`]: users with accounts, and their tokens; [`credentials`]: names and passwords
//! - [`life`]: what a user does, from its preparation to the last comparison

pub mod accounts;
mod credentials;
mod life;
pub mod login;
mod read;
mod write;

use std::collections::BTreeMap;

use crate::client::Client;
use crate::client::reply::Reply;
use crate::content::{self, Content};
use crate::expected::{Collection, Expected, Planned};
use crate::fault::{Fault, FaultKind};
use crate::instant::SyncInstant;
use crate::protocol::Protocol;
use crate::random::Random;
use login::Renewal;

pub use credentials::MARK;

/// A made user.
#[derive(Debug)]
pub struct User {
    number: u32,
    seed: u64,
    client: Client,
    /// Its random choices.
    pub random: Random,
    /// What it has stored.
    pub expected: Expected,
    /// What gets it the next token, where tokens come from a tokenserver.
    renewal: Option<Renewal>,
    /// Up to when its second browser has seen each collection.
    seen: BTreeMap<String, SyncInstant>,
}

impl User {
    /// The user with that number.
    pub fn new(number: u32, seed: u64, client: Client) -> Self {
        Self {
            number,
            seed,
            client,
            random: Random::new(seed, &[u64::from(number)]),
            expected: Expected::default(),
            renewal: None,
            seen: BTreeMap::new(),
        }
    }

    /// Its number among all users.
    pub const fn ordinal(&self) -> u32 {
        self.number
    }

    /// Its client.
    pub const fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Reports a fault that does not end what it is in.
    pub fn report(&self, fault: Fault) {
        self.client.recorder().fault(fault);
    }

    /// Gets a new token where the one in use ends soon.
    pub async fn renew(&mut self) -> Result<(), Fault> {
        match &mut self.renewal {
            Some(renewal) if renewal.is_due() => renewal.renew(&mut self.client).await,
            _ => Ok(()),
        }
    }

    fn is_modern(&self) -> bool {
        self.client.protocol() == Protocol::V1_5
    }

    /// The id of an object.
    fn id(&self, collection: &str, number: u32) -> String {
        match (collection, number) {
            ("meta", 0) => "global".to_owned(),
            ("crypto", 0) => "keys".to_owned(),
            _ => content::id(self.number, key(collection), number),
        }
    }

    /// The number of the object with that id.
    fn number(&self, collection: &str, id: &str) -> Option<u32> {
        match (collection, id) {
            ("meta", "global") | ("crypto", "keys") => Some(0),
            _ => content::number(self.number, key(collection), id),
        }
    }

    fn payload(&self, collection: &str, planned: &Planned) -> String {
        let content = Content {
            seed: self.seed,
            user: self.number,
            collection: key(collection),
            number: planned.number,
            version: planned.version,
            size: planned.size,
        };
        content.payload()
    }

    /// When the collection last changed; zero where there is none.
    fn modified(&self, collection: &str) -> SyncInstant {
        let collection = self.expected.get(collection);
        collection.map_or(SyncInstant::default(), |collection| collection.modified)
    }

    /// How many objects there should be.
    pub fn len(&self, collection: &str) -> usize {
        self.expected.get(collection).map_or(0, Collection::len)
    }

    /// Puts right what a request without a clear answer left open: the collection is deleted, or everything.
    pub async fn settle(&mut self, collection: &str) -> Result<(), Fault> {
        if self.expected.is_unsure {
            self.wipe().await?;
            self.mark().await?;
        }
        if self
            .expected
            .get(collection)
            .is_some_and(|collection| collection.is_unsure)
        {
            self.delete_collection(collection).await?;
        }
        Ok(())
    }

    /// The time of a write, which must be later than any before.
    fn written(&mut self, reply: &Reply, in_body: Option<&str>) -> Result<SyncInstant, Fault> {
        let time = reply.time("x-weave-timestamp")?;
        if self.is_modern() {
            let modified = reply.time("x-last-modified")?;
            if modified != time {
                let what = format!("x-last-modified is {modified}, and x-weave-timestamp {time}");
                self.report(reply.fault(FaultKind::Time, what));
            }
        }
        if let Some(text) = in_body {
            let modified = reply.time_in(text)?;
            if modified != time {
                let what = format!("the body says {modified}, and x-weave-timestamp {time}");
                self.report(reply.fault(FaultKind::Time, what));
            }
        }
        if time <= self.expected.last {
            let what = format!("a write at {time} after one at {}", self.expected.last);
            self.report(reply.fault(FaultKind::Time, what));
        }
        self.expected.last = self.expected.last.max(time);
        Ok(time)
    }
}

/// The number that stands for a collection in contents.
fn key(collection: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    collection.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}
