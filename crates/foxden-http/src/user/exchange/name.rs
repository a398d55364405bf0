//! The name of a channel.

use foxden_model::Rng;

/// What names are made of: nothing that people take for something else.
pub(super) const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// How long a name is: clients cut their code into eight characters of secret and four of name.
const NAME: usize = 4;

/// A channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name([u8; NAME]);

impl Name {
    /// The name that a word of the alphabet's characters is. One of another length is nobody's.
    pub(super) fn of(word: &str) -> Self {
        Self(word.as_bytes().try_into().unwrap_or_default())
    }

    /// As clients read it.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A name that `rng` picks.
    pub(super) fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; NAME];
        rng.fill(&mut bytes);
        Self(bytes.map(|byte| ALPHABET[usize::from(byte) % ALPHABET.len()]))
    }
}
