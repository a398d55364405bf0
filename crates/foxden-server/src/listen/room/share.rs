//! Who takes how many seats, and how many each may take.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foxden_model::{Network, UserId, Width};

use crate::config::http::Http;

/// Whom a seat is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The clients of a network, by its width and its first bits.
    Network(Width, u64),
    /// A proven user, whose answers wait for a client to take them.
    User(UserId),
}

/// How many seats each owner may take.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    narrow: u32,
    middle: u32,
    wide: u32,
    user: u32,
}

/// How many seats are taken for each owner. It holds no owner without a seat.
#[derive(Debug, Default)]
pub struct Counts(HashMap<Owner, u32>);

impl Shares {
    /// The shares of a room with so many seats. However few there are, no network takes all.
    pub fn new(http: &Http, seats: u32) -> Self {
        let narrow = http.max_connections_per_network;
        let of_seats = |eighths: u32| (seats.saturating_mul(eighths) / 8).max(1);
        Self {
            narrow: narrow.min(of_seats(4)),
            middle: narrow.saturating_mul(2).min(of_seats(5)),
            wide: narrow.saturating_mul(4).min(of_seats(6)),
            user: http.max_slow_readers.min(of_seats(2)),
        }
    }

    /// The seats that may be taken for this owner.
    pub const fn of(&self, owner: Owner) -> u32 {
        match owner {
            Owner::Network(Width::Narrow, _) => self.narrow,
            Owner::Network(Width::Middle, _) => self.middle,
            Owner::Network(Width::Wide, _) => self.wide,
            Owner::User(_) => self.user,
        }
    }
}

impl Owner {
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
        let owner = move |width| Some(Self::Network(width, client.prefix(width)?));
        Width::ALL.map(owner).into_iter().flatten()
    }
}

impl Counts {
    /// One more for each of these.
    pub fn add(&mut self, owners: impl Iterator<Item = Owner>) {
        for owner in owners {
            *self.0.entry(owner).or_default() += 1;
        }
    }

    /// One less for each of these.
    pub fn remove(&mut self, owners: impl Iterator<Item = Owner>) {
        for owner in owners {
            if let Some(count) = self.0.get_mut(&owner) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&owner);
                }
            }
        }
    }

    /// How many are taken for this owner.
    pub fn of(&self, owner: Owner) -> u32 {
        self.0.get(&owner).copied().unwrap_or_default()
    }

    /// By how many each owner exceeds its share.
    pub fn excess(&self, shares: &Shares) -> HashMap<Owner, u32> {
        let over = |(owner, count): (&Owner, &u32)| {
            let excess = count.saturating_sub(shares.of(*owner));
            (excess > 0).then_some((*owner, excess))
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

impl fmt::Display for Owner {
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
            let names = Owner::networks(client).map(|owner| owner.to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("192.0.2.7"), "192.0.2.7/32 192.0.2.0/24");
        assert_eq!(
            names("2001:db8:1:203::4"),
            "2001:db8:1:203::/64 2001:db8:1:200::/56 2001:db8:1::/48"
        );
        assert_eq!(Owner::User(UserId(7)).to_string(), "user 7");
    }
}
