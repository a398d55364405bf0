//! Whose a channel, a message or a request is: the network's that it came from, in each of its widths.

use std::collections::HashMap;
use std::net::IpAddr;

use foxden_model::{Network, Width};

/// A network that channels and messages are counted for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    network: Network,
}

/// A network of one width.
pub(super) type Part = (Width, u64);

/// What networks hold at the moment. Those that hold nothing take no place.
#[derive(Debug)]
pub(super) struct Shares {
    /// What one household may hold.
    narrow: usize,
    held: HashMap<Part, usize>,
}

impl Owner {
    pub(super) fn of(address: IpAddr) -> Self {
        Self {
            network: Network::of(address),
        }
    }

    /// The networks it is in, and how many times as much as one household each may have.
    pub(super) fn parts(self) -> impl Iterator<Item = (Part, u32)> {
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

    /// The widest of them.
    pub(super) fn widest(self) -> Part {
        (Width::Wide, self.network.widest())
    }
}

impl Shares {
    /// None held yet.
    pub(super) fn new(narrow: usize) -> Self {
        Self {
            narrow,
            held: HashMap::new(),
        }
    }

    /// Whether so much more stays within every share.
    pub(super) fn may_take(&self, owner: Owner, more: usize) -> bool {
        owner.parts().all(|(part, times)| {
            let most = self.narrow.saturating_mul(times as usize);
            self.held(part).saturating_add(more) <= most
        })
    }

    pub(super) fn take(&mut self, owner: Owner, more: usize) {
        for (part, _) in owner.parts().filter(|_| more > 0) {
            *self.held.entry(part).or_default() += more;
        }
    }

    pub(super) fn give_back(&mut self, owner: Owner, less: usize) {
        for (part, _) in owner.parts() {
            let left = self.held(part).saturating_sub(less);
            match left {
                0 => self.held.remove(&part),
                left => self.held.insert(part, left),
            };
        }
    }

    /// The wide network that holds most, if it holds more than that one will with so much more: the one to yield.
    pub(super) fn who_yields_to(&self, owner: Owner, more: usize) -> Option<Part> {
        let heavier = self.heavier_than(owner, more);
        heavier.max_by_key(|(_, held)| *held).map(|(largest, _)| largest)
    }

    /// The wide networks that hold more than that one will with so much more, and how much.
    pub(super) fn heavier_than(&self, owner: Owner, more: usize) -> impl Iterator<Item = (Part, usize)> {
        let own = self.held(owner.widest()).saturating_add(more);
        let wide = self.held.iter().filter(|((width, _), _)| *width == Width::Wide);
        wide.map(|(part, held)| (*part, *held))
            .filter(move |(_, held)| *held > own)
    }

    fn held(&self, part: Part) -> usize {
        self.held.get(&part).copied().unwrap_or(0)
    }

    /// How many networks hold something.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(address: &str) -> Owner {
        Owner::of(address.parse().unwrap())
    }

    #[test]
    fn neighbours_share_a_bound_that_rises_with_the_width() {
        let mut shares = Shares::new(10);
        for (household, taken) in [
            ("192.0.2.1", 10),
            ("192.0.2.2", 10),
            ("192.0.2.3", 10),
            ("192.0.2.4", 10),
        ] {
            assert!(!shares.may_take(owner(household), taken + 1));
            assert!(shares.may_take(owner(household), taken));
            shares.take(owner(household), taken);
        }
        assert!(
            !shares.may_take(owner("192.0.2.5"), 1),
            "four times as much for 24 bits"
        );
        assert!(shares.may_take(owner("192.0.3.5"), 10));
        shares.take(owner("2001:db8::1"), 10);
        shares.take(owner("2001:db8:0:1::1"), 10);
        assert!(
            !shares.may_take(owner("2001:db8:0:2::1"), 1),
            "twice as much for 56 bits"
        );
        assert!(shares.may_take(owner("2001:db8:0:100::1"), 10));
        assert!(shares.may_take(owner("10.0.0.1"), 100) && !shares.may_take(owner("10.0.0.1"), 101));
    }

    #[test]
    fn what_is_given_back_leaves_nothing() {
        let mut shares = Shares::new(10);
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            shares.take(owner(address), 3);
            shares.take(owner(address), 0);
        }
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            shares.give_back(owner(address), 3);
        }
        assert_eq!(shares.len(), 0);
    }

    #[test]
    fn the_network_that_holds_most_yields() {
        let mut shares = Shares::new(10);
        for address in ["192.0.2.1", "192.0.2.2", "198.51.100.1"] {
            shares.take(owner(address), 1);
        }
        let yields = |shares: &Shares, address| shares.who_yields_to(owner(address), 1);
        assert_eq!(yields(&shares, "203.0.113.1"), Some(owner("192.0.2.9").widest()));
        assert_eq!(yields(&shares, "192.0.2.3"), None, "not to itself");
        assert_eq!(
            yields(&shares, "198.51.100.2"),
            None,
            "nor to one that holds as much"
        );
    }
}
