//! The database of the accounts, as `accounts.url` names it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use foxden_sql::server::{ServerEngine, ServerUrl};

use super::values::Secret;

/// The database of the accounts. Its `Display` shows no password.
#[derive(Clone, Debug)]
pub enum RegisterUrl {
    /// The file in the data folder.
    Default,
    /// Another file.
    File(PathBuf),
    /// A database of a server.
    Server {
        /// The URL with its password.
        url: Secret,
        /// The same without it.
        shown: Box<ServerUrl>,
    },
}

impl RegisterUrl {
    /// What [`foxden_sql::Database::open`] takes; `default` is the file in the data folder.
    pub fn location(&self, default: &Path) -> String {
        match self {
            Self::Default => default.to_string_lossy().into_owned(),
            Self::File(file) => file.to_string_lossy().into_owned(),
            Self::Server { url, .. } => url.reveal().to_owned(),
        }
    }

    /// The file, if it is one.
    pub fn file<'a>(&'a self, default: &'a Path) -> Option<&'a Path> {
        match self {
            Self::Default => Some(default),
            Self::File(file) => Some(file),
            Self::Server { .. } => None,
        }
    }

    /// Returns whether the operator has named a database.
    pub const fn is_given(&self) -> bool {
        !matches!(self, Self::Default)
    }
}

impl FromStr for RegisterUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if ServerEngine::of(text).is_some() {
            let shown = text
                .parse()
                .map_err(|error: foxden_sql::SqlError| error.to_string())?;
            return Ok(Self::Server {
                url: text.to_owned().into(),
                shown: Box::new(shown),
            });
        }
        let rest = text
            .strip_prefix("sqlite:")
            .ok_or("it must begin with sqlite:, postgres:// or mysql://")?;
        let file = rest.strip_prefix("//").unwrap_or(rest);
        Ok(if file.is_empty() {
            Self::Default
        } else {
            Self::File(file.into())
        })
    }
}

impl fmt::Display for RegisterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the data folder"),
            Self::File(file) => file.display().fmt(f),
            Self::Server { shown, .. } => shown.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_a_file_or_a_database_of_a_server() {
        let parse = |text: &str| text.parse::<RegisterUrl>();
        let default = Path::new("/data/register.sqlite");
        assert_eq!(parse("sqlite:").unwrap().file(default), Some(default));
        assert!(!parse("sqlite:").unwrap().is_given());
        let file = parse("sqlite:///some/file").unwrap();
        assert_eq!(file.location(default), "/some/file");
        let server = parse("postgres://ann:secret@host/accounts").unwrap();
        assert!(server.file(default).is_none() && server.is_given());
        assert_eq!(server.location(default), "postgres://ann:secret@host/accounts");
        assert!(!format!("{server} {server:?}").contains("secret"));
        for wrong in ["/some/file", "oracle://host/db", "postgres://host/db?no_option=1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
