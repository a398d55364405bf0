//! Code that several surfaces share.
//!
//! - [`site`]: [`PublicUrl`] and [`Site`], the address of this server
//! - [`public_path`]: routes below the path of the public address
//! - [`peer`]: [`Peer`], the client's address
//! - [`host`]: foreign hosts, foreign pages, and requests that never left this machine
//! - [`reach`]: [`RemoteEvidence`], evidence of remote clients
//! - [`hawk`]: Hawk signatures
//! - [`mod@client_info`]: the client as accounts need it
//! - [`memory`]: [`Memory`], the budgets of bodies and responses; [`body`]: reads request bodies
//! - [`background`]: tasks that continue after the client has disconnected
//! - [`basic`]: Basic authentication
//! - [`captcha`]: the built-in captcha
//! - [`entity_tag`]: compares entity tags
//! - [`percent`]: percent-encoding of URLs, query strings and forms; [`json_body`]: members of JSON bodies
//! - [`accept_encoding`]: parses `Accept-Encoding`
//! - [`answer`]: JSON responses, and the headers of every response
//! - [`retry_after`]: the header `Retry-After`
//! - [`routes`]: labels of routes, under which requests are counted
//! - [`access_log_fields`]: [`AccessLogFields`], what a surface tells the access log

mod accept_encoding;
pub mod access_log_fields;
mod answer;
mod background;
pub mod basic;
pub(crate) mod body;
pub mod captcha;
mod client_info;
pub(crate) mod entity_tag;
pub mod hawk;
pub mod host;
pub(crate) mod json_body;
pub mod memory;
pub mod peer;
pub(crate) mod percent;
mod public_path;
pub mod reach;
pub(crate) mod retry_after;
mod routes;
pub mod site;

pub(crate) use accept_encoding::accepts_gzip;
pub use access_log_fields::{AccessLogFields, chain};
pub(crate) use answer::{ResponseHeaders, add_headers, print_counted, print_json};
pub(crate) use background::remove_account;
pub use background::{BoxFuture, TaskSpawner};
pub use basic::{Basic, NoBasic};
pub(crate) use client_info::client_info;
pub use host::{HostCheck, refuse_foreign_hosts};
pub use memory::{Memory, MemoryInUse};
pub use peer::Peer;
pub(crate) use percent::uri_component;
pub use public_path::with_and_without_path;
pub use reach::RemoteEvidence;
pub(crate) use retry_after::set_retry_after;
pub use retry_after::unreadable_wait;
pub use routes::UNKNOWN_ROUTE;
pub(crate) use routes::{RouteLabels, Routes, label_route, set_route};
pub use site::{BadUrl, PublicUrl, Site};
