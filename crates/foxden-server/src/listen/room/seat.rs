//! What one connection is doing, and whether its client is too slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use foxden_model::{Network, UserId, Width};
use tokio::sync::Notify;

use super::lobby::Place;
use super::share::Owner;
use crate::listen::stranger::Stranger;

/// A client that takes its answer at so many times the least rate makes room for nobody.
const BRISK: u64 = 16;

/// Milliseconds for which a client may take nothing, or send nothing of a body, before its seat makes room for others.
const GRACE: u64 = 1000;

/// Milliseconds that a slow client has left when the program stops.
pub const STOP_GRACE: u64 = 3000;

/// What one connection is doing.
#[derive(Debug)]
pub struct Seat {
    now: Arc<AtomicU64>,
    phase: AtomicU8,
    rules: Rules,
    since: AtomicU64,
    /// When the patience with a body ends, in microseconds.
    body_until: AtomicU64,
    blocked_since: AtomicU64,
    blocked_bytes: AtomicU64,
    /// Whether the last answer was made before its request's body had come.
    is_unread: AtomicBool,
    linger: AtomicU8,
    /// The number of a [`Stranger`].
    stranger: AtomicU8,
    /// The narrowest network of the client; zero where it is not known.
    client: AtomicU64,
    /// Whether the client itself is connected, not a proxy.
    is_direct: bool,
    /// The user whose answer the client takes, where it is a long one; zero for none.
    user: AtomicU64,
    /// Whether the connection has a seat of its own yet.
    pub(super) place: Place,
    is_leaving: AtomicBool,
    leave: Notify,
}

/// Whether a connection waits for its client after the last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linger {
    /// It would where the client may still send.
    Possible = 0,
    /// It does.
    Now = 1,
    /// It does not: the program stops.
    Never = 2,
}

/// What a connection does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the next request.
    Idle = 0,
    /// Part of a head has come.
    Head = 1,
    /// The server has a request and works on it or writes its answer.
    Working = 2,
    /// The server waits for more of a request's body.
    Body = 3,
}

/// How slow a client may be, in milliseconds and bytes.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Between requests.
    pub idle: u64,
    /// For a head.
    pub head: u64,
    /// Below the least rate.
    pub stall: u64,
    /// For one request and its answer.
    pub request: u64,
    /// The least rate.
    pub bytes_per_second: u64,
}

/// How readily a seat makes room for others; the greater first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Yields {
    /// Its client takes an answer slowly; for how many milliseconds more than its bytes earned.
    Blocked(i64),
    /// Its client sends a body slowly; the less patience is left the sooner.
    Body(i64),
    /// Part of a head came, so long ago.
    Head(i64),
    /// It waits for a request, for so long.
    Idle(i64),
}

impl Seat {
    /// A seat for a client in that network; `None` where a proxy is connected, or this machine.
    pub fn new(now: Arc<AtomicU64>, rules: Rules, client: Option<Network>, place: Place) -> Self {
        let since = AtomicU64::new(now.load(Ordering::Relaxed));
        Self {
            now,
            phase: AtomicU8::new(Phase::Idle as u8),
            rules,
            since,
            body_until: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            blocked_bytes: AtomicU64::new(0),
            is_unread: AtomicBool::new(false),
            linger: AtomicU8::new(Linger::Possible as u8),
            stranger: AtomicU8::new(0),
            client: AtomicU64::new(client.map_or(0, Network::narrowest)),
            is_direct: client.is_some(),
            user: AtomicU64::new(0),
            place,
            is_leaving: AtomicBool::new(false),
            leave: Notify::new(),
        }
    }

    /// Comes back when the client is to be cut off.
    pub async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Cuts the client off. Returns whether this is the first time.
    pub fn is_to_leave(&self) -> bool {
        let is_first = !self.is_leaving.swap(true, Ordering::Relaxed);
        if is_first {
            self.leave.notify_one();
        }
        is_first
    }

    /// Whether the client was cut off.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// Whether the connection has no seat of its own yet: all were taken when it came.
    pub fn is_in_lobby(&self) -> bool {
        self.place.is_in_lobby()
    }

    /// Waits for a seat of its own, but not for long. Returns whether it has one.
    pub async fn finds_seat(&self) -> bool {
        self.place.finds_seat().await
    }

    /// A proxy passes on a request of this client.
    pub fn is_asked_by(&self, client: Network) {
        if !self.is_direct {
            self.client.store(client.narrowest(), Ordering::Relaxed);
        }
    }

    /// The long answer that begins is for this user, who is proven; `None`: for nobody known.
    pub fn answers(&self, user: Option<UserId>) {
        self.user.store(user.map_or(0, |user| user.0), Ordering::Relaxed);
    }

    /// The network of a client who is connected itself.
    pub fn direct_client(&self) -> Option<Network> {
        self.client().filter(|_| self.is_direct)
    }

    fn client(&self) -> Option<Network> {
        Network::from_narrowest(self.client.load(Ordering::Relaxed))
    }

    /// The user whose answer the client does not take.
    pub fn blocked_user(&self) -> Option<Owner> {
        let user = self.user.load(Ordering::Relaxed);
        (user != 0 && self.is_blocked()).then_some(Owner::User(UserId(user)))
    }

    /// The networks that the seat is taken for. A proxy's connection that waits is taken for nobody.
    pub fn networks(&self) -> impl Iterator<Item = Owner> + Clone + use<> {
        let is_taken = self.is_direct || self.is_blocked() || !self.is_in(Phase::Idle);
        let client = self.client().filter(|_| is_taken);
        let owner = |width| Some(Owner::Network(width, client?.prefix(width)?));
        Width::ALL.map(owner).into_iter().flatten()
    }

    /// Whether the client has yet to take what was written.
    fn is_blocked(&self) -> bool {
        self.blocked_since.load(Ordering::Relaxed) != 0
    }

    /// Whether and how readily the seat makes room for others: its client is waited for, not the server.
    pub fn yields(&self, now: u64) -> Option<Yields> {
        if self.is_leaving() {
            return None;
        }
        let since = |moment: &AtomicU64| now.saturating_sub(moment.load(Ordering::Relaxed));
        if self.is_blocked() {
            let lasted = since(&self.blocked_since);
            let taken = self.blocked_bytes.load(Ordering::Relaxed);
            let brisk = self
                .rules
                .bytes_per_second
                .saturating_mul(BRISK)
                .saturating_mul(lasted)
                / 1000;
            let is_slow = lasted >= GRACE && taken < brisk.max(1);
            return is_slow
                .then(|| Yields::Blocked(signed(lasted).saturating_sub(signed(self.earned(taken)))));
        }
        let lasted = signed(since(&self.since));
        if self.is_in(Phase::Idle) {
            Some(Yields::Idle(lasted))
        } else if self.is_in(Phase::Head) {
            Some(Yields::Head(lasted))
        } else if self.is_in(Phase::Body) {
            let left = (self.body_until.load(Ordering::Relaxed) / 1000).saturating_sub(now);
            let is_slow = left.saturating_add(GRACE) <= self.rules.stall;
            is_slow.then(|| Yields::Body(-signed(left)))
        } else {
            None
        }
    }

    /// The milliseconds that so many bytes may take at the least rate.
    fn earned(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(1000) / self.rules.bytes_per_second.max(1)
    }

    /// Bytes have come from the client.
    pub fn bytes_came(&self) {
        if self.is_in(Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// A request's head is whole.
    pub fn request_began(&self) {
        self.user.store(0, Ordering::Relaxed);
        self.body_until.store(self.one_stall_ahead(), Ordering::Relaxed);
        self.enter(Phase::Working);
    }

    /// The answer is made; what is left of it is the client's to take.
    pub fn request_ended(&self) {
        self.enter(Phase::Idle);
    }

    /// The server waits for more of the body.
    pub fn waits_for_body(&self) {
        self.phase.store(Phase::Body as u8, Ordering::Relaxed);
    }

    /// So much of the body has come. It buys the time that it may take at the least rate, but never more than
    /// one stall ahead: else whoever sends much at once could then hold it here for as long as a request may last.
    pub fn body_came(&self, bytes: usize) {
        let earned = (bytes as u64).saturating_mul(1_000_000) / self.rules.bytes_per_second.max(1);
        let until = self.body_until.load(Ordering::Relaxed).saturating_add(earned);
        let until = until.min(self.one_stall_ahead());
        self.body_until.store(until, Ordering::Relaxed);
        self.phase.store(Phase::Working as u8, Ordering::Relaxed);
    }

    /// The client took so many bytes.
    pub fn client_took(&self, bytes: usize) {
        if self.blocked_since.load(Ordering::Relaxed) != 0 {
            self.blocked_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// The client takes nothing more for now.
    pub fn client_is_full(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_bytes.store(0, Ordering::Relaxed);
            self.blocked_since
                .store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The client has taken all there was.
    pub fn client_took_all(&self) {
        self.blocked_since.store(0, Ordering::Relaxed);
    }

    /// The answer is the last one, and part of its request's body is not read.
    pub fn has_unread_body(&self) {
        self.is_unread.store(true, Ordering::Relaxed);
    }

    /// The last answer is written. Returns whether the client may still send: part of a body, or what is no request.
    /// Such a client may be as slow as one that sends a body, and makes room as that one does.
    pub fn lingers(&self) -> bool {
        let is_http = self.stranger().is_none();
        let may_send = self.is_unread.load(Ordering::Relaxed) || (is_http && self.is_in(Phase::Head));
        let is_possible = self.linger.load(Ordering::Relaxed) == Linger::Possible as u8;
        if may_send && is_possible {
            self.linger.store(Linger::Now as u8, Ordering::Relaxed);
            self.body_until.store(self.one_stall_ahead(), Ordering::Relaxed);
            self.enter(Phase::Body);
        }
        may_send && is_possible
    }

    /// Whether the connection waits for its client after the last answer.
    pub fn is_lingering(&self) -> bool {
        self.linger.load(Ordering::Relaxed) == Linger::Now as u8
    }

    /// The program stops.
    pub fn will_not_linger(&self) {
        self.linger.store(Linger::Never as u8, Ordering::Relaxed);
    }

    /// The first bytes were no HTTP/1.
    pub fn is_strange(&self, stranger: Stranger) {
        self.stranger.store(stranger as u8, Ordering::Relaxed);
    }

    /// What the first bytes looked like, if not like HTTP/1.
    pub fn stranger(&self) -> Option<Stranger> {
        Stranger::numbered(self.stranger.load(Ordering::Relaxed))
    }

    /// In microseconds, as the bytes of one piece may earn less than a millisecond.
    fn one_stall_ahead(&self) -> u64 {
        let now = self.now.load(Ordering::Relaxed);
        now.saturating_add(self.rules.stall).saturating_mul(1000)
    }

    /// Whether the server works on a request.
    pub fn is_working(&self) -> bool {
        self.is_in(Phase::Working)
    }

    fn enter(&self, phase: Phase) {
        self.since
            .store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    /// Whether the client is given up; sooner where the program stops and has waited for [`STOP_GRACE`].
    pub fn is_too_slow(&self, now: u64, is_stopping: bool) -> bool {
        let rules = &self.rules;
        let [head, stall] = [rules.head, rules.stall].map(|most| {
            let grace = if is_stopping { STOP_GRACE } else { most };
            most.min(grace)
        });
        let blocked_since = self.blocked_since.load(Ordering::Relaxed);
        if blocked_since != 0 {
            // The system hands over what lies in its buffers by large pieces, so these may buy more than a stall.
            let earned = self.earned(self.blocked_bytes.load(Ordering::Relaxed));
            if now.saturating_sub(blocked_since) > stall.saturating_add(earned) {
                return true;
            }
        }
        let since = self.since.load(Ordering::Relaxed);
        let lasted = now.saturating_sub(since);
        if self.is_in(Phase::Idle) {
            // An answer that the client still takes is not idleness.
            blocked_since == 0 && lasted > rules.idle
        } else if self.is_in(Phase::Head) {
            lasted > head
        } else if self.is_in(Phase::Body) {
            let until = self.body_until.load(Ordering::Relaxed) / 1000;
            // Of a patience that ends `rules.stall` after the last progress, only `stall` counts.
            lasted > rules.request || now.saturating_add(rules.stall - stall) > until
        } else {
            lasted > rules.request
        }
    }
}

fn signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
