//! Nonces of signed requests, remembered for as long as a request with the same time would be taken.
//!
//! Requests carry a reading of the clock and are judged by it, so a nonce is forgotten when it is old by the clock and by
//! the time that has passed: neither a clock set forward nor one set back lets a request be repeated.

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
    order: VecDeque<(Now, [u64; 2])>,
}

/// What the clock shows, and what time has passed, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) wall: i64,
    pub(crate) steady: i64,
}

impl Now {
    fn is_long_after(self, then: Self) -> bool {
        self.steady - then.steady > MEMORY_MILLIS && self.wall - then.wall > MEMORY_MILLIS
    }
}

impl Nonces {
    /// Takes a nonce that this credential has not used of late.
    pub(crate) fn accept(&self, id: &TokenId, nonce: &str, now: Now) -> Result<(), AccountError> {
        let mark = mark(id, nonce);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.order.len() >= REMEMBERED
            || seen.order.front().is_some_and(|(at, _)| now.is_long_after(*at))
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

    /// So much later, while the clock was left alone.
    const fn at(millis: i64) -> Now {
        Now {
            wall: millis,
            steady: millis,
        }
    }

    #[test]
    fn a_nonce_counts_once_for_each_credential_until_it_is_old() {
        let nonces = Nonces::default();
        let (ann, bea) = (TokenId([1; 32]), TokenId([2; 32]));
        nonces.accept(&ann, "n", at(0)).unwrap();
        assert!(matches!(
            nonces.accept(&ann, "n", at(1)),
            Err(AccountError::Replayed)
        ));
        nonces.accept(&bea, "n", at(1)).unwrap();
        nonces.accept(&ann, "n", at(MEMORY_MILLIS + 1)).unwrap();
    }

    #[test]
    fn a_clock_that_is_set_lets_no_request_be_repeated() {
        let nonces = Nonces::default();
        let ann = TokenId([1; 32]);
        nonces.accept(&ann, "n", at(0)).unwrap();
        let day = 86_400_000;
        for now in [
            // Set forward, and back again.
            Now {
                wall: day,
                steady: 10,
            },
            Now { wall: 20, steady: 20 },
            // Set back: the clock shows the time of the request once more, much later.
            Now {
                wall: -day,
                steady: 30,
            },
            Now { wall: 0, steady: day },
        ] {
            let again = nonces.accept(&ann, "n", now);
            assert!(matches!(again, Err(AccountError::Replayed)), "{now:?}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let nonces = Nonces::default();
        for number in 0..REMEMBERED + 10 {
            nonces
                .accept(&TokenId([1; 32]), &number.to_string(), at(0))
                .unwrap();
        }
        assert_eq!(nonces.0.lock().unwrap().known.len(), REMEMBERED);
    }
}
