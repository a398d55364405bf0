//! A Sync 1.1 client like Pale Moon and old phones, written from the protocol alone, with its cryptography.
//!
//! It shares no code with the server's surfaces or services. It spells names and passwords as those
//! programs do, and reads responses as strictly as they do.
//!
//! - [`name`]: the account's name on the wire, derived from an address
//! - [`key`]: the sync key, and the two keys derived from it
//! - [`envelope`]: the encryption of records
//! - [`jpake`]: two devices agree on a key with a short secret
//! - [`pairing`]: that agreement through the server, message by message
//! - [`account`]: requests to the User API
//! - [`storage`]: requests to a node, and the backoff and alerts in its responses
//! - [`engine`]: one collection on one device
//! - [`device`]: a device and its sync from beginning to end

pub mod account;
pub mod device;
pub mod engine;
pub mod envelope;
pub mod jpake;
pub mod key;
pub mod name;
pub mod pairing;
pub mod storage;
