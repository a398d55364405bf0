//! How many connections there are, and which of them are too slow.
//!
//! Every connection has a seat, on which it notes what it is doing. One task looks at all seats now and then
//! and sends away whoever takes too long. So no request pays for a timer, and a thousand slow clients cost
//! one glance each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::stranger::Stranger;
use crate::allocator;
use crate::config::http::Http;
use crate::tasks::Tasks;

/// All connections of the server.
#[derive(Debug)]
pub struct Room {
    rules: Rules,
    started: Instant,
    now: Arc<AtomicU64>,
    free: Arc<Semaphore>,
    seats: Mutex<BTreeMap<u64, Arc<Seat>>>,
    tide: Tide,
    numbers: AtomicU64,
    someone_left: Notify,
}

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

/// A seat and the right to sit on it, given back when dropped.
#[derive(Debug)]
pub struct Taken {
    room: Arc<Room>,
    number: u64,
    seat: Arc<Seat>,
    _permit: OwnedSemaphorePermit,
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
struct Rules {
    idle: u64,
    head: u64,
    stall: u64,
    request: u64,
    bytes_per_second: u64,
}

/// How the number of seats that are taken rises and falls. Many connections hold much memory in small pieces, which lie
/// between others once they are free.
#[derive(Debug, Default)]
struct Tide {
    /// The most since it went out.
    most: AtomicUsize,
}

impl Tide {
    /// Below so many connections there is little to give back.
    const FEW: usize = 32;

    /// So many are taken now.
    fn comes_in(&self, seats: usize) {
        self.most.fetch_max(seats, Ordering::Relaxed);
    }

    /// Whether half of many have left since it went out the last time.
    fn goes_out(&self, seats: usize) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let is_out = most >= Self::FEW && seats <= most / 2;
        if is_out {
            self.most.store(seats, Ordering::Relaxed);
        }
        is_out
    }
}

impl Room {
    /// An empty room by these rules, with so many seats.
    pub fn new(http: &Http, seats: u32) -> Arc<Self> {
        Arc::new(Self {
            rules: Rules {
                idle: millis(http.idle_timeout),
                head: millis(http.header_timeout),
                stall: millis(http.stall_timeout),
                request: millis(http.request_timeout),
                bytes_per_second: http.min_rate,
            },
            started: Instant::now(),
            now: Arc::new(AtomicU64::new(1)),
            free: Arc::new(Semaphore::new(seats as usize)),
            seats: Mutex::default(),
            tide: Tide::default(),
            numbers: AtomicU64::new(0),
            someone_left: Notify::new(),
        })
    }

    /// A seat; when all are taken, the one that has waited longest for a request is made free.
    pub async fn seat(self: &Arc<Self>) -> Taken {
        let free = Arc::clone(&self.free);
        let permit = if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            permit
        } else {
            self.make_room();
            free.acquire_owned().await.expect("the room is never closed")
        };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let seat = Arc::new(Seat::new(Arc::clone(&self.now), self.rules));
        let mut seats = self.seats();
        seats.insert(number, Arc::clone(&seat));
        self.tide.comes_in(seats.len());
        drop(seats);
        Taken {
            room: Arc::clone(self),
            number,
            seat,
            _permit: permit,
        }
    }

    /// Looks at all seats now and then, until the program stops.
    pub async fn watch(self: Arc<Self>, mut tasks: Tasks) {
        let shortest = self.rules.idle.min(self.rules.head).min(self.rules.stall);
        let pause = Duration::from_millis((shortest / 4).clamp(10, 1000));
        let mut interval = tokio::time::interval(pause);
        // While the program stops, requests go on for a while, and so do the rules for them.
        let mut stopped = std::pin::pin!(tasks.stopped());
        let mut is_stopping = false;
        loop {
            tokio::select! {
                _ = interval.tick() => {
                    self.look_around();
                    if self.tide.goes_out(self.seats().len()) {
                        allocator::give_back();
                    }
                }
                () = stopped.as_mut(), if !is_stopping => is_stopping = true,
                () = self.someone_left.notified(), if is_stopping => {}
            }
            if is_stopping && self.seats().is_empty() {
                return;
            }
        }
    }

    fn look_around(&self) {
        let now = millis(self.started.elapsed()).max(1);
        self.now.store(now, Ordering::Relaxed);
        for seat in self.seats().values() {
            if seat.is_too_slow(now) {
                seat.leave.notify_one();
            }
        }
    }

    /// Sends away who has waited longest without a request, else who has dripped longest.
    fn make_room(&self) {
        let seats = self.seats();
        for phase in [Phase::Idle, Phase::Head, Phase::Body] {
            let waiting = seats.values().filter(|seat| seat.is_in(phase));
            if let Some(seat) = waiting.min_by_key(|seat| seat.since.load(Ordering::Relaxed)) {
                seat.leave.notify_one();
                return;
            }
        }
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The seat itself.
    pub fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.seats().remove(&self.number);
        self.room.someone_left.notify_one();
    }
}

impl Seat {
    fn new(now: Arc<AtomicU64>, rules: Rules) -> Self {
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
            leave: Notify::new(),
        }
    }

    /// Comes back when the client is to be cut off.
    pub async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Bytes have come from the client.
    pub fn bytes_came(&self) {
        if self.is_in(Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// A request's head is whole.
    pub fn request_began(&self) {
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

    fn enter(&self, phase: Phase) {
        self.since
            .store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    fn is_too_slow(&self, now: u64) -> bool {
        let rules = &self.rules;
        let blocked_since = self.blocked_since.load(Ordering::Relaxed);
        if blocked_since != 0 {
            // The system hands over what lies in its buffers by large pieces, so these may buy more than a stall.
            let taken = self.blocked_bytes.load(Ordering::Relaxed);
            let earned = taken.saturating_mul(1000) / rules.bytes_per_second.max(1);
            if now.saturating_sub(blocked_since) > rules.stall.saturating_add(earned) {
                return true;
            }
        }
        let since = self.since.load(Ordering::Relaxed);
        let lasted = now.saturating_sub(since);
        if self.is_in(Phase::Idle) {
            // An answer that the client still takes is not idleness.
            blocked_since == 0 && lasted > rules.idle
        } else if self.is_in(Phase::Head) {
            lasted > rules.head
        } else if self.is_in(Phase::Body) {
            lasted > rules.request || now.saturating_mul(1000) > self.body_until.load(Ordering::Relaxed)
        } else {
            lasted > rules.request
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
