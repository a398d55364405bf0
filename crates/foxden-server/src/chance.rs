//! The operating system's random bytes. Their one home.

use foxden_model::Chance;
use ring::rand::{SecureRandom, SystemRandom};

/// Random bytes that nobody can guess.
#[derive(Debug)]
pub struct SystemChance(SystemRandom);

impl SystemChance {
    /// The machine's own source.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of the system's random bytes"
    )]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Chance for SystemChance {
    fn fill(&self, buffer: &mut [u8]) {
        self.0
            .fill(buffer)
            .expect("a machine without random bytes can keep no secrets, so it must not serve");
    }
}

/// So many random bytes as lower-case hexadecimal digits.
pub fn hex(chance: &dyn Chance, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    chance.fill(&mut buffer);
    data_encoding::HEXLOWER.encode(&buffer)
}
