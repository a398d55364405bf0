//! A storage token: nothing but what the secret signed is ever accepted.

use foxden_accounts::token::TokenSecrets;
use foxden_fuzz::text;

/// Parses one input.
pub fn fuzz(bytes: &[u8]) {
    let text = text(bytes);
    let secrets = TokenSecrets::new(Vec::<&str>::new(), "a secret");
    assert!(secrets.verify(text).is_err());
}
