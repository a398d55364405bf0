//! URLs of databases of servers. They are read and checked here, since drivers trust what they are given.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::SqlError;

/// Connections of a pool if the URL does not say.
const POOL: u32 = 16;
/// The most connections of a pool.
const MOST_CONNECTIONS: u32 = 200;

/// Which kind of server a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEngine {
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL.
    Mysql,
}

/// How a connection is protected, in PostgreSQL's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can.
    Prefer,
    /// Encrypted, with any certificate.
    Require,
    /// The certificate is signed by a known authority.
    VerifyCa,
    /// And it names the host.
    VerifyFull,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host and a port.
    Tcp(String, u16),
    /// A Unix socket: a folder for PostgreSQL (with the port that names the file), a file for MySQL and MariaDB.
    Socket(PathBuf, u16),
}

/// The URL of a database. Neither its `Display` nor its `Debug` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    pub(crate) engine: ServerEngine,
    pub(crate) address: ServerAddress,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) database: String,
    pub(crate) pool: u32,
    pub(crate) tls: TlsMode,
    pub(crate) root_certificate: Option<PathBuf>,
    pub(crate) has_pooler: bool,
    pub(crate) schema: Option<String>,
    /// The operator's explicit choice of durability, as the server's variable says it.
    pub(crate) durability: Option<String>,
    pub(crate) allows_no_fsync: bool,
}

const COMMON: [&str; 6] = [
    "pool",
    "sslmode",
    "sslrootcert",
    "password_file",
    "socket",
    "host",
];
const POSTGRES: [&str; 4] = ["pgbouncer", "search_path", "synchronous_commit", "fsync"];
const MYSQL: [&str; 1] = ["innodb_flush_log_at_trx_commit"];

impl ServerEngine {
    /// The kind of server that the scheme of a URL names.
    pub fn of(url: &str) -> Option<Self> {
        match url.split_once("://")?.0 {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::Mysql),
            _ => None,
        }
    }

    /// [`SqlError::LeftOut`] unless this program was built with the driver.
    const fn check_built_in(self) -> Result<(), SqlError> {
        match self {
            Self::Postgres if cfg!(not(feature = "postgres")) => Err(SqlError::LeftOut {
                server: "PostgreSQL",
                feature: "postgres",
            }),
            Self::Mysql if cfg!(not(feature = "mysql")) => Err(SqlError::LeftOut {
                server: "MySQL and MariaDB",
                feature: "mysql",
            }),
            Self::Postgres | Self::Mysql => Ok(()),
        }
    }

    const fn scheme(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }

    fn options(self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = match self {
            Self::Postgres => &POSTGRES,
            Self::Mysql => &MYSQL,
        };
        COMMON.into_iter().chain(own.iter().copied())
    }
}

impl ServerUrl {
    /// Which kind of server it names.
    pub const fn engine(&self) -> ServerEngine {
        self.engine
    }

    /// The most connections that one pool opens.
    pub const fn pool(&self) -> u32 {
        self.pool
    }

    /// Whether a pooler such as pgbouncer stands before the server.
    pub const fn has_pooler(&self) -> bool {
        self.has_pooler
    }

    /// The name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The schema, if the URL names one.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Host and port or socket, for messages.
    pub fn place(&self) -> String {
        match &self.address {
            ServerAddress::Tcp(host, port) => format!("{host}:{port}"),
            ServerAddress::Socket(path, _) => path.display().to_string(),
        }
    }

    /// Whether it names a password, or a file with one.
    #[cfg(feature = "postgres")]
    pub(crate) const fn has_password(&self) -> bool {
        self.password.is_some() || self.password_file.is_some()
    }

    /// The password, read from its file if it is in one.
    pub(crate) async fn read_password(&self) -> Result<Option<String>, SqlError> {
        let Some(path) = &self.password_file else {
            return Ok(self.password.clone());
        };
        let text = tokio::fs::read_to_string(path).await.map_err(|error| {
            SqlError::unsuitable(
                format!("the password file {} cannot be read: {error}", path.display()),
                "correct password_file= in the URL, or the permissions of the file",
            )
        })?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(SqlError::unsuitable(
                format!("the password file {} is empty", path.display()),
                "write the password to it, or leave password_file= out of the URL",
            ));
        }
        Ok(Some(password.to_owned()))
    }

    /// The file with the certificates that are trusted, if the URL names one. It can be read.
    pub(crate) async fn find_root_certificate(&self) -> Result<Option<&Path>, SqlError> {
        let Some(path) = &self.root_certificate else {
            return Ok(None);
        };
        match tokio::fs::read(path).await {
            Ok(_) => Ok(Some(path)),
            Err(error) => Err(SqlError::unsuitable(
                format!("the certificates in {} cannot be read: {error}", path.display()),
                "correct sslrootcert= in the URL, or the permissions of the file",
            )),
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), SqlError> {
        let is_known = self.engine.options().any(|known| known == name);
        match name {
            _ if !is_known => {
                let known: Vec<_> = self.engine.options().collect();
                return Err(invalid(
                    format!("has an unknown option {}", quoted(name)),
                    format!("known are {}", known.join(", ")),
                ));
            }
            "pool" => {
                let pool = value.parse().ok();
                self.pool = pool
                    .filter(|pool| (1..=MOST_CONNECTIONS).contains(pool))
                    .ok_or_else(|| choice(name, "a number from 1 to 200"))?;
            }
            "sslmode" => {
                self.tls = match value.as_str() {
                    "disable" => TlsMode::Disable,
                    "prefer" => TlsMode::Prefer,
                    "require" => TlsMode::Require,
                    "verify-ca" => TlsMode::VerifyCa,
                    "verify-full" => TlsMode::VerifyFull,
                    _ => return Err(choice(name, "disable, prefer, require, verify-ca or verify-full")),
                };
            }
            "sslrootcert" => self.root_certificate = Some(value.into()),
            "password_file" => self.password_file = Some(value.into()),
            "socket" | "host" if value.starts_with('/') => {
                let (ServerAddress::Tcp(_, port) | ServerAddress::Socket(_, port)) = self.address;
                self.address = ServerAddress::Socket(value.into(), port);
            }
            "socket" | "host" => return Err(choice(name, "the absolute path of a Unix socket")),
            "pgbouncer" => self.has_pooler = boolean(name, &value)?,
            "search_path" => {
                let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
                if value.is_empty() || !value.chars().all(is_plain) {
                    return Err(choice(name, "one schema: letters, digits, underscores"));
                }
                self.schema = Some(value);
            }
            "fsync" => self.allows_no_fsync = !boolean(name, &value)?,
            "synchronous_commit"
                if !["on", "off", "local", "remote_write", "remote_apply"].contains(&&*value) =>
            {
                return Err(choice(name, "on, off, local, remote_write or remote_apply"));
            }
            "innodb_flush_log_at_trx_commit" if !["0", "1", "2"].contains(&&*value) => {
                return Err(choice(name, "0, 1 or 2"));
            }
            _ => self.durability = Some(value),
        }
        Ok(())
    }

    fn check(self, has_host: bool) -> Result<Self, SqlError> {
        let is_socket = matches!(self.address, ServerAddress::Socket(..));
        if is_socket && has_host {
            return Err(invalid(
                "names a host and a socket",
                "leave out one of them: postgres://user@/database?socket=/run/postgresql",
            ));
        }
        if !is_socket && !has_host {
            return Err(invalid(
                "names no host",
                "write host:port before the name of the database, or ?socket=",
            ));
        }
        if self.password.is_some() && self.password_file.is_some() {
            return Err(invalid(
                "has a password and a password_file",
                "leave out one of them",
            ));
        }
        let verifies = matches!(self.tls, TlsMode::VerifyCa | TlsMode::VerifyFull);
        if self.root_certificate.is_some() && !verifies {
            return Err(invalid(
                "has sslrootcert, which is looked at only when certificates are verified",
                "add sslmode=verify-full",
            ));
        }
        Ok(self)
    }
}

impl FromStr for ServerUrl {
    type Err = SqlError;

    fn from_str(text: &str) -> Result<Self, SqlError> {
        let engine = ServerEngine::of(text).ok_or_else(|| {
            invalid(
                "has a scheme that is not known",
                "it begins with postgres://, mysql:// or mariadb://",
            )
        })?;
        engine.check_built_in()?;
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if query.contains('@') || database.contains(['@', '/']) || text.contains('#') {
            return Err(invalid(
                "holds a character at a place where it has another meaning",
                "in a user name, a password or a database name write @ / ? # : % as %40 %2F %3F %23 %3A %25",
            ));
        }
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (login, None),
        };
        let (host, port) = host_and_port(host, engine)?;
        let mut url = Self {
            engine,
            address: ServerAddress::Tcp(host.clone(), port),
            user: decoded(user)?,
            password,
            password_file: None,
            database: decoded(database)?,
            pool: POOL,
            tls: TlsMode::Prefer,
            root_certificate: None,
            has_pooler: false,
            schema: None,
            durability: None,
            allows_no_fsync: false,
        };
        if url.user.is_empty() {
            return Err(invalid("names no user", "write user@ before the host"));
        }
        if url.database.is_empty() {
            return Err(invalid(
                "names no database",
                "write its name behind the host: host:port/name",
            ));
        }
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            url.set(name, decoded(value)?)?;
        }
        url.check(!host.is_empty())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = if self.password.is_some() { ":***" } else { "" };
        write!(out, "{}://{}{password}@", self.engine.scheme(), self.user)?;
        match &self.address {
            ServerAddress::Tcp(host, port) if host.contains(':') => {
                write!(out, "[{host}]:{port}/{}", self.database)
            }
            ServerAddress::Tcp(host, port) => write!(out, "{host}:{port}/{}", self.database),
            ServerAddress::Socket(path, _) => write!(out, "/{}?socket={}", self.database, path.display()),
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ServerUrl({self})")
    }
}

fn host_and_port(text: &str, engine: ServerEngine) -> Result<(String, u16), SqlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or_else(|| invalid("has [ without ]", "write an IPv6 address as [::1]:5432"))?;
            (host, port.strip_prefix(':'))
        }
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || ".-_:%".contains(letter);
    if !host.chars().all(is_part) {
        return Err(invalid(
            "has a host that is no name and no address",
            "write host:port",
        ));
    }
    let port = match port {
        None => engine.port(),
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
            invalid(
                "has a port that is no number from 1 to 65535",
                "write host:port; in a password write : and @ as %3A and %40",
            )
        })?,
    };
    Ok((host.to_owned(), port))
}

fn decoded(text: &str) -> Result<String, SqlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| invalid("is not UTF-8 once it is decoded", "write it in UTF-8"))?;
    if decoded.contains(char::is_control) {
        return Err(invalid("holds a control character", "remove it"));
    }
    Ok(decoded.into_owned())
}

fn boolean(name: &str, value: &str) -> Result<bool, SqlError> {
    match value {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(choice(name, "true or false")),
    }
}

/// A name, if it can be nothing else: what looks like more may be part of a password.
fn quoted(name: &str) -> String {
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '_');
    if is_name && name.len() <= 40 {
        format!("`{name}`")
    } else {
        String::new()
    }
}

fn choice(name: &str, values: &str) -> SqlError {
    invalid(
        format!("has an unknown value for `{name}`"),
        format!("it is {values}"),
    )
}

fn invalid(cause: impl fmt::Display, cure: impl Into<String>) -> SqlError {
    SqlError::unsuitable(format!("the URL of the database {cause}"), cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ServerUrl {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<ServerUrl>().unwrap_err().to_string()
    }

    #[test]
    fn each_part_of_a_url_is_read() {
        let url = parse(
            "postgres://fox:s%40crt@db.example:5433/sync?pool=4&sslmode=verify-full&sslrootcert=/ca.pem",
        );
        assert_eq!(url.address, ServerAddress::Tcp("db.example".into(), 5433));
        assert_eq!((&*url.user, url.password.as_deref()), ("fox", Some("s@crt")));
        assert_eq!(
            (&*url.database, url.pool, url.tls),
            ("sync", 4, TlsMode::VerifyFull)
        );
        assert_eq!(url.root_certificate, Some("/ca.pem".into()));
        let url = parse("mariadb://fox@[::1]/sync?innodb_flush_log_at_trx_commit=2");
        assert_eq!(url.address, ServerAddress::Tcp("::1".into(), 3306));
        assert_eq!(
            (url.engine, url.durability.as_deref()),
            (ServerEngine::Mysql, Some("2"))
        );
        let url = parse("postgresql://fox@/sync?host=/run/postgresql&search_path=foxden&pgbouncer=true");
        assert_eq!(url.address, ServerAddress::Socket("/run/postgresql".into(), 5432));
        assert!(url.has_pooler);
        assert_eq!(url.schema.as_deref(), Some("foxden"));
    }

    #[test]
    fn no_password_is_shown() {
        let url = parse("mysql://fox:secret@db/sync");
        assert_eq!(url.to_string(), "mysql://fox:***@db:3306/sync");
        assert_eq!(format!("{url:?}"), "ServerUrl(mysql://fox:***@db:3306/sync)");
        for text in [
            "postgres://fox:sec?ret@db/sync",
            "postgres://fox:sec/ret@db/sync",
            "postgres://fox:sec#ret@db/sync",
            "postgres://fox:ret",
            "postgres://fox:ret?Ret=ret",
            "postgres://fox:ret@db/sync?ret ret=1",
            "postgres://fox:ret@db:ret/sync",
            "postgres://fox:1@ret@db:1/",
        ] {
            let refusal = refusal(text);
            assert!(!refusal.contains("ret"), "{text}: {refusal}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_right_is_refused_with_a_cure() {
        for (text, part) in [
            ("postgres://db/sync", "names no user"),
            ("postgres://fox@db", "names no database"),
            ("postgres://fox@/sync", "names no host"),
            ("postgres://fox@db/sync?socket=/run", "a host and a socket"),
            ("postgres://fox@/sync?socket=run", "absolute path"),
            ("postgres://fox@db:99999/sync", "port"),
            ("postgres://fox@db/sync?pool=0", "from 1 to 200"),
            ("postgres://fox@db/sync?pool=201", "from 1 to 200"),
            ("postgres://fox@db/sync?sslmode=on", "verify-full"),
            ("postgres://fox@db/sync?sslrootcert=/ca", "sslmode=verify-full"),
            ("postgres://fox@db/sync?search_path=a,b", "one schema"),
            ("postgres://fox:a@db/sync?password_file=/f", "leave out one"),
            (
                "postgres://fox@db/sync?pol=1",
                "unknown option `pol`; known are pool, sslmode",
            ),
            ("mysql://fox@db/sync?pgbouncer=true", "unknown option `pgbouncer`"),
            ("http://fox@db/sync", "scheme"),
            ("postgres://fox@db/sync?synchronous_commit=maybe", "on, off"),
        ] {
            assert!(refusal(text).contains(part), "{text}: {}", refusal(text));
        }
    }
}
