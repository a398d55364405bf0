//! Every HTTP surface: a thin translator over the services.
//!
//! - [`sync`]: users' objects
//! - [`token`]: tokens for stores, in exchange for access tokens
//! - [`fxa`]: sign-up and sign-in, sessions, devices, OAuth, profiles
//! - [`pages`]: pages for people: front page, sign-in, settings
//! - [`user`]: the User API of old clients, and their key exchange
//! - [`ops`]: health and version
//! - [`mod@excuse`]: answers in place of a surface: it panicked, was not asked, or no connection was free
//! - [`probe`]: the pages by which `foxden check` recognises the server
//! - [`request_head`], [`response`]: what listeners read and write beside the surfaces
//! - [`route_labels`]: what requests are counted under
//! - [`wire`]: what two surfaces need: who asks, where this server is found

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
