//! Wrong passwords, kept so that a repeated one is no further attempt and costs no hash.
//!
//! A device with an old password repeats it for years. It must use up neither the attempts of its account nor those
//! of its network, which may be shared by thousands. Each network has entries of its own, so that one that tries much
//! does not evict the entries of others.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use foxden_model::Network;

use crate::AuthPw;
use crate::register::account::AccountRow;

/// Proofs of all sites. Where more come, the site with the most forgets half of its own, those repeated the longest ago;
/// they count once more.
const CAPACITY: usize = 16_384;

/// What a proof is remembered by: the widest network that brought it, and a keyed hash of it, of whose it was to be, and
/// of what it was compared with. So a proof that was wrong is a new one after the password was changed, or the account
/// was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RejectedKey {
    network: u64,
    hash: u64,
}

/// Whether a client was told of a wrong proof what it says of which accounts exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disclosure {
    /// The client was told why. Telling it again reveals nothing new.
    Full,
    /// The client was told "wrong password", as for every name.
    None,
}

/// The proofs that were wrong.
#[derive(Default)]
pub(crate) struct RejectedPasswords {
    keys: RandomState,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// What was told of each, and when it was last brought.
    networks: HashMap<u64, HashMap<u64, (Disclosure, u64)>>,
    count: usize,
    /// Proofs brought so far: the order of time.
    uses: u64,
}

impl RejectedPasswords {
    /// The key of a wrong password for that name; `row` is the account with that name. Each name of an account has
    /// entries of its own. Otherwise a repetition under another name would be answered sooner if both names led to
    /// the same account.
    pub(crate) fn key(
        &self,
        row: Option<&AccountRow>,
        name: &str,
        auth_pw: &AuthPw,
        from: Network,
    ) -> RejectedKey {
        let verifier = row.and_then(|row| row.verifier.as_ref());
        let with = verifier.map(|verifier| verifier.verify_hash);
        let uid = row.map(|row| row.uid.0);
        RejectedKey {
            network: from.widest(),
            hash: self.keys.hash_one((name, uid, with, auth_pw.0)),
        }
    }

    /// What was told of the proof, if it was wrong before.
    pub(crate) fn lookup(&self, key: RejectedKey) -> Option<Disclosure> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.uses += 1;
        let now = entries.uses;
        let (disclosure, last) = entries.networks.get_mut(&key.network)?.get_mut(&key.hash)?;
        *last = now;
        Some(*disclosure)
    }

    /// Whether it was wrong before.
    pub(crate) fn contains(&self, key: RejectedKey) -> bool {
        self.lookup(key).is_some()
    }

    pub(crate) fn insert(&self, key: RejectedKey, disclosure: Disclosure) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.uses += 1;
        let now = entries.uses;
        let network = entries.networks.entry(key.network).or_default();
        let is_new = network.insert(key.hash, (disclosure, now)).is_none();
        entries.count += usize::from(is_new);
        if entries.count > CAPACITY {
            entries.shrink();
        }
    }
}

impl Entries {
    /// Has the site with the most forget half of them.
    fn shrink(&mut self) {
        let Some((&number, most)) = self.networks.iter_mut().max_by_key(|(_, network)| network.len()) else {
            return;
        };
        let mut times: Vec<u64> = most.values().map(|(_, last)| *last).collect();
        let (_, median, _) = times.select_nth_unstable(most.len() / 2);
        let (before, median) = (most.len(), *median);
        most.retain(|_, (_, last)| *last > median);
        self.count -= before - most.len();
        if most.is_empty() {
            self.networks.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(network: u64, hash: u64) -> RejectedKey {
        RejectedKey { network, hash }
    }

    #[test]
    fn what_is_repeated_stays_and_memory_is_bounded() {
        let cache = RejectedPasswords::default();
        cache.insert(key(1, 0), Disclosure::Full);
        for number in 1..10 * CAPACITY as u64 {
            cache.insert(key(1, number), Disclosure::None);
            if number % (CAPACITY as u64 / 4) == 0 {
                assert_eq!(cache.lookup(key(1, 0)), Some(Disclosure::Full), "{number}");
            }
        }
        assert!(!cache.contains(key(1, 1)));
        let entries = cache.entries.lock().unwrap();
        assert!(entries.count <= CAPACITY && entries.networks[&1].len() == entries.count);
    }

    #[test]
    fn a_site_that_tries_much_forgets_its_own_alone() {
        let cache = RejectedPasswords::default();
        cache.insert(key(1, 7), Disclosure::None);
        for number in 0..10 * CAPACITY as u64 {
            cache.insert(key(2 + number % 50, number), Disclosure::None);
        }
        assert!(cache.contains(key(1, 7)));
        assert!(!cache.contains(key(2, 7)));
        for network in 100..300 + CAPACITY as u64 {
            cache.insert(key(network, 7), Disclosure::None);
        }
        let entries = cache.entries.lock().unwrap();
        let held: usize = entries.networks.values().map(HashMap::len).sum();
        assert!(entries.count <= CAPACITY && held == entries.count && entries.networks.len() <= CAPACITY);
    }
}
