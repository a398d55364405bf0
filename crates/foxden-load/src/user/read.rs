//! Requests that read. What comes back is compared with what was stored.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hyper::StatusCode;
use serde_json::value::RawValue;

use super::{MARK, User};
use crate::client::Call;
use crate::client::reply::{Object, Reply};
use crate::expected::Planned;
use crate::fault::{Fault, FaultKind};
use crate::instant::SyncInstant;
use crate::protocol::RequestKind;

/// How many objects a browser asks for at once.
const PAGE: usize = 1000;
/// The most pages of a list, so that a server that always offers another one cannot hold a user.
const MOST_PAGES: usize = 10_000;
/// How many missing objects are named in a fault.
const NAMED: usize = 3;

/// The part of a collection that was asked for.
#[derive(Clone, Copy, Debug)]
enum Selection {
    All,
    Newer(SyncInstant),
}

impl User {
    /// Asks when each collection last changed, and compares it with what was stored.
    pub async fn collections(&mut self) -> Result<BTreeMap<String, SyncInstant>, Fault> {
        let call = Call::get(RequestKind::Collections, "/info/collections");
        let reply = self.client.send(call).await?;
        reply.expect(StatusCode::OK)?;
        let texts: BTreeMap<String, &RawValue> = reply.json()?;
        reply.announced(texts.len())?;
        let mut times = BTreeMap::new();
        for (name, time) in texts {
            times.insert(name, reply.time_in(time.get())?);
        }
        times.remove(MARK);
        if !self.expected.is_unsure {
            self.compare_collections(&reply, &times);
        }
        Ok(times)
    }

    fn compare_collections(&self, reply: &Reply, times: &BTreeMap<String, SyncInstant>) {
        for (name, collection) in &self.expected.collections {
            if collection.is_unsure {
                continue;
            }
            match times.get(name) {
                // Some servers of 1.1 forget a collection together with its last object.
                None if !self.is_modern() && collection.len() == 0 => {}
                None => {
                    let what = format!("{name}, written at {}, is not listed", collection.modified);
                    self.report(reply.fault(FaultKind::Lost, what));
                }
                Some(time) if *time != collection.modified => {
                    let what = format!("{name} is of {time}, and was written at {}", collection.modified);
                    self.report(reply.fault(FaultKind::Time, what));
                }
                Some(_) => {}
            }
        }
        // A deleted collection stays listed in 1.1.
        if self.is_modern()
            && let Some(name) = times.keys().find(|name| self.expected.get(name).is_none())
        {
            let what = format!("{name} was never written, or was deleted");
            self.report(reply.fault(FaultKind::Surplus, what));
        }
    }

    /// Asks for another page of information.
    pub async fn info(&mut self, page: &str) -> Result<(), Fault> {
        let reply = self
            .client
            .send(Call::get(RequestKind::Info, format!("/info/{page}")))
            .await?;
        reply.expect(StatusCode::OK)?;
        reply.json::<&RawValue>().map(|_| ())
    }

    /// Reads an object that was stored, and compares it.
    pub async fn read_object(&mut self, collection: &str, number: u32) -> Result<(), Fault> {
        let id = self.id(collection, number);
        let call = Call::get(RequestKind::Object, format!("/storage/{collection}/{id}"));
        let reply = self.client.send(call).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Err(reply.fault(FaultKind::Lost, format!("{collection}/{id} is missing")));
        }
        reply.expect(StatusCode::OK)?;
        let object: Object<'_> = reply.json()?;
        self.compare_object(&reply, collection, number, &object);
        Ok(())
    }

    /// Compares an object with what was stored; reports a difference.
    fn compare_object(&self, reply: &Reply, collection: &str, number: u32, object: &Object<'_>) {
        let stored = self
            .expected
            .get(collection)
            .and_then(|collection| collection.object(number));
        let Some(stored) = stored else {
            let what = format!("{collection}/{} was never written, or was deleted", object.id);
            self.report(reply.fault(FaultKind::Surplus, what));
            return;
        };
        let planned = Planned {
            number,
            version: stored.version,
            size: stored.size,
        };
        if object.id != self.id(collection, number) {
            let what = format!("the object calls itself {:?}", object.id);
            self.report(reply.fault(FaultKind::Changed, what));
        } else if object.payload != self.payload(collection, &planned) {
            let what = format!("{collection}/{} has another payload than was stored", object.id);
            self.report(reply.fault(FaultKind::Changed, what));
        } else if SyncInstant::read(object.modified.get()) != Some(stored.modified) {
            let what = format!(
                "{collection}/{} is of {}, and was written at {}",
                object.id,
                object.modified.get(),
                stored.modified
            );
            self.report(reply.fault(FaultKind::Time, what));
        } else {
            self.client.recorder().compared(1);
        }
    }

    /// Asks what changed in a collection since its last change: nothing.
    pub async fn nothing_new(&mut self, collection: &str) -> Result<(), Fault> {
        let modified = self.modified(collection);
        self.list(collection, Selection::Newer(modified), RequestKind::NothingNew)
            .await
    }

    /// Asks for what changed in a collection since a time, and compares it.
    pub async fn changes(&mut self, collection: &str, newer: SyncInstant) -> Result<(), Fault> {
        self.list(collection, Selection::Newer(newer), RequestKind::Changes)
            .await
    }

    /// Reads a whole collection, and compares it.
    pub async fn download(&mut self, collection: &str) -> Result<(), Fault> {
        self.list(collection, Selection::All, RequestKind::Page).await
    }

    async fn list(&mut self, collection: &str, asked: Selection, kind: RequestKind) -> Result<(), Fault> {
        self.settle(collection).await?;
        let mut path = format!("/storage/{collection}?full=1");
        if let Selection::Newer(time) = asked {
            // Writing to a text does not fail.
            let _ = write!(path, "&newer={time}");
        }
        if self.is_modern() {
            let _ = write!(path, "&limit={PAGE}");
        }
        let mut found: Vec<u32> = Vec::new();
        let mut offset: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = match &offset {
                None => path.clone(),
                Some(offset) => format!("{path}&offset={offset}"),
            };
            let reply = self.client.send(Call::get(kind, page)).await?;
            reply.expect(StatusCode::OK)?;
            self.compare_time(&reply, collection)?;
            for object in reply.objects()? {
                let Some(number) = self.number(collection, &object.id) else {
                    let what = format!("{collection}/{} was never written", object.id);
                    self.report(reply.fault(FaultKind::Surplus, what));
                    continue;
                };
                self.compare_object(&reply, collection, number, &object);
                found.push(number);
            }
            offset = reply.header("x-weave-next-offset").map(ToOwned::to_owned);
            if offset.is_none() {
                self.compare_set(&reply, collection, asked, found);
                return Ok(());
            }
        }
        Ok(())
    }

    /// A list of 1.5 says of which time it is.
    fn compare_time(&self, reply: &Reply, collection: &str) -> Result<(), Fault> {
        if !self.is_modern() {
            return Ok(());
        }
        let (time, expected) = (reply.time("x-last-modified")?, self.modified(collection));
        if time != expected {
            let what = format!("{collection} is of {time}, and was written at {expected}");
            self.report(reply.fault(FaultKind::Time, what));
        }
        Ok(())
    }

    /// Each object that was asked for came, and came once.
    fn compare_set(&self, reply: &Reply, collection: &str, asked: Selection, mut found: Vec<u32>) {
        found.sort_unstable();
        if let Some(pair) = found.windows(2).find(|pair| pair[0] == pair[1]) {
            let id = self.id(collection, pair[0]);
            let what = format!("{collection}/{id} came twice");
            self.report(reply.fault(FaultKind::Surplus, what));
        }
        let Some(stored) = self.expected.get(collection) else {
            return;
        };
        let is_asked = |modified: SyncInstant| match asked {
            Selection::All => true,
            Selection::Newer(time) => modified > time,
        };
        let wanted = stored.objects().filter(|(_, stored)| is_asked(stored.modified));
        let missing: Vec<u32> = wanted
            .map(|(number, _)| number)
            .filter(|number| found.binary_search(number).is_err())
            .collect();
        if !missing.is_empty() {
            let named = missing
                .iter()
                .take(NAMED)
                .map(|number| self.id(collection, *number));
            let named: Vec<String> = named.collect();
            let what = format!(
                "{} of {} objects of {collection} are missing: {}",
                missing.len(),
                stored.len(),
                named.join(", ")
            );
            self.report(reply.fault(FaultKind::Lost, what));
        }
        let surplus = found.iter().find(|number| {
            let stored = stored.object(**number);
            stored.is_some_and(|stored| !is_asked(stored.modified))
        });
        if let Some(number) = surplus {
            let what = format!(
                "{collection}/{} is older than what was asked for",
                self.id(collection, *number)
            );
            self.report(reply.fault(FaultKind::Surplus, what));
        }
    }

    /// Reads the newest objects of a collection, and compares them.
    pub async fn newest(&mut self, collection: &str, limit: usize) -> Result<(), Fault> {
        self.settle(collection).await?;
        let path = format!("/storage/{collection}?full=1&sort=newest&limit={limit}");
        let reply = self.client.send(Call::get(RequestKind::Page, path)).await?;
        reply.expect(StatusCode::OK)?;
        self.compare_time(&reply, collection)?;
        let objects = reply.objects()?;
        let wanted = self.len(collection).min(limit);
        if objects.len() != wanted {
            let what = format!("{} objects in place of {wanted}", objects.len());
            self.report(reply.fault(FaultKind::Lost, what));
        }
        let mut before: Option<SyncInstant> = None;
        for object in objects {
            let Some(number) = self.number(collection, &object.id) else {
                let what = format!("{collection}/{} was never written", object.id);
                self.report(reply.fault(FaultKind::Surplus, what));
                continue;
            };
            self.compare_object(&reply, collection, number, &object);
            let time = SyncInstant::read(object.modified.get());
            if before.is_some() && time > before {
                let what = format!("{collection}/{} is newer than the one before it", object.id);
                self.report(reply.fault(FaultKind::Form, what));
            }
            before = time;
        }
        Ok(())
    }

    /// Lists the ids of a collection, and compares them.
    pub async fn ids(&mut self, collection: &str) -> Result<(), Fault> {
        self.settle(collection).await?;
        let call = Call::get(RequestKind::Ids, format!("/storage/{collection}"));
        let reply = self.client.send(call).await?;
        reply.expect(StatusCode::OK)?;
        self.compare_time(&reply, collection)?;
        let ids: Vec<String> = reply.json()?;
        reply.announced(ids.len())?;
        let found: Vec<u32> = ids.iter().filter_map(|id| self.number(collection, id)).collect();
        if found.len() < ids.len() {
            let what = format!("{} ids were never written", ids.len() - found.len());
            self.report(reply.fault(FaultKind::Surplus, what));
        }
        self.compare_set(&reply, collection, Selection::All, found);
        Ok(())
    }

    /// The second browser of the user asks what is new, and takes it.
    pub async fn second_device(&mut self) -> Result<(), Fault> {
        let times = self.collections().await?;
        for (name, time) in times {
            let seen = self.seen.get(&name).copied().unwrap_or_default();
            let is_sure = self
                .expected
                .get(&name)
                .is_some_and(|collection| !collection.is_unsure);
            if time > seen && is_sure {
                self.changes(&name, seen).await?;
            }
            self.seen.insert(name, time);
        }
        Ok(())
    }

    /// A new browser of the user reads everything.
    pub async fn new_device(&mut self) -> Result<(), Fault> {
        let times = self.collections().await?;
        if self.is_modern() {
            self.info("configuration").await?;
        }
        for (collection, number) in [("meta", 0), ("crypto", 0)] {
            if self
                .expected
                .get(collection)
                .is_some_and(|stored| stored.object(number).is_some())
            {
                self.read_object(collection, number).await?;
            }
        }
        let names = times
            .into_keys()
            .filter(|name| !matches!(name.as_str(), "meta" | "crypto"));
        for name in names.collect::<Vec<_>>() {
            self.download(&name).await?;
        }
        Ok(())
    }
}
