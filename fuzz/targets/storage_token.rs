//! A storage token: nothing but what the secret signed is ever accepted.
#![no_main]

use foxden_accounts::token::TokenSecrets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let secrets = TokenSecrets::new(Vec::<&str>::new(), "a secret");
    assert!(secrets.verify(text).is_err());
});
