//! The speed of moves between engines beside raw inserts of the same objects: `cargo bench -p foxden-storage --bench moves`. Words after
//! `--` choose the lines that contain them all.
//!
//! `FOXDEN_TEST_POSTGRES` and `FOXDEN_TEST_MARIADB` name the servers. The reference inserts a thousand objects with each statement, with as
//! many connections as a move has, into the same tables with the same indexes; it reads nothing and counts nothing. Rounds alternate,
//! each into new tables. The lines are rows of `docs/performance.md`.

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foxden_model::{CollectionName, ObjectId, SeededRng, SystemClock, UserId};
use foxden_sql::server::{MysqlPool, PostgresPool};
use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_storage::conformance::EngineFixture;
use foxden_storage::moving::{self, Move, MoveProgress, NamedStore};
use foxden_storage::{
    Change, Engine, Field, MoveSide, Patch, SqlEngine, SqliteEngine, SqliteOptions, Write, open_movable,
};
use sqlx::{AssertSqlSafe, Executor};
use tokio::task::JoinSet;

/// The ratio that is required.
const FLOOR: f64 = 0.6;
const ROUNDS: u32 = 5;
const USERS: u64 = 50;
const OBJECTS_EACH: u64 = 2000;
/// The objects of one raw statement.
const AT_ONCE: usize = 1000;
/// How many connections insert raw objects, as a move has them; SQLite has as many files.
const CONNECTIONS: u64 = 4;

/// Where objects are moved to.
#[derive(Clone, Copy, Debug)]
enum Engines {
    Sqlite,
    Server(TestServer),
}

/// A new store, without users.
enum NewStore {
    Sqlite(PathBuf),
    Server(TestServer, TestNamespace),
}

/// How long a move took.
struct Moved {
    copying: Duration,
    /// With the comparison and the flags.
    whole: Duration,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let fixture = EngineFixture::new();
    let source = fixture.folder().join("source");
    fill(&source).await;
    let servers = TestServer::ALL.map(Engines::Server);
    for engine in [Engines::Sqlite].into_iter().chain(servers) {
        if let Engines::Server(server) = engine
            && server.found().is_none()
        {
            print_line(format!("{} is not set", server.variable()));
            continue;
        }
        Box::pin(compare(&source, engine, fixture.folder())).await;
    }
}

async fn compare(source: &Path, engine: Engines, folder: &Path) {
    let line = format!(
        "SQLite to {}: `foxden migrate` / raw inserts of 1,000 objects",
        engine.name()
    );
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    if !words.all(|word| line.contains(&word)) {
        return;
    }
    let (mut raw, mut copied, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let store = engine.make(&folder.join(format!("raw-{round}"))).await;
        let began = Instant::now();
        insert(&store).await;
        let inserting = began.elapsed();
        drop(store);
        let store = engine.make(&folder.join(format!("moved-{round}"))).await;
        let moved = Box::pin(migrate(source, &store)).await;
        // The first round warms up.
        if round > 0 {
            raw.push(rate(inserting));
            copied.push(rate(moved.copying));
            whole.push(rate(moved.whole));
        }
    }
    let ratios = copied.iter().zip(&raw).map(|(ours, reference)| ours / reference);
    let best = ratios.fold(0.0, f64::max);
    let [raw, copied, whole] = [raw, copied, whole].map(median);
    let ratio = copied / raw;
    let holds = if ratio < FLOOR { "**no**" } else { "yes" };
    print_line(format!(
        "| {line} | {FLOOR:.2} | – | {ratio:.2} | {holds} | best {best:.2}; {copied:.0} beside {raw:.0} objects a second; {whole:.0} with \
         the comparison at the end; {ROUNDS} rounds |"
    ));
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Objects in a second.
fn rate(span: Duration) -> f64 {
    let objects = u32::try_from(USERS * OBJECTS_EACH).unwrap_or(u32::MAX);
    f64::from(objects) / span.as_secs_f64()
}

impl Engines {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Server(TestServer::Postgres) => "PostgreSQL",
            Self::Server(TestServer::Mariadb) => "MariaDB",
        }
    }

    /// Makes tables.
    async fn make(self, folder: &Path) -> NewStore {
        let rng = Arc::new(SeededRng::new(1));
        match self {
            Self::Sqlite => {
                let engine = SqliteEngine::open(SqliteOptions::new(folder), Arc::new(SystemClock), rng);
                engine.expect("the folder can be used").close().await;
                NewStore::Sqlite(folder.to_owned())
            }
            Self::Server(server) => {
                let namespace = Box::pin(server.fresh("moves"))
                    .await
                    .expect("the server is there");
                let url = namespace.url().parse().expect("the URL is one of a server");
                let engine = SqlEngine::open(&url, Arc::new(SystemClock), rng).await;
                engine.expect("the server can be used").close().await;
                NewStore::Server(server, namespace)
            }
        }
    }
}

fn id(number: u64) -> String {
    format!("{number:012}")
}

fn text() -> String {
    "x".repeat(300)
}

/// Makes the store that is moved, by the engine.
async fn fill(folder: &Path) {
    let rng = Arc::new(SeededRng::new(1));
    let engine = SqliteEngine::open(SqliteOptions::new(folder), Arc::new(SystemClock), rng);
    let engine = engine.expect("the folder can be used");
    for user in 0..USERS {
        let numbers: Vec<u64> = (0..OBJECTS_EACH).collect();
        for some in numbers.chunks(AT_ONCE) {
            let patches = some.iter().map(|&number| Patch {
                payload: Field::Set(text()),
                renews: true,
                ..Patch::empty(ObjectId::new(id(number)).expect("the id is allowed"))
            });
            let change = Change::Upsert {
                collection: CollectionName::new("history").expect("the name is allowed"),
                patches: patches.collect(),
            };
            let written = engine.write(UserId(user), Write::new(change)).await;
            written.expect("the objects are stored");
        }
    }
    engine.close().await;
}

impl NewStore {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.display()),
            Self::Server(_, namespace) => namespace.url().to_owned(),
        }
    }
}

/// Moves all objects.
async fn migrate(source: &Path, target: &NewStore) -> Moved {
    let rng = Arc::new(SeededRng::new(1));
    let open = async |url: String, side| {
        let url = url.parse().expect("the URL is one of a store");
        let opened = open_movable(&url, Path::new("unused"), side, rng.clone());
        Box::pin(opened).await.expect("the store can be opened")
    };
    let from = open(format!("sqlite:{}", source.display()), MoveSide::From).await;
    let to = open(target.url(), MoveSide::To).await;
    let stores = Move {
        from: NamedStore {
            store: &*from,
            shown: "from",
        },
        to: NamedStore {
            store: &*to,
            shown: "to",
        },
    };
    let began = Instant::now();
    moving::begin(stores, &*rng)
        .await
        .expect("both stores are flagged");
    let copying = Instant::now();
    moving::copy(stores, &MoveProgress::default())
        .await
        .expect("all is copied");
    let copying = copying.elapsed();
    moving::compare(stores, &MoveProgress::default())
        .await
        .expect("the stores are equal");
    moving::finish(stores).await.expect("the target is opened");
    let whole = began.elapsed();
    moving::give_up(stores.from).await.expect("the source is opened");
    from.close().await;
    to.close().await;
    Moved { copying, whole }
}

/// Inserts the same objects directly.
async fn insert(store: &NewStore) {
    let mut tasks = JoinSet::new();
    match store {
        NewStore::Sqlite(folder) => {
            for file in 0..CONNECTIONS {
                let path = folder.join(format!("{file}.sqlite"));
                tasks.spawn_blocking(move || insert_into_file(&path, file));
            }
        }
        NewStore::Server(server, namespace) => {
            let url = namespace.url().parse().expect("the URL is one of a server");
            match server {
                TestServer::Postgres => {
                    let pool = PostgresPool::open(&url, "bench").await;
                    let pool = Arc::new(pool.expect("the server can be used"));
                    for first in 0..CONNECTIONS {
                        let pool = Arc::clone(&pool);
                        tasks.spawn(async move { insert_into_postgres(&pool, first).await });
                    }
                }
                TestServer::Mariadb => {
                    let pool = MysqlPool::open(&url, "bench").await;
                    let pool = Arc::new(pool.expect("the server can be used"));
                    for first in 0..CONNECTIONS {
                        let pool = Arc::clone(&pool);
                        tasks.spawn(async move { insert_into_mariadb(&pool, first).await });
                    }
                }
            }
        }
    }
    tasks.join_all().await;
}

/// The statements of one connection: the user and the ids of each.
fn statements(first: u64) -> impl Iterator<Item = (i64, Vec<String>)> {
    let step = usize::try_from(CONNECTIONS).unwrap_or(1);
    (first..USERS).step_by(step).flat_map(|user| {
        let ids: Vec<String> = (0..OBJECTS_EACH).map(id).collect();
        let chunks: Vec<_> = ids.chunks(AT_ONCE).map(<[String]>::to_vec).collect();
        chunks.into_iter().map(move |ids| (user.cast_signed(), ids))
    })
}

fn insert_into_file(path: &Path, file: u64) {
    let mut connection = rusqlite::Connection::open(path).expect("the file is there");
    let set = connection.pragma_update(None, "synchronous", "full");
    set.expect("the file can be used");
    for (user, ids) in statements(file) {
        let step = connection.transaction().expect("no other process writes");
        {
            let insert = "insert into object (owner, id, modified, payload) values (?1, ?2, ?3, ?4)";
            let mut insert = step.prepare_cached(insert).expect("the table is there");
            for id in ids {
                let inserted = insert.execute((user, id, now(), text()));
                inserted.expect("the row is new");
            }
        }
        step.commit().expect("the disk has room");
    }
}

async fn insert_into_postgres(pool: &PostgresPool, first: u64) {
    const INSERT: &str = "INSERT INTO sync_object (uid, collection, id, modified, size, payload)
        SELECT $1, 1, id, $2, octet_length(payload), payload FROM unnest($3::text[], $4::bytea[]) AS g (id, payload)";
    let mut connection = pool.acquire().await.expect("the server answers");
    for (user, ids) in statements(first) {
        let payloads = vec![text().into_bytes(); ids.len()];
        let query = sqlx::query(INSERT);
        let query = query.bind(user).bind(now()).bind(ids).bind(payloads);
        connection.execute(query).await.expect("the rows are new");
    }
    connection.give_back();
}

async fn insert_into_mariadb(pool: &MysqlPool, first: u64) {
    let row = "(?, 1, ?, ?, NULL, NULL, ?, NULL, NULL, ?)";
    let sql = format!(
        "INSERT INTO sync_object \
         (uid, collection, id, modified, expiry, sortindex, size, parent_id, predecessor_id, payload) VALUES {}",
        vec![row; AT_ONCE].join(", ")
    );
    let mut connection = pool.acquire().await.expect("the server answers");
    for (user, ids) in statements(first) {
        let mut query = sqlx::query(AssertSqlSafe(sql.as_str()));
        for id in ids {
            query = query.bind(user).bind(id).bind(now()).bind(300_i64).bind(text());
        }
        connection.execute(query).await.expect("the rows are new");
    }
    connection.give_back();
}

fn now() -> i64 {
    use foxden_model::Clock;
    SystemClock.now().hundredths()
}

fn print_line(line: impl Display) {
    // A line that cannot be printed is lost, and so is the pipe that it was for.
    let _ = writeln!(std::io::stdout(), "{line}");
}
