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
use foxden_model::{LogThrottle, Network, UserId, Width};

use super::Peer;

/// Answers of fewer bytes are not counted: the system's buffers take them from the program at once.
pub(crate) const SMALL: usize = 16 * 1024;
/// Seconds after which a client may try again when there was no room for its request or answer.
pub(crate) const RETRY_SECONDS: u32 = 10;
/// Bytes up to which a body is brief. A sign-in has a few hundred.
const BRIEF: usize = 1024;
/// An upload of the largest size is a 49th part of the default: a person's devices have six at once. Strangers send a few
/// hundred bytes each: of what may be a sign-in there is room for one on each of 4,096 connections, and more.
const BODIES: Parts = Parts {
    proven: 8,
    brief: 24,
    strangers: 48,
};
/// A long list takes little more than a megabyte: a person's devices read six at once by default. Strangers see pictures.
const ANSWERS: Parts = Parts {
    proven: 8,
    brief: 16,
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
    /// An account that is proven, by whatever it was proven and in whichever of its stores.
    Account(AccountId),
    /// A store whose owner is proven, where nobody says which account that is.
    Store(UserId),
    /// The network of a client that has proven nothing.
    Client(IpAddr),
    /// The same, where it brings so little that it may be a sign-in.
    Brief(IpAddr),
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
    notice: LogThrottle,
}

/// How much an owner may hold.
#[derive(Clone, Copy, Debug)]
enum Share {
    /// So many bytes.
    Fixed(u64),
    /// One of so many parts of what others left: so there is always some for one more owner.
    OfRest(u64),
}

/// How much of a budget each may hold: the whole divided by these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// An account or a store that is proven, of what others left.
    proven: u64,
    /// The brief bodies of all clients together that have proven nothing.
    brief: u64,
    /// All else of these.
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

/// What has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// What the owner alone may hold.
    Share,
    /// What it shares with others, who may hold all of it.
    Shared,
}

/// The owner, in each of the ways in which it is counted.
type Holders = [Option<Holder>; 4];

/// Who is counted.
#[derive(Hash)]
enum Key {
    Store(UserId),
    Account(AccountId),
    Network(Kind, Width, u64),
    Strangers(Kind),
}

/// What a client brings that has proven nothing.
#[derive(Clone, Copy, Hash)]
enum Kind {
    Brief,
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    cells: [usize; 2],
    share: Share,
    /// What it is when that is spent.
    spent: Full,
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

    /// Who is counted for a body of at most so many bytes. Brief ones of strangers are apart from their others, so that no
    /// long ones keep anybody from signing in.
    pub(crate) const fn who_brings(self, bytes: usize) -> Self {
        match self {
            Self::Client(address) if bytes <= BRIEF => Self::Brief(address),
            Self::Account(_) | Self::Store(_) | Self::Client(_) | Self::Brief(_) => self,
        }
    }

    /// Whether it has proven who it is.
    pub(crate) const fn is_proven(self) -> bool {
        match self {
            Self::Account(_) | Self::Store(_) => true,
            Self::Client(_) | Self::Brief(_) => false,
        }
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
            notice: LogThrottle::default(),
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
        self.look(owner, &place.holders, bytes)?;
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
        self.look(owner, &self.holders(owner), 1)
    }

    /// Refuses what finds no room by now; counts nothing.
    fn look(&self, owner: Owner, holders: &Holders, bytes: u64) -> Result<(), NoRoom> {
        let mut holders = holders.iter().flatten();
        let spent = holders.find(|holder| {
            let held = self.held_by(holder);
            !fits(held, 0, bytes, self.share(holder, held))
        });
        let full = match spent {
            Some(holder) => holder.spent,
            None if !fits(self.held.load(Ordering::Relaxed), 0, bytes, self.most) => Full::Shared,
            None => return Ok(()),
        };
        self.tell(owner, full);
        Err(NoRoom)
    }

    /// Counts so many bytes beside those that the same place holds.
    fn enter(&self, holders: &Holders, own: u64, bytes: u64) -> Result<(), Full> {
        for (at, holder) in holders.iter().enumerate() {
            let Some(holder) = holder else { continue };
            let before = holder
                .cells
                .map(|cell| self.cells[cell].fetch_add(bytes, Ordering::Relaxed));
            let before = before[0].min(before[1]);
            if !fits(before, own, bytes, self.share(holder, before)) {
                self.leave_shares(&holders[..=at], bytes);
                return Err(holder.spent);
            }
        }
        let add = |held: u64| fits(held, own, bytes, self.most).then(|| held.saturating_add(bytes));
        let entered = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if entered.is_err() {
            self.leave_shares(holders, bytes);
            return Err(Full::Shared);
        }
        Ok(())
    }

    fn leave_shares(&self, holders: &[Option<Holder>], bytes: u64) {
        for cell in holders.iter().flatten().flat_map(|holder| holder.cells) {
            self.cells[cell].fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// How many bytes it may hold, which has so many.
    fn share(&self, holder: &Holder, held: u64) -> u64 {
        match holder.share {
            Share::Fixed(bytes) => bytes,
            Share::OfRest(parts) => {
                let others = self.held.load(Ordering::Relaxed).saturating_sub(held);
                self.most.saturating_sub(others) / parts
            }
        }
    }

    fn held_by(&self, holder: &Holder) -> u64 {
        let [one, other] = holder.cells.map(|cell| self.cells[cell].load(Ordering::Relaxed));
        one.min(other)
    }

    /// Who is counted, and how much each may hold: an account its part of what others left; all strangers theirs, of which a network of the
    /// widest kind has a quarter, and narrower ones within it less. A private one has more, and never more than all.
    fn holders(&self, owner: Owner) -> Holders {
        let proven = |key| {
            let share = Share::OfRest(self.parts.proven);
            [Some(self.holder(key, share, Full::Share)), None, None, None]
        };
        match owner {
            Owner::Store(user) => proven(Key::Store(user)),
            Owner::Account(account) => proven(Key::Account(account)),
            Owner::Client(address) => self.strangers(Kind::Other, address, self.parts.strangers),
            Owner::Brief(address) => self.strangers(Kind::Brief, address, self.parts.brief),
        }
    }

    fn strangers(&self, kind: Kind, address: IpAddr, part: u64) -> Holders {
        let network = Network::of(address);
        let all = self.most / part;
        let holder = |width, part: u64| {
            let share = (all / part * u64::from(network.allowance_factor())).min(all);
            let key = Key::Network(kind, width, network.prefix(width)?);
            Some(self.holder(key, Share::Fixed(share), Full::Share))
        };
        [
            holder(Width::Narrow, 8),
            holder(Width::Middle, 6),
            holder(Width::Wide, 4),
            Some(self.holder(Key::Strangers(kind), Share::Fixed(all), Full::Shared)),
        ]
    }

    fn holder(&self, key: Key, share: Share, spent: Full) -> Holder {
        let hash = self.hashes.hash_one(key);
        let cell = |hash: u64| usize::try_from(hash % CELLS as u64).unwrap_or(0);
        Holder {
            cells: [cell(hash), CELLS + cell(hash >> 32)],
            share,
            spent,
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
            Owner::Client(address) | Owner::Brief(address) => {
                self.witness.tell(&event(Door::Accounts, Some(address)));
            }
        }
    }

    /// Tells the operator that there was no room: once a minute at most the log, and the security log where it was the owner
    /// who took it. Where others did, nobody learns by this request who they are.
    fn tell(&self, owner: Owner, full: Full) {
        if full == Full::Share {
            self.report(owner, self.setting);
        }
        if let Some(suppressed) = self.notice.should_log() {
            tracing::warn!(
                "no room in {} for a request of {owner}: it was answered 503{suppressed}",
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
    /// Whether it is taken for somebody who has proven who they are.
    pub(crate) const fn is_proven(&self) -> bool {
        self.owner.is_proven()
    }

    /// Holds so many bytes from now on, if there is room for those that are new.
    pub(crate) fn grow(&self, bytes: u64) -> Result<(), NoRoom> {
        let own = self.bytes.load(Ordering::Relaxed);
        let Some(more) = bytes.checked_sub(own).filter(|&more| more > 0) else {
            return Ok(());
        };
        if let Err(full) = self.budget.enter(&self.holders, own, more) {
            self.budget.tell(self.owner, full);
            return Err(NoRoom);
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Holds so many bytes from now on: fewer at once, more only if there is room for them.
    pub(crate) fn resize(&self, bytes: u64) -> Result<(), NoRoom> {
        self.grow(bytes)?;
        self.set(bytes);
        Ok(())
    }

    /// The same for an answer; a small one needs no place.
    pub(crate) fn resize_for_answer(self, bytes: usize) -> Result<Option<Self>, NoRoom> {
        if bytes < SMALL {
            return Ok(None);
        }
        self.resize(bytes as u64).map(|()| Some(self))
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
            Self::Client(address) | Self::Brief(address) => write!(f, "the network of {address}"),
        }
    }
}

#[cfg(test)]
mod tests;
