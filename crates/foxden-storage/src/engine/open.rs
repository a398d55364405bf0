//! Opens an engine by its URL, so that callers do not name engines.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use foxden_model::{Clock, Rng};

use foxden_sql::SqlError;
use foxden_sql::erased::Erased;
use foxden_sql::server::{ServerEngine, ServerLook, ServerUrl};

#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::SqlEngine;
use super::movable::{MovableError, MovableStore, MoveSide, MovedAway};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::sql::movable::SqlRows;
use super::sqlite::movable::SqliteRows;
use super::sqlite::{self, SqliteEngine, SqliteOptions};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::{Agreement, Cached, SharedCached, Uncached, cache_server};
use super::{BadCacheUrl, CacheTimes, CacheUrl, Engine, MemoryEngine};

/// The engines, by the beginning of their URLs.
const SCHEMES: &[&str] = &[
    "memory:",
    "sqlite:",
    #[cfg(feature = "postgres")]
    "postgres://",
    #[cfg(feature = "mysql")]
    "mysql://",
];

/// Where objects are stored, and by which engine: `memory:`, `sqlite:FOLDER?shards=N`, or a database of a server as
/// `postgres://USER@HOST/DATABASE` or `mysql://USER@HOST/DATABASE`, see [`ServerUrl`].
///
/// `sqlite:` names no folder; [`open`] then takes the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Memory,
    Sqlite {
        folder: Option<PathBuf>,
        shards: Option<u32>,
    },
    Server(ServerUrl),
}

/// Why a text is not a valid URL of a store.
#[derive(Debug, thiserror::Error)]
pub enum BadStoreUrl {
    /// The text has no scheme, or the scheme of no engine.
    #[error("it must begin with the name of an engine, one of {}", Schemes)]
    UnknownEngine,
    /// The engine has no such option.
    #[error("{engine} has no option {option}; it has {known}")]
    UnknownOption {
        /// The scheme of the engine.
        engine: &'static str,
        /// The option's name.
        option: String,
        /// The options that the engine has.
        known: &'static str,
    },
    /// The option has a value that the engine does not take.
    #[error("{option} must be {allowed}")]
    BadOption {
        /// The option's name.
        option: &'static str,
        /// The allowed values.
        allowed: String,
    },
    /// The URL of a server is wrong.
    #[error(transparent)]
    Server(SqlError),
}

/// The options of an engine besides its URL.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The folder of an engine that stores files, if its URL names none.
    pub default_folder: PathBuf,
    /// The cache in front of the engine.
    pub cache: CacheUrl,
    /// How long what processes agree on about the cache holds.
    pub cache_times: CacheTimes,
}

/// Why an engine was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite files cannot be used.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The cache is not one for this engine.
    #[error("storage.cache: {0}")]
    Cache(#[from] BadCacheUrl),
    /// The objects in the database of the server are being moved to or from another store, or were moved.
    #[error("storage.url: the database {place}: {moved}")]
    Moved {
        /// The URL without its password.
        place: String,
        /// What becomes of the objects, and what the operator can do.
        moved: MovedAway,
    },
    /// The database of the server cannot be used.
    #[error("storage.url: the database {place}")]
    Server {
        /// The URL without its password.
        place: String,
        /// Why.
        #[source]
        source: SqlError,
    },
}

/// Opens the engine that the URL names, unless its objects are being moved or were moved.
pub fn open<'a>(
    url: &'a StoreUrl,
    options: &'a OpenOptions,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Erased<'a, Arc<dyn Engine>, OpenError> {
    Box::pin(open_engine(url, options, clock, rng))
}

async fn open_engine(
    url: &StoreUrl,
    options: &OpenOptions,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<Arc<dyn Engine>, OpenError> {
    options.cache.check(url)?;
    match &url.0 {
        Kind::Memory => Ok(Arc::new(MemoryEngine::new(clock, rng))),
        Kind::Sqlite { folder, shards } => {
            let mut sqlite = SqliteOptions::new(folder.as_ref().unwrap_or(&options.default_folder));
            if let Some(shards) = shards {
                sqlite.shards = *shards;
            }
            // The files are opened on this thread: nothing is served before they are.
            Ok(Arc::new(SqliteEngine::open(sqlite, clock, rng)?))
        }
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        Kind::Server(url) => {
            let place = url.to_string();
            match SqlEngine::open(url, Arc::clone(&clock), Arc::clone(&rng)).await {
                Ok(engine) => with_cache(engine, options, clock, rng).await,
                Err(SqlError::Moved) => Err(match SqlRows::moved(url, rng).await {
                    Ok(moved) => OpenError::Moved { place, moved },
                    Err(source) => OpenError::Server { place, source },
                }),
                Err(source) => Err(OpenError::Server { place, source }),
            }
        }
        // Such a URL is refused when it is read.
        #[cfg(not(any(feature = "postgres", feature = "mysql")))]
        Kind::Server(url) => Err(OpenError::Server {
            place: url.to_string(),
            source: SqlError::UnknownEngine(url.to_string()),
        }),
    }
}

/// Of how many users the local cache holds the times: 7 MB with some twenty collections each.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const LOCAL_USERS: usize = 8192;

/// Puts the cache in front of an engine, or what takes care of the caches of other processes.
#[cfg(any(feature = "postgres", feature = "mysql"))]
async fn with_cache(
    engine: SqlEngine,
    options: &OpenOptions,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<Arc<dyn Engine>, OpenError> {
    let (control, times) = (engine.cache_control(), options.cache_times);
    Ok(match &options.cache {
        CacheUrl::None => {
            let agreement = Agreement::without_cache(control, times, clock, rng);
            Arc::new(Uncached::new(engine, agreement))
        }
        CacheUrl::Local => {
            let agreement = Agreement::of_one_process(control, times, Arc::clone(&clock), rng);
            Arc::new(Cached::agreed(engine, agreement, clock, LOCAL_USERS))
        }
        CacheUrl::Shared(address) => {
            let address = address.with_password().await.map_err(BadCacheUrl::Address)?;
            let server = cache_server(&address, Arc::clone(&clock));
            // Without it every request asks the database.
            match server.look().await {
                Ok(look) => tracing::info!(cache = server.place(), server = look.server, "the cache answers"),
                Err(fault) => {
                    let cause = fault.to_string();
                    tracing::warn!(
                        cache = server.place(),
                        cause,
                        "the cache cannot be used; it is tried again"
                    );
                }
            }
            Arc::new(SharedCached::new(
                engine,
                address.kind(),
                server,
                control,
                times,
                clock,
                rng,
            ))
        }
    })
}

/// Opens the store that the URL names for a move. A store to move from must exist. `default_folder` is for a URL that names none.
pub fn open_movable<'a>(
    url: &'a StoreUrl,
    default_folder: &'a Path,
    side: MoveSide,
    rng: Arc<dyn Rng>,
) -> Erased<'a, Arc<dyn MovableStore>, MovableError> {
    Box::pin(open_rows(url, default_folder, side, rng))
}

#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    expect(unused_variables, reason = "SQLite needs no random numbers")
)]
async fn open_rows(
    url: &StoreUrl,
    default_folder: &Path,
    side: MoveSide,
    rng: Arc<dyn Rng>,
) -> Result<Arc<dyn MovableStore>, MovableError> {
    match &url.0 {
        Kind::Memory => Err(MovableError::NotStored(url.shown(default_folder))),
        Kind::Sqlite { folder, shards } => {
            let folder = folder.as_deref().unwrap_or(default_folder);
            let refused = |error: sqlite::OpenError| MovableError::Files(Box::new(error));
            if side != MoveSide::To && !SqliteRows::exist(folder).map_err(refused)? {
                return Err(MovableError::Missing(url.shown(default_folder)));
            }
            let shards = shards.unwrap_or_else(|| SqliteOptions::new(folder).shards);
            Ok(Arc::new(SqliteRows::open(folder, shards, side).map_err(refused)?))
        }
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        Kind::Server(url) => Ok(Arc::new(SqlRows::open(url, side, rng).await?)),
        // Such a URL is refused when it is read.
        #[cfg(not(any(feature = "postgres", feature = "mysql")))]
        Kind::Server(url) => Err(MovableError::Server {
            place: url.to_string(),
            source: SqlError::UnknownEngine(url.to_string()),
        }),
    }
}

/// Looks at a database of a server as [`open`] would, and changes nothing.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub async fn inspect(url: &ServerUrl) -> Result<ServerLook, SqlError> {
    SqlEngine::inspect(url).await
}

/// There is no driver to look with. Such a URL is refused when it is read.
#[cfg(not(any(feature = "postgres", feature = "mysql")))]
#[expect(clippy::unused_async, reason = "it is called as the other one is")]
pub async fn inspect(url: &ServerUrl) -> Result<ServerLook, SqlError> {
    Err(SqlError::UnknownEngine(url.to_string()))
}

/// Looks at the files of a folder as [`open`] would, and writes nothing. Returns whether they hold objects; `None` if there are none.
pub fn inspect_files(folder: &Path) -> Result<Option<bool>, OpenError> {
    Ok(sqlite::inspect(folder)?)
}

/// What becomes of the objects in a database of a server that [`inspect`] refuses as [`SqlError::Moved`].
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub async fn moved_away(url: &ServerUrl, rng: Arc<dyn Rng>) -> Result<MovedAway, SqlError> {
    SqlRows::moved(url, rng).await
}

/// There is no driver to look with. Such a URL is refused when it is read.
#[cfg(not(any(feature = "postgres", feature = "mysql")))]
#[expect(clippy::unused_async, reason = "it is called as the other one is")]
pub async fn moved_away(url: &ServerUrl, _rng: Arc<dyn Rng>) -> Result<MovedAway, SqlError> {
    Err(SqlError::UnknownEngine(url.to_string()))
}

impl StoreUrl {
    /// The name of the engine.
    pub const fn engine(&self) -> &'static str {
        match self.0 {
            Kind::Memory => "memory",
            Kind::Sqlite { .. } => "sqlite",
            Kind::Server(ref url) => match url.engine() {
                ServerEngine::Postgres => "postgres",
                ServerEngine::Mysql => "mysql",
            },
        }
    }

    /// The database, if it is one of a server.
    pub const fn server(&self) -> Option<&ServerUrl> {
        match &self.0 {
            Kind::Server(url) => Some(url),
            Kind::Memory | Kind::Sqlite { .. } => None,
        }
    }

    /// The folder of an engine that stores files.
    pub fn folder<'a>(&'a self, default_folder: &'a Path) -> Option<&'a Path> {
        match &self.0 {
            Kind::Sqlite { folder, .. } => Some(folder.as_deref().unwrap_or(default_folder)),
            Kind::Memory | Kind::Server(_) => None,
        }
    }

    /// The store for people: its place, without the password and the options of connections.
    pub fn shown(&self, default_folder: &Path) -> String {
        match &self.0 {
            Kind::Memory => "memory:".to_owned(),
            Kind::Sqlite { folder, shards } => {
                let folder = folder.as_deref().unwrap_or(default_folder);
                let whole = std::path::absolute(folder);
                let shown = format!("sqlite:{}", whole.as_deref().unwrap_or(folder).display());
                shards.map_or_else(|| shown.clone(), |shards| format!("{shown}?shards={shards}"))
            }
            Kind::Server(url) => {
                let mut shown = url.to_string();
                if let Some(schema) = url.schema() {
                    // The path of a socket may stand before.
                    shown.push(if shown.contains('?') { '&' } else { '?' });
                    shown.push_str("search_path=");
                    shown.push_str(schema);
                }
                shown
            }
        }
    }

    /// Whether both URLs certainly name one store.
    pub fn is_same_store(&self, other: &Self, default_folder: &Path) -> bool {
        match (self.folder(default_folder), other.folder(default_folder)) {
            (Some(one), Some(other)) => resolved(one) == resolved(other),
            _ => self.shown(default_folder) == other.shown(default_folder),
        }
    }

    /// Whether the folder of one store lies in that of the other: who deletes the one deletes both.
    pub fn is_nested_with(&self, other: &Self, default_folder: &Path) -> bool {
        match (self.folder(default_folder), other.folder(default_folder)) {
            (Some(one), Some(other)) => {
                let (one, other) = (resolved(one), resolved(other));
                one != other && (one.starts_with(&other) || other.starts_with(&one))
            }
            _ => false,
        }
    }

    /// Returns whether the store exists before [`open`] creates it. The database of a server always does.
    pub fn exists(&self, options: &OpenOptions) -> bool {
        match &self.0 {
            Kind::Memory => false,
            Kind::Sqlite { folder, .. } => folder.as_ref().unwrap_or(&options.default_folder).is_dir(),
            Kind::Server(_) => true,
        }
    }
}

/// The path of a folder, without links where it exists already.
fn resolved(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let found = folder.ancestors().find_map(|ancestor| {
        let real = std::fs::canonicalize(ancestor).ok()?;
        let rest = folder.strip_prefix(ancestor).ok()?;
        Some(real.join(rest))
    });
    found.unwrap_or(folder)
}

impl FromStr for StoreUrl {
    type Err = BadStoreUrl;

    fn from_str(text: &str) -> Result<Self, BadStoreUrl> {
        // A server whose driver is left out is refused by name.
        if ServerEngine::of(text).is_some() {
            return text
                .parse()
                .map(|url| Self(Kind::Server(url)))
                .map_err(BadStoreUrl::Server);
        }
        let (scheme, rest) = text.split_once(':').ok_or(BadStoreUrl::UnknownEngine)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let options = query.split('&').filter(|option| !option.is_empty());
        match scheme {
            "memory" => parse_memory(options).map(Self),
            "sqlite" => parse_sqlite(path, options).map(Self),
            _ => Err(BadStoreUrl::UnknownEngine),
        }
    }
}

fn parse_memory<'a>(mut options: impl Iterator<Item = &'a str>) -> Result<Kind, BadStoreUrl> {
    match options.next() {
        None => Ok(Kind::Memory),
        Some(option) => Err(unknown_option("memory", option, "none")),
    }
}

fn parse_sqlite<'a>(path: &str, options: impl Iterator<Item = &'a str>) -> Result<Kind, BadStoreUrl> {
    let mut shards = None;
    for option in options {
        let Some(("shards", value)) = option.split_once('=') else {
            return Err(unknown_option("sqlite", option, "shards"));
        };
        let count = value.parse().ok();
        let count = count.filter(|count| (1..=sqlite::MAX_FILES).contains(count));
        shards = Some(count.ok_or_else(|| BadStoreUrl::BadOption {
            option: "shards",
            allowed: format!("a number from 1 to {}", sqlite::MAX_FILES),
        })?);
    }
    let folder = (!path.is_empty()).then(|| Path::new(path).to_owned());
    Ok(Kind::Sqlite { folder, shards })
}

fn unknown_option(engine: &'static str, option: &str, known: &'static str) -> BadStoreUrl {
    let name = option.split_once('=').map_or(option, |(name, _)| name);
    BadStoreUrl::UnknownOption {
        engine,
        option: name.to_owned(),
        known,
    }
}

/// Prints the schemes as a list.
struct Schemes;

impl fmt::Display for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scheme) in SCHEMES.iter().enumerate() {
            write!(f, "{}{scheme}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use foxden_model::{ManualClock, SeededRng};

    use super::*;

    fn sqlite(folder: Option<&str>, shards: Option<u32>) -> StoreUrl {
        let folder = folder.map(PathBuf::from);
        StoreUrl(Kind::Sqlite { folder, shards })
    }

    #[test]
    fn a_url_names_an_engine_and_its_options() {
        for (text, url) in [
            ("memory:", StoreUrl(Kind::Memory)),
            ("sqlite:", sqlite(None, None)),
            ("sqlite:?shards=8", sqlite(None, Some(8))),
            ("sqlite:/var/lib/store", sqlite(Some("/var/lib/store"), None)),
            ("sqlite:///store?shards=1", sqlite(Some("/store"), Some(1))),
            ("sqlite:store?", sqlite(Some("store"), None)),
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap(), url, "{text}");
        }
    }

    #[test]
    fn an_unknown_engine_or_option_is_refused_with_the_known_ones() {
        for (text, refusal) in [
            (
                "oracle://x",
                "it must begin with the name of an engine, one of memory:, sqlite:, postgres://, mysql://",
            ),
            (
                "/var/lib/store",
                "it must begin with the name of an engine, one of memory:, sqlite:, postgres://, mysql://",
            ),
            ("memory:?shards=2", "memory has no option shards; it has none"),
            ("sqlite:?files=2", "sqlite has no option files; it has shards"),
            ("sqlite:?shards=0", "shards must be a number from 1 to 64"),
            ("sqlite:?shards=65", "shards must be a number from 1 to 64"),
            ("sqlite:?shards=two", "shards must be a number from 1 to 64"),
        ] {
            let refused = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(refused.to_string(), refusal, "{text}");
        }
    }

    #[tokio::test]
    async fn the_url_selects_engine_and_path() {
        let folder = std::env::temp_dir().join(format!("foxden-{}-open", std::process::id()));
        let options = OpenOptions {
            default_folder: folder.clone(),
            cache: CacheUrl::None,
            cache_times: CacheTimes::default(),
        };
        for (text, has_files) in [("memory:", false), ("sqlite:?shards=2", true)] {
            let url: StoreUrl = text.parse().unwrap();
            assert!(!url.exists(&options));
            let clock = Arc::new(ManualClock::at_millis(1_700_000_000_000));
            let engine = open(&url, &options, clock, Arc::new(SeededRng::new(1))).await;
            assert!(engine.unwrap().check().await.is_ok());
            assert_eq!(url.exists(&options), has_files);
        }
        assert!(folder.join("1.sqlite").exists() && !folder.join("2.sqlite").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
