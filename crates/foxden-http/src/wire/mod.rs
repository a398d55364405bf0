//! What more than one surface needs.
//!
//! - [`site`]: [`PublicUrl`] and [`Site`], where this server is found
//! - [`public_path`]: routes below the path of the public address
//! - [`peer`]: [`Peer`], who sent a request
//! - [`host`]: which names a request may ask for; whether it never left this machine
//! - [`reach`]: [`Sign`], what shows that others reach a server
//! - [`hawk`]: signed requests
//! - [`mod@visitor`]: who that is, as far as accounts care
//! - [`memory`]: [`Memory`], how many bytes are held on behalf of clients; [`body`]: reads request bodies
//! - [`background`]: what goes on when its client has gone
//! - [`basic`]: requests with a name and a password
//! - [`captcha`]: a question that a person answers
//! - [`entity_tag`]: tags of answers, however they come back
//! - [`percent`]: percent-encoding of URLs, query strings and forms; [`json_body`]: members of JSON bodies
//! - [`accept_encoding`]: which codings a client takes
//! - [`answer`]: how answers in JSON are printed, and what each carries
//! - [`mod@wait`]: how long a client is asked to wait
//! - [`routes`]: labels of routes, under which requests are counted
//! - [`note`]: [`Note`], what a surface tells the log about a request

mod accept_encoding;
mod answer;
mod background;
pub mod basic;
pub(crate) mod body;
pub mod captcha;
pub(crate) mod entity_tag;
pub mod hawk;
pub mod host;
pub(crate) mod json_body;
pub mod memory;
pub mod note;
pub mod peer;
pub(crate) mod percent;
mod public_path;
pub mod reach;
mod routes;
pub mod site;
mod visitor;
pub(crate) mod wait;

pub(crate) use accept_encoding::accepts_gzip;
pub(crate) use answer::{ResponseHeaders, add_headers, print_counted, print_json};
pub(crate) use background::remove_account;
pub use background::{BoxFuture, TaskSpawner};
pub use basic::{Basic, NoBasic};
pub use host::{HostCheck, refuse_foreign_hosts};
pub use memory::Memory;
pub use note::{Note, chain};
pub use peer::Peer;
pub use percent::uri_component;
pub use public_path::with_and_without_path;
pub use reach::Sign;
pub use routes::UNKNOWN_ROUTE;
pub(crate) use routes::{RouteLabels, Routes, label_route, set_route};
pub use site::{BadUrl, PublicUrl, Site};
pub(crate) use visitor::visitor;
pub(crate) use wait::ask_to_wait;
