//! The networks that a channel, a message or a request counts towards: those of the client's address, in three
//! widths.

use std::collections::HashMap;
use std::net::IpAddr;

use foxden_model::{Network, Width};

/// The networks of a client's address.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientNetworks {
    network: Network,
}

/// A network of one width.
pub(super) type NetworkPrefix = (Width, u64);

/// How much each network holds. Networks that hold nothing take no memory.
#[derive(Debug)]
pub(super) struct NetworkShares {
    /// The limits of one IPv4 address or IPv6 /64.
    narrow: usize,
    held: HashMap<NetworkPrefix, usize>,
}

impl ClientNetworks {
    pub(super) fn of(address: IpAddr) -> Self {
        Self {
            network: Network::of(address),
        }
    }

    /// Returns the networks, and how many times the share of one address each may hold.
    pub(super) fn prefixes(self) -> impl Iterator<Item = (NetworkPrefix, u32)> {
        Width::ALL.into_iter().filter_map(move |width| {
            let times = match width {
                Width::Narrow => 1,
                Width::Middle => 2,
                Width::Wide => 4,
            };
            Some((
                (width, self.network.prefix(width)?),
                times * self.network.allowance_factor(),
            ))
        })
    }

    /// Returns the widest network.
    pub(super) fn widest(self) -> NetworkPrefix {
        (Width::Wide, self.network.widest())
    }
}

impl NetworkShares {
    /// Shares of which none is used.
    pub(super) fn new(narrow: usize) -> Self {
        Self {
            narrow,
            held: HashMap::new(),
        }
    }

    /// Returns whether `more` stays within every share.
    pub(super) fn allows(&self, networks: ClientNetworks, more: usize) -> bool {
        networks.prefixes().all(|(prefix, times)| {
            let most = self.narrow.saturating_mul(times as usize);
            self.held(prefix).saturating_add(more) <= most
        })
    }

    pub(super) fn take(&mut self, networks: ClientNetworks, more: usize) {
        for (prefix, _) in networks.prefixes().filter(|_| more > 0) {
            *self.held.entry(prefix).or_default() += more;
        }
    }

    pub(super) fn release(&mut self, networks: ClientNetworks, less: usize) {
        for (prefix, _) in networks.prefixes() {
            let left = self.held(prefix).saturating_sub(less);
            match left {
                0 => self.held.remove(&prefix),
                left => self.held.insert(prefix, left),
            };
        }
    }

    /// Returns the wide network that holds most, if it holds more than `networks` with `more` added.
    pub(super) fn largest_above(&self, networks: ClientNetworks, more: usize) -> Option<NetworkPrefix> {
        let larger = self.larger_than(networks, more);
        larger.max_by_key(|(_, held)| *held).map(|(largest, _)| largest)
    }

    /// Returns the wide networks that hold more than `networks` with `more` added, and how much each holds.
    pub(super) fn larger_than(
        &self,
        networks: ClientNetworks,
        more: usize,
    ) -> impl Iterator<Item = (NetworkPrefix, usize)> {
        let own = self.held(networks.widest()).saturating_add(more);
        let wide = self.held.iter().filter(|((width, _), _)| *width == Width::Wide);
        wide.map(|(prefix, held)| (*prefix, *held))
            .filter(move |(_, held)| *held > own)
    }

    fn held(&self, prefix: NetworkPrefix) -> usize {
        self.held.get(&prefix).copied().unwrap_or(0)
    }

    /// The number of networks that hold something.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(address: &str) -> ClientNetworks {
        ClientNetworks::of(address.parse().unwrap())
    }

    #[test]
    fn neighbours_share_a_bound_that_rises_with_the_width() {
        let mut shares = NetworkShares::new(10);
        for (household, held) in [
            ("192.0.2.1", 10),
            ("192.0.2.2", 10),
            ("192.0.2.3", 10),
            ("192.0.2.4", 10),
        ] {
            assert!(!shares.allows(networks(household), held + 1));
            assert!(shares.allows(networks(household), held));
            shares.take(networks(household), held);
        }
        assert!(
            !shares.allows(networks("192.0.2.5"), 1),
            "four times as much for 24 bits"
        );
        assert!(shares.allows(networks("192.0.3.5"), 10));
        shares.take(networks("2001:db8::1"), 10);
        shares.take(networks("2001:db8:0:1::1"), 10);
        assert!(
            !shares.allows(networks("2001:db8:0:2::1"), 1),
            "twice as much for 56 bits"
        );
        assert!(shares.allows(networks("2001:db8:0:100::1"), 10));
        assert!(shares.allows(networks("10.0.0.1"), 100) && !shares.allows(networks("10.0.0.1"), 101));
    }

    #[test]
    fn released_counts_leave_no_entry() {
        let mut shares = NetworkShares::new(10);
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            shares.take(networks(address), 3);
            shares.take(networks(address), 0);
        }
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            shares.release(networks(address), 3);
        }
        assert_eq!(shares.len(), 0);
    }

    #[test]
    fn the_network_that_holds_most_yields() {
        let mut shares = NetworkShares::new(10);
        for address in ["192.0.2.1", "192.0.2.2", "198.51.100.1"] {
            shares.take(networks(address), 1);
        }
        let yields = |shares: &NetworkShares, address| shares.largest_above(networks(address), 1);
        assert_eq!(
            yields(&shares, "203.0.113.1"),
            Some(networks("192.0.2.9").widest())
        );
        assert_eq!(yields(&shares, "192.0.2.3"), None, "not to itself");
        assert_eq!(
            yields(&shares, "198.51.100.2"),
            None,
            "nor to one that holds as much"
        );
    }
}
