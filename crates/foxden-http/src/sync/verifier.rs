//! Checks tokens, and remembers those it checked lately: a client sends one token with all its requests.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use foxden_accounts::token::{BadToken, TokenSecrets, Verified};
use ring::hmac;

/// How many groups are remembered apart, so that threads seldom meet.
const GROUPS: usize = 64;
/// How many tokens one group remembers.
const GROUP: usize = 8;

/// Checks tokens with a node's secrets.
pub struct Verifier {
    secrets: Arc<TokenSecrets>,
    groups: Vec<Mutex<Vec<Remembered>>>,
}

/// A token that is genuine, with its key made ready.
pub(super) struct Checked {
    pub(super) token: Verified,
    pub(super) key: hmac::Key,
}

struct Remembered {
    id: Box<str>,
    checked: Arc<Checked>,
}

impl Verifier {
    /// A verifier that remembers nothing yet.
    pub fn new(secrets: Arc<TokenSecrets>) -> Self {
        Self {
            secrets,
            groups: (0..GROUPS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Checks a token's id. Whether it has expired is for the caller to judge.
    pub(super) fn verify(&self, id: &str) -> Result<Arc<Checked>, BadToken> {
        let group = &self.groups[group(id)];
        if let Some(checked) = recall(group, id) {
            return Ok(checked);
        }
        let token = self.secrets.verify(id)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.key.as_str().as_bytes());
        let checked = Arc::new(Checked { token, key });
        remember(group, id, &checked);
        Ok(checked)
    }
}

/// The group of a token. Ids end with a signature, whose bytes are as good as random.
fn group(id: &str) -> usize {
    let end = id.trim_end_matches('=').bytes().rev().take(4);
    end.fold(0, |sum, byte| sum * 31 + usize::from(byte)) % GROUPS
}

/// Nobody waits for a group that is in use: checking anew takes no longer than waiting would.
fn recall(group: &Mutex<Vec<Remembered>>, id: &str) -> Option<Arc<Checked>> {
    let group = match group.try_lock() {
        Ok(group) => group,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    let remembered = group.iter().find(|remembered| *remembered.id == *id)?;
    Some(Arc::clone(&remembered.checked))
}

fn remember(group: &Mutex<Vec<Remembered>>, id: &str, checked: &Arc<Checked>) {
    let mut group = group.lock().unwrap_or_else(PoisonError::into_inner);
    if group.len() >= GROUP {
        group.remove(0);
    }
    group.push(Remembered {
        id: id.into(),
        checked: Arc::clone(checked),
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
                beside: &[],
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
        let remembered = verifier.groups.iter().map(|group| group.lock().unwrap().len());
        assert_eq!(remembered.clone().max(), Some(GROUP));
        assert!(remembered.sum::<usize>() > GROUPS * GROUP / 2);
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
