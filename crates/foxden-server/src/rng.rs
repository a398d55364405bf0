//! The operating system's random bytes. No other file asks for them.

use foxden_model::Rng;
use ring::rand::{SecureRandom, SystemRandom};

/// Unpredictable random bytes.
#[derive(Debug)]
pub struct SystemRng(SystemRandom);

impl SystemRng {
    /// The operating system's generator.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only use of the system's random bytes"
    )]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        self.0
            .fill(buffer)
            .expect("a machine without random bytes can keep no secrets, so it must not serve");
    }
}

/// Returns `bytes` random bytes as lower-case hexadecimal digits.
pub fn hex(rng: &dyn Rng, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    rng.fill(&mut buffer);
    data_encoding::HEXLOWER.encode(&buffer)
}
