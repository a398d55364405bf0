//! How many connections there are, and which of them are too slow.
//!
//! Every connection has a seat, on which it notes what it is doing. One task looks at all seats now and then
//! and sends away whoever takes too long. So no request pays for a timer, and a thousand slow clients cost
//! one glance each.
//!
//! Seats are shared out: no network of clients takes more than its share, and a user's answers that wait for their client
//! take few. When all seats are taken, the owner with the most makes room for a newcomer.
//!
//! - [`seat`]: what one connection is doing
//! - [`share`]: how many seats each owner takes, and may take
//! - [`lobby`]: where newcomers wait when all seats are taken
//! - [`tide`]: when memory goes back to the system

pub mod lobby;
pub mod seat;
pub mod share;
pub mod tide;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foxden_accounts::security::{Door, Event, What, Witness};
use foxden_model::{LogThrottle, Network};
use tokio::sync::{Notify, Semaphore};

use crate::allocator;
use crate::config::http::Http;
use crate::tasks::Tasks;
use lobby::Place;
use seat::{Rules, STOP_GRACE, Seat, Yields};
use share::{Counts, Owner, Shares};
use tide::Tide;

/// Seats that make room at once, as a part of all: to look for them is work, which so many newcomers share.
const PART: u32 = 64;

/// All connections of the server.
#[derive(Debug)]
pub struct Room {
    rules: Rules,
    shares: Shares,
    /// Seats that make room at once.
    batch: usize,
    started: Instant,
    now: Arc<AtomicU64>,
    free: Arc<Semaphore>,
    lobby: Arc<Semaphore>,
    floor: Mutex<Floor>,
    tide: Tide,
    numbers: AtomicU64,
    someone_left: Notify,
    full: LogThrottle,
    crowded: LogThrottle,
    unread: LogThrottle,
    /// Who hears of shares that are used up.
    witness: Witness,
}

/// The seats that are taken.
#[derive(Debug, Default)]
struct Floor {
    seats: BTreeMap<u64, Arc<Seat>>,
    /// Those of clients that are connected themselves and not on their way out.
    direct: Counts,
    /// How many are on their way out.
    leaving: u32,
    /// When nobody was found who could make room.
    barren: u64,
}

/// A seat and the right to sit on it, given back when dropped.
#[derive(Debug)]
pub struct Taken {
    room: Arc<Room>,
    number: u64,
    seat: Arc<Seat>,
}

impl Room {
    /// An empty room by these rules, with so many seats.
    pub fn new(http: &Http, seats: u32, witness: Witness) -> Arc<Self> {
        Arc::new(Self {
            rules: Rules {
                idle: millis(http.idle_timeout),
                head: millis(http.header_timeout),
                stall: millis(http.stall_timeout),
                request: millis(http.request_timeout),
                bytes_per_second: http.min_rate,
            },
            shares: Shares::new(http, seats),
            batch: (seats / PART).max(1) as usize,
            started: Instant::now(),
            now: Arc::new(AtomicU64::new(1)),
            free: Arc::new(Semaphore::new(seats as usize)),
            lobby: Arc::new(Semaphore::new(lobby::PLACES as usize)),
            floor: Mutex::default(),
            tide: Tide::default(),
            numbers: AtomicU64::new(0),
            someone_left: Notify::new(),
            full: LogThrottle::default(),
            crowded: LogThrottle::default(),
            unread: LogThrottle::default(),
            witness,
        })
    }

    /// A seat for a client in that network; `None` where a proxy is connected, or this machine. When all are taken, it is a
    /// place in the lobby.
    ///
    /// A network beyond its share makes room itself. Where it cannot, as the server works for all its seats, there is none.
    pub async fn seat(self: &Arc<Self>, client: Option<Network>) -> Option<Taken> {
        if client.is_some_and(|client| !self.has_share(client)) {
            return None;
        }
        let free = Arc::clone(&self.free);
        let place = if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            Place::seat(permit, free)
        } else {
            self.make_room(&mut self.floor());
            self.place().await
        };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let seat = Arc::new(Seat::new(Arc::clone(&self.now), self.rules, client, place));
        let mut floor = self.floor();
        floor.seats.insert(number, Arc::clone(&seat));
        floor.direct.add(client.into_iter().flat_map(Owner::networks));
        self.tide.comes_in(floor.seats.len());
        drop(floor);
        Some(Taken {
            room: Arc::clone(self),
            number,
            seat,
        })
    }

    /// Looks at all seats now and then, until the program stops.
    pub async fn watch(self: Arc<Self>, mut tasks: Tasks) {
        let shortest = self.rules.idle.min(self.rules.head).min(self.rules.stall);
        let pause = Duration::from_millis((shortest / 4).clamp(10, 1000));
        let mut interval = tokio::time::interval(pause);
        // While the program stops, requests go on for a while, and so do the rules for them.
        let mut stopped = std::pin::pin!(tasks.stopped());
        let mut stops_since = None;
        loop {
            tokio::select! {
                _ = interval.tick() => {
                    let now = millis(self.started.elapsed()).max(1);
                    let has_waited = stops_since.is_some_and(|since| now.saturating_sub(since) > STOP_GRACE);
                    self.look_around(now, has_waited);
                    if self.tide.goes_out(self.floor().seats.len()) {
                        allocator::give_back();
                    }
                }
                () = stopped.as_mut(), if stops_since.is_none() => {
                    stops_since = Some(millis(self.started.elapsed()));
                }
                () = self.someone_left.notified(), if stops_since.is_some() => {}
            }
            if stops_since.is_some() && self.floor().seats.is_empty() {
                return;
            }
        }
    }

    fn look_around(&self, now: u64, is_stopping: bool) {
        self.now.store(now, Ordering::Relaxed);
        let mut floor = self.floor();
        let is_too_slow = |seat: &&Arc<Seat>| seat.is_too_slow(now, is_stopping);
        let too_slow = floor.seats.values().filter(is_too_slow).cloned().collect();
        floor.send_away(too_slow);
        self.keep_shares(&mut floor, now);
        if self.lobby.available_permits() < lobby::PLACES as usize && self.free.available_permits() == 0 {
            self.make_room(&mut floor);
        }
        if self.lobby.available_permits() == 0 {
            self.clear_lobby(&mut floor);
        }
    }

    /// Cuts off the slowest of users whose answers wait on too many seats, and of clients of a proxy that take too many.
    fn keep_shares(&self, floor: &mut Floor, now: u64) {
        let shared = |seat: &Seat| {
            let networks = seat.direct_client().is_none().then(|| seat.networks());
            seat.blocked_user()
                .into_iter()
                .chain(networks.into_iter().flatten())
        };
        let mut counts = Counts::default();
        for seat in floor.seats.values().filter(|seat| !seat.is_leaving()) {
            counts.add(shared(seat));
        }
        let excess = counts.excess(&self.shares);
        if excess.is_empty() {
            return;
        }
        let mut slowest: HashMap<Owner, Vec<(Yields, Arc<Seat>)>> = HashMap::new();
        for seat in floor.seats.values() {
            let Some(yields) = seat.yields(now) else { continue };
            for owner in shared(seat).filter(|owner| excess.contains_key(owner)) {
                slowest.entry(owner).or_default().push((yields, Arc::clone(seat)));
            }
        }
        for (owner, seats) in slowest {
            let most = excess.get(&owner).copied().unwrap_or_default();
            self.tell(owner);
            floor.send_away(first(seats, most as usize));
        }
    }

    /// Whether one more client of that network may come: beyond a share, its slowest makes room.
    fn has_share(&self, client: Network) -> bool {
        let mut floor = self.floor();
        let now = self.now.load(Ordering::Relaxed);
        for owner in Owner::networks(client) {
            let share = self.shares.of(owner);
            if floor.direct.of(owner) < share {
                continue;
            }
            self.tell(owner);
            let is_own = |seat: &&Arc<Seat>| seat.networks().any(|other| other == owner);
            let own = floor.seats.values().filter(is_own);
            let own = own.filter_map(|seat| Some((seat.yields(now)?, Arc::clone(seat))));
            let slowest = first(own.collect(), self.batch.min((share / 8) as usize).max(1));
            if slowest.is_empty() {
                return false;
            }
            floor.send_away(slowest);
        }
        true
    }

    /// Sends away some of the slowest of whoever has the most seats.
    fn make_room(&self, floor: &mut Floor) {
        let now = self.now.load(Ordering::Relaxed);
        let waiting = lobby::PLACES as usize - self.lobby.available_permits();
        // Who is on the way out makes room as well.
        if floor.leaving as usize > waiting || floor.barren == now {
            return;
        }
        let slowest = first(heaviest(floor, now, |seat| !seat.is_in_lobby()), self.batch);
        if slowest.is_empty() {
            floor.barren = now;
        }
        if let Some(suppressed) = self.full.should_log() {
            tracing::warn!(
                "all connections are taken: the slowest of whoever has the most make room{suppressed}"
            );
        }
        floor.send_away(slowest);
    }

    /// A place in the lobby, which the one who has waited there longest makes free if need be, or a seat if one is free
    /// sooner.
    async fn place(&self) -> Place {
        let (lobby, free) = (Arc::clone(&self.lobby), Arc::clone(&self.free));
        if let Ok(permit) = Arc::clone(&lobby).try_acquire_owned() {
            return Place::lobby(permit, free);
        }
        self.clear_lobby(&mut self.floor());
        tokio::select! {
            permit = Arc::clone(&free).acquire_owned() => Place::seat(permit.expect("seats are never closed"), free),
            permit = lobby.acquire_owned() => Place::lobby(permit.expect("the lobby is never closed"), free),
        }
    }

    fn clear_lobby(&self, floor: &mut Floor) {
        let now = self.now.load(Ordering::Relaxed);
        let slowest = first(heaviest(floor, now, Seat::is_in_lobby), 1);
        floor.send_away(slowest);
    }

    /// Tells both logs that an owner takes more than its share.
    fn tell(&self, owner: Owner) {
        let share = self.shares.of(owner);
        let event = |door| Event::new(What::LimitReached, door, owner.address());
        match owner {
            Owner::Network(..) => {
                self.witness.tell(&event(Door::Listener).because("connections"));
                if let Some(suppressed) = self.crowded.should_log() {
                    tracing::warn!(
                        "{owner} has {share} connections, its share: its slowest make room for others of its own{suppressed}"
                    );
                }
            }
            Owner::User(user) => {
                let name = user.0.to_string();
                let event = event(Door::Storage).because("answers that nobody takes");
                self.witness.tell(&event.about(&name));
                if let Some(suppressed) = self.unread.should_log() {
                    tracing::warn!(
                        "answers to {owner} wait on more than {share} connections: the slowest are cut off{suppressed}"
                    );
                }
            }
        }
    }

    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Floor {
    /// Cuts these clients off.
    fn send_away(&mut self, seats: Vec<Arc<Seat>>) {
        for seat in seats {
            if seat.is_to_leave() {
                self.leaving += 1;
                self.direct
                    .remove(seat.direct_client().into_iter().flat_map(Owner::networks));
            }
        }
    }
}

/// What decides whose seat makes room: how many the owner has in the widest sense, then in the narrowest, then how slow
/// the client is.
type Weight = (u32, u32, Yields);

/// Those of the seats that are meant who could make room.
fn heaviest(floor: &Floor, now: u64, is_meant: impl Fn(&Seat) -> bool) -> Vec<(Weight, Arc<Seat>)> {
    let seats = || {
        let seats = floor.seats.values().filter(|seat| !seat.is_leaving());
        seats.filter(|seat| is_meant(seat))
    };
    let mut counts = Counts::default();
    for seat in seats() {
        counts.add(seat.blocked_user().into_iter().chain(seat.networks()));
    }
    let weighed = seats().filter_map(|seat| {
        let yields = seat.yields(now)?;
        let owners = seat.blocked_user().into_iter().chain(seat.networks());
        let each = owners.map(|owner| counts.of(owner));
        // A seat that is taken for nobody counts as its owner's only one.
        let (most, least) = (each.clone().max().unwrap_or(1), each.min().unwrap_or(1));
        Some(((most, least, yields), Arc::clone(seat)))
    });
    weighed.collect()
}

/// The first so many, the greatest first; of equal ones, who came first.
fn first<K: Ord + Copy>(mut seats: Vec<(K, Arc<Seat>)>, most: usize) -> Vec<Arc<Seat>> {
    seats.sort_by_key(|(key, _)| Reverse(*key));
    seats.into_iter().take(most).map(|(_, seat)| seat).collect()
}

impl Taken {
    /// The seat itself.
    pub fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut floor = self.room.floor();
        floor.seats.remove(&self.number);
        if self.seat.is_leaving() {
            floor.leaving -= 1;
        } else {
            floor
                .direct
                .remove(self.seat.direct_client().into_iter().flat_map(Owner::networks));
        }
        floor.barren = 0;
        drop(floor);
        self.seat.place.give_back();
        self.room.someone_left.notify_one();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
