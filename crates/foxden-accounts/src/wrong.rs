//! Proofs of passwords that were wrong, so that one which is repeated is no further try and costs no hash.
//!
//! A device that is left with an old password repeats it for years. It must use up neither the tries of its account nor
//! those of its network: thousands may sit behind one address.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::AuthPw;
use crate::register::account::AccountRow;

/// Proofs of a generation; there are two. Where more come, the oldest are forgotten, and count once more.
const KEPT: usize = 8192;

/// What a proof is remembered by: a keyed hash of it, of whose it was to be, and of what it was compared with. So a proof
/// that was wrong is a new one after the password was changed, or the account was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProofKey(u64);

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
    kept: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<ProofKey, Told>,
    old: HashMap<ProofKey, Told>,
}

impl WrongProofs {
    /// What a proof for that name is remembered by; `row` is the account that is called so.
    pub(crate) fn key(&self, row: Option<&AccountRow>, name: &str, auth_pw: &AuthPw) -> ProofKey {
        let verifier = row.and_then(|row| row.verifier.as_ref());
        let with = verifier.map(|verifier| verifier.verify_hash);
        let uid = row.map(|row| row.uid.0);
        let name = row.is_none().then_some(name);
        ProofKey(self.keys.hash_one((name, uid, with, auth_pw.0)))
    }

    /// What was told of the proof, if it was wrong before.
    pub(crate) fn recall(&self, proof: ProofKey) -> Option<Told> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = kept.young.get(&proof) {
            return Some(*told);
        }
        let told = kept.old.get(&proof).copied()?;
        kept.keep(proof, told);
        Some(told)
    }

    /// Whether it was wrong before.
    pub(crate) fn is_known(&self, proof: ProofKey) -> bool {
        self.recall(proof).is_some()
    }

    pub(crate) fn keep(&self, proof: ProofKey, told: Told) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keep(proof, told);
    }
}

impl Generations {
    fn keep(&mut self, proof: ProofKey, told: Told) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(proof, told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_stays_and_memory_is_bounded() {
        let proofs = WrongProofs::default();
        proofs.keep(ProofKey(0), Told::All);
        for number in 1..10 * KEPT as u64 {
            proofs.keep(ProofKey(number), Told::Nothing);
            if number % (KEPT as u64 / 2) == 0 {
                assert_eq!(proofs.recall(ProofKey(0)), Some(Told::All), "{number}");
            }
        }
        assert!(!proofs.is_known(ProofKey(1)));
        let kept = proofs.kept.lock().unwrap();
        assert!(kept.young.len() <= KEPT && kept.old.len() <= KEPT);
    }
}
