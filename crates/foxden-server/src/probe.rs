//! The page by which `foxden check` recognises this very server from outside.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use foxden_model::Chance;

use crate::chance;

/// Where the page is, before the word.
pub const PATH: &str = "/.well-known/foxden-check/";

/// How long a word is known.
const LIFE: Duration = Duration::from_secs(60);

/// A word that was told over the control socket and is looked for at the public address.
#[derive(Debug, Default)]
pub struct Probe(Mutex<Option<(String, Instant)>>);

impl Probe {
    /// A new word, known for a minute.
    pub fn announce(&self, chance: &dyn Chance) -> String {
        let word = chance::hex(chance, 16);
        let until = Instant::now() + LIFE;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((word.clone(), until));
        word
    }

    /// Whether this is the word.
    pub fn knows(&self, word: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .is_some_and(|(known, until)| known == word && Instant::now() < *until)
    }
}
