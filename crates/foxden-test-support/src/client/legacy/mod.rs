//! A Sync 1.1 client: what Pale Moon and old phones do, written from the protocol alone, cryptography and all.
//!
//! It shares no code with the server's surfaces or services. Names and passwords go out as those programs
//! write them; what comes back is read as strictly as they read it.
//!
//! - [`name`]: the account's name on the wire, out of an address
//! - [`key`]: the sync key a person writes down, and the two keys that follow from it
//! - [`envelope`]: how a record is sealed
//! - [`jpake`]: two devices agree on a key with a short secret
//! - [`pairing`]: that agreement through the server, message by message
//! - [`account`]: what is asked of the User API
//! - [`storage`]: requests to a node, and what their answers ask of the client
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
