//! Every HTTP surface: a thin translator over the services.
//!
//! - [`sync`]: users' objects
//! - [`token`]: tokens for stores, in exchange for access tokens
//! - [`fxa`]: sign-up and sign-in, sessions, devices, OAuth, profiles
//! - [`pages`]: pages for people: front page, sign-in, settings
//! - [`user`]: the User API of old clients, and their key exchange
//! - [`ops`]: health and version
//! - [`error_response`]: responses without a surface: after a panic, to a malformed request, or without a free connection
//! - [`probe`]: the routes by which `foxden check` recognises the server
//! - [`request_head`], [`response`]: what listeners read and write beside the surfaces
//! - [`route_labels`]: the labels of all routes
//! - [`wire`]: what two surfaces need

pub mod error_response;
pub mod fxa;
pub mod ops;
pub mod pages;
pub mod probe;
pub mod request_head;
pub mod response;
pub mod route_labels;
pub mod sync;
pub mod token;
pub mod user;
pub mod wire;
