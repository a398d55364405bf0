//! One collection on one device: its items, its local changes, and the time of the last sync.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::envelope;
use super::key::KeyPair;
use super::storage::{Node, Received, Stop, Time, stamp};
use crate::client::{base64url, random_bytes};

/// How many uploads in a row may be refused because another device wrote first.
const MAX_REFUSED_UPLOADS: usize = 200;

/// The client program of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Pale Moon, Basilisk, old Firefox: takes the time of `info/collections` after a fetch, and that in the
    /// header of the answer after an upload.
    Desktop,
    /// The same program on a small device: fetches fifty at first, then the rest by their ids.
    Mobile,
    /// Old Firefox for Android: takes the time in the header of the list it fetched, and uploads only onto
    /// what it has seen.
    Android,
}

/// The properties of a collection.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    version: u32,
    ttl: Option<u32>,
    has_order: bool,
}

const fn kind(name: &'static str, version: u32, ttl: Option<u32>, has_order: bool) -> Kind {
    Kind {
        name,
        version,
        ttl,
        has_order,
    }
}

/// The list of devices, which is synced before all others.
pub const CLIENTS: Kind = kind("clients", 1, Some(1_814_400), false);

/// The kinds of collections that a client syncs.
pub const KINDS: [Kind; 6] = [
    kind("bookmarks", 2, None, true),
    kind("history", 1, Some(5_184_000), true),
    kind("passwords", 1, None, false),
    kind("tabs", 1, Some(604_800), false),
    kind("forms", 1, Some(5_184_000), false),
    kind("prefs", 2, None, false),
];

/// One collection on one device.
#[derive(Debug)]
pub struct Engine {
    kind: &'static Kind,
    items: BTreeMap<String, Value>,
    changed: BTreeSet<String>,
    last_sync: Time,
    sync_id: String,
}

/// A fresh id, as records and devices have them.
pub fn fresh_id() -> String {
    base64url(&random_bytes(9))
}

impl Engine {
    /// With nothing in it.
    pub fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            items: BTreeMap::new(),
            changed: BTreeSet::new(),
            last_sync: Time::default(),
            sync_id: fresh_id(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// The local items.
    pub fn items(&self) -> &BTreeMap<String, Value> {
        &self.items
    }

    /// The ids of items to upload.
    pub fn changed(&self) -> &BTreeSet<String> {
        &self.changed
    }

    /// The person adds or changes something.
    pub fn put(&mut self, id: &str, mut item: Value) {
        item["id"] = id.into();
        self.items.insert(id.to_owned(), item);
        self.changed.insert(id.to_owned());
    }

    /// The person deletes something.
    pub fn remove(&mut self, id: &str) {
        self.items.remove(id);
        self.changed.insert(id.to_owned());
    }

    /// Forgets what was exchanged with the server: everything is fetched and uploaded anew.
    pub fn reset(&mut self) {
        self.last_sync = Time::default();
        self.changed.extend(self.items.keys().cloned());
    }

    /// Compares notes with `meta/global`: whether it was changed for this collection.
    pub fn begin(&mut self, node: &mut Node, engines: &mut Map<String, Value>) -> Result<bool, Stop> {
        let known = engines.get(self.name()).cloned().unwrap_or_default();
        let version = known["version"].as_u64().unwrap_or(0);
        if version > u64::from(self.kind.version) {
            return Err(Stop::TooNew);
        }
        if version < u64::from(self.kind.version) {
            node.delete(&format!("/storage/{}", self.name()))?;
            self.sync_id = fresh_id();
            self.reset();
            let entry = json!({ "version": self.kind.version, "syncID": self.sync_id });
            engines.insert(self.name().to_owned(), entry);
            return Ok(true);
        }
        if known["syncID"] != self.sync_id.as_str() {
            known["syncID"].as_str().unwrap().clone_into(&mut self.sync_id);
            self.reset();
        }
        Ok(false)
    }

    /// Fetches what is new there and uploads what is new here. `seen` is the collection's time in
    /// `info/collections`.
    pub fn sync(
        &mut self,
        node: &mut Node,
        keys: &KeyPair,
        platform: Platform,
        seen: Time,
    ) -> Result<(), Stop> {
        for _ in 0..MAX_REFUSED_UPLOADS {
            self.fetch(node, keys, platform, seen)?;
            match self.upload(node, keys, platform) {
                Err(Stop::Stale) => {}
                other => return other,
            }
        }
        Err(Stop::Stale)
    }

    fn fetch(&mut self, node: &mut Node, keys: &KeyPair, platform: Platform, seen: Time) -> Result<(), Stop> {
        if platform != Platform::Android && seen <= self.last_sync {
            return Ok(());
        }
        let name = self.name();
        let mut query: Vec<String> = Vec::new();
        if self.last_sync > Time::default() {
            query.push(format!("newer={}", self.last_sync));
        }
        let newer = query.clone();
        query.push("full=1".into());
        query.extend(self.kind.has_order.then(|| "sort=index".to_owned()));
        query.extend((platform == Platform::Mobile).then(|| "limit=50".to_owned()));
        let (received, as_of) = node.list(&format!("/storage/{name}?{}", query.join("&")))?;
        if self.kind.has_order {
            assert!(received.is_sorted_by_key(|record| -record.sortindex.unwrap_or(i64::MIN + 1)));
        }
        let newest = received.iter().map(|record| record.modified).max();
        let handled: BTreeSet<String> = received.iter().map(|record| record.id.clone()).collect();
        received
            .iter()
            .try_for_each(|record| self.apply(record, node, keys))?;

        if platform == Platform::Mobile && handled.len() == 50 {
            let query = [&newer[..], &["sort=index".to_owned()]].concat().join("&");
            let mut rest = node.ids(&format!("/storage/{name}?{query}"))?;
            rest.retain(|id| !handled.contains(id));
            for ids in rest.chunks(50) {
                let (received, _) = node.list(&format!("/storage/{name}?full=1&ids={}", ids.join(",")))?;
                received
                    .iter()
                    .try_for_each(|record| self.apply(record, node, keys))?;
            }
        }
        self.last_sync = match platform {
            Platform::Android => as_of,
            Platform::Desktop | Platform::Mobile => seen.max(newest.unwrap_or_default()),
        };
        Ok(())
    }

    fn apply(&mut self, record: &Received, node: &Node, keys: &KeyPair) -> Result<(), Stop> {
        let clear = envelope::open(keys, &record.payload).ok_or(Stop::WrongKey)?;
        let clear: Value = serde_json::from_str(&clear).unwrap();
        assert_eq!(
            clear["id"],
            record.id.as_str(),
            "an envelope holds its own record"
        );
        assert!(
            record.modified <= node.notices.now,
            "nothing is stored in the future"
        );
        if self.changed.contains(&record.id) {
            // The person's change is the younger one: it was made since the last sync.
            return Ok(());
        }
        if clear["deleted"] == true {
            self.items.remove(&record.id);
        } else {
            self.items.insert(record.id.clone(), clear);
        }
        Ok(())
    }

    fn upload(&mut self, node: &mut Node, keys: &KeyPair, platform: Platform) -> Result<(), Stop> {
        let at_once = if platform == Platform::Android { 50 } else { 100 };
        let outgoing: Vec<String> = self.changed.iter().cloned().collect();
        for ids in outgoing.chunks(at_once) {
            let records: Vec<Value> = ids.iter().map(|id| self.seal(id, keys)).collect();
            let text = Value::Array(records).to_string();
            let guard = (platform == Platform::Android).then(|| self.last_sync.to_string());
            let reply = node.send("POST", &format!("/storage/{}", self.name()), |call| {
                let call = call.body("text/plain", text);
                match guard {
                    Some(time) => call.header("X-If-Unmodified-Since", time),
                    None => call,
                }
            })?;
            let answer = reply.expect(200);
            self.last_sync = self.last_sync.max(stamp(&answer));
            let body = answer.json();
            for id in body["success"].as_array().expect("a list of successes") {
                self.changed.remove(id.as_str().unwrap());
            }
            let failed = body["failed"].as_object().expect("a map of failures");
            assert_eq!(
                failed.len() + body["success"].as_array().unwrap().len(),
                ids.len()
            );
        }
        Ok(())
    }

    fn seal(&self, id: &str, keys: &KeyPair) -> Value {
        let gone = || json!({ "id": id, "deleted": true });
        let clear = self.items.get(id).cloned().unwrap_or_else(gone);
        let payload = envelope::seal(keys, &clear.to_string()).to_string();
        let mut record = json!({ "id": id, "payload": payload });
        if self.kind.has_order {
            record["sortindex"] = clear["sortindex"].as_i64().unwrap_or(100).into();
        }
        if let Some(ttl) = self.kind.ttl {
            record["ttl"] = ttl.into();
        }
        record
    }
}
