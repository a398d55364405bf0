//! A client that writes down each of its calls.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use foxden_model::SyncTime;
use foxden_storage::BatchId;
use foxden_storage::conformance::history::{Call, Effect, Event, GuardRecord, Rows, SeenRow, SeenRows};
use foxden_test_support::client::hawk::Credentials;
use foxden_test_support::client::wire::{self, Reply};
use serde_json::{Value, json};

use super::dice::Dice;
use super::testbed::{Attempt, Testbed};

pub(super) const COLLECTIONS: [&str; 2] = ["bookmarks", "history"];
/// Objects that all clients of a user write.
const OBJECTS: [&str; 3] = ["a", "b", "c"];
/// How long a client tries to read the final state.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Client<'w> {
    testbed: &'w Testbed<'w>,
    user: u64,
    number: u64,
    dice: Dice,
    signer: Credentials,
    round: u64,
    /// The times of the collections at the last read, for guards and for reads of what is newer.
    seen: BTreeMap<&'static str, SyncTime>,
    /// What is read before anything else is done: the outcome of a write to it is unknown.
    in_doubt: Option<&'static str>,
    calls: Vec<Call>,
}

/// An answer, and when its call began and ended.
struct Answered {
    start: u64,
    end: u64,
    /// `None` if there was none.
    reply: Option<Reply>,
}

impl<'w> Client<'w> {
    pub(super) fn new(
        testbed: &'w Testbed<'w>,
        user: u64,
        number: u64,
        dice: Dice,
        signer: Credentials,
    ) -> Self {
        Self {
            testbed,
            user,
            number,
            dice,
            signer,
            round: 0,
            seen: BTreeMap::new(),
            in_doubt: None,
            calls: Vec::new(),
        }
    }

    /// Works until the history is over, and returns what it did.
    pub(super) fn work(mut self) -> Vec<Call> {
        while !self.testbed.is_over() {
            self.step();
            std::thread::sleep(self.dice.millis(1, 30));
        }
        self.calls
    }

    /// Reads everything through each of the programs.
    pub(super) fn read_all(mut self) -> Vec<Call> {
        for node in 0..self.testbed.nodes.len() {
            self.until_answered(|client| client.summary(node));
            self.until_answered(|client| client.counts(node));
            self.until_answered(|client| client.usage(node));
            for collection in COLLECTIONS {
                self.until_answered(|client| client.read(node, collection, None));
            }
        }
        self.calls
    }

    fn until_answered(&mut self, mut call: impl FnMut(&mut Self) -> bool) {
        let begin = Instant::now();
        while !call(self) {
            if begin.elapsed() > PATIENCE {
                self.odd("the service did not return");
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn step(&mut self) {
        self.round += 1;
        let collection = self.dice.pick(&COLLECTIONS);
        if let Some(doubtful) = self.in_doubt {
            if self.read(self.node(), doubtful, None) {
                self.in_doubt = None;
            }
            return;
        }
        match self.dice.draw(38) {
            0..8 => self.put(collection, None),
            8..15 => {
                let guard = self.guard(collection);
                self.put(collection, Some(guard));
            }
            15 | 16 => self.batch(collection),
            17 => self.delete(collection),
            18..24 => {
                let newer = self.seen.get(collection).copied();
                self.read(self.node(), collection, newer);
            }
            24..29 => {
                self.read(self.node(), collection, None);
            }
            29..32 => {
                self.summary(self.node());
            }
            32..36 => self.read_object(collection),
            36 => {
                self.counts(self.node());
            }
            _ => {
                self.usage(self.node());
            }
        }
    }

    /// Mostly the same program, sometimes the other.
    fn node(&self) -> usize {
        if self.testbed.is_alone() {
            return 0;
        }
        let home = usize::try_from(self.number % 2).unwrap();
        if self.dice.draw(4) == 0 { 1 - home } else { home }
    }

    fn guard(&self, collection: &'static str) -> GuardRecord {
        let since = self.seen.get(collection).copied().unwrap_or_default();
        GuardRecord { collection, since }
    }

    /// Some shared objects and one that only this client writes, with a payload that no other write has.
    fn rows(&self) -> Rows {
        let filler = "x".repeat(self.dice.draw(40));
        let text = format!("{}.{}{filler}", self.number, self.round);
        let shared = (0..self.dice.draw(3)).map(|_| self.dice.pick(&OBJECTS).to_owned());
        let ids = shared.chain([format!("of{}", self.number)]);
        ids.map(|id| (id, text.clone())).collect()
    }

    fn put(&mut self, collection: &'static str, guard: Option<GuardRecord>) {
        let rows = self.rows();
        let call = wire::Call::post(self.path(&format!("/storage/{collection}")), &objects(&rows));
        let effect = Effect::Put {
            collection,
            rows,
            batch: None,
        };
        self.write(call, effect, guard);
    }

    /// Stages objects in one or two parts and commits them, once more if the outcome is not known.
    fn batch(&mut self, collection: &'static str) {
        let rows = self.rows();
        let all = objects(&rows);
        let mut parts: Vec<Value> = all
            .as_array()
            .unwrap()
            .chunks(1)
            .map(|part| json!(part))
            .collect();
        let last = parts.pop().unwrap();
        let mut batch = "true".to_owned();
        for part in parts {
            let target = self.path(&format!("/storage/{collection}?batch={batch}"));
            let answered = self.send(self.node(), &wire::Call::post(target, &part));
            let Some(reply) = answered.reply.filter(|reply| reply.status == 202) else {
                // What is staged stays unseen.
                return;
            };
            if !has_stored(&reply, &part) {
                self.odd(&format!("a part of a batch: {}", reply.text()));
            }
            reply.text_of("batch").clone_into(&mut batch);
        }
        let commit = wire::Call::post(
            self.path(&format!("/storage/{collection}?batch={batch}&commit=true")),
            &last,
        );
        let effect = Effect::Put {
            collection,
            rows,
            batch: (batch != "true").then(|| BatchId(batch.into())),
        };
        for _ in 0..3 {
            if self.write(commit.clone(), effect.clone(), None) || batch_of(&effect).is_none() {
                return;
            }
        }
    }

    fn delete(&mut self, collection: &'static str) {
        let object = self.dice.pick(&OBJECTS).to_owned();
        let guard = (self.dice.draw(2) == 0).then(|| self.guard(collection));
        let whole = format!("/storage/{collection}");
        let one = |object, or_refuse| Effect::DeleteObject {
            collection,
            object,
            or_refuse,
        };
        let (target, effect, guard) = match self.dice.draw(8) {
            0..3 => {
                let target = format!("{whole}?ids={object}");
                (target, one(object, false), guard)
            }
            // A guard would be one on the object.
            3..5 => {
                let target = format!("{whole}/{object}");
                (target, one(object, true), None)
            }
            5..7 => {
                let effect = Effect::DeleteCollection {
                    collection,
                    keeps_name: false,
                };
                (whole, effect, guard)
            }
            _ => ("/storage".to_owned(), Effect::DeleteAll, None),
        };
        self.write(wire::Call::new("DELETE", self.path(&target)), effect, guard);
    }

    /// Writes, and returns whether the outcome is known.
    fn write(&mut self, call: wire::Call, effect: Effect, guard: Option<GuardRecord>) -> bool {
        let call = match guard {
            Some(guard) => call.header("X-If-Unmodified-Since", guard.since.to_string()),
            None => call,
        };
        let Some(answered) = self.try_send(self.node(), &call) else {
            return true;
        };
        let in_doubt = match &effect {
            Effect::Put { collection, .. }
            | Effect::DeleteObject { collection, .. }
            | Effect::DeleteCollection { collection, .. } => collection,
            Effect::DeleteAll => COLLECTIONS[0],
        };
        let event = match &answered.reply {
            Some(reply) if reply.status == 401 => return true,
            Some(reply) if reply.status < 500 => {
                let Some(event) = known(reply, effect, guard) else {
                    self.odd(&format!("{} {in_doubt}: {}", reply.status, reply.text()));
                    return true;
                };
                event
            }
            Some(_) | None => Event::Unknown { effect, guard },
        };
        let is_known = !matches!(event, Event::Unknown { .. });
        if !is_known {
            self.in_doubt = Some(in_doubt);
        }
        self.record(&answered, event);
        is_known
    }

    /// Reads a collection, and returns whether that was possible.
    fn read(&mut self, node: usize, collection: &'static str, newer: Option<SyncTime>) -> bool {
        let newer_text = newer.map_or_else(String::new, |newer| format!("&newer={newer}"));
        let target = self.path(&format!("/storage/{collection}?full=1{newer_text}"));
        let answered = self.send(node, &wire::Call::get(target));
        let Some(reply) = answered.reply.as_ref().filter(|reply| reply.status == 200) else {
            return false;
        };
        let seen = modified(reply).filter(|time| *time > SyncTime::ZERO);
        let rows: SeenRows = reply.json().as_array().unwrap().iter().map(seen_row).collect();
        self.seen.insert(collection, seen.unwrap_or_default());
        let event = Event::Read {
            collection,
            newer,
            seen,
            rows,
            as_of: None,
        };
        self.record(&answered, event);
        true
    }

    /// Reads one object, mostly one that others write, too.
    fn read_object(&mut self, collection: &'static str) {
        let own = format!("of{}", self.number);
        let object = match self.dice.draw(4) {
            0 => own,
            _ => self.dice.pick(&OBJECTS).to_owned(),
        };
        let target = self.path(&format!("/storage/{collection}/{object}"));
        let answered = self.send(self.node(), &wire::Call::get(target));
        let row = match &answered.reply {
            Some(reply) if reply.status == 200 => Some(seen_row(&reply.json()).1),
            Some(reply) if reply.status == 404 => None,
            Some(_) | None => return,
        };
        let event = Event::ReadObject {
            collection,
            object,
            row,
        };
        self.record(&answered, event);
    }

    /// Reads the times of all collections, and returns whether that was possible.
    fn summary(&mut self, node: usize) -> bool {
        self.info(node, "collections", |modified, told| Event::Summary {
            modified,
            collections: told.map(|(name, told)| (name, time(told))).collect(),
            as_of: None,
        })
    }

    /// The same for the numbers of objects.
    fn counts(&mut self, node: usize) -> bool {
        self.info(node, "collection_counts", |modified, told| Event::Counts {
            modified,
            objects: told.map(|(name, told)| (name, told.as_u64().unwrap())).collect(),
        })
    }

    /// The same for their bytes, which are told in kilobytes.
    fn usage(&mut self, node: usize) -> bool {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number, told without loss"
        )]
        let bytes = |told: &Value| (told.as_f64().unwrap() * 1024.0).round() as u64;
        self.info(node, "collection_usage", |modified, told| Event::Usage {
            modified,
            bytes: told.map(|(name, told)| (name, bytes(told))).collect(),
        })
    }

    /// Reads something about all collections.
    fn info(
        &mut self,
        node: usize,
        what: &str,
        event: impl FnOnce(SyncTime, &mut dyn Iterator<Item = (String, &Value)>) -> Event,
    ) -> bool {
        let answered = self.send(node, &wire::Call::get(self.path(&format!("/info/{what}"))));
        let Some(reply) = answered.reply.as_ref().filter(|reply| reply.status == 200) else {
            return false;
        };
        let body = reply.json();
        let collections = body.as_object().unwrap().iter();
        let mut told = collections.map(|(name, told)| (name.clone(), told));
        let event = event(modified(reply).unwrap(), &mut told);
        self.record(&answered, event);
        true
    }

    fn path(&self, target: &str) -> String {
        format!("/1.5/{}{target}", self.user)
    }

    /// Sends a call that changes nothing that others see.
    fn send(&self, node: usize, call: &wire::Call) -> Answered {
        self.try_send(node, call).unwrap_or(Answered {
            start: 0,
            end: 0,
            reply: None,
        })
    }

    /// Sends a call; `None` if it has certainly not arrived.
    fn try_send(&self, node: usize, call: &wire::Call) -> Option<Answered> {
        let start = self.testbed.now();
        let server = &self.testbed.nodes[node].server;
        let reply = server.try_send(&call.clone().signed(&self.signer));
        let end = self.testbed.now();
        let status = reply.as_ref().ok().map(|reply| reply.status);
        self.testbed.note(Attempt {
            node,
            start,
            end,
            status,
        });
        let reply = match reply {
            Ok(reply) => Some(reply),
            Err(error) if is_refused(&error) => return None,
            Err(_) => None,
        };
        let is_due = |reply: &Reply| match reply.status {
            200..300 | 400 | 401 | 404 | 412 => true,
            503 => reply.header("retry-after").is_some(),
            _ => false,
        };
        if let Some(reply) = reply.as_ref().filter(|reply| !is_due(reply)) {
            self.odd(&format!("{}: {}", reply.status, reply.text()));
        }
        Some(Answered { start, end, reply })
    }

    fn record(&mut self, answered: &Answered, event: Event) {
        self.calls.push(Call {
            client: self.number,
            start: answered.start,
            end: answered.end,
            event,
        });
    }

    fn odd(&self, what: &str) {
        let text = format!("client {} of user {}: {what}", self.number, self.user);
        self.testbed.odd.lock().unwrap().push(text);
    }
}

/// What an answer says about a write; `None` if it should not be given.
fn known(reply: &Reply, effect: Effect, guard: Option<GuardRecord>) -> Option<Event> {
    match (reply.status, guard) {
        (200, _) => {
            let time = modified(reply)?;
            Some(match effect {
                Effect::DeleteObject { .. } | Effect::DeleteCollection { .. } => {
                    Event::Deleted { effect, guard, time }
                }
                Effect::Put { .. } if !has_stored_at(reply, time) => return None,
                Effect::Put { .. } | Effect::DeleteAll => Event::Wrote {
                    effect,
                    guard,
                    time,
                    bytes: None,
                },
            })
        }
        (404, None) => Some(Event::Idle { effect, time: None }),
        (412, Some(guard)) => {
            let modified = modified(reply)?;
            Some(Event::Refused { guard, modified })
        }
        (400, None) => Some(Event::Lost {
            batch: batch_of(&effect)?.clone(),
        }),
        _ => None,
    }
}

/// Whether an answer says that all of these objects were taken.
fn has_stored(reply: &Reply, objects: &Value) -> bool {
    let body = reply.json();
    let ids = objects.as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|object| &object["id"]).collect();
    let taken: Vec<_> = body["success"].as_array().unwrap().iter().collect();
    body["failed"] == json!({}) && taken == ids
}

/// Whether an answer says that nothing was refused, and the time of the write.
fn has_stored_at(reply: &Reply, at: SyncTime) -> bool {
    let body = reply.json();
    body["failed"] == json!({}) && time(&body["modified"]) == at
}

const fn batch_of(effect: &Effect) -> Option<&BatchId> {
    match effect {
        Effect::Put { batch, .. } => batch.as_ref(),
        _ => None,
    }
}

fn objects(rows: &Rows) -> Value {
    let objects = rows
        .iter()
        .map(|(id, payload)| json!({ "id": id, "payload": payload }));
    objects.collect()
}

fn seen_row(object: &Value) -> (String, SeenRow) {
    let text = |member: &str| object[member].as_str().unwrap().to_owned();
    let row = SeenRow {
        payload: text("payload"),
        modified: time(&object["modified"]),
    };
    (text("id"), row)
}

fn time(told: &Value) -> SyncTime {
    told.to_string().parse().unwrap()
}

fn modified(reply: &Reply) -> Option<SyncTime> {
    reply.header("x-last-modified")?.parse().ok()
}

fn is_refused(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}
