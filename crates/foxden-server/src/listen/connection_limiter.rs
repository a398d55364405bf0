//! Limits the number of connections, and closes those of clients that are too slow.
//!
//! Each connection notes in its [`ConnectionState`] what it is doing. One task checks all states periodically and closes the
//! connections of clients that take too long. So no request pays for a timer, and a thousand slow clients cost one check each.
//!
//! No network of clients may have more than its share of the connections, and no user more than a few responses that wait
//! for their client. When all connections are taken, the key with the most of them gives one up for a new client.
//!
//! - [`state`]: what one connection is doing
//! - [`limits`]: how many connections each key has, and may have
//! - [`slot`]: where new connections wait when all are taken
//! - [`memory_release`]: when memory is returned to the system

pub mod limits;
pub mod memory_release;
pub mod slot;
pub mod state;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foxden_accounts::security::{EntryPoint, Event, EventKind, SecurityEvents};
use foxden_model::{LogThrottle, Network};
use tokio::sync::{Notify, Semaphore};

use crate::allocator;
use crate::config::http::Http;
use crate::tasks::Tasks;
use limits::{ConnectionLimits, KeyCounts, LimitKey};
use memory_release::ReleaseTrigger;
use slot::Slot;
use state::{ClosePriority, ConnectionState, STOP_GRACE, Timeouts};

/// The part of all connections that is closed at once to free some: the search for them is work, which so many new
/// connections share.
const CLOSED_PART: u32 = 64;

/// All connections of the server.
#[derive(Debug)]
pub struct ConnectionLimiter {
    timeouts: Timeouts,
    limits: ConnectionLimits,
    /// How many connections are closed at once to free some.
    batch: usize,
    started: Instant,
    now: Arc<AtomicU64>,
    free: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    open: Mutex<OpenConnections>,
    release: ReleaseTrigger,
    numbers: AtomicU64,
    connection_closed: Notify,
    full_log: LogThrottle,
    network_log: LogThrottle,
    user_log: LogThrottle,
    /// Receives an event where a key has used up its share.
    security_events: SecurityEvents,
}

/// The connections that are open.
#[derive(Debug, Default)]
struct OpenConnections {
    states: BTreeMap<u64, Arc<ConnectionState>>,
    /// How many each network has, without a proxy between and without those that are closing.
    direct: KeyCounts,
    /// How many are closing.
    closing: u32,
    /// When no connection was found that could be closed.
    nothing_found_at: u64,
}

/// The right to a connection. It ends when it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    limiter: Arc<ConnectionLimiter>,
    number: u64,
    state: Arc<ConnectionState>,
}

impl ConnectionLimiter {
    /// Limits connections to so many.
    pub fn new(http: &Http, max_connections: u32, security_events: SecurityEvents) -> Arc<Self> {
        Arc::new(Self {
            timeouts: Timeouts {
                idle: millis(http.idle_timeout),
                head: millis(http.header_timeout),
                stall: millis(http.stall_timeout),
                request: millis(http.request_timeout),
                bytes_per_second: http.min_rate,
            },
            limits: ConnectionLimits::new(http, max_connections),
            batch: (max_connections / CLOSED_PART).max(1) as usize,
            started: Instant::now(),
            now: Arc::new(AtomicU64::new(1)),
            free: Arc::new(Semaphore::new(max_connections as usize)),
            waiting: Arc::new(Semaphore::new(slot::MAX_WAITING as usize)),
            open: Mutex::default(),
            release: ReleaseTrigger::default(),
            numbers: AtomicU64::new(0),
            connection_closed: Notify::new(),
            full_log: LogThrottle::default(),
            network_log: LogThrottle::default(),
            user_log: LogThrottle::default(),
            security_events,
        })
    }

    /// How many connections could be opened without closing others.
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// How many connections wait for others to end.
    pub fn waiting(&self) -> usize {
        slot::MAX_WAITING as usize - self.waiting.available_permits()
    }

    /// Admits a connection of a client in that network; `None` where a proxy is connected, or this machine. When all
    /// connections are taken, it waits in a slot beyond them.
    ///
    /// A network beyond its share gives up connections of its own. Where the server works on all of those, there is no
    /// permit.
    pub async fn admit(self: &Arc<Self>, client: Option<Network>) -> Option<ConnectionPermit> {
        if client.is_some_and(|client| !self.is_within_limits(client)) {
            return None;
        }
        let free = Arc::clone(&self.free);
        let slot = if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            Slot::connection(permit, free)
        } else {
            self.free_connections(&mut self.open());
            self.waiting_slot().await
        };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(ConnectionState::new(
            Arc::clone(&self.now),
            self.timeouts,
            client,
            slot,
        ));
        let mut open = self.open();
        open.states.insert(number, Arc::clone(&state));
        open.direct.add(client.into_iter().flat_map(LimitKey::networks));
        self.release.record(open.states.len());
        drop(open);
        Some(ConnectionPermit {
            limiter: Arc::clone(self),
            number,
            state,
        })
    }

    /// Checks all connections now and then, until the program stops.
    pub async fn watch(self: Arc<Self>, mut tasks: Tasks) {
        let timeouts = &self.timeouts;
        let shortest = timeouts.idle.min(timeouts.head).min(timeouts.stall);
        let pause = Duration::from_millis((shortest / 4).clamp(10, 1000));
        let mut interval = tokio::time::interval(pause);
        // While the program stops, requests go on for a while, and so do their timeouts.
        let mut stopped = std::pin::pin!(tasks.stopped());
        let mut stops_since = None;
        loop {
            tokio::select! {
                _ = interval.tick() => {
                    let now = millis(self.started.elapsed()).max(1);
                    let has_waited = stops_since.is_some_and(|since| now.saturating_sub(since) > STOP_GRACE);
                    self.close_slow(now, has_waited);
                    if self.release.should_release(self.open().states.len()) {
                        allocator::give_back();
                    }
                }
                () = stopped.as_mut(), if stops_since.is_none() => {
                    stops_since = Some(millis(self.started.elapsed()));
                }
                () = self.connection_closed.notified(), if stops_since.is_some() => {}
            }
            if stops_since.is_some() && self.open().states.is_empty() {
                return;
            }
        }
    }

    fn close_slow(&self, now: u64, is_stopping: bool) {
        self.now.store(now, Ordering::Relaxed);
        let mut open = self.open();
        let is_too_slow = |state: &&Arc<ConnectionState>| state.is_too_slow(now, is_stopping);
        let too_slow = open.states.values().filter(is_too_slow).cloned().collect();
        open.close_all(too_slow);
        self.enforce_shared_limits(&mut open, now);
        if self.waiting() > 0 && self.free.available_permits() == 0 {
            self.free_connections(&mut open);
        }
        if self.waiting.available_permits() == 0 {
            self.close_longest_waiting(&mut open);
        }
    }

    /// Closes the slowest connections of users whose responses wait on too many, and of a proxy's clients that have too
    /// many.
    fn enforce_shared_limits(&self, open: &mut OpenConnections, now: u64) {
        let shared = |state: &ConnectionState| {
            let networks = state.direct_client().is_none().then(|| state.networks());
            state
                .blocked_user()
                .into_iter()
                .chain(networks.into_iter().flatten())
        };
        let mut counts = KeyCounts::default();
        for state in open.states.values().filter(|state| !state.is_closing()) {
            counts.add(shared(state));
        }
        let excess = counts.excess(&self.limits);
        if excess.is_empty() {
            return;
        }
        let mut slowest: HashMap<LimitKey, Vec<(ClosePriority, Arc<ConnectionState>)>> = HashMap::new();
        for state in open.states.values() {
            let Some(priority) = state.close_priority(now) else {
                continue;
            };
            for key in shared(state).filter(|key| excess.contains_key(key)) {
                slowest
                    .entry(key)
                    .or_default()
                    .push((priority, Arc::clone(state)));
            }
        }
        for (key, states) in slowest {
            let most = excess.get(&key).copied().unwrap_or_default();
            self.report_limit(key);
            open.close_all(greatest(states, most as usize));
        }
    }

    /// Returns whether that network may have one more connection: beyond its share, its slowest one is closed.
    fn is_within_limits(&self, client: Network) -> bool {
        let mut open = self.open();
        let now = self.now.load(Ordering::Relaxed);
        for key in LimitKey::networks(client) {
            let limit = self.limits.of(key);
            if open.direct.of(key) < limit {
                continue;
            }
            self.report_limit(key);
            let is_own = |state: &&Arc<ConnectionState>| state.networks().any(|other| other == key);
            let own = open.states.values().filter(is_own);
            let own = own.filter_map(|state| Some((state.close_priority(now)?, Arc::clone(state))));
            let slowest = greatest(own.collect(), self.batch.min((limit / 8) as usize).max(1));
            if slowest.is_empty() {
                return false;
            }
            open.close_all(slowest);
        }
        true
    }

    /// Closes some of the slowest connections of the key that has the most.
    fn free_connections(&self, open: &mut OpenConnections) {
        let now = self.now.load(Ordering::Relaxed);
        // Connections that are closing become free as well.
        if open.closing as usize > self.waiting() || open.nothing_found_at == now {
            return;
        }
        let slowest = greatest(by_usage(open, now, |state| !state.is_waiting()), self.batch);
        if slowest.is_empty() {
            open.nothing_found_at = now;
        }
        if let Some(suppressed) = self.full_log.should_log() {
            tracing::warn!(
                "all connections are taken: the slowest of the network or user with the most are closed{suppressed}"
            );
        }
        open.close_all(slowest);
    }

    /// A slot in which a new connection waits. If none is free, the connection that has waited longest is closed. A
    /// connection that becomes free sooner is taken instead.
    async fn waiting_slot(&self) -> Slot {
        let (waiting, free) = (Arc::clone(&self.waiting), Arc::clone(&self.free));
        if let Ok(permit) = Arc::clone(&waiting).try_acquire_owned() {
            return Slot::waiting(permit, free);
        }
        self.close_longest_waiting(&mut self.open());
        tokio::select! {
            permit = Arc::clone(&free).acquire_owned() => {
                Slot::connection(permit.expect("this semaphore is never closed"), free)
            }
            permit = waiting.acquire_owned() => {
                Slot::waiting(permit.expect("this semaphore is never closed"), free)
            }
        }
    }

    fn close_longest_waiting(&self, open: &mut OpenConnections) {
        let now = self.now.load(Ordering::Relaxed);
        let slowest = greatest(by_usage(open, now, ConnectionState::is_waiting), 1);
        open.close_all(slowest);
    }

    /// Writes to both logs that a key has used up its share.
    fn report_limit(&self, key: LimitKey) {
        let limit = self.limits.of(key);
        let event = |entry_point| Event::new(EventKind::LimitReached, entry_point, key.address());
        match key {
            LimitKey::Network(..) => {
                self.security_events
                    .emit(&event(EntryPoint::Listener).with_reason("connections"));
                if let Some(suppressed) = self.network_log.should_log() {
                    tracing::warn!(
                        "{key} has {limit} connections, its share: its slowest are closed for new ones{suppressed}"
                    );
                }
            }
            LimitKey::User(user) => {
                let name = user.0.to_string();
                let event = event(EntryPoint::Storage).with_reason("unread responses");
                self.security_events.emit(&event.with_subject(&name));
                if let Some(suppressed) = self.user_log.should_log() {
                    tracing::warn!(
                        "answers to {key} wait on more than {limit} connections: the slowest are closed{suppressed}"
                    );
                }
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    /// Closes these connections.
    fn close_all(&mut self, states: Vec<Arc<ConnectionState>>) {
        for state in states {
            if state.close() {
                self.closing += 1;
                self.direct
                    .remove(state.direct_client().into_iter().flat_map(LimitKey::networks));
            }
        }
    }
}

/// Decides which connection is closed: how many its keys have in the widest sense, then in the narrowest, then how slow the
/// client is.
type Usage = (u32, u32, ClosePriority);

/// The chosen connections that could be closed.
fn by_usage(
    open: &OpenConnections,
    now: u64,
    is_chosen: impl Fn(&ConnectionState) -> bool,
) -> Vec<(Usage, Arc<ConnectionState>)> {
    let chosen = || {
        let states = open.states.values().filter(|state| !state.is_closing());
        states.filter(|state| is_chosen(state))
    };
    let mut counts = KeyCounts::default();
    for state in chosen() {
        counts.add(state.blocked_user().into_iter().chain(state.networks()));
    }
    let with_usage = chosen().filter_map(|state| {
        let priority = state.close_priority(now)?;
        let keys = state.blocked_user().into_iter().chain(state.networks());
        let each = keys.map(|key| counts.of(key));
        // A connection without a key counts as the only one of its key.
        let (most, least) = (each.clone().max().unwrap_or(1), each.min().unwrap_or(1));
        Some(((most, least, priority), Arc::clone(state)))
    });
    with_usage.collect()
}

/// The first so many, the greatest first; of equal ones, the oldest.
fn greatest<K: Ord + Copy>(
    mut states: Vec<(K, Arc<ConnectionState>)>,
    most: usize,
) -> Vec<Arc<ConnectionState>> {
    states.sort_by_key(|(key, _)| Reverse(*key));
    states.into_iter().take(most).map(|(_, state)| state).collect()
}

impl ConnectionPermit {
    /// The state of the connection.
    pub fn state(&self) -> Arc<ConnectionState> {
        Arc::clone(&self.state)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limiter.open();
        open.states.remove(&self.number);
        if self.state.is_closing() {
            open.closing -= 1;
        } else {
            open.direct.remove(
                self.state
                    .direct_client()
                    .into_iter()
                    .flat_map(LimitKey::networks),
            );
        }
        open.nothing_found_at = 0;
        drop(open);
        self.state.slot.release();
        self.limiter.connection_closed.notify_one();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
