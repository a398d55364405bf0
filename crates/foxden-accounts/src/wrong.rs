//! Proofs of passwords that were wrong, so that one which is repeated is no further try and costs no hash.
//!
//! A device that is left with an old password repeats it for years. It must use up neither the tries of its account nor
//! those of its network: thousands may sit behind one address. Each site remembers its own, so that nobody who tries
//! much makes the server forget what is known of others.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use foxden_model::Network;

use crate::AuthPw;
use crate::register::account::AccountRow;

/// Proofs of all sites. Where more come, the site with the most forgets half of its own, those repeated the longest ago;
/// they count once more.
const KEPT: usize = 16_384;

/// What a proof is remembered by: the widest network that brought it, and a keyed hash of it, of whose it was to be, and
/// of what it was compared with. So a proof that was wrong is a new one after the password was changed, or the account
/// was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProofKey {
    site: u64,
    hash: u64,
}

/// Whether a client was told of a wrong proof what it says of who is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was: to say so again tells nothing new.
    All,
    /// It was told what is told of every name.
    Nothing,
}

/// The proofs that were wrong.
#[derive(Default)]
pub(crate) struct WrongProofs {
    keys: RandomState,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// What was told of each, and when it was last brought.
    sites: HashMap<u64, HashMap<u64, (Told, u64)>>,
    count: usize,
    /// Proofs brought so far: the order of time.
    brought: u64,
}

impl WrongProofs {
    /// What a proof for that name is remembered by; `row` is the account that is called so. Each name of an account has its
    /// own: else a proof that is repeated under another one would be known sooner where both are somebody's.
    pub(crate) fn key(
        &self,
        row: Option<&AccountRow>,
        name: &str,
        auth_pw: &AuthPw,
        from: Network,
    ) -> ProofKey {
        let verifier = row.and_then(|row| row.verifier.as_ref());
        let with = verifier.map(|verifier| verifier.verify_hash);
        let uid = row.map(|row| row.uid.0);
        ProofKey {
            site: from.widest(),
            hash: self.keys.hash_one((name, uid, with, auth_pw.0)),
        }
    }

    /// What was told of the proof, if it was wrong before.
    pub(crate) fn recall(&self, proof: ProofKey) -> Option<Told> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.brought += 1;
        let now = kept.brought;
        let (told, last) = kept.sites.get_mut(&proof.site)?.get_mut(&proof.hash)?;
        *last = now;
        Some(*told)
    }

    /// Whether it was wrong before.
    pub(crate) fn is_known(&self, proof: ProofKey) -> bool {
        self.recall(proof).is_some()
    }

    pub(crate) fn keep(&self, proof: ProofKey, told: Told) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.brought += 1;
        let now = kept.brought;
        let site = kept.sites.entry(proof.site).or_default();
        let is_new = site.insert(proof.hash, (told, now)).is_none();
        kept.count += usize::from(is_new);
        if kept.count > KEPT {
            kept.shrink();
        }
    }
}

impl Kept {
    /// Has the site with the most forget half of them.
    fn shrink(&mut self) {
        let Some((&number, most)) = self.sites.iter_mut().max_by_key(|(_, site)| site.len()) else {
            return;
        };
        let mut times: Vec<u64> = most.values().map(|(_, last)| *last).collect();
        let (_, median, _) = times.select_nth_unstable(most.len() / 2);
        let (before, median) = (most.len(), *median);
        most.retain(|_, (_, last)| *last > median);
        self.count -= before - most.len();
        if most.is_empty() {
            self.sites.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn proof(site: u64, hash: u64) -> ProofKey {
        ProofKey { site, hash }
    }

    #[test]
    fn what_is_repeated_stays_and_memory_is_bounded() {
        let proofs = WrongProofs::default();
        proofs.keep(proof(1, 0), Told::All);
        for number in 1..10 * KEPT as u64 {
            proofs.keep(proof(1, number), Told::Nothing);
            if number % (KEPT as u64 / 4) == 0 {
                assert_eq!(proofs.recall(proof(1, 0)), Some(Told::All), "{number}");
            }
        }
        assert!(!proofs.is_known(proof(1, 1)));
        let kept = proofs.kept.lock().unwrap();
        assert!(kept.count <= KEPT && kept.sites[&1].len() == kept.count);
    }

    #[test]
    fn a_site_that_tries_much_forgets_its_own_alone() {
        let proofs = WrongProofs::default();
        proofs.keep(proof(1, 7), Told::Nothing);
        for number in 0..10 * KEPT as u64 {
            proofs.keep(proof(2 + number % 50, number), Told::Nothing);
        }
        assert!(proofs.is_known(proof(1, 7)));
        assert!(!proofs.is_known(proof(2, 7)));
        for site in 100..300 + KEPT as u64 {
            proofs.keep(proof(site, 7), Told::Nothing);
        }
        let kept = proofs.kept.lock().unwrap();
        let held: usize = kept.sites.values().map(HashMap::len).sum();
        assert!(kept.count <= KEPT && held == kept.count && kept.sites.len() <= KEPT);
    }
}
