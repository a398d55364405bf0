//! The User API of old clients, and how two of them meet.
//!
//! - [`exchange`]: the key exchange

pub mod exchange;
