//! What more than one surface needs.
//!
//! - [`site`]: [`PublicUrl`] and [`Site`], where this server is found
//! - [`peer`]: [`Peer`], who sent a request
//! - [`hawk`]: signed requests

pub mod hawk;
pub mod peer;
pub mod site;

pub use peer::Peer;
pub use site::{BadUrl, PublicUrl, Site};
