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

/// The maximum number of entries. Beyond it, the site with the most entries loses half of them, the least recently
/// repeated; these count again.
const CAPACITY: usize = 16_384;

/// The key of a rejected password: the widest network of the client, and a keyed hash of the password, the name and the
/// stored hash. So a password that was wrong is a new one after the password was changed, or the account was created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RejectedKey {
    network: u64,
    hash: u64,
}

/// Whether the answer to a rejected password revealed if the account exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disclosure {
    /// The answer gave the reason. A repetition of it reveals nothing new.
    Full,
    /// The answer was "wrong password", as for every name.
    None,
}

/// The cache of rejected passwords.
#[derive(Default)]
pub(crate) struct RejectedPasswords {
    keys: RandomState,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// The disclosure of each, and its last use.
    networks: HashMap<u64, HashMap<u64, (Disclosure, u64)>>,
    count: usize,
    /// The number of uses so far. It orders entries by time.
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
        let verify_hash = verifier.map(|verifier| verifier.verify_hash);
        let uid = row.map(|row| row.uid.0);
        RejectedKey {
            network: from.widest(),
            hash: self.keys.hash_one((name, uid, verify_hash, auth_pw.0)),
        }
    }

    /// Returns the earlier disclosure if this password was rejected before.
    pub(crate) fn lookup(&self, key: RejectedKey) -> Option<Disclosure> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.uses += 1;
        let now = entries.uses;
        let (disclosure, last) = entries.networks.get_mut(&key.network)?.get_mut(&key.hash)?;
        *last = now;
        Some(*disclosure)
    }

    /// Returns whether this password was rejected before.
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
    /// Removes the least recently used half of the entries of the network that has the most.
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
    fn repeated_entries_stay_and_memory_is_bounded() {
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
    fn a_site_with_many_tries_evicts_only_its_own() {
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
