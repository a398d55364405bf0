//! Limits how many unread bodies are drained before their responses at once. Each network of clients has a share.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foxden_accounts::security::{EntryPoint, Event, EventKind, SecurityEvents};
use foxden_model::{Network, Width};

use super::connection_limiter::limits::{KeyCounts, LimitKey};

/// The permits to drain a body.
#[derive(Debug)]
pub struct DrainPermits {
    most: u32,
    granted: Mutex<Granted>,
    /// Receives an event where a network has used up its share.
    security_events: SecurityEvents,
}

#[derive(Debug, Default)]
struct Granted {
    total: u32,
    by_key: KeyCounts,
}

/// A permit, returned when dropped.
#[derive(Debug)]
pub struct DrainPermit<'t> {
    permits: &'t DrainPermits,
    client: Network,
}

impl DrainPermits {
    /// So many permits.
    pub fn new(most: u32, security_events: SecurityEvents) -> Self {
        let granted = Mutex::default();
        Self {
            most,
            granted,
            security_events,
        }
    }

    /// A permit for a client, unless its network has used up its share or all are taken.
    pub fn take(&self, client: IpAddr) -> Option<DrainPermit<'_>> {
        let (address, client) = (client, Network::of(client));
        let mut granted = self.granted();
        let is_below_share = |key| granted.by_key.of(key) < self.share(key, client);
        if !LimitKey::networks(client).all(is_below_share) {
            drop(granted);
            let event = Event::new(EventKind::LimitReached, EntryPoint::Listener, Some(address));
            self.security_events
                .emit(&event.with_reason("bodies sent to no use"));
            return None;
        }
        if granted.total >= self.most {
            return None;
        }
        granted.total += 1;
        granted.by_key.add(LimitKey::networks(client));
        drop(granted);
        Some(DrainPermit {
            permits: self,
            client,
        })
    }

    /// A sixteenth for an address, an eighth for a /24 or /48: it takes eight of those to use all permits. Private networks
    /// get more.
    fn share(&self, key: LimitKey, client: Network) -> u32 {
        let part = match key {
            LimitKey::Network(Width::Wide, _) => 8,
            LimitKey::Network(Width::Middle, _) => 12,
            LimitKey::Network(Width::Narrow, _) | LimitKey::User(_) => 16,
        };
        (self.most / part)
            .max(1)
            .saturating_mul(client.allowance_factor())
    }

    fn granted(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DrainPermit<'_> {
    fn drop(&mut self) {
        let mut granted = self.permits.granted();
        granted.total -= 1;
        granted.by_key.remove(LimitKey::networks(self.client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(most: u32) -> DrainPermits {
        DrainPermits::new(most, SecurityEvents::default())
    }

    fn count(permits: &DrainPermits, clients: &[&str]) -> usize {
        let mut taken = Vec::new();
        for client in clients {
            let client = client.parse().unwrap();
            taken.extend(std::iter::from_fn(|| permits.take(client)));
        }
        taken.len()
    }

    #[test]
    fn no_network_takes_the_turns_of_others() {
        let permits = permits(64);
        assert_eq!(count(&permits, &["192.0.2.1"]), 4);
        assert_eq!(count(&permits, &["192.0.2.1", "192.0.2.2", "192.0.2.3"]), 8);
        assert_eq!(
            count(&permits, &["2001:db8::1", "2001:db8:0:1::1", "2001:db8:1::1"]),
            9
        );
        assert_eq!(count(&permits, &["10.0.0.1"]), 40, "many may stand behind it");
        assert_eq!(count(&permits, &["10.0.0.1", "10.0.0.2"]), 64);
        let many: Vec<_> = (0..50).map(|net| format!("198.51.{net}.1")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(count(&permits, &many), 64);
        let granted = permits.granted();
        assert!(
            granted.total == 0 && granted.by_key.is_empty(),
            "all were given back"
        );
    }

    #[test]
    fn few_turns_are_shared_as_well() {
        assert_eq!(
            count(&permits(2), &["192.0.2.1", "198.51.100.1", "203.0.113.1"]),
            2
        );
        assert_eq!(count(&permits(0), &["192.0.2.1"]), 0);
    }
}
