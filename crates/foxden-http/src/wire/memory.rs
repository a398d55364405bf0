//! Limits the bytes that the server holds for clients, over all connections.
//!
//! There are two budgets: for the bodies of requests, and for responses that clients have not received yet. In
//! each, an account or a network has a share, so that it cannot take those of others. All unauthenticated clients
//! share one part, so that no number of them keeps out the others. Counting takes a few atomic additions and no
//! lock. Decision record 0025 has the reasons.

mod list_queue;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::Extensions;
use bytes::Bytes;
use foxden_accounts::AccountId;
use foxden_accounts::security::{EntryPoint, Event, EventKind, SecurityEvents};
use foxden_model::{LogThrottle, Network, UserId, Width};
use tokio::sync::Notify;

use super::Peer;
pub(crate) use list_queue::ListQueue;

/// Smaller responses are not counted: the buffers of the system take them at once.
pub(crate) const SMALL_ANSWER_BYTES: usize = 16 * 1024;
/// Seconds after which a client may try again when there was no memory for its request or response.
pub(crate) const RETRY_SECONDS: u32 = 10;
/// Maximum size of a small body. A sign-in has a few hundred bytes.
const SMALL_BODY_BYTES: usize = 1024;
/// The largest upload takes a 49th of the default, and a person's devices have six at once. Unauthenticated clients
/// send a few hundred bytes each: there is memory for one possible sign-in on each of 4,096 connections, and more.
const BODY_DIVISORS: ShareDivisors = ShareDivisors {
    authenticated: 8,
    small_bodies: 24,
    unauthenticated: 48,
};
/// A long list takes little more than a megabyte, and a person's devices read six at once by default.
/// Unauthenticated clients read pictures.
const ANSWER_DIVISORS: ShareDivisors = ShareDivisors {
    authenticated: 8,
    small_bodies: 16,
    unauthenticated: 16,
};
/// Cells of a row. Two clients share both cells once in some ten million pairs.
const CELLS_PER_ROW: usize = 4096;

/// The memory budgets, shared by all surfaces and listeners.
#[derive(Debug)]
pub struct Memory {
    /// Bodies of requests.
    pub(crate) bodies: Arc<Budget>,
    /// Responses in transit.
    pub(crate) answers: Arc<Budget>,
    /// Lists that wait for room among the responses.
    pub(crate) lists: ListQueue,
}

/// The bytes that the server holds for clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryInUse {
    /// Bodies of requests.
    pub bodies: u64,
    /// Responses in transit, but for small ones.
    pub answers: u64,
}

/// The owner of a memory share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// An authenticated account, whatever its credentials and store.
    Account(AccountId),
    /// An authenticated store whose account is unknown.
    Store(UserId),
    /// The network of an unauthenticated client.
    Client(IpAddr),
    /// The same, for a body so small that it may be a sign-in.
    SmallBody(IpAddr),
}

/// A number of bytes, and how many of them each owner holds.
#[derive(Debug)]
pub(crate) struct Budget {
    /// The setting of the limit, for the log.
    setting: &'static str,
    most: u64,
    divisors: ShareDivisors,
    held: AtomicU64,
    /// The bytes that owners hold, in two rows of cells. A secret hash selects an owner's cell in each row. The lesser of the
    /// two is never below what the owner holds, and above it only where both are shared with others.
    cells: Box<[AtomicU64]>,
    hashes: RandomState,
    security_events: SecurityEvents,
    notice: LogThrottle,
    /// Requests that wait for room, which are told when some is given back.
    waiting: AtomicUsize,
    freed: Notify,
}

/// How much an owner may hold.
#[derive(Clone, Copy, Debug)]
enum Share {
    /// A number of bytes.
    Fixed(u64),
    /// This fraction of what others have left, so that there is always some for one more owner.
    OfRest(u64),
}

/// The limits of owners: the budget divided by these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShareDivisors {
    /// An authenticated account or store, of what others have left.
    authenticated: u64,
    /// The small bodies of all unauthenticated clients together.
    small_bodies: u64,
    /// Everything else of unauthenticated clients.
    unauthenticated: u64,
}

/// Memory that is counted until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct MemoryPermit {
    budget: Arc<Budget>,
    owner: Owner,
    counters: OwnerCounters,
    bytes: AtomicU64,
}

/// The owner's share or the whole budget is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryFull;

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exceeded {
    /// The owner's own share.
    OwnShare,
    /// A limit that the owner shares with others.
    SharedLimit,
}

/// The counters of an owner.
type OwnerCounters = [Option<OwnerCounter>; 4];

/// The owners and networks that are counted.
#[derive(Hash)]
enum OwnerKey {
    Store(UserId),
    Account(AccountId),
    Network(ClientBody, Width, u64),
    Unauthenticated(ClientBody),
}

/// The kinds of bodies of an unauthenticated client.
#[derive(Clone, Copy, Hash)]
enum ClientBody {
    Small,
    Any,
}

#[derive(Clone, Copy, Debug)]
struct OwnerCounter {
    cells: [usize; 2],
    share: Share,
    /// The limit that is exceeded when this counter reaches its share.
    exceeded: Exceeded,
}

/// Bytes with the permit for their memory.
struct BytesWithPermit<P> {
    bytes: Vec<u8>,
    _permit: P,
}

impl Memory {
    /// Budgets of so many bytes. `security_events` receives events about owners that reach their share.
    pub fn new(bodies: u64, answers: u64, security_events: SecurityEvents) -> Self {
        let bodies = Budget::new(
            "http.max_body_memory",
            bodies,
            BODY_DIVISORS,
            security_events.clone(),
        );
        let answers = Arc::new(Budget::new(
            "http.max_answer_memory",
            answers,
            ANSWER_DIVISORS,
            security_events.clone(),
        ));
        Self {
            bodies: Arc::new(bodies),
            lists: ListQueue::new(Arc::clone(&answers), security_events),
            answers,
        }
    }
}

impl Memory {
    /// The bytes that are counted now.
    pub fn in_use(&self) -> MemoryInUse {
        MemoryInUse {
            bodies: self.bodies.held(),
            answers: self.answers.held(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(128_000_000, 64_000_000, SecurityEvents::default())
    }
}

impl Owner {
    /// Returns the network of a client, from the extensions of its request.
    pub(crate) fn client(extensions: &Extensions) -> Self {
        let peer = extensions.get::<Peer>();
        // All clients without a known address share one network.
        Self::Client(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address))
    }

    /// Returns the owner for a body of at most so many bytes. Small bodies of unauthenticated clients are counted
    /// apart, so that large ones do not keep others from signing in.
    pub(crate) const fn for_body(self, bytes: usize) -> Self {
        match self {
            Self::Client(address) if bytes <= SMALL_BODY_BYTES => Self::SmallBody(address),
            Self::Account(_) | Self::Store(_) | Self::Client(_) | Self::SmallBody(_) => self,
        }
    }

    /// Returns whether the owner is authenticated.
    pub(crate) const fn is_authenticated(self) -> bool {
        match self {
            Self::Account(_) | Self::Store(_) => true,
            Self::Client(_) | Self::SmallBody(_) => false,
        }
    }
}

impl Budget {
    fn new(
        setting: &'static str,
        most: u64,
        divisors: ShareDivisors,
        security_events: SecurityEvents,
    ) -> Self {
        Self {
            security_events,
            setting,
            most,
            divisors,
            held: AtomicU64::new(0),
            cells: (0..2 * CELLS_PER_ROW).map(|_| AtomicU64::new(0)).collect(),
            hashes: RandomState::new(),
            notice: LogThrottle::default(),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    /// The bytes held altogether. Each row of cells has the same sum.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Takes memory. An owner that holds nothing is always within its share, so that no setting excludes any single
    /// request.
    pub(crate) fn take(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<MemoryPermit, MemoryFull> {
        let permit = self.empty_permit(owner);
        permit.grow(bytes)?;
        Ok(permit)
    }

    /// Checks that an announced number of bytes fits now, and returns an empty permit. Bytes are counted when they
    /// arrive, so that an announcement alone takes nothing from others.
    pub(crate) fn reserve(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<MemoryPermit, MemoryFull> {
        let permit = self.empty_permit(owner);
        self.check_limits(owner, &permit.counters, bytes)?;
        Ok(permit)
    }

    /// Returns a permit that holds nothing yet.
    fn empty_permit(self: &Arc<Self>, owner: Owner) -> MemoryPermit {
        MemoryPermit {
            budget: Arc::clone(self),
            owner,
            counters: self.counters(owner),
            bytes: AtomicU64::new(0),
        }
    }

    /// Takes memory for a response; a small one needs none.
    pub(crate) fn take_for_answer(
        self: &Arc<Self>,
        owner: Owner,
        bytes: usize,
    ) -> Result<Option<MemoryPermit>, MemoryFull> {
        if bytes < SMALL_ANSWER_BYTES {
            return Ok(None);
        }
        self.take(owner, bytes as u64).map(Some)
    }

    /// Refuses an owner that has reached its share, before work is done for it.
    pub(crate) fn check(&self, owner: Owner) -> Result<(), MemoryFull> {
        // While less than half a share is in use, no authenticated owner has reached its own.
        let half_a_share = self.most / (2 * self.divisors.authenticated);
        if owner.is_authenticated() && self.held.load(Ordering::Relaxed) < half_a_share {
            return Ok(());
        }
        self.check_limits(owner, &self.counters(owner), 1)
    }

    /// Checks that so many bytes fit, without counting them.
    fn check_limits(&self, owner: Owner, counters: &OwnerCounters, bytes: u64) -> Result<(), MemoryFull> {
        let mut counters = counters.iter().flatten();
        let exceeded = counters.find(|counter| {
            let held = self.held_of(counter);
            !fits(held, 0, bytes, self.share(counter, held))
        });
        let exceeded = match exceeded {
            Some(counter) => counter.exceeded,
            None if !fits(self.held.load(Ordering::Relaxed), 0, bytes, self.most) => Exceeded::SharedLimit,
            None => return Ok(()),
        };
        self.report_full(owner, exceeded);
        Err(MemoryFull)
    }

    /// Counts bytes beside the `own` bytes of the same permit.
    fn add(&self, counters: &OwnerCounters, own: u64, bytes: u64) -> Result<(), Exceeded> {
        for (at, counter) in counters.iter().enumerate() {
            let Some(counter) = counter else { continue };
            let before = counter
                .cells
                .map(|cell| self.cells[cell].fetch_add(bytes, Ordering::Relaxed));
            let before = before[0].min(before[1]);
            if !fits(before, own, bytes, self.share(counter, before)) {
                self.subtract_shares(&counters[..=at], bytes);
                return Err(counter.exceeded);
            }
        }
        let add = |held: u64| fits(held, own, bytes, self.most).then(|| held.saturating_add(bytes));
        let entered = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if entered.is_err() {
            self.subtract_shares(counters, bytes);
            return Err(Exceeded::SharedLimit);
        }
        Ok(())
    }

    fn subtract_shares(&self, counters: &[Option<OwnerCounter>], bytes: u64) {
        for cell in counters.iter().flatten().flat_map(|counter| counter.cells) {
            self.cells[cell].fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Returns the limit of a counter whose value is `held`.
    fn share(&self, counter: &OwnerCounter, held: u64) -> u64 {
        match counter.share {
            Share::Fixed(bytes) => bytes,
            Share::OfRest(divisors) => {
                let others = self.held.load(Ordering::Relaxed).saturating_sub(held);
                self.most.saturating_sub(others) / divisors
            }
        }
    }

    fn held_of(&self, counter: &OwnerCounter) -> u64 {
        let [one, other] = counter.cells.map(|cell| self.cells[cell].load(Ordering::Relaxed));
        one.min(other)
    }

    /// Returns the counters of an owner with their limits: an authenticated one has its part of what others have
    /// left. All unauthenticated clients have theirs, of which a network of the widest kind has a quarter and a
    /// narrower one less. Private networks have more, up to the whole part.
    fn counters(&self, owner: Owner) -> OwnerCounters {
        let authenticated = |key| {
            let share = Share::OfRest(self.divisors.authenticated);
            [
                Some(self.counter(key, share, Exceeded::OwnShare)),
                None,
                None,
                None,
            ]
        };
        match owner {
            Owner::Store(user) => authenticated(OwnerKey::Store(user)),
            Owner::Account(account) => authenticated(OwnerKey::Account(account)),
            Owner::Client(address) => {
                self.unauthenticated(ClientBody::Any, address, self.divisors.unauthenticated)
            }
            Owner::SmallBody(address) => {
                self.unauthenticated(ClientBody::Small, address, self.divisors.small_bodies)
            }
        }
    }

    fn unauthenticated(&self, kind: ClientBody, address: IpAddr, part: u64) -> OwnerCounters {
        let network = Network::of(address);
        let all = self.most / part;
        let counter = |width, part: u64| {
            let share = (all / part * u64::from(network.allowance_factor())).min(all);
            let key = OwnerKey::Network(kind, width, network.prefix(width)?);
            Some(self.counter(key, Share::Fixed(share), Exceeded::OwnShare))
        };
        [
            counter(Width::Narrow, 8),
            counter(Width::Middle, 6),
            counter(Width::Wide, 4),
            Some(self.counter(
                OwnerKey::Unauthenticated(kind),
                Share::Fixed(all),
                Exceeded::SharedLimit,
            )),
        ]
    }

    fn counter(&self, key: OwnerKey, share: Share, exceeded: Exceeded) -> OwnerCounter {
        let hash = self.hashes.hash_one(key);
        let cell = |hash: u64| usize::try_from(hash % CELLS_PER_ROW as u64).unwrap_or(0);
        OwnerCounter {
            cells: [cell(hash), CELLS_PER_ROW + cell(hash >> 32)],
            share,
            exceeded,
        }
    }

    /// Emits a security event: an owner has used up its share of `what`.
    pub(crate) fn report(&self, owner: Owner, what: &str) {
        let event =
            |entry_point, from| Event::new(EventKind::LimitReached, entry_point, from).with_reason(what);
        match owner {
            Owner::Store(user) => {
                let name = user.to_string();
                self.security_events
                    .emit(&event(EntryPoint::Storage, None).with_subject(&name));
            }
            Owner::Account(account) => self
                .security_events
                .emit(&event(EntryPoint::Accounts, None).with_account(account)),
            Owner::Client(address) | Owner::SmallBody(address) => {
                self.security_events
                    .emit(&event(EntryPoint::Accounts, Some(address)));
            }
        }
    }

    /// Logs that there was no memory, at most once a minute. Emits a security event if the owner's own share is
    /// used up; otherwise the request tells nothing about those who hold the memory.
    fn report_full(&self, owner: Owner, exceeded: Exceeded) {
        if exceeded == Exceeded::OwnShare {
            self.report(owner, self.setting);
        }
        if let Some(suppressed) = self.notice.should_log() {
            tracing::warn!(
                "no memory is left within {} for a request of {owner}: it was answered 503{suppressed}",
                self.setting
            );
        }
    }
}

/// Returns whether so many bytes fit into `most`, beside the `own` bytes of the same permit. A single permit always
/// fits.
const fn fits(held: u64, own: u64, bytes: u64, most: u64) -> bool {
    held <= own || held.saturating_add(bytes) <= most
}

impl MemoryPermit {
    /// Returns whether the owner is authenticated.
    pub(crate) const fn is_authenticated(&self) -> bool {
        self.owner.is_authenticated()
    }

    /// Raises the permit to so many bytes, if the difference fits.
    pub(crate) fn grow(&self, bytes: u64) -> Result<(), MemoryFull> {
        self.try_grow(bytes).map_err(|exceeded| {
            self.budget.report_full(self.owner, exceeded);
            MemoryFull
        })
    }

    fn try_grow(&self, bytes: u64) -> Result<(), Exceeded> {
        let own = self.bytes.load(Ordering::Relaxed);
        let Some(more) = bytes.checked_sub(own).filter(|&more| more > 0) else {
            return Ok(());
        };
        self.budget.add(&self.counters, own, more)?;
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Changes the permit to so many bytes. Fewer always fit.
    pub(crate) fn resize(&self, bytes: u64) -> Result<(), MemoryFull> {
        self.grow(bytes)?;
        self.set(bytes);
        Ok(())
    }

    /// Changes the permit to a response of so many bytes; a small one needs none.
    pub(crate) fn resize_for_answer(self, bytes: usize) -> Result<Option<Self>, MemoryFull> {
        if bytes < SMALL_ANSWER_BYTES {
            return Ok(None);
        }
        self.resize(bytes as u64).map(|()| Some(self))
    }

    /// Sets the number of bytes of memory that is already in use, so nothing is refused.
    pub(crate) fn set(&self, bytes: u64) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        let cells = self.counters.iter().flatten().flat_map(|counter| counter.cells);
        let counts = cells
            .map(|cell| &self.budget.cells[cell])
            .chain([&self.budget.held]);
        for count in counts {
            if bytes >= before {
                count.fetch_add(bytes - before, Ordering::Relaxed);
            } else {
                count.fetch_sub(before - bytes, Ordering::Relaxed);
            }
        }
        if bytes < before {
            self.budget.tell_waiting();
        }
    }

    /// Returns the bytes. The permit lasts until the last reference to them is dropped.
    pub(crate) fn hold(self, bytes: Vec<u8>) -> Bytes {
        self.set(bytes.capacity() as u64);
        Bytes::from_owner(BytesWithPermit { bytes, _permit: self })
    }

    /// Returns bytes that are part of what a permit counts. It lasts as long as they do.
    pub(crate) fn hold_part(permit: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(BytesWithPermit {
            bytes,
            _permit: Arc::clone(permit),
        })
    }
}

/// Returns a body of these bytes, which keeps the permit.
pub(crate) fn body_with_permit(permit: Option<MemoryPermit>, bytes: Vec<u8>) -> Body {
    match permit {
        Some(permit) => Body::from(permit.hold(bytes)),
        None => Body::from(bytes),
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl<P> AsRef<[u8]> for BytesWithPermit<P> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(user) => write!(f, "user {user}"),
            Self::Account(account) => write!(f, "account {account}"),
            Self::Client(address) | Self::SmallBody(address) => write!(f, "the network of {address}"),
        }
    }
}

#[cfg(test)]
mod tests;
