//! Nonces of signed requests, remembered for as long as a request with the same time would be taken.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use crate::{AccountError, TokenId};

/// A request's time may be this far off in either direction, so a nonce matters for twice as long.
const MEMORY_MILLIS: i64 = 2 * 60_000;
/// Beyond this the oldest are forgotten early.
const REMEMBERED: usize = 50_000;

/// The nonces seen of late.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    known: HashSet<[u64; 2]>,
    order: VecDeque<(i64, [u64; 2])>,
}

impl Nonces {
    /// Takes a nonce that this credential has not used of late.
    pub(crate) fn accept(&self, id: &TokenId, nonce: &str, now: i64) -> Result<(), AccountError> {
        let mark = mark(id, nonce);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.order.len() >= REMEMBERED
            || seen.order.front().is_some_and(|(at, _)| now - at > MEMORY_MILLIS)
        {
            let Some((_, oldest)) = seen.order.pop_front() else {
                break;
            };
            seen.known.remove(&oldest);
        }
        if !seen.known.insert(mark) {
            return Err(AccountError::Replayed);
        }
        seen.order.push_back((now, mark));
        Ok(())
    }
}

/// Two hashes: nobody but the credential's owner can choose what goes in, so no secret key is needed.
fn mark(id: &TokenId, nonce: &str) -> [u64; 2] {
    [0_u8, 1].map(|seed| {
        let mut hasher = DefaultHasher::new();
        (seed, &id.0, nonce).hash(&mut hasher);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_counts_once_for_each_credential_until_it_is_old() {
        let nonces = Nonces::default();
        let (ann, bea) = (TokenId([1; 32]), TokenId([2; 32]));
        nonces.accept(&ann, "n", 0).unwrap();
        assert!(matches!(nonces.accept(&ann, "n", 1), Err(AccountError::Replayed)));
        nonces.accept(&bea, "n", 1).unwrap();
        nonces.accept(&ann, "n", MEMORY_MILLIS + 1).unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let nonces = Nonces::default();
        for number in 0..REMEMBERED + 10 {
            nonces.accept(&TokenId([1; 32]), &number.to_string(), 0).unwrap();
        }
        assert_eq!(nonces.0.lock().unwrap().known.len(), REMEMBERED);
    }
}
