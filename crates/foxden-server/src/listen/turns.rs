//! Who reads off a body before an early answer: so many at once, of whom each network of clients has a share.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foxden_accounts::security::{Door, Event, What, Witness};
use foxden_model::{Network, Width};

use super::room::share::{Counts, Owner};

/// The turns that there are.
#[derive(Debug)]
pub struct Turns {
    most: u32,
    taken: Mutex<Taken>,
    /// Who hears which network has its share.
    witness: Witness,
}

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    of: Counts,
}

/// A turn, given back when dropped.
#[derive(Debug)]
pub struct Turn<'t> {
    turns: &'t Turns,
    client: Network,
}

impl Turns {
    /// So many turns.
    pub fn new(most: u32, witness: Witness) -> Self {
        let taken = Mutex::default();
        Self { most, taken, witness }
    }

    /// A turn for a client, unless its network has its share or all are taken.
    pub fn take(&self, client: IpAddr) -> Option<Turn<'_>> {
        let (address, client) = (client, Network::of(client));
        let mut taken = self.taken();
        let has_share = |owner| taken.of.of(owner) < self.share(owner, client);
        if !Owner::networks(client).all(has_share) {
            drop(taken);
            let event = Event::new(What::LimitReached, Door::Listener, Some(address));
            self.witness.tell(&event.because("bodies sent to no use"));
            return None;
        }
        if taken.all >= self.most {
            return None;
        }
        taken.all += 1;
        taken.of.add(Owner::networks(client));
        drop(taken);
        Some(Turn { turns: self, client })
    }

    /// A sixteenth for an address, an eighth for a neighbourhood: eight of these are needed to take all. Private networks
    /// have more of it.
    fn share(&self, owner: Owner, client: Network) -> u32 {
        let part = match owner {
            Owner::Network(Width::Wide, _) => 8,
            Owner::Network(Width::Middle, _) => 12,
            Owner::Network(Width::Narrow, _) | Owner::User(_) => 16,
        };
        (self.most / part)
            .max(1)
            .saturating_mul(client.allowance_factor())
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken();
        taken.all -= 1;
        taken.of.remove(Owner::networks(self.client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(most: u32) -> Turns {
        Turns::new(most, Witness::default())
    }

    fn count(turns: &Turns, clients: &[&str]) -> usize {
        let mut taken = Vec::new();
        for client in clients {
            let client = client.parse().unwrap();
            taken.extend(std::iter::from_fn(|| turns.take(client)));
        }
        taken.len()
    }

    #[test]
    fn no_network_takes_the_turns_of_others() {
        let turns = turns(64);
        assert_eq!(count(&turns, &["192.0.2.1"]), 4);
        assert_eq!(count(&turns, &["192.0.2.1", "192.0.2.2", "192.0.2.3"]), 8);
        assert_eq!(
            count(&turns, &["2001:db8::1", "2001:db8:0:1::1", "2001:db8:1::1"]),
            9
        );
        assert_eq!(count(&turns, &["10.0.0.1"]), 40, "many may stand behind it");
        assert_eq!(count(&turns, &["10.0.0.1", "10.0.0.2"]), 64);
        let many: Vec<_> = (0..50).map(|net| format!("198.51.{net}.1")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(count(&turns, &many), 64);
        let taken = turns.taken();
        assert!(taken.all == 0 && taken.of.is_empty(), "all were given back");
    }

    #[test]
    fn few_turns_are_shared_as_well() {
        assert_eq!(count(&turns(2), &["192.0.2.1", "198.51.100.1", "203.0.113.1"]), 2);
        assert_eq!(count(&turns(0), &["192.0.2.1"]), 0);
    }
}
