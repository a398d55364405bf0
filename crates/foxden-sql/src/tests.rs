//! The promises of a database.
