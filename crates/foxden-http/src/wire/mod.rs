//! What more than one surface needs.
//!
//! - [`site`]: [`PublicUrl`] and [`Site`], where this server is found
//! - [`peer`]: [`Peer`], who sent a request

pub mod peer;
pub mod site;

pub use peer::Peer;
pub use site::{BadUrl, PublicUrl, Site};
