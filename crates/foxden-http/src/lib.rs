//! Every HTTP surface: a thin translator over the services.
//!
//! - [`wire`]: what two surfaces need: who asks, where this server is found

pub mod wire;
