//! The name of a channel.

use foxden_model::Rng;

/// The characters of names: none that people confuse.
pub(super) const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// The length of a name. Clients split their code into eight characters of secret and four of name.
const NAME: usize = 4;

/// The name of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ChannelName([u8; NAME]);

impl ChannelName {
    /// The name in a path. No channel has a name of another length.
    pub(super) fn of(word: &str) -> Self {
        Self(word.as_bytes().try_into().unwrap_or_default())
    }

    /// The name as text.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A random name.
    pub(super) fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; NAME];
        rng.fill(&mut bytes);
        Self(bytes.map(|byte| ALPHABET[usize::from(byte) % ALPHABET.len()]))
    }
}
