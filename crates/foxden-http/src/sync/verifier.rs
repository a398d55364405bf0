//! Verifies tokens and caches the result: a client sends the same token with all its requests.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use foxden_accounts::token::{BadToken, TokenSecrets, Verified};
use ring::hmac;

/// Number of shards of the cache, so that threads rarely share one.
const SHARDS: usize = 64;
/// Maximum number of tokens in a shard.
const SHARD_CAPACITY: usize = 8;

/// Verifies tokens with the secrets of a node, and caches them.
pub struct Verifier {
    secrets: Arc<TokenSecrets>,
    shards: Vec<Mutex<Vec<CachedToken>>>,
}

/// A valid token, with its key prepared for signatures.
pub(super) struct VerifiedToken {
    pub(super) token: Verified,
    pub(super) key: hmac::Key,
}

struct CachedToken {
    id: Box<str>,
    verified: Arc<VerifiedToken>,
}

impl Verifier {
    /// A verifier with an empty cache.
    pub fn new(secrets: Arc<TokenSecrets>) -> Self {
        Self {
            secrets,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Verifies a token's id. The caller checks whether it has expired.
    pub(super) fn verify(&self, id: &str) -> Result<Arc<VerifiedToken>, BadToken> {
        let shard = &self.shards[shard(id)];
        if let Some(verified) = lookup(shard, id) {
            return Ok(verified);
        }
        let token = self.secrets.verify(id)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.key.as_str().as_bytes());
        let verified = Arc::new(VerifiedToken { token, key });
        insert(shard, id, &verified);
        Ok(verified)
    }
}

/// Returns the shard of a token. Ids end with a signature, whose bytes are as good as random.
fn shard(id: &str) -> usize {
    let end = id.trim_end_matches('=').bytes().rev().take(4);
    end.fold(0, |sum, byte| sum * 31 + usize::from(byte)) % SHARDS
}

/// Looks a token up. A shard in use is not waited for: verifying again takes no longer.
fn lookup(shard: &Mutex<Vec<CachedToken>>, id: &str) -> Option<Arc<VerifiedToken>> {
    let shard = match shard.try_lock() {
        Ok(shard) => shard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    let cached = shard.iter().find(|cached| *cached.id == *id)?;
    Some(Arc::clone(&cached.verified))
}

fn insert(shard: &Mutex<Vec<CachedToken>>, id: &str, verified: &Arc<VerifiedToken>) {
    let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
    if shard.len() >= SHARD_CAPACITY {
        shard.remove(0);
    }
    shard.push(CachedToken {
        id: id.into(),
        verified: Arc::clone(verified),
    });
}

#[cfg(test)]
mod tests {
    use foxden_accounts::token::Claims;
    use foxden_model::{SeededRng, UserId};

    use super::*;

    fn ids(secrets: &TokenSecrets, count: u64) -> Vec<String> {
        let rng = SeededRng::new(1);
        let mint = |user| {
            let claims = Claims {
                user: UserId(user),
                node: "https://sync.example.org",
                expires: 1,
                fxa_uid: "u",
                fxa_kid: "k",
                hashed_fxa_uid: None,
                hashed_device_id: None,
                other_uids: &[],
                backoff_seconds: 0,
            };
            secrets.mint(&claims, &rng).id
        };
        (0..count).map(mint).collect()
    }

    #[test]
    fn tokens_are_told_apart_and_memory_is_bounded() {
        let secrets = Arc::new(TokenSecrets::new([], "secret"));
        let verifier = Verifier::new(Arc::clone(&secrets));
        let ids = ids(&secrets, 2000);
        for _ in 0..2 {
            for (user, id) in (0..).zip(&ids) {
                assert_eq!(verifier.verify(id).unwrap().token.user, UserId(user));
            }
        }
        let cached = verifier.shards.iter().map(|shard| shard.lock().unwrap().len());
        assert_eq!(cached.clone().max(), Some(SHARD_CAPACITY));
        assert!(cached.sum::<usize>() > SHARDS * SHARD_CAPACITY / 2);
    }

    #[test]
    fn a_token_is_remembered_by_all_of_its_id() {
        let secrets = Arc::new(TokenSecrets::new([], "secret"));
        let verifier = Verifier::new(Arc::clone(&secrets));
        let id = ids(&secrets, 1).remove(0);
        let first = verifier.verify(&id).unwrap();
        assert!(Arc::ptr_eq(&first, &verifier.verify(&id).unwrap()));
        let other = if id.starts_with('e') { "f" } else { "e" };
        assert!(verifier.verify(&format!("{other}{}", &id[1..])).is_err());
        assert!(verifier.verify(id.trim_end_matches('=')).is_ok());
    }
}
