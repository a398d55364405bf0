//! The table of all settings.

use super::setting::Schema;
use super::{
    accounts, chores, http, key_exchange, listener, log, mail, security_log, server, storage, tokens,
};

/// Every section, in the order in which it is shown.
pub const SCHEMA: Schema = Schema(&[
    server::SECTION,
    listener::SECTION,
    http::SECTION,
    storage::SECTION,
    tokens::SECTION,
    accounts::SECTION,
    key_exchange::SECTION,
    mail::SECTION,
    chores::SECTION,
    log::SECTION,
    security_log::SECTION,
]);
