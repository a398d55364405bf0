//! The address of a cache server, as `storage.cache` names it.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::engine::agreement::CacheKind;

/// The address of a cache server. Neither its `Display` nor its `Debug` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct CacheAddress {
    pub(super) kind: CacheKind,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    password_file: Option<PathBuf>,
    pub(super) database: u32,
}

impl CacheAddress {
    /// Reads `redis://USER:PASSWORD@HOST:PORT/NUMBER` or `memcache://HOST:PORT`; `None` if it has another scheme.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (scheme, rest) = text.split_once("://")?;
        match scheme {
            "redis" | "valkey" => Some(Self::of(CacheKind::Redis, 6379, rest)),
            "memcache" | "memcached" => Some(Self::of(CacheKind::Memcached, 11211, rest)),
            "rediss" => Some(Err(
                "TLS is not offered: name a cache on this machine or in a network of your own by redis://"
                    .to_owned(),
            )),
            _ => None,
        }
    }

    fn of(kind: CacheKind, port: u16, rest: &str) -> Result<Self, String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (rest, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = rest
            .rsplit_once('@')
            .map_or((None, rest), |(login, place)| (Some(login), place));
        let (host, port) = host_and_port(place, port)?;
        let mut address = Self {
            kind,
            host,
            port,
            user: None,
            password: None,
            password_file: None,
            database: 0,
        };
        if let Some(login) = login {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            address.user = Some(decoded(user)?).filter(|user| !user.is_empty());
            address.password = Some(decoded(password)?).filter(|password| !password.is_empty());
        }
        if !database.is_empty() {
            let number = database.parse();
            address.database =
                number.map_err(|_| "behind the host comes the number of a database".to_owned())?;
        }
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("password_file", path)) => address.password_file = Some(decoded(path)?.into()),
                _ => return Err("the one option is password_file=FILE".to_owned()),
            }
        }
        address.check()
    }

    fn check(self) -> Result<Self, String> {
        let has_login = self.user.is_some() || self.password.is_some() || self.password_file.is_some();
        if self.kind == CacheKind::Memcached && (has_login || self.database != 0) {
            return Err("memcached has neither users nor databases: write memcache://host:port".to_owned());
        }
        if self.password.is_some() && self.password_file.is_some() {
            return Err("it has a password and a password_file: leave out one of them".to_owned());
        }
        if self.user.is_some() && self.password.is_none() && self.password_file.is_none() {
            return Err(
                "it has a user and no password; a password alone is written :password@host".to_owned(),
            );
        }
        Ok(self)
    }

    /// The kind of server.
    pub const fn kind(&self) -> CacheKind {
        self.kind
    }

    /// The same with the password out of its file.
    pub async fn with_password(&self) -> Result<Self, String> {
        let mut address = self.clone();
        if let Some(path) = address.password_file.take() {
            let text = tokio::fs::read_to_string(&path).await;
            let text = text.map_err(|error| format!("the password file {}: {error}", path.display()))?;
            let password = text.trim_end_matches(['\r', '\n']);
            if password.is_empty() {
                return Err(format!("the password file {} is empty", path.display()));
            }
            address.password = Some(password.to_owned());
        }
        Ok(address)
    }
}

/// Splits `host:port`; an IPv6 address stands in brackets.
fn host_and_port(place: &str, default: u16) -> Result<(String, u16), String> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("an address in [ ends with ]")?;
            (host, rest.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err("it names no host; a password has %2F for / and %3F for ?".to_owned());
    }
    let port = port.map(str::parse).transpose();
    let port = port.map_err(|_| {
        "behind the host comes the number of a port; a password has %2F for / and %3F for ?".to_owned()
    })?;
    Ok((decoded(host)?, port.unwrap_or(default)))
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| "it is no text in UTF-8".to_owned())
}

impl fmt::Display for CacheAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.kind.name())?;
        let user = self.user.as_deref().unwrap_or_default();
        match (&self.password, &self.user) {
            (Some(_), _) => write!(f, "{user}:***@")?,
            (None, Some(user)) => write!(f, "{user}@")?,
            (None, None) => {}
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

impl fmt::Debug for CacheAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password() {
        for (text, shown) in [
            ("redis://cache", "redis://cache:6379"),
            ("redis://:a%40b@cache:7000/3", "redis://:***@cache:7000/3"),
            ("redis://ann:pw@[::1]", "redis://ann:***@[::1]:6379"),
            ("memcache://10.0.0.1", "memcache://10.0.0.1:11211"),
        ] {
            let address = CacheAddress::parse(text).unwrap().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
        }
        let with_password = CacheAddress::parse("redis://:a%40b@cache").unwrap().unwrap();
        assert_eq!(with_password.password.as_deref(), Some("a@b"));
        assert!(CacheAddress::parse("local").is_none() && CacheAddress::parse("http://cache").is_none());
    }

    #[test]
    fn what_a_server_does_not_have_is_refused() {
        for wrong in [
            "redis://",
            "redis://cache:port",
            "redis://cache/one",
            "redis://cache?pool=3",
            "redis://ann@cache",
            "redis://:pw@cache?password_file=/pw",
            "rediss://cache",
            "memcache://ann:pw@cache",
            "memcache://cache/1",
        ] {
            assert!(CacheAddress::parse(wrong).unwrap().is_err(), "{wrong}");
        }
    }
}
