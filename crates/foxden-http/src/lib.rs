//! Every HTTP surface: a thin translator over the services.
//!
//! - [`sync`]: users' objects
//! - [`ops`]: health and version
//! - [`wire`]: what two surfaces need: who asks, where this server is found

pub mod ops;
pub mod sync;
pub mod wire;
