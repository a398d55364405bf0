//! How many bytes are held on behalf of clients at once, over all connections.
//!
//! There are two budgets: one for the bodies of requests, one for answers that clients have not taken yet. In each, one
//! account or one network has a share, so that it cannot keep the others from theirs; and all clients that have proven
//! nothing have one together, so that no number of them keeps out those who have. Counting takes a few atomic additions and
//! no lock. Decision record 0025 gives the reasons.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::Extensions;
use bytes::Bytes;
use foxden_accounts::AccountId;
use foxden_accounts::security::{Door, Event, What, Witness};
use foxden_model::{Network, Notice, UserId, Width};

use super::Peer;

/// Answers of fewer bytes are not counted: the system's buffers take them from the program at once.
pub(crate) const SMALL: usize = 16 * 1024;
/// Seconds after which a client may try again when there was no room for its request or answer.
pub(crate) const RETRY_SECONDS: u32 = 10;
/// An upload of the largest size is a 49th part of the default: a person's devices have six at once. Strangers send a few
/// hundred bytes each.
const BODIES: Parts = Parts {
    proven: 8,
    strangers: 16,
};
/// A long list takes little more than a megabyte: a person's devices read six at once by default. Strangers see pictures.
const ANSWERS: Parts = Parts {
    proven: 8,
    strangers: 16,
};
/// Cells of a row. Two strangers meet in both rows once in some ten million pairs.
const CELLS: usize = 4096;

/// Room for what is held on behalf of clients, shared by all surfaces and listeners.
#[derive(Debug)]
pub struct Memory {
    /// Bodies of requests.
    pub(crate) bodies: Arc<Budget>,
    /// Answers that are under way.
    pub(crate) answers: Arc<Budget>,
}

/// Whose share a place is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A store whose owner is proven.
    Store(UserId),
    /// An account that is proven.
    Account(AccountId),
    /// The network of a client that has proven nothing.
    Client(IpAddr),
}

/// A number of bytes, and how much of it each owner holds.
#[derive(Debug)]
pub(crate) struct Budget {
    /// The setting that says how much it is.
    setting: &'static str,
    most: u64,
    parts: Parts,
    held: AtomicU64,
    /// What owners hold, in two rows of cells that are chosen by a hash which nobody outside can compute. The lesser of
    /// an owner's two cells is never less than what it holds, and more only where both are shared with others.
    cells: Box<[AtomicU64]>,
    hashes: RandomState,
    witness: Witness,
    notice: Notice,
}

/// How much of a budget each may hold: the whole divided by these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// An account or a store that is proven.
    proven: u64,
    /// All clients together that have proven nothing.
    strangers: u64,
}

/// Bytes that are held, given back when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Place {
    budget: Arc<Budget>,
    owner: Owner,
    holders: Holders,
    bytes: AtomicU64,
}

/// There is no room: the owner's share or the whole budget is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// The owner, in each of the ways in which it is counted.
type Holders = [Option<Holder>; 4];

/// Who is counted.
#[derive(Hash)]
enum Key {
    Store(UserId),
    Account(AccountId),
    Network(Width, u64),
    Strangers,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    cells: [usize; 2],
    share: u64,
}

/// Bytes and the place they take.
struct Held<P> {
    bytes: Vec<u8>,
    _place: P,
}

impl Memory {
    /// Room for so many bytes of bodies, and for so many of answers. `witness` hears who found none.
    pub fn new(bodies: u64, answers: u64, witness: Witness) -> Self {
        Self {
            bodies: Arc::new(Budget::new(
                "http.max_body_memory",
                bodies,
                BODIES,
                witness.clone(),
            )),
            answers: Arc::new(Budget::new("http.max_answer_memory", answers, ANSWERS, witness)),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(128_000_000, 64_000_000, Witness::default())
    }
}

impl Owner {
    /// The network of the client that sent a request with these extensions.
    pub(crate) fn client(extensions: &Extensions) -> Self {
        let peer = extensions.get::<Peer>();
        // Without a peer nothing can be told apart, so all share one network.
        Self::Client(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address))
    }
}

impl Budget {
    fn new(setting: &'static str, most: u64, parts: Parts, witness: Witness) -> Self {
        Self {
            witness,
            setting,
            most,
            parts,
            held: AtomicU64::new(0),
            cells: (0..2 * CELLS).map(|_| AtomicU64::new(0)).collect(),
            hashes: RandomState::new(),
            notice: Notice::default(),
        }
    }

    /// A place for so many bytes, if there is one. An owner that holds nothing always finds one within its share, however
    /// small that is, so that no setting shuts out what a single request may bring.
    pub(crate) fn take(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<Place, NoRoom> {
        let place = self.place(owner);
        place.grow(bytes)?;
        Ok(place)
    }

    /// A place for what is announced to have so many bytes, if that finds room by now. It is empty: each byte is counted
    /// when it comes, so that none is kept from others who bring theirs.
    pub(crate) fn expect(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<Place, NoRoom> {
        let place = self.place(owner);
        let held = place.holders.iter().flatten();
        let mut held = held.map(|holder| (self.held_by(holder), holder.share));
        let has_room = held.all(|(held, share)| fits(held, 0, bytes, share))
            && fits(self.held.load(Ordering::Relaxed), 0, bytes, self.most);
        if !has_room {
            self.tell(owner);
            return Err(NoRoom);
        }
        Ok(place)
    }

    /// A place that holds nothing yet.
    fn place(self: &Arc<Self>, owner: Owner) -> Place {
        Place {
            budget: Arc::clone(self),
            owner,
            holders: self.holders(owner),
            bytes: AtomicU64::new(0),
        }
    }

    /// A place for an answer of so many bytes, if there is one; a small answer needs none.
    pub(crate) fn take_for_answer(
        self: &Arc<Self>,
        owner: Owner,
        bytes: usize,
    ) -> Result<Option<Place>, NoRoom> {
        if bytes < SMALL {
            return Ok(None);
        }
        self.take(owner, bytes as u64).map(Some)
    }

    /// Refuses an owner that holds all it may, before work is done for it.
    pub(crate) fn check(&self, owner: Owner) -> Result<(), NoRoom> {
        let is_spent = self
            .holders(owner)
            .iter()
            .flatten()
            .any(|holder| self.held_by(holder) >= holder.share.max(1));
        if is_spent || self.held.load(Ordering::Relaxed) >= self.most.max(1) {
            self.tell(owner);
            return Err(NoRoom);
        }
        Ok(())
    }

    /// Counts so many bytes beside those that the same place holds.
    fn enter(&self, holders: &Holders, own: u64, bytes: u64) -> Result<(), NoRoom> {
        for (at, holder) in holders.iter().enumerate() {
            let Some(holder) = holder else { continue };
            let before = holder
                .cells
                .map(|cell| self.cells[cell].fetch_add(bytes, Ordering::Relaxed));
            if !fits(before[0].min(before[1]), own, bytes, holder.share) {
                self.leave_shares(&holders[..=at], bytes);
                return Err(NoRoom);
            }
        }
        let add = |held: u64| fits(held, own, bytes, self.most).then(|| held.saturating_add(bytes));
        let entered = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if entered.is_err() {
            self.leave_shares(holders, bytes);
            return Err(NoRoom);
        }
        Ok(())
    }

    fn leave_shares(&self, holders: &[Option<Holder>], bytes: u64) {
        for cell in holders.iter().flatten().flat_map(|holder| holder.cells) {
            self.cells[cell].fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn held_by(&self, holder: &Holder) -> u64 {
        let [one, other] = holder.cells.map(|cell| self.cells[cell].load(Ordering::Relaxed));
        one.min(other)
    }

    /// Who is counted, and how much each may hold: an account its part; all strangers theirs, of which a network of the
    /// widest kind has a quarter, and narrower ones within it less.
    fn holders(&self, owner: Owner) -> Holders {
        let proven = |key| [Some(self.holder(key, self.parts.proven)), None, None, None];
        match owner {
            Owner::Store(user) => proven(Key::Store(user)),
            Owner::Account(account) => proven(Key::Account(account)),
            Owner::Client(address) => {
                let network = Network::of(address);
                let strangers = self.parts.strangers;
                let holder = |width, part| {
                    let prefix = network.prefix(width)?;
                    Some(self.holder(Key::Network(width, prefix), strangers * part))
                };
                [
                    holder(Width::Narrow, 8),
                    holder(Width::Middle, 6),
                    holder(Width::Wide, 4),
                    Some(self.holder(Key::Strangers, strangers)),
                ]
            }
        }
    }

    fn holder(&self, key: Key, part: u64) -> Holder {
        let hash = self.hashes.hash_one(key);
        let cell = |hash: u64| usize::try_from(hash % CELLS as u64).unwrap_or(0);
        Holder {
            cells: [cell(hash), CELLS + cell(hash >> 32)],
            share: self.most / part,
        }
    }

    /// Tells the security log, which folds what is repeated, that an owner spent what it may of something.
    pub(crate) fn report(&self, owner: Owner, what: &str) {
        let event = |door, from| Event::new(What::LimitReached, door, from).because(what);
        match owner {
            Owner::Store(user) => {
                let name = user.to_string();
                self.witness.tell(&event(Door::Storage, None).about(&name));
            }
            Owner::Account(account) => self.witness.tell(&event(Door::Accounts, None).of(account)),
            Owner::Client(address) => self.witness.tell(&event(Door::Accounts, Some(address))),
        }
    }

    /// Tells the operator that there was no room: the security log, and once a minute at most the log.
    fn tell(&self, owner: Owner) {
        self.report(owner, self.setting);
        if let Some(unsaid) = self.notice.is_due() {
            tracing::warn!(
                "no room in {} for a request of {owner}: it was answered 503{unsaid}",
                self.setting
            );
        }
    }
}

/// Whether so many bytes more find room within `most`, beside the `own` of the same place. What is alone always does.
const fn fits(held: u64, own: u64, bytes: u64, most: u64) -> bool {
    held <= own || held.saturating_add(bytes) <= most
}

impl Place {
    /// Holds so many bytes from now on, if there is room for those that are new.
    pub(crate) fn grow(&self, bytes: u64) -> Result<(), NoRoom> {
        let own = self.bytes.load(Ordering::Relaxed);
        let Some(more) = bytes.checked_sub(own).filter(|&more| more > 0) else {
            return Ok(());
        };
        if let Err(refused) = self.budget.enter(&self.holders, own, more) {
            self.budget.tell(self.owner);
            return Err(refused);
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Says how many bytes there are after all: they are there already, so nothing is refused.
    pub(crate) fn set(&self, bytes: u64) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        let cells = self.holders.iter().flatten().flat_map(|holder| holder.cells);
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
    }

    /// These bytes, counted until the last of them is gone, wherever they go.
    pub(crate) fn hold(self, bytes: Vec<u8>) -> Bytes {
        self.set(bytes.capacity() as u64);
        Bytes::from_owner(Held { bytes, _place: self })
    }

    /// These bytes, part of what a place counts that lasts as long as they do.
    pub(crate) fn hold_part(place: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Held {
            bytes,
            _place: Arc::clone(place),
        })
    }
}

/// An answer that takes this place.
pub(crate) fn held(place: Option<Place>, bytes: Vec<u8>) -> Body {
    match place {
        Some(place) => Body::from(place.hold(bytes)),
        None => Body::from(bytes),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl<P> AsRef<[u8]> for Held<P> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(user) => write!(f, "user {user}"),
            Self::Account(account) => write!(f, "account {account}"),
            Self::Client(address) => write!(f, "the network of {address}"),
        }
    }
}

#[cfg(test)]
mod tests;
