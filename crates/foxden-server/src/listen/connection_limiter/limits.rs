//! How many connections each network and each user has, and may have.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foxden_model::{Network, UserId, Width};

use crate::config::http::Http;

/// The keys by which connections are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// The clients of a network, by its width and its first bits.
    Network(Width, u64),
    /// A user, whose responses wait for a client to take them. The request has proved to come from that user.
    User(UserId),
}

/// How many connections each key may have.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    narrow: u32,
    middle: u32,
    wide: u32,
    user: u32,
}

/// How many connections each key has. A key without a connection is not kept.
#[derive(Debug, Default)]
pub struct KeyCounts(HashMap<LimitKey, u32>);

impl ConnectionLimits {
    /// The limits where so many connections are allowed. However few those are, no network may have all.
    pub fn new(http: &Http, connections: u32) -> Self {
        let narrow = http.max_connections_per_network;
        let of_seats = |eighths: u32| (connections.saturating_mul(eighths) / 8).max(1);
        Self {
            narrow: narrow.min(of_seats(4)),
            middle: narrow.saturating_mul(2).min(of_seats(5)),
            wide: narrow.saturating_mul(4).min(of_seats(6)),
            user: http.max_slow_readers.min(of_seats(2)),
        }
    }

    /// The connections that this key may have.
    pub const fn of(&self, key: LimitKey) -> u32 {
        match key {
            LimitKey::Network(Width::Narrow, _) => self.narrow,
            LimitKey::Network(Width::Middle, _) => self.middle,
            LimitKey::Network(Width::Wide, _) => self.wide,
            LimitKey::User(_) => self.user,
        }
    }
}

impl LimitKey {
    /// The first address of a network.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::User(_) => None,
            Self::Network(width, prefix) => {
                let [v4, v6] = bits(width);
                // The bits of an IPv4 network are few.
                Some(match u32::try_from(prefix) {
                    Ok(bits) => Ipv4Addr::from_bits(bits << (32 - v4)).into(),
                    Err(_) => Ipv6Addr::from_bits(u128::from(prefix) << (128 - v6)).into(),
                })
            }
        }
    }

    /// The networks of a client.
    pub fn networks(client: Network) -> impl Iterator<Item = Self> {
        let key = move |width| Some(Self::Network(width, client.prefix(width)?));
        Width::ALL.map(key).into_iter().flatten()
    }
}

impl KeyCounts {
    /// Counts one more for each of these keys.
    pub fn add(&mut self, keys: impl Iterator<Item = LimitKey>) {
        for key in keys {
            *self.0.entry(key).or_default() += 1;
        }
    }

    /// Counts one less for each of these keys.
    pub fn remove(&mut self, keys: impl Iterator<Item = LimitKey>) {
        for key in keys {
            if let Some(count) = self.0.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// How many this key has.
    pub fn of(&self, key: LimitKey) -> u32 {
        self.0.get(&key).copied().unwrap_or_default()
    }

    /// By how many each key exceeds its limit.
    pub fn excess(&self, limits: &ConnectionLimits) -> HashMap<LimitKey, u32> {
        let over = |(key, count): (&LimitKey, &u32)| {
            let excess = count.saturating_sub(limits.of(*key));
            (excess > 0).then_some((*key, excess))
        };
        self.0.iter().filter_map(over).collect()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How many first bits a network of that width has, of IPv4 and of IPv6.
const fn bits(width: Width) -> [u32; 2] {
    match width {
        Width::Narrow => [32, 64],
        Width::Middle => [32, 56],
        Width::Wide => [24, 48],
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.address()) {
            (Self::User(user), _) => write!(f, "user {}", user.0),
            (Self::Network(width, _), Some(address)) => {
                let [v4, v6] = bits(width);
                write!(f, "{address}/{}", if address.is_ipv4() { v4 } else { v6 })
            }
            (Self::Network(..), None) => f.write_str("a network"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_named_as_operators_write_networks() {
        let names = |address: &str| {
            let client = Network::of(address.parse().unwrap());
            let names = LimitKey::networks(client).map(|key| key.to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("192.0.2.7"), "192.0.2.7/32 192.0.2.0/24");
        assert_eq!(
            names("2001:db8:1:203::4"),
            "2001:db8:1:203::/64 2001:db8:1:200::/56 2001:db8:1::/48"
        );
        assert_eq!(LimitKey::User(UserId(7)).to_string(), "user 7");
    }
}
