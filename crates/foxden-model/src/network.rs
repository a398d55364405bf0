//! The network of a client.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of a client, in the widths that rate limits count: the whole IPv4 address or its first 24 bits; the first 64, 56
/// or 48 bits of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// How many times the usual limit a private network is allowed.
const PRIVATE: u32 = 10;

/// How many bits of an address count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Width {
    /// 32 bits of IPv4, 64 of IPv6: a household.
    Narrow,
    /// 56 bits of IPv6: the largest block that providers give a household.
    Middle,
    /// 24 bits of IPv4, 48 of IPv6: a site, a neighbourhood, or a block that is cheap to rent.
    Wide,
}

impl Network {
    /// The network of that address. IPv4-mapped IPv6 addresses count as IPv4, and so do those of a translator in front of an
    /// IPv6-only server (`64:ff9b::/96`, RFC 6052).
    pub const fn of(address: IpAddr) -> Self {
        const TRANSLATED: u128 = 0x64_ff9b << 96;
        match address.to_canonical() {
            IpAddr::V6(v6) if v6.to_bits() >> 32 == TRANSLATED >> 32 => {
                let [.., a, b, c, d] = v6.octets();
                Self(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
            }
            address => Self(address),
        }
    }

    /// Whether it is this machine or a private network.
    pub const fn is_private(self) -> bool {
        match self.0 {
            IpAddr::V4(v4) => {
                v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
            }
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        }
    }

    /// The factor by which its limits are raised: a private address may stand for a whole house, or for a proxy that does not name
    /// its clients.
    pub const fn allowance_factor(self) -> u32 {
        if self.is_private() { PRIVATE } else { 1 }
    }

    /// The network with this narrowest prefix; `None` for zero.
    pub fn from_narrowest(prefix: u64) -> Option<Self> {
        let address = match u32::try_from(prefix) {
            Ok(0) => return None,
            Ok(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4)),
            Err(_) => IpAddr::V6(Ipv6Addr::from_bits(u128::from(prefix) << 64)),
        };
        Some(Self(address))
    }

    /// The first bits of the address: equal for all addresses of one network of that width and different for all others. `None` if
    /// the address has no such width.
    pub fn prefix(self, width: Width) -> Option<u64> {
        let bits = match (self.0, width) {
            (IpAddr::V4(v4), Width::Narrow) => return Some(u64::from(v4.to_bits())),
            (IpAddr::V4(_), Width::Middle) => return None,
            // No IPv6 network in use begins with zeros, so no prefix equals that of an IPv4 network.
            (IpAddr::V4(v4), Width::Wide) => return Some(u64::from(v4.to_bits() >> 8)),
            (IpAddr::V6(v6), Width::Narrow) => v6.to_bits() >> 64,
            (IpAddr::V6(v6), Width::Middle) => v6.to_bits() >> 72,
            (IpAddr::V6(v6), Width::Wide) => v6.to_bits() >> 80,
        };
        u64::try_from(bits).ok()
    }

    /// The prefix of the widest network.
    pub fn widest(self) -> u64 {
        self.prefix(Width::Wide).unwrap_or_default()
    }

    /// The prefix of the narrowest network.
    pub fn narrowest(self) -> u64 {
        self.prefix(Width::Narrow).unwrap_or_default()
    }
}

impl Width {
    /// All widths, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Narrow, Self::Middle, Self::Wide];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_prefix_determines_all_networks() {
        for address in ["192.0.2.7", "2001:db8:1:203::4"] {
            let network = Network::of(address.parse().unwrap());
            let restored = Network::from_narrowest(network.narrowest()).unwrap();
            assert_eq!(
                Width::ALL.map(|width| restored.prefix(width)),
                Width::ALL.map(|width| network.prefix(width))
            );
        }
        assert_eq!(Network::from_narrowest(0), None);
    }

    #[test]
    fn private_networks_are_allowed_ten_times_as_much() {
        for (address, times) in [
            ("127.0.0.1", 10),
            ("::1", 10),
            ("10.1.2.3", 10),
            ("172.17.0.1", 10),
            ("::ffff:192.168.1.1", 10),
            ("169.254.1.1", 10),
            ("0.0.0.0", 10),
            ("fd00::1", 10),
            ("fe80::1", 10),
            ("192.0.2.1", 1),
            ("100.64.0.1", 1),
            ("172.32.0.1", 1),
            ("2001:db8::1", 1),
        ] {
            assert_eq!(
                Network::of(address.parse().unwrap()).allowance_factor(),
                times,
                "{address}"
            );
        }
    }

    #[test]
    fn neighbours_share_the_networks_they_are_in() {
        let shared = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| Network::of(text.parse().unwrap()));
            Width::ALL.map(|width| {
                let prefix = one.prefix(width);
                prefix.is_some() && prefix == other.prefix(width)
            })
        };
        assert_eq!(shared("192.0.2.1", "192.0.2.1"), [true, false, true]);
        assert_eq!(shared("192.0.2.1", "192.0.2.200"), [false, false, true]);
        assert_eq!(shared("192.0.2.1", "192.0.3.1"), [false; 3]);
        assert_eq!(shared("192.0.2.1", "::ffff:192.0.2.1"), [true, false, true]);
        assert_eq!(shared("192.0.2.1", "64:ff9b::192.0.2.1"), [true, false, true]);
        assert_eq!(shared("64:ff9b::192.0.2.1", "64:ff9b::198.51.100.1"), [false; 3]);
        assert_eq!(shared("2001:db8::1", "2001:db8::2"), [true; 3]);
        assert_eq!(shared("2001:db8::1", "2001:db8:0:1::1"), [false, true, true]);
        assert_eq!(shared("2001:db8::1", "2001:db8:0:100::1"), [false, false, true]);
        assert_eq!(shared("2001:db8::1", "2001:db8:1::1"), [false; 3]);
    }
}
