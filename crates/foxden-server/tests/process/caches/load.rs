//! Clients that read and write all the time, and know what no answer may be: older than one before.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use foxden_model::SyncTime;
use foxden_test_support::client::hawk::Credentials;
use foxden_test_support::client::wire::{Call, Reply, Server};
use serde_json::{Value, json};

use super::wait_until;
use crate::program::SECRET;
use crate::token;

const USERS: u64 = 3;
/// One client writes this object without a guard.
const NUMBER: &str = "/storage/meta/global";
/// Others write to this collection, each with the guard of what it has read.
const GUARDED: &str = "/storage/tabs";
/// What each kind of client has done when the service is there.
const SERVED: u64 = 15;

/// How long a client rests after an answer: the machine has other work.
const PAUSE: Duration = Duration::from_millis(10);

/// Clients of one program.
pub(super) struct Load {
    server: Server,
    users: Vec<User>,
    /// Odd while the program is away.
    outages: AtomicU64,
    ends: AtomicBool,
    faults: Mutex<Vec<String>>,
    counts: Counts,
}

/// A user, and what its clients know.
struct User {
    base: String,
    signer: Credentials,
    /// The last number that was sent.
    number: AtomicU64,
    seen: Mutex<Seen>,
}

/// What was acknowledged to a client or shown to one: from then on no client may see less.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The highest time.
    time: SyncTime,
    /// The highest time of the guarded collection.
    guarded: SyncTime,
    /// The last write of the object without a guard: its number and its time.
    number: (u64, SyncTime),
}

/// Answers of each kind.
#[derive(Default)]
struct Counts {
    times: AtomicU64,
    numbers: AtomicU64,
    news: AtomicU64,
    writes: AtomicU64,
    guarded: AtomicU64,
    refused: AtomicU64,
    postponed: AtomicU64,
}

impl Load {
    /// Clients of the program at this address.
    pub(super) fn at(url: &str) -> Self {
        let user = |number: u64| User {
            base: format!("/1.5/{number}"),
            signer: token::mint(SECRET, number, url),
            number: AtomicU64::new(0),
            seen: Mutex::default(),
        };
        Self {
            server: Server::at(url),
            users: (1..=USERS).map(user).collect(),
            outages: AtomicU64::new(0),
            ends: AtomicBool::new(false),
            faults: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// Runs the clients while these events happen.
    ///
    /// # Panics
    ///
    /// If a client got an answer that it should not get.
    pub(super) fn during(&self, events: impl FnOnce()) {
        std::thread::scope(|scope| {
            for user in &self.users {
                scope.spawn(|| self.repeat(|_| self.put_number(user)));
                scope.spawn(|| self.repeat(|_| self.read_times(user)));
                scope.spawn(|| self.repeat(|_| self.read_number(user)));
                scope.spawn(|| self.repeat(|round| self.read_news(user, round)));
                for client in 0..2 {
                    scope.spawn(move || self.repeat(|round| self.put_guarded(user, client, round)));
                }
            }
            let _end = End(&self.ends);
            events();
        });
        self.expect_no_fault();
        let refused = self.counts.refused.load(Ordering::SeqCst);
        assert!(refused > 0, "no guard was of use");
    }

    /// Waits until clients of each kind have been served some more times.
    #[track_caller]
    pub(super) fn is_served(&self) {
        let before = self.counts.all();
        wait_until("the clients are served", || {
            self.expect_no_fault();
            let now = self.counts.all();
            now.iter()
                .zip(before)
                .all(|(now, before)| *now >= before + SERVED)
        });
    }

    /// Has the program be away meanwhile: clients may get no answer.
    pub(super) fn without_the_program(&self, event: impl FnOnce()) {
        self.outages.fetch_add(1, Ordering::SeqCst);
        event();
        self.outages.fetch_add(1, Ordering::SeqCst);
    }

    #[track_caller]
    fn expect_no_fault(&self) {
        let faults = self.faults.lock().unwrap();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    fn repeat(&self, step: impl Fn(u64)) {
        for round in 1.. {
            if self.ends.load(Ordering::SeqCst) {
                return;
            }
            step(round);
            std::thread::sleep(PAUSE);
        }
    }

    fn put_number(&self, user: &User) {
        let before = user.seen().number;
        let number = user.number.fetch_add(1, Ordering::SeqCst) + 1;
        let body = json!({ "payload": number.to_string() });
        let Some(reply) = self.write(
            user,
            Call::new("PUT", format!("{}{NUMBER}", user.base)).json(&body),
        ) else {
            return;
        };
        let time = modified(&reply);
        if reply.status != 200 || time <= before.1 {
            self.note_fault(format!("{} at {time}, after one at {}", reply.status, before.1));
        }
        user.saw(|seen| {
            seen.number = seen.number.max((number, time));
            seen.time = seen.time.max(time);
        });
        self.counts.writes.fetch_add(1, Ordering::SeqCst);
    }

    fn read_times(&self, user: &User) {
        let before = user.seen();
        let Some(reply) = self.read(user, "/info/collections") else {
            return;
        };
        let told = reply.json();
        let told = |name: &str| told.get(name).map_or(SyncTime::ZERO, time_in);
        let (time, number, guarded) = (modified(&reply), told("meta"), told("tabs"));
        if time < before.time || number < before.number.1 || guarded < before.guarded {
            let Seen {
                time,
                guarded,
                number,
            } = before;
            let (was, body) = ((time, number.1, guarded), reply.text());
            self.note_fault(format!("times of collections after {was:?} were seen: {body}"));
        }
        if time != number.max(guarded) {
            self.note_fault(format!("{time} is the time of the store: {}", reply.text()));
        }
        user.saw(|seen| {
            seen.guarded = seen.guarded.max(guarded);
            seen.time = seen.time.max(time);
        });
        self.counts.times.fetch_add(1, Ordering::SeqCst);
    }

    fn read_number(&self, user: &User) {
        let before = user.seen().number;
        let Some(reply) = self.read(user, NUMBER) else {
            return;
        };
        let after = match reply.status {
            404 => (0, SyncTime::ZERO),
            _ => number_in(&reply.json()),
        };
        self.check_number(user, before, after);
        self.counts.numbers.fetch_add(1, Ordering::SeqCst);
    }

    fn read_news(&self, user: &User, round: u64) {
        let before = user.seen().number;
        // Nothing may be newer than what was seen, but something is than the hundredth before.
        let newer = if round.is_multiple_of(2) {
            before.1
        } else {
            before.1.before().max(SyncTime::ZERO)
        };
        let Some(reply) = self.read(user, &format!("/storage/meta?full=1&newer={newer}")) else {
            return;
        };
        let rows = reply.json();
        match rows.as_array().unwrap().first() {
            Some(row) => self.check_number(user, before, number_in(row)),
            None if before.1 > newer => {
                self.note_fault(format!("nothing is newer than {newer}, and {before:?} is"));
            }
            None => {}
        }
        self.counts.news.fetch_add(1, Ordering::SeqCst);
    }

    fn check_number(&self, user: &User, before: (u64, SyncTime), after: (u64, SyncTime)) {
        if after < before || after.1 < before.1 {
            self.note_fault(format!("{after:?} after {before:?} was seen"));
        }
        user.saw(|seen| {
            seen.number = seen.number.max(after);
            seen.time = seen.time.max(after.1);
        });
    }

    fn put_guarded(&self, user: &User, client: u64, round: u64) {
        let Some(read) = self.read(user, GUARDED) else {
            return;
        };
        let guard = modified(&read);
        let before = user.seen().guarded;
        let body = json!([{ "id": format!("of{client}"), "payload": round.to_string() }]);
        let call = Call::post(format!("{}{GUARDED}", user.base), &body);
        let call = call.header("X-If-Unmodified-Since", guard.to_string());
        let Some(reply) = self.write(user, call) else {
            return;
        };
        let (status, time) = (reply.status, modified(&reply));
        if time <= guard || (status == 200 && before > guard) {
            self.note_fault(format!(
                "{status} at {time} for the guard {guard}, and {before} was seen"
            ));
        }
        let counted = if status == 200 {
            &self.counts.guarded
        } else {
            &self.counts.refused
        };
        counted.fetch_add(1, Ordering::SeqCst);
        user.saw(|seen| {
            seen.guarded = seen.guarded.max(time);
            seen.time = seen.time.max(time);
        });
    }

    /// A read succeeds, or comes too early.
    fn read(&self, user: &User, target: &str) -> Option<Reply> {
        let call = Call::get(format!("{}{target}", user.base));
        // There is no object before the first write.
        let is_due = |status| status == 200 || (status == 404 && target == NUMBER);
        self.in_time(user, call, is_due)
    }

    /// A write may also be refused for its guard.
    fn write(&self, user: &User, call: Call) -> Option<Reply> {
        self.in_time(user, call, |status| matches!(status, 200 | 412))
    }

    /// The answer, if it has a status that is due, unless the client is told to come back later.
    fn in_time(&self, user: &User, call: Call, is_due: impl Fn(u16) -> bool) -> Option<Reply> {
        let reply = self.send(user, call)?;
        match reply.status {
            status if is_due(status) => return Some(reply),
            503 if reply.header("retry-after").is_some() => {
                self.counts.postponed.fetch_add(1, Ordering::SeqCst);
            }
            _ => self.note_fault(format!("{reply:?}")),
        }
        None
    }

    /// The answer. There must be one while the program is there.
    fn send(&self, user: &User, call: Call) -> Option<Reply> {
        let before = self.outages.load(Ordering::SeqCst);
        let sent = self.server.try_send(&call.signed(&user.signer));
        let was_there = before.is_multiple_of(2) && self.outages.load(Ordering::SeqCst) == before;
        if let Some(error) = sent.as_ref().err().filter(|_| was_there) {
            self.note_fault(format!("no answer: {error}"));
        }
        sent.ok()
    }

    fn note_fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }
}

/// What the clients were answered.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [times, numbers, news, writes, guarded] = self.counts.all();
        let others = [&self.counts.refused, &self.counts.postponed];
        let [refused, postponed] = others.map(|count| count.load(Ordering::SeqCst));
        write!(
            f,
            "read {times} times of collections, {numbers} objects and {news} lists of what is new; wrote {writes} times, \
             {guarded} with a guard; {refused} refused, {postponed} postponed"
        )
    }
}

impl User {
    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap()
    }

    fn saw(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.seen.lock().unwrap());
    }
}

impl Counts {
    /// What must go on in any weather.
    fn all(&self) -> [u64; 5] {
        let counts = [
            &self.times,
            &self.numbers,
            &self.news,
            &self.writes,
            &self.guarded,
        ];
        counts.map(|count| count.load(Ordering::SeqCst))
    }
}

/// Has clients end, also by a panic.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The time in the head of an answer. What is not there has none.
fn modified(reply: &Reply) -> SyncTime {
    let told = reply.header("x-last-modified");
    told.map_or(SyncTime::ZERO, |told| told.parse().unwrap())
}

fn time_in(told: &Value) -> SyncTime {
    told.to_string().parse().unwrap()
}

fn number_in(object: &Value) -> (u64, SyncTime) {
    let number = object["payload"].as_str().unwrap().parse().unwrap();
    (number, time_in(&object["modified"]))
}
