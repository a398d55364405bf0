//! Database servers: PostgreSQL, and MariaDB or MySQL.
//!
//! - [`url`]: [`ServerUrl`], which names a database of a server, and its options
//! - [`breaker`]: refuses at once while a server is known to be down
//! - [`pool`]: connections of either server, behind a breaker
//! - [`postgres`], [`mysql`]: [`PostgresPool`] and [`MysqlPool`], each with its checks, session options and migrations
//! - [`database`], [`connection`]: a [`crate::Database`] of a server, and what its connections do
//! - [`look`]: [`ServerLook`], which changes nothing
//! - [`fault`]: what an error of the driver means for its caller

#[cfg(any(feature = "postgres", feature = "mysql"))]
mod action;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod breaker;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod connection;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) mod database;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub mod fault;
pub mod look;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod pool;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg_attr(
    not(all(feature = "postgres", feature = "mysql")),
    allow(dead_code, reason = "an engine that is left out reads none of it")
)]
pub mod url;

#[cfg(any(feature = "postgres", feature = "mysql"))]
pub use fault::Fault;
pub use look::ServerLook;
#[cfg(feature = "mysql")]
pub use mysql::MysqlPool;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub use pool::PooledConnection;
#[cfg(feature = "postgres")]
pub use postgres::PostgresPool;
pub use url::{ServerEngine, ServerUrl};

/// Turns the `?` placeholders of a statement into `$1`, `$2`, …, which PostgreSQL wants. A question mark in a quoted
/// text or name stays.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub fn numbered(statement: &str) -> String {
    let mut text = String::with_capacity(statement.len() + 16);
    let (mut number, mut quote) = (0, None);
    for letter in statement.chars() {
        match quote {
            // A doubled quote ends the text and begins it again.
            Some(end) if letter == end => quote = None,
            None if letter == '\'' || letter == '"' => quote = Some(letter),
            None if letter == '?' => {
                number += 1;
                text.push('$');
                text.push_str(&number.to_string());
                continue;
            }
            Some(_) | None => {}
        }
        text.push(letter);
    }
    text
}

#[cfg(all(test, any(feature = "postgres", feature = "mysql")))]
mod tests {
    use super::numbered;

    #[test]
    fn placeholders_are_numbered_and_quoted_texts_stay() {
        assert_eq!(
            numbered("SELECT '?', 'it''s ?', \"?\" FROM a WHERE b = ? AND c = ?"),
            "SELECT '?', 'it''s ?', \"?\" FROM a WHERE b = $1 AND c = $2"
        );
        assert_eq!(numbered("SELECT 1"), "SELECT 1");
        let many = ["?"; 12].join(", ");
        assert!(numbered(&many).ends_with("$11, $12"));
    }
}
