//! The state of a connection, and whether its client is too slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use foxden_model::{Network, UserId, Width};
use tokio::sync::Notify;

use super::limits::LimitKey;
use super::slot::Slot;
use crate::listen::foreign_protocol::ForeignProtocol;

/// The connection of a client that takes its response at so many times the least rate is not closed for others.
const FAST_FACTOR: u64 = 16;

/// Milliseconds for which a client may take nothing, or send nothing of a body, before its connection may be closed for
/// others.
const GRACE: u64 = 1000;

/// Milliseconds that a slow client gets when the program stops.
pub const STOP_GRACE: u64 = 3000;

/// The state of a connection.
#[derive(Debug)]
pub struct ConnectionState {
    now: Arc<AtomicU64>,
    phase: AtomicU8,
    timeouts: Timeouts,
    since: AtomicU64,
    /// When the time for a body ends, in microseconds.
    body_until: AtomicU64,
    blocked_since: AtomicU64,
    blocked_bytes: AtomicU64,
    /// Whether the last response was made before its request's body had come.
    is_unread: AtomicBool,
    linger: AtomicU8,
    /// The number of a [`ForeignProtocol`].
    protocol: AtomicU8,
    /// The narrowest network of the client; zero where it is not known.
    client: AtomicU64,
    /// Whether the client itself is connected, not a proxy.
    is_direct: bool,
    /// The user whose long response the client is being sent; zero for none.
    user: AtomicU64,
    /// Its slot among the connections.
    pub(super) slot: Slot,
    /// Whether a request waits for that slot.
    is_acquiring: AtomicBool,
    is_closing: AtomicBool,
    close_signal: Notify,
}

/// Whether a connection waits for its client after the last response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linger {
    /// It will, where the client may still send.
    Possible = 0,
    /// It does.
    Now = 1,
    /// It does not: the program stops.
    Never = 2,
}

/// The phases of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the next request.
    Idle = 0,
    /// Part of a head has come.
    Head = 1,
    /// The server has a request and works on it or writes its response.
    Working = 2,
    /// The server waits for more of a request's body.
    Body = 3,
}

/// How slow a client may be, in milliseconds and bytes.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Between requests.
    pub idle: u64,
    /// For a head.
    pub head: u64,
    /// Below the least rate.
    pub stall: u64,
    /// For one request and its response.
    pub request: u64,
    /// The least rate.
    pub bytes_per_second: u64,
}

/// How early a connection is closed for others; the greater first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClosePriority {
    /// The client takes a response slowly; for how many milliseconds more than its bytes earned.
    Blocked(i64),
    /// The client sends a body slowly; the less time is left the sooner.
    Body(i64),
    /// Part of a head came so many milliseconds ago.
    Head(i64),
    /// The connection has waited for a request for so many milliseconds.
    Idle(i64),
}

impl ConnectionState {
    /// The state of a connection of a client in that network; `None` where a proxy is connected, or this machine.
    pub fn new(now: Arc<AtomicU64>, timeouts: Timeouts, client: Option<Network>, slot: Slot) -> Self {
        let since = AtomicU64::new(now.load(Ordering::Relaxed));
        Self {
            now,
            phase: AtomicU8::new(Phase::Idle as u8),
            timeouts,
            since,
            body_until: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            blocked_bytes: AtomicU64::new(0),
            is_unread: AtomicBool::new(false),
            linger: AtomicU8::new(Linger::Possible as u8),
            protocol: AtomicU8::new(0),
            client: AtomicU64::new(client.map_or(0, Network::narrowest)),
            is_direct: client.is_some(),
            user: AtomicU64::new(0),
            slot,
            is_acquiring: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            close_signal: Notify::new(),
        }
    }

    /// Completes when the connection is to be closed.
    pub async fn closed(&self) {
        self.close_signal.notified().await;
    }

    /// Closes the connection. Returns whether this is the first call.
    pub fn close(&self) -> bool {
        let is_first = !self.is_closing.swap(true, Ordering::Relaxed);
        if is_first {
            self.close_signal.notify_one();
        }
        is_first
    }

    /// Returns whether the connection is being closed.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Returns whether the connection waits for a slot: all were taken when it came.
    pub fn is_waiting(&self) -> bool {
        self.slot.is_waiting()
    }

    /// Waits a short time for a slot. Returns whether the connection has one.
    pub async fn acquire_slot(&self) -> bool {
        self.is_acquiring.store(true, Ordering::Relaxed);
        let has_slot = self.slot.acquire().await;
        self.is_acquiring.store(false, Ordering::Relaxed);
        has_slot
    }

    /// Notes that a proxy passes on a request of this client.
    pub fn set_client(&self, client: Network) {
        if !self.is_direct {
            self.client.store(client.narrowest(), Ordering::Relaxed);
        }
    }

    /// Notes that a long response is for this user, from whom the request proved to come; `None` where no user is known.
    pub fn set_user(&self, user: Option<UserId>) {
        self.user.store(user.map_or(0, |user| user.0), Ordering::Relaxed);
    }

    /// The client's network, where no proxy is between.
    pub fn direct_client(&self) -> Option<Network> {
        self.client().filter(|_| self.is_direct)
    }

    fn client(&self) -> Option<Network> {
        Network::from_narrowest(self.client.load(Ordering::Relaxed))
    }

    /// The user whose response the client does not take.
    pub fn blocked_user(&self) -> Option<LimitKey> {
        let user = self.user.load(Ordering::Relaxed);
        (user != 0 && self.is_blocked()).then_some(LimitKey::User(UserId(user)))
    }

    /// The networks that the connection is counted by. An idle connection of a proxy is counted by none.
    pub fn networks(&self) -> impl Iterator<Item = LimitKey> + Clone + use<> {
        let is_taken = self.is_direct || self.is_blocked() || !self.is_in(Phase::Idle);
        let client = self.client().filter(|_| is_taken);
        let key = |width| Some(LimitKey::Network(width, client?.prefix(width)?));
        Width::ALL.map(key).into_iter().flatten()
    }

    /// Returns whether the client has not read all written bytes yet.
    fn is_blocked(&self) -> bool {
        self.blocked_since.load(Ordering::Relaxed) != 0
    }

    /// Returns how early the connection is closed for others; `None` if it is not, since the server works and does not wait for
    /// the client.
    pub fn close_priority(&self, now: u64) -> Option<ClosePriority> {
        if self.is_closing() {
            return None;
        }
        let since = |moment: &AtomicU64| now.saturating_sub(moment.load(Ordering::Relaxed));
        if self.is_blocked() {
            let lasted = since(&self.blocked_since);
            let taken = self.blocked_bytes.load(Ordering::Relaxed);
            let fast = self
                .timeouts
                .bytes_per_second
                .saturating_mul(FAST_FACTOR)
                .saturating_mul(lasted)
                / 1000;
            let is_slow = lasted >= GRACE && taken < fast.max(1);
            return is_slow
                .then(|| ClosePriority::Blocked(signed(lasted).saturating_sub(signed(self.earned(taken)))));
        }
        let lasted = signed(since(&self.since));
        if self.is_in(Phase::Idle) {
            Some(ClosePriority::Idle(lasted))
        } else if self.is_in(Phase::Head) {
            Some(ClosePriority::Head(lasted))
        } else if self.is_in(Phase::Body) {
            let left = (self.body_until.load(Ordering::Relaxed) / 1000).saturating_sub(now);
            let is_slow = left.saturating_add(GRACE) <= self.timeouts.stall;
            is_slow.then(|| ClosePriority::Body(-signed(left)))
        } else {
            None
        }
    }

    /// The milliseconds that so many bytes take at the least rate.
    fn earned(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(1000) / self.timeouts.bytes_per_second.max(1)
    }

    /// Notes that bytes have come from the client.
    pub fn bytes_received(&self) {
        if self.is_in(Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// Notes that a request's head is complete.
    pub fn request_began(&self) {
        self.user.store(0, Ordering::Relaxed);
        self.body_until.store(self.one_stall_ahead(), Ordering::Relaxed);
        self.enter(Phase::Working);
    }

    /// Notes that the response is written; the client may still have to take some of it.
    pub fn request_ended(&self) {
        self.enter(Phase::Idle);
    }

    /// Notes that the server waits for more of the body.
    pub fn waits_for_body(&self) {
        self.phase.store(Phase::Body as u8, Ordering::Relaxed);
    }

    /// Notes that bytes of the body have arrived. They extend the deadline by their time at the minimum rate, but never
    /// beyond one stall: otherwise a client that sends much at once could then hold the connection for as long as a request
    /// may last.
    pub fn body_received(&self, bytes: usize) {
        let earned = (bytes as u64).saturating_mul(1_000_000) / self.timeouts.bytes_per_second.max(1);
        let until = self.body_until.load(Ordering::Relaxed).saturating_add(earned);
        let until = until.min(self.one_stall_ahead());
        self.body_until.store(until, Ordering::Relaxed);
        self.phase.store(Phase::Working as u8, Ordering::Relaxed);
    }

    /// Notes that the client took so many bytes.
    pub fn client_took(&self, bytes: usize) {
        if self.blocked_since.load(Ordering::Relaxed) != 0 {
            self.blocked_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Notes that the client takes nothing more for now.
    pub fn client_is_full(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_bytes.store(0, Ordering::Relaxed);
            self.blocked_since
                .store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Notes that the client has taken everything.
    pub fn client_took_all(&self) {
        self.blocked_since.store(0, Ordering::Relaxed);
    }

    /// Notes that the response is the last one and that part of its request's body is not read.
    pub fn set_unread_body(&self) {
        self.is_unread.store(true, Ordering::Relaxed);
    }

    /// Notes that the last response is written, with received bytes unread or not. Returns whether the client may still send:
    /// part of a body, another request, or what is no request. Such a client has the timeouts of one that sends a body.
    pub fn start_linger(&self, has_unread: bool) -> bool {
        let is_http = self.foreign_protocol().is_none();
        let may_send =
            has_unread || self.is_unread.load(Ordering::Relaxed) || (is_http && self.is_in(Phase::Head));
        let is_possible = self.linger.load(Ordering::Relaxed) == Linger::Possible as u8;
        if may_send && is_possible {
            self.linger.store(Linger::Now as u8, Ordering::Relaxed);
            self.body_until.store(self.one_stall_ahead(), Ordering::Relaxed);
            self.enter(Phase::Body);
        }
        may_send && is_possible
    }

    /// Returns whether the connection waits for its client after the last response.
    pub fn is_lingering(&self) -> bool {
        self.linger.load(Ordering::Relaxed) == Linger::Now as u8
    }

    /// Forbids to wait for the client after the last response: the program stops.
    pub fn forbid_linger(&self) {
        self.linger.store(Linger::Never as u8, Ordering::Relaxed);
    }

    /// Notes that the first bytes were not HTTP/1.
    pub fn set_foreign_protocol(&self, protocol: ForeignProtocol) {
        self.protocol.store(protocol as u8, Ordering::Relaxed);
    }

    /// The protocol of the first bytes, if it is not HTTP/1.
    pub fn foreign_protocol(&self) -> Option<ForeignProtocol> {
        ForeignProtocol::numbered(self.protocol.load(Ordering::Relaxed))
    }

    /// In microseconds, as the bytes of one piece may earn less than a millisecond.
    fn one_stall_ahead(&self) -> u64 {
        let now = self.now.load(Ordering::Relaxed);
        now.saturating_add(self.timeouts.stall).saturating_mul(1000)
    }

    /// Returns whether the server works on a request, or a whole one waits for a slot.
    pub fn has_request(&self) -> bool {
        self.is_in(Phase::Working) || self.is_acquiring.load(Ordering::Relaxed)
    }

    fn enter(&self, phase: Phase) {
        self.since
            .store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    /// Returns whether the client is too slow; the timeouts are shorter where the program stops and has waited for
    /// [`STOP_GRACE`].
    pub fn is_too_slow(&self, now: u64, is_stopping: bool) -> bool {
        let timeouts = &self.timeouts;
        let [head, stall] = [timeouts.head, timeouts.stall].map(|most| {
            let grace = if is_stopping { STOP_GRACE } else { most };
            most.min(grace)
        });
        let blocked_since = self.blocked_since.load(Ordering::Relaxed);
        if blocked_since != 0 {
            // The system takes the contents of its buffers in large pieces, so these may extend the time by more than a stall.
            let earned = self.earned(self.blocked_bytes.load(Ordering::Relaxed));
            if now.saturating_sub(blocked_since) > stall.saturating_add(earned) {
                return true;
            }
        }
        let since = self.since.load(Ordering::Relaxed);
        let lasted = now.saturating_sub(since);
        if self.is_in(Phase::Idle) {
            // A connection whose client still takes a response is not idle.
            blocked_since == 0 && lasted > timeouts.idle
        } else if self.is_in(Phase::Head) {
            lasted > head
        } else if self.is_in(Phase::Body) {
            let until = self.body_until.load(Ordering::Relaxed) / 1000;
            // `until` is `timeouts.stall` after the last progress; only `stall` of that counts.
            lasted > timeouts.request || now.saturating_add(timeouts.stall - stall) > until
        } else {
            lasted > timeouts.request
        }
    }
}

fn signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
