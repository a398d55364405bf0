//! The speed of the engines on database servers beside a direct driver: `cargo bench -p foxden-storage --bench servers`. Words after
//! `--` choose the lines that contain them all.
//!
//! `FOXDEN_TEST_POSTGRES` and `FOXDEN_TEST_MARIADB` name the servers. The reference sends one prepared statement for each call, which
//! answers the same, to a table of the same shape; it takes no locks, keeps no counts and checks nothing. Rounds alternate. The lines are rows of `docs/performance.md`.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foxden_model::{CollectionName, ObjectId, SeededRng, SystemClock, UserId};
use foxden_sql::server::{MysqlPool, PostgresPool};
use foxden_sql::testing::TestServer;
use foxden_storage::{Change, Detail, Engine, Field, Patch, Query, SqlEngine, Write};
use sqlx::{AssertSqlSafe, Executor};
use tokio::task::JoinSet;

/// The ratio that is required.
const FLOOR: f64 = 0.9;
/// The goal.
const MOONSHOT: f64 = 0.97;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const CLIENTS: [u64; 2] = [1, 16];
const OBJECTS: usize = 100;
const USERS: u64 = 100;

/// What is repeated.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// New objects each time.
    Post,
    /// The same objects each time.
    Overwrite,
    One,
    Summary,
}

/// The direct driver.
enum Driver {
    Postgres(PostgresPool),
    Mysql(MysqlPool),
}

/// Either side of a comparison.
enum Side {
    Engine(Box<SqlEngine>),
    Driver(Box<Driver>),
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    for server in TestServer::ALL {
        if server.found().is_none() {
            print_line(format!("{} is not set", server.variable()));
            continue;
        }
        Box::pin(compare(server)).await;
    }
}

async fn compare(server: TestServer) {
    let namespace = Box::pin(server.fresh("bench"))
        .await
        .expect("the server is there");
    let url = namespace.url().parse().expect("the URL is one of a server");
    let rng = Arc::new(SeededRng::new(1));
    let engine = SqlEngine::open(&url, Arc::new(SystemClock), rng).await;
    let engine = Arc::new(Side::Engine(Box::new(engine.expect("the server can be used"))));
    let driver = match server {
        TestServer::Postgres => PostgresPool::open(&url, "bench").await.map(Driver::Postgres),
        TestServer::Mariadb => MysqlPool::open(&url, "bench").await.map(Driver::Mysql),
    };
    let driver = driver.expect("the server can be used");
    driver.prepare().await;
    let driver = Arc::new(Side::Driver(Box::new(driver)));
    let name = match server {
        TestServer::Postgres => "PostgreSQL",
        TestServer::Mariadb => "MariaDB",
    };
    for load in [Load::Overwrite, Load::Post, Load::One, Load::Summary] {
        for clients in CLIENTS {
            let line = format!(
                "{name}: {} / a direct driver, {clients} connection{}",
                load.name(),
                if clients == 1 { "" } else { "s" }
            );
            let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
            if !words.all(|word| line.contains(&word)) {
                continue;
            }
            let mut rates = [Vec::new(), Vec::new()];
            for round in 0..=ROUNDS {
                for (side, rates) in [&driver, &engine].into_iter().zip(&mut rates) {
                    let rate = measure(side, load, clients).await;
                    // The first round warms up.
                    if round > 0 {
                        rates.push(rate);
                    }
                }
            }
            let best = best_ratio(&rates);
            let [reference, ours] = rates.map(median);
            let ratio = ours / reference;
            let holds = if ratio < FLOOR { "**no**" } else { "yes" };
            print_line(format!(
                "| {line} | {FLOOR:.2} | {MOONSHOT} | {ratio:.2} | {holds} | best {best:.2}; {ours:.0} beside {reference:.0} a \
                 second; {ROUNDS} rounds |"
            ));
        }
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn best_ratio([reference, ours]: &[Vec<f64>; 2]) -> f64 {
    let ratios = ours
        .iter()
        .zip(reference)
        .map(|(ours, reference)| ours / reference);
    ratios.fold(0.0, f64::max)
}

/// The calls in a second.
async fn measure(side: &Arc<Side>, load: Load, clients: u64) -> f64 {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let ends = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for client in 0..clients {
        let (side, ends) = (Arc::clone(side), Arc::clone(&ends));
        tasks.spawn(async move {
            let mut calls = 0_u32;
            let mut user = client;
            while !ends.load(Ordering::Relaxed) {
                let serial = match load {
                    Load::Post => SERIAL.fetch_add(1, Ordering::Relaxed) + 1,
                    Load::Overwrite | Load::One | Load::Summary => 0,
                };
                side.call(load, user, serial).await;
                // Each client has users of its own.
                user = (user + clients) % (USERS - USERS % clients);
                calls += 1;
            }
            calls
        });
    }
    tokio::time::sleep(ROUND).await;
    ends.store(true, Ordering::Relaxed);
    let calls: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(calls) / begin.elapsed().as_secs_f64()
}

impl Load {
    const fn name(self) -> &'static str {
        match self {
            Self::Post => "POST of 100 new objects",
            Self::Overwrite => "POST of 100 objects that exist",
            Self::One => "one object",
            Self::Summary => "summary",
        }
    }
}

fn ids(serial: u64) -> Vec<String> {
    (0..OBJECTS)
        .map(|number| format!("{serial:08x}{number:04}"))
        .collect()
}

fn text() -> String {
    "x".repeat(300)
}

impl Side {
    async fn call(&self, load: Load, user: u64, serial: u64) {
        match self {
            Self::Engine(engine) => {
                let collection = CollectionName::new("history").expect("the name is allowed");
                let user = UserId(user);
                match load {
                    Load::Post | Load::Overwrite => {
                        let patches = ids(serial).into_iter().map(|id| Patch {
                            payload: Field::Set(text()),
                            renews: true,
                            ..Patch::empty(ObjectId::new(id).expect("the id is allowed"))
                        });
                        let change = Change::Upsert {
                            collection,
                            patches: patches.collect(),
                        };
                        engine.write(user, Write::new(change)).await.map(drop)
                    }
                    Load::One => {
                        let id = ObjectId::new("000000000042").expect("the id is allowed");
                        let page = engine.read(user, &Query::one(collection, id)).await;
                        page.map(|page| assert_eq!(page.rows.len(), 1, "it was stored before"))
                    }
                    Load::Summary => engine.summary(user, Detail::Times).await.map(drop),
                }
                .expect("the server answers");
            }
            Self::Driver(driver) => driver.call(load, user.cast_signed(), serial).await,
        }
    }
}

const COLUMNS: &str =
    "uid, collection, id, modified, expiry, sortindex, size, parent_id, predecessor_id, payload";

impl Driver {
    /// Creates a table of the same shape.
    async fn prepare(&self) {
        match self {
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await.expect("the server answers");
                let script = "CREATE TABLE bench_object (LIKE sync_object INCLUDING ALL)";
                connection
                    .execute(sqlx::raw_sql(script))
                    .await
                    .expect("a table is made");
                connection.give_back();
            }
            Self::Mysql(pool) => {
                let mut connection = pool.acquire().await.expect("the server answers");
                let script = "CREATE TABLE bench_object LIKE sync_object";
                connection
                    .execute(sqlx::raw_sql(script))
                    .await
                    .expect("a table is made");
                connection.give_back();
            }
        }
    }

    async fn call(&self, load: Load, user: i64, serial: u64) {
        match self {
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await.expect("the server answers");
                let query = match load {
                    Load::Post | Load::Overwrite => {
                        const UPSERT: &str = "INSERT INTO bench_object \
                            (uid, collection, id, modified, size, payload) \
                            SELECT $1, 1, id, $2, octet_length(payload), payload \
                            FROM unnest($3::text[], $4::bytea[]) AS g (id, payload) \
                            ON CONFLICT (uid, collection, id) DO UPDATE SET modified = excluded.modified, \
                            size = excluded.size, payload = excluded.payload";
                        let payloads: Vec<Vec<u8>> = vec![text().into_bytes(); OBJECTS];
                        sqlx::query(UPSERT)
                            .bind(user)
                            .bind(now())
                            .bind(ids(serial))
                            .bind(payloads)
                    }
                    Load::One => sqlx::query(
                        "SELECT c.modified, o.modified, o.sortindex, o.expiry, o.payload FROM sync_collection c \
                         LEFT JOIN bench_object o ON o.uid = c.uid AND o.collection = 1 AND o.id = '000000000042' \
                         WHERE c.uid = $1 AND c.name = 'history'",
                    )
                    .bind(user),
                    Load::Summary => {
                        sqlx::query(
                            "SELECT u.modified, c.name, c.modified FROM sync_user u \
                             LEFT JOIN sync_collection c ON c.uid = u.uid WHERE u.uid = $1",
                        )
                        .bind(user)
                    }
                };
                connection.fetch_all(query).await.expect("the server answers");
                connection.give_back();
            }
            Self::Mysql(pool) => {
                let mut connection = pool.acquire().await.expect("the server answers");
                let query = match load {
                    Load::Post | Load::Overwrite => {
                        let row = "(?, 1, ?, ?, NULL, NULL, ?, NULL, NULL, ?)";
                        let sql = format!(
                            "INSERT INTO bench_object ({COLUMNS}) VALUES {} \
                             ON DUPLICATE KEY UPDATE modified = VALUES(modified), size = VALUES(size), \
                             payload = VALUES(payload)",
                            vec![row; OBJECTS].join(", ")
                        );
                        let mut query = sqlx::query(AssertSqlSafe(sql));
                        for id in ids(serial) {
                            query = query.bind(user).bind(id).bind(now()).bind(300_i64).bind(text());
                        }
                        query
                    }
                    Load::One => sqlx::query(
                        "SELECT c.modified, o.modified, o.sortindex, o.expiry, o.payload FROM sync_collection c \
                         LEFT JOIN bench_object o ON o.uid = c.uid AND o.collection = 1 AND o.id = '000000000042' \
                         WHERE c.uid = ? AND c.name = 'history'",
                    )
                    .bind(user),
                    Load::Summary => {
                        sqlx::query(
                            "SELECT u.modified, c.name, c.modified FROM sync_user u \
                             LEFT JOIN sync_collection c ON c.uid = u.uid WHERE u.uid = ?",
                        )
                        .bind(user)
                    }
                };
                connection.fetch_all(query).await.expect("the server answers");
                connection.give_back();
            }
        }
    }
}

fn now() -> i64 {
    use foxden_model::Clock;
    SystemClock.now().hundredths()
}

fn print_line(line: impl Display) {
    // A line that cannot be printed is lost, and so is the pipe that it was for.
    let _ = writeln!(std::io::stdout(), "{line}");
}
