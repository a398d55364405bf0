//! What `foxden check` says of a cache that cannot be used, or could be used better.

use std::fs;

use foxden_sql::testing::TestServer;

use super::Setup;
use super::manual::block;
use super::server::CacheKind::{Memcached, Redis};
use super::server::{CacheKind, CacheServer};
use crate::program::{Folder, Start};

/// A password that is not to be shown.
const PASSWORD: &str = "secret-of-the-test";

/// Checks a setting of the cache, and expects one finding about it: these words, and these in the line below.
#[track_caller]
fn expect_finding(cache: &str, mark: &str, cause: &str, cure: &str) {
    let folder = Folder::new();
    let setup = Setup::new(&folder, TestServer::Postgres, cache);
    let output = setup.start.run(&["check"]);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let begin = format!("{mark}  cache: ");
    let (_, finding) = text.split_once(&begin).unwrap_or_else(|| panic!("{text}"));
    let mut lines = finding.lines();
    let (what, hint) = (lines.next().unwrap(), lines.next().unwrap_or_default());
    assert!(what.contains(cause) && hint.contains(cure), "{text}");
    assert_eq!(text.matches("cache: ").count(), 1, "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    assert_eq!(output.status.success(), mark != BAD, "{text}");
}

const BAD: &str = "BAD ";
const LOOK: &str = "look";
const FIX: &str = "correct storage.cache or that server";

#[test]
#[ignore = "needs PostgreSQL and starts cache servers of its own: run by cargo xtask test"]
fn a_cache_that_cannot_be_used_is_told_with_its_cause() {
    for kind in [Redis, Memcached] {
        let nothing = kind.url(Start::free_port());
        expect_finding(&nothing, BAD, "cannot be used: Connection refused", FIX);
        expect_finding(&nothing, BAD, "nothing listens there; start it", FIX);
        let hung = CacheServer::start(kind, &[]);
        hung.pause();
        expect_finding(
            &hung.url(),
            BAD,
            "cannot be used: it does not answer in time",
            FIX,
        );
    }
    let [redis, memcached] = [Redis, Memcached].map(|kind| CacheServer::start(kind, &[]));
    let wrong = Memcached.url_at(redis.place());
    expect_finding(
        &wrong,
        BAD,
        "cannot be used: what listens there is not memcached: it answers -ERR unknown command",
        FIX,
    );
    let wrong = Redis.url_at(memcached.place());
    expect_finding(
        &wrong,
        BAD,
        "cannot be used: what listens there is not Redis: its answer",
        FIX,
    );
    expect_finding("local", "ok  ", "local, in the memory of the process", "");
}

#[test]
#[ignore = "needs PostgreSQL and starts a Redis of its own: run by cargo xtask test"]
fn the_password_of_redis_is_missing_or_wrong() {
    let redis = CacheServer::start(Redis, &["--requirepass", PASSWORD]);
    let place = redis.place();
    let told = block("text", "BAD   cache: ").trim_end();
    let (_, cause) = told.split_once("redis://127.0.0.1:6379 ").unwrap();
    expect_finding(&redis.url(), BAD, cause, FIX);
    let wrong = format!("redis://:not-{PASSWORD}@{place}");
    expect_finding(&wrong, BAD, "it refuses the password: WRONGPASS", FIX);
    let no_user = format!("redis://ann:{PASSWORD}@{place}");
    expect_finding(&no_user, BAD, "it refuses the password: WRONGPASS", FIX);
    let missing = format!("redis://{place}?password_file=/no/such/file");
    expect_finding(
        &missing,
        BAD,
        "the password file /no/such/file: No such file",
        FIX,
    );
    let folder = Folder::new();
    let file = folder.path().join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let right = format!("redis://{place}?password_file={}", file.display());
    expect_finding(&right, LOOK, "Redis 7", "set maxmemory");
    expect_finding(
        &format!("redis://:{PASSWORD}@{place}"),
        LOOK,
        "Redis 7",
        "set maxmemory",
    );
}

#[test]
#[ignore = "needs PostgreSQL and starts cache servers of its own: run by cargo xtask test"]
fn a_cache_server_that_is_not_fit_is_told_with_the_cure() {
    let original = CacheServer::start(Redis, &[]);
    let folder = Folder::new();
    let nodes = folder.path().join("nodes.conf").display().to_string();
    let port = original.place().rsplit_once(':').unwrap().1.to_owned();
    let unfit: [(CacheKind, &[&str], &str, &str, &str); 7] = [
        (
            Redis,
            &["--replicaof", "127.0.0.1", &port],
            BAD,
            "it is a replica, and may follow another server",
            FIX,
        ),
        (
            Redis,
            &["--cluster-enabled", "yes", "--cluster-config-file", &nodes],
            BAD,
            "it is part of a cluster: name",
            FIX,
        ),
        (
            Redis,
            &["--maxmemory", "9mb", "--maxmemory-policy", "allkeys-random"],
            BAD,
            "is allkeys-random, which removes what is in use: set allkeys-lru",
            FIX,
        ),
        (
            Redis,
            &["--maxmemory", "9mb"],
            LOOK,
            "stores nothing more once its memory is full",
            "maxmemory-policy allkeys-lru",
        ),
        (
            Redis,
            &[],
            LOOK,
            "takes as much memory as it likes",
            "set maxmemory",
        ),
        (
            Memcached,
            &["--disable-cas"],
            BAD,
            "it numbers no values: start it without -C",
            FIX,
        ),
        (
            Memcached,
            &["--max-item-size=8k", "--extended=slab_chunk_max=4096"],
            BAD,
            "its items are too small: start it with -I 16k",
            FIX,
        ),
    ];
    for (kind, options, mark, what, cure) in unfit {
        let server = CacheServer::start(kind, options);
        expect_finding(&server.url(), mark, what, cure);
    }
}
