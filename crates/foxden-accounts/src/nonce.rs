//! Nonces of signed requests, kept for as long as a request with the same timestamp would be accepted.
//!
//! Each account has a list of its own, so that one that signs much does not evict the nonces of others. So has each
//! credential that any client can obtain for a foreign account.
//!
//! Requests carry a timestamp and are judged by it, so a nonce is evicted when it is old both by the wall clock and
//! by the steady clock: setting the wall clock forward or back does not let a request be repeated.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::{AccountId, OnceKey, Replayed, TokenId};

/// A request's time may be this far off in either direction, so a nonce matters for twice as long.
pub(crate) const MEMORY_MILLIS: i64 = 2 * 60_000;
/// The maximum number of nonces of an account. Beyond it, the account's oldest are evicted.
const MAX_PER_ACCOUNT: usize = 2000;
/// The maximum number of all nonces. Beyond it, the account with the most loses its older half.
const MAX_NONCES: usize = 200_000;

/// Recent nonces of this process.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<SeenNonces>);

#[derive(Default)]
struct SeenNonces {
    accounts: HashMap<Signer, VecDeque<(ClockReading, OnceKey)>>,
    count: usize,
    /// When accounts without recent nonces are next removed, in steady milliseconds.
    sweep_at: i64,
}

/// The owner whose memory share a nonce uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Signer {
    /// An account that the credential proves.
    Account(AccountId),
    /// A credential that proves nothing of its account, by its id.
    Credential([u8; 32]),
}

/// The wall clock and the steady clock, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockReading {
    pub(crate) wall: i64,
    pub(crate) steady: i64,
}

/// A nonce that was accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    pub(crate) key: OnceKey,
    /// One of the same owner that it evicted.
    pub(crate) evicted: Option<OnceKey>,
}

impl ClockReading {
    fn is_long_after(self, then: Self) -> bool {
        self.steady - then.steady > MEMORY_MILLIS && self.wall - then.wall > MEMORY_MILLIS
    }
}

impl Nonces {
    /// Records a nonce; `Err` if this credential has used it recently. `account` is the account that the credential proves.
    pub(crate) fn accept(
        &self,
        account: Option<AccountId>,
        id: &TokenId,
        nonce: &str,
        now: ClockReading,
    ) -> Result<Accepted, Replayed> {
        let key = OnceKey::of("nonce", &[&id.0, nonce.as_bytes()]);
        let signer = account.map_or(Signer::Credential(id.0), Signer::Account);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.sweep(now);
        let own = seen.accounts.entry(signer).or_default();
        let before = own.len();
        while own.front().is_some_and(|(at, _)| now.is_long_after(*at)) {
            own.pop_front();
        }
        let is_known = own.iter().any(|(_, known)| *known == key);
        let mut evicted = None;
        if !is_known {
            if own.len() >= MAX_PER_ACCOUNT {
                evicted = own.pop_front().map(|(_, key)| key);
            }
            own.push_back((now, key));
        }
        let after = own.len();
        seen.count = seen.count + after - before;
        if is_known {
            return Err(Replayed);
        }
        if seen.count > MAX_NONCES {
            seen.shrink();
        }
        Ok(Accepted { key, evicted })
    }
}

impl SeenNonces {
    /// Removes accounts without recent nonces, at intervals.
    fn sweep(&mut self, now: ClockReading) {
        if now.steady < self.sweep_at {
            return;
        }
        self.sweep_at = now.steady + MEMORY_MILLIS;
        self.accounts
            .retain(|_, own| own.back().is_some_and(|(at, _)| !now.is_long_after(*at)));
        self.count = self.accounts.values().map(VecDeque::len).sum();
    }

    /// Removes the older half of the nonces of the account that has the most.
    fn shrink(&mut self) {
        if let Some(most) = self.accounts.values_mut().max_by_key(|own| own.len()) {
            let half = most.len().div_ceil(2);
            most.drain(..half);
            self.count -= half;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Option<AccountId> = Some(AccountId([1; 16]));
    const BEA: Option<AccountId> = Some(AccountId([2; 16]));

    /// The clocks after this time, if the wall clock is not set.
    const fn at(millis: i64) -> ClockReading {
        ClockReading {
            wall: millis,
            steady: millis,
        }
    }

    #[test]
    fn a_nonce_counts_once_for_each_credential_until_it_is_old() {
        let nonces = Nonces::default();
        let (ann, bea) = (TokenId([1; 32]), TokenId([2; 32]));
        nonces.accept(ANN, &ann, "n", at(0)).unwrap();
        assert!(matches!(nonces.accept(ANN, &ann, "n", at(1)), Err(Replayed)));
        nonces.accept(BEA, &bea, "n", at(1)).unwrap();
        nonces.accept(ANN, &ann, "n", at(MEMORY_MILLIS + 1)).unwrap();
    }

    #[test]
    fn a_clock_that_is_set_lets_no_request_be_repeated() {
        let nonces = Nonces::default();
        let ann = TokenId([1; 32]);
        nonces.accept(ANN, &ann, "n", at(0)).unwrap();
        let day = 86_400_000;
        for now in [
            // Set forward, and back again.
            ClockReading {
                wall: day,
                steady: 10,
            },
            ClockReading { wall: 20, steady: 20 },
            // Set back: the clock shows the time of the request once more, much later.
            ClockReading {
                wall: -day,
                steady: 30,
            },
            ClockReading { wall: 0, steady: day },
        ] {
            let again = nonces.accept(ANN, &ann, "n", now);
            assert!(matches!(again, Err(Replayed)), "{now:?}");
        }
    }

    /// One account cannot evict the nonces of another, and the total is bounded.
    #[test]
    fn an_account_with_many_nonces_evicts_only_its_own() {
        let nonces = Nonces::default();
        let (ann, bea) = (TokenId([1; 32]), TokenId([2; 32]));
        nonces.accept(BEA, &bea, "n", at(0)).unwrap();
        let unauthenticated = TokenId([3; 32]);
        for number in 0..60_000 {
            let nonce = number.to_string();
            nonces.accept(ANN, &ann, &nonce, at(0)).unwrap();
            nonces.accept(None, &unauthenticated, &nonce, at(0)).unwrap();
        }
        let again = nonces.accept(BEA, &bea, "n", at(1));
        assert!(matches!(again, Err(Replayed)));
        for account in 0..200_u8 {
            for number in 0..1100 {
                let account = AccountId([account; 16]);
                nonces
                    .accept(Some(account), &ann, &format!("{number} {account}"), at(1))
                    .unwrap();
            }
        }
        let seen = nonces.0.lock().unwrap();
        assert!(seen.count <= MAX_NONCES);
        assert_eq!(
            seen.count,
            seen.accounts.values().map(VecDeque::len).sum::<usize>()
        );
        drop(seen);
        nonces.accept(ANN, &ann, "n", at(3 * MEMORY_MILLIS)).unwrap();
        assert_eq!(nonces.0.lock().unwrap().count, 1);
    }
}
