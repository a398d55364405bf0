//! The network that a client is in.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of a client, in the widths that budgets count: an address of IPv4 alone and its 24 first bits; the 64,
/// 56 and 48 first bits of an address of IPv6, where one person has at least the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// How many times as much a private network has.
const PRIVATE: u32 = 10;

/// How much of an address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Width {
    /// 32 bits of IPv4, 64 of IPv6: a household.
    Narrow,
    /// 56 bits of IPv6: what a provider gives a household at most.
    Middle,
    /// 24 bits of IPv4, 48 of IPv6: a site, a neighbourhood, or what somebody rents for little.
    Wide,
}

impl Network {
    /// The network of that address. An IPv4 address in IPv6 form is one of IPv4, also where a translator in front of a
    /// server that speaks IPv6 alone wrote it so (`64:ff9b::/96`, RFC 6052).
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

    /// Whether it is this machine or a network that the internet does not lead to.
    pub const fn is_private(self) -> bool {
        match self.0 {
            IpAddr::V4(v4) => {
                v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
            }
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        }
    }

    /// How many times as much it may have as others: a whole house, or a proxy that names no client, may stand behind a
    /// private address.
    pub const fn times(self) -> u32 {
        if self.is_private() { PRIVATE } else { 1 }
    }

    /// The network whose narrowest prefix this is, as far as that tells; `None` for zero.
    pub fn from_narrowest(prefix: u64) -> Option<Self> {
        let address = match u32::try_from(prefix) {
            Ok(0) => return None,
            Ok(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4)),
            Err(_) => IpAddr::V6(Ipv6Addr::from_bits(u128::from(prefix) << 64)),
        };
        Some(Self(address))
    }

    /// The first bits of the address, equal for all addresses of the same network of that width and different for all
    /// others; `None` where addresses have no such width.
    pub fn prefix(self, width: Width) -> Option<u64> {
        let bits = match (self.0, width) {
            (IpAddr::V4(v4), Width::Narrow) => return Some(u64::from(v4.to_bits())),
            (IpAddr::V4(_), Width::Middle) => return None,
            // No network of IPv6 in use begins with zeros, so none equals one of IPv4.
            (IpAddr::V4(v4), Width::Wide) => return Some(u64::from(v4.to_bits() >> 8)),
            (IpAddr::V6(v6), Width::Narrow) => v6.to_bits() >> 64,
            (IpAddr::V6(v6), Width::Middle) => v6.to_bits() >> 72,
            (IpAddr::V6(v6), Width::Wide) => v6.to_bits() >> 80,
        };
        u64::try_from(bits).ok()
    }

    /// The widest network that the address belongs to.
    pub fn widest(self) -> u64 {
        self.prefix(Width::Wide).unwrap_or_default()
    }

    /// The narrowest.
    pub fn narrowest(self) -> u64 {
        self.prefix(Width::Narrow).unwrap_or_default()
    }
}

impl Width {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Narrow, Self::Middle, Self::Wide];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_prefix_tells_all_networks() {
        for address in ["192.0.2.7", "2001:db8:1:203::4"] {
            let network = Network::of(address.parse().unwrap());
            let told = Network::from_narrowest(network.narrowest()).unwrap();
            assert_eq!(
                Width::ALL.map(|width| told.prefix(width)),
                Width::ALL.map(|width| network.prefix(width))
            );
        }
        assert_eq!(Network::from_narrowest(0), None);
    }

    #[test]
    fn private_networks_have_ten_times_as_much() {
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
            assert_eq!(Network::of(address.parse().unwrap()).times(), times, "{address}");
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
