//! Programs that start before their cache, and programs that start again.

use foxden_model::SyncTime;
use foxden_sql::testing::TestServer;
use serde_json::json;

use super::server::{CacheKind, CacheServer};
use super::{IN_USE, Setup, is_cache_used, said_after, wait_until};
use crate::program::{Folder, Program, Start};

/// The time of the one collection of the user, as its times and as its object tell it.
fn times(program: &Program) -> [SyncTime; 2] {
    let read = |target: &str, member: &str| {
        let reply = program.store(1).send("GET", target, None).expect(200);
        reply.json()[member].to_string().parse().unwrap()
    };
    [
        read("/info/collections", "meta"),
        read("/storage/meta/global", "modified"),
    ]
}

fn put(program: &Program, payload: &str) -> SyncTime {
    let body = json!({ "payload": payload }).to_string();
    let reply = program.store(1).send("PUT", "/storage/meta/global", Some(body));
    reply.expect(200).text().parse().unwrap()
}

/// A program that starts answers from what the one before it has stored, and what it writes is seen.
fn restart_keeps_the_cache(database: TestServer, kind: CacheKind) {
    let cache = CacheServer::start(kind, &[]);
    let folder = Folder::new();
    let setup = Setup::new(&folder, database, &cache.url());
    let mut program = setup.start.serve();
    setup.use_cache_soon(&program);
    let written = put(&program, "first");
    for _ in 0..3 {
        assert_eq!(times(&program), [written; 2]);
    }
    setup.change_behind_the_cache();
    for restart in [Program::stop, Program::kill] {
        restart(program);
        program = setup.start.serve();
        // The database tells another time. It is asked if the cache takes too long to answer.
        wait_until("the cache answers", || times(&program) == [written; 2]);
        assert!(program.has_cache_in_use(), "{}", program.log());
    }
    let again = put(&program, "second");
    assert!(again > written);
    assert_eq!(times(&program), [again; 2]);
    program.stop();
}

#[test]
#[ignore = "needs PostgreSQL and starts a Redis of its own: run by cargo xtask test"]
fn redis_stays_warm_and_true_when_the_program_is_restarted() {
    restart_keeps_the_cache(TestServer::Postgres, CacheKind::Redis);
}

#[test]
#[ignore = "needs MariaDB and starts a memcached of its own: run by cargo xtask test"]
fn memcached_stays_warm_and_true_when_the_program_is_restarted() {
    restart_keeps_the_cache(TestServer::Mariadb, CacheKind::Memcached);
}

/// The program starts and serves without its cache, and uses it once that is there.
#[test]
#[ignore = "needs PostgreSQL and starts cache servers of its own: run by cargo xtask test"]
fn a_cache_that_is_away_at_the_start_is_used_later() {
    for kind in [CacheKind::Redis, CacheKind::Memcached] {
        let port = Start::free_port();
        let folder = Folder::new();
        let setup = Setup::new(&folder, TestServer::Postgres, &kind.url(port));
        let program = setup.start.serve();
        let line = said_after(&program, 0, "the cache cannot be used");
        assert!(
            line.contains("WARN") && line.contains("Connection refused"),
            "{line}"
        );
        let written = put(&program, "first");
        assert_eq!(times(&program), [written; 2]);
        assert!(!is_cache_used(&program));

        let _cache = CacheServer::start_at(kind, port, &[]);
        setup.use_cache_soon(&program);
        assert_eq!(times(&program), [written; 2]);
        let again = put(&program, "second");
        assert_eq!(times(&program), [again; 2]);
        said_after(&program, 0, IN_USE);
        program.stop();
    }
}
