//! A device and its sync from beginning to end.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::account::{self, StorageLocation};
use super::engine::{CLIENTS, Engine, KINDS, Platform, fresh_id};
use super::envelope;
use super::key::{KeyPair, SyncKey};
use super::name;
use super::storage::{Node, Stop, Time};
use crate::client::wire::Server;

/// The storage version that every client of this protocol writes.
const STORAGE_VERSION: u64 = 5;

/// The credentials that pairing sends to a new device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The address or name that the user typed.
    pub account: String,
    /// The password.
    pub password: String,
    /// The key that only the user's devices have.
    pub sync_key: SyncKey,
    /// The server's address.
    pub server: String,
}

/// The keys of the collections, and when they were stored.
#[derive(Debug)]
struct CollectionKeys {
    default: KeyPair,
    collections: BTreeMap<String, KeyPair>,
    modified: Time,
}

/// The content of `meta/global`, and when it was stored.
#[derive(Debug)]
struct Meta {
    sync_id: String,
    engines: Map<String, Value>,
    modified: Time,
}

/// A browser of a user.
#[derive(Debug)]
pub struct Device {
    /// Its credentials.
    pub credentials: Credentials,
    /// Its id in the list of devices.
    pub id: String,
    platform: Platform,
    server: Server,
    node: Option<Node>,
    keys: Option<CollectionKeys>,
    meta: Option<Meta>,
    clients: Engine,
    engines: Vec<Engine>,
    /// Seconds of its own clock, which the tests move.
    clock: u64,
    /// The end of the backoff that the server asked for.
    quiet_until: u64,
    /// The alerts that it logged.
    pub alerts: Vec<String>,
    /// The remaining quota in kilobytes, as the server last sent it.
    pub quota_left: Option<f64>,
}

impl Device {
    /// A new browser with these credentials.
    pub fn new(credentials: Credentials, platform: Platform) -> Self {
        let id = fresh_id();
        let mut clients = Engine::new(&CLIENTS);
        let kind = if platform == Platform::Desktop {
            "desktop"
        } else {
            "mobile"
        };
        let this =
            json!({ "name": format!("{kind} {id}"), "type": kind, "protocols": ["1.1"], "commands": [] });
        clients.put(&id, this);
        Self {
            server: Server::at(&credentials.server),
            credentials,
            id,
            platform,
            node: None,
            keys: None,
            meta: None,
            clients,
            engines: KINDS.iter().map(Engine::new).collect(),
            clock: 0,
            quiet_until: 0,
            alerts: Vec::new(),
            quota_left: None,
        }
    }

    /// The first device of an account, with a fresh key.
    pub fn first(server: &Server, account: &str, password: &str) -> Self {
        let credentials = Credentials {
            account: account.to_owned(),
            password: password.to_owned(),
            sync_key: SyncKey::generate(),
            server: format!("{}/", server.base()),
        };
        Self::new(credentials, Platform::Desktop)
    }

    /// Another device of the same user.
    pub fn another(&self, platform: Platform) -> Self {
        Self::new(self.credentials.clone(), platform)
    }

    /// The account's name on the wire.
    pub fn name(&self) -> String {
        name::of_account(&self.credentials.account)
    }

    /// One of its collections.
    #[track_caller]
    pub fn engine(&mut self, name: &str) -> &mut Engine {
        let mut all = self.engines.iter_mut().chain([&mut self.clients]);
        all.find(|engine| engine.name() == name)
            .expect("a collection of this client")
    }

    /// All items of the device, by collection and id.
    pub fn everything(&self) -> BTreeMap<(&'static str, String), Value> {
        let all = self.engines.iter().chain([&self.clients]);
        let of = |engine: &Engine| {
            let name = engine.name();
            let items = engine.items().clone().into_iter();
            items
                .map(move |(id, item)| ((name, id), item))
                .collect::<Vec<_>>()
        };
        all.flat_map(of).collect()
    }

    /// Fails the test unless another device has the same items.
    #[track_caller]
    pub fn is_alike(&self, other: &Self) {
        let (ours, theirs) = (self.everything(), other.everything());
        let differs = |key: &&(&str, String)| ours.get(*key) != theirs.get(*key);
        let different: Vec<_> = ours.keys().chain(theirs.keys()).filter(differs).take(5).collect();
        assert!(
            different.is_empty(),
            "{} here, {} there; not the same: {different:?}",
            ours.len(),
            theirs.len()
        );
    }

    /// Advances the clock of the device.
    pub fn pass(&mut self, seconds: u64) {
        self.clock += seconds;
    }

    /// The base of the node it knows.
    pub fn node_base(&self) -> Option<String> {
        self.node.as_ref().map(Node::base)
    }

    /// Its store on the node it knows, for requests that a sync does not send.
    #[track_caller]
    pub fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("a device that has synced")
    }

    /// The user types another password.
    pub fn type_password(&mut self, password: &str) {
        password.clone_into(&mut self.credentials.password);
        self.node = None;
    }

    /// The user types another sync key; the next sync starts from scratch.
    pub fn type_sync_key(&mut self, key: &SyncKey) {
        self.credentials.sync_key = key.clone();
        self.reset();
    }

    /// Wipes the store and uploads all items of this device under a new key.
    pub fn change_sync_key(&mut self, key: &SyncKey) -> Result<(), Stop> {
        self.node().delete("/storage")?;
        self.type_sync_key(key);
        self.sync()
    }

    /// Forgets the state of the sync.
    pub fn reset(&mut self) {
        self.engines
            .iter_mut()
            .chain([&mut self.clients])
            .for_each(Engine::reset);
        self.keys = None;
        self.meta = None;
    }

    /// Syncs once.
    pub fn sync(&mut self) -> Result<(), Stop> {
        if self.quiet_until > self.clock {
            return Err(Stop::Waiting(self.quiet_until - self.clock));
        }
        let result = self.sync_now();
        if let Some(node) = &mut self.node {
            let wait = std::mem::take(&mut node.notices.wait);
            self.quiet_until = self.clock + wait;
            self.alerts.append(&mut node.notices.alerts);
            self.quota_left = node.notices.quota_left.take();
        }
        if result == Err(Stop::Reassigned) {
            self.node = None;
        }
        result
    }

    fn sync_now(&mut self) -> Result<(), Stop> {
        if self.node.is_none() {
            self.find_node()?;
        }
        let times = self.sign_in()?;
        let mut node = self.node.take().expect("found above");
        let result = self.exchange(&mut node, times);
        self.node = Some(node);
        result
    }

    /// Looks up the node. Returns whether it has changed.
    fn find_node(&mut self) -> Result<bool, Stop> {
        let base = match account::storage_location(&self.server, &self.name()) {
            StorageLocation::At(base) => base,
            StorageLocation::NotNow => return Err(Stop::NoNode),
            StorageLocation::Rejected => return Err(Stop::LoginRejected),
            StorageLocation::ServerError(status) => return Err(Stop::ServerError(status)),
        };
        if self.node_base().as_deref() == Some(&base) {
            return Ok(false);
        }
        let password = &self.credentials.password;
        let authorization = match self.platform {
            Platform::Android => account::basic(&self.name(), password),
            Platform::Desktop | Platform::Mobile => account::basic_latin1(&self.name(), password),
        };
        self.node = Some(Node::at(&base, &self.name(), authorization));
        Ok(true)
    }

    /// The first request of a sync shows whether name, password and node are right.
    fn sign_in(&mut self) -> Result<BTreeMap<String, Time>, Stop> {
        for is_first in [true, false] {
            match self.node().collections("?v=1.65.0") {
                Err(Stop::Reassigned) if is_first && self.find_node()? => {}
                Err(Stop::Reassigned) => return Err(Stop::LoginRejected),
                other => return other,
            }
        }
        Err(Stop::LoginRejected)
    }

    fn exchange(&mut self, node: &mut Node, times: BTreeMap<String, Time>) -> Result<(), Stop> {
        let times = if self.set_up(node, &times)? {
            node.collections("")?
        } else {
            times
        };
        let time_of = |name| times.get(name).copied().unwrap_or_default();
        let (keys, meta, platform) = (self.keys.as_ref(), self.meta.as_mut(), self.platform);
        let (keys, meta) = (keys.expect("set up"), meta.expect("set up"));

        let mut is_meta_changed = false;
        let mut is_full = false;
        for engine in std::iter::once(&mut self.clients).chain(&mut self.engines) {
            is_meta_changed |= engine.begin(node, &mut meta.engines)?;
            match engine.sync(node, keys.of(engine.name()), platform, time_of(engine.name())) {
                // Other collections may still have items to fetch, or deletions that free space.
                Err(Stop::OverQuota) => is_full = true,
                other => other?,
            }
        }
        if is_meta_changed {
            meta.modified = node.put("meta/global", &meta.to_record())?;
        }
        if is_full { Err(Stop::OverQuota) } else { Ok(()) }
    }

    /// Reads `meta/global` and the keys if they have changed. Returns whether the store was initialised again.
    fn set_up(&mut self, node: &mut Node, times: &BTreeMap<String, Time>) -> Result<bool, Stop> {
        let known = self.meta.as_ref().map(|meta| meta.modified);
        if times.get("meta").copied() != known {
            let Some(found) = node.record("meta/global")? else {
                return self.begin_anew(node).map(|()| true);
            };
            let meta = Meta::read(&found.payload, found.modified)?;
            if self
                .meta
                .as_ref()
                .is_some_and(|known| known.sync_id != meta.sync_id)
            {
                self.reset();
            }
            self.meta = Some(meta);
        }
        if self.meta.is_none() {
            return self.begin_anew(node).map(|()| true);
        }
        let Some(stored) = times.get("crypto") else {
            return self.begin_anew(node).map(|()| true);
        };
        if self.keys.as_ref().is_none_or(|keys| keys.modified < *stored) && !self.fetch_keys(node)? {
            return self.begin_anew(node).map(|()| true);
        }
        Ok(false)
    }

    /// Empties the store and initialises it: `meta/global`, then the keys, which it reads back.
    fn begin_anew(&mut self, node: &mut Node) -> Result<(), Stop> {
        self.reset();
        node.delete("/storage")?;
        let mut meta = Meta {
            sync_id: fresh_id(),
            engines: Map::new(),
            modified: Time::default(),
        };
        meta.modified = node.put("meta/global", &meta.to_record())?;
        self.meta = Some(meta);

        let clear = json!({
            "id": "keys", "collection": "crypto", "default": KeyPair::generate().to_json(), "collections": {},
        });
        let sealed = envelope::seal(&self.credentials.sync_key.pair(&self.name()), &clear.to_string());
        let stored = node.put(
            "crypto/keys",
            &json!({ "id": "keys", "payload": sealed.to_string() }),
        )?;
        let listed = node.collections("")?.get("crypto").copied();
        assert!(listed >= Some(stored), "stored at {stored}, listed at {listed:?}");
        assert!(self.fetch_keys(node)?, "the keys just stored are there");
        Ok(())
    }

    /// Fetches the keys of the collections. Returns whether there are any.
    fn fetch_keys(&mut self, node: &mut Node) -> Result<bool, Stop> {
        let Some(found) = node.record("crypto/keys")? else {
            return Ok(false);
        };
        let pair = self.credentials.sync_key.pair(&self.name());
        let clear = envelope::open(&pair, &found.payload).ok_or(Stop::WrongKey)?;
        let keys = CollectionKeys::read(&serde_json::from_str(&clear).unwrap(), found.modified);
        if self
            .keys
            .as_ref()
            .is_some_and(|known| known.default != keys.default)
        {
            self.engines
                .iter_mut()
                .chain([&mut self.clients])
                .for_each(Engine::reset);
        }
        self.keys = Some(keys);
        Ok(true)
    }
}

impl CollectionKeys {
    fn read(clear: &Value, modified: Time) -> Self {
        let own = clear["collections"].as_object().into_iter().flatten();
        Self {
            default: KeyPair::from_json(&clear["default"]).expect("a default pair"),
            collections: own
                .map(|(name, pair)| (name.clone(), KeyPair::from_json(pair).unwrap()))
                .collect(),
            modified,
        }
    }

    fn of(&self, collection: &str) -> &KeyPair {
        self.collections.get(collection).unwrap_or(&self.default)
    }
}

impl Meta {
    fn read(payload: &Value, modified: Time) -> Result<Self, Stop> {
        if payload["storageVersion"].as_u64() > Some(STORAGE_VERSION) {
            return Err(Stop::TooNew);
        }
        Ok(Self {
            sync_id: payload["syncID"].as_str().unwrap().to_owned(),
            engines: payload["engines"].as_object().cloned().unwrap_or_default(),
            modified,
        })
    }

    fn to_record(&self) -> Value {
        let payload = json!({
            "syncID": self.sync_id, "storageVersion": STORAGE_VERSION, "engines": self.engines, "declined": [],
        });
        json!({ "id": "global", "payload": payload.to_string() })
    }
}
