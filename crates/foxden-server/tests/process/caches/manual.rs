//! The configurations of docs/caches.md are started as they stand there.

use std::fs;
use std::process::Command;

use foxden_sql::testing::TestServer;
use serde_json::json;

use super::Setup;
use super::server::{CacheKind, CacheServer};
use crate::cluster::configured;
use crate::program::{Folder, Start};

const MANUAL: &str = include_str!("../../../../../docs/caches.md");
const DATABASE: &str = "postgres://foxden@db.example.org/foxden?password_file=/etc/foxden/database-password";
/// An address of the manual, and one that this machine has.
const ADDRESS: (&str, &str) = ("10.0.0.5", "127.0.0.2");

/// The block of this kind that begins so.
pub(super) fn block(kind: &str, begin: &str) -> &'static str {
    let fence = format!("```{kind}\n");
    let mut blocks = MANUAL.split(&fence).skip(1);
    let block = blocks.find(|block| block.starts_with(begin));
    let block = block.unwrap_or_else(|| panic!("no block of {kind} begins with {begin}"));
    block.split("```").next().unwrap()
}

/// The settings of the manual with this cache.
fn settings(cache: &str) -> String {
    let whole = block("toml", "[storage]\n");
    let (before, _) = whole.split_once("cache = ").unwrap();
    format!("{before}{cache}")
}

/// The line of the manual that names such a cache.
fn cache_line(scheme: &str) -> &'static str {
    let begin = format!("cache = \"{scheme}");
    let lines = MANUAL.lines().filter(|line| line.starts_with(&begin));
    let [line] = lines.collect::<Vec<_>>()[..] else {
        panic!("the manual does not name one {scheme}");
    };
    line
}

/// A cache server that a block of the manual starts, and how the settings name it.
struct Named {
    _server: CacheServer,
    line: &'static str,
    /// What stands in the line for its place, and the place.
    place: (&'static str, String),
}

fn redis(folder: &Folder, blocks: &[&str], user: &str) -> Named {
    let file = folder.path().join("redis.conf");
    let text = blocks.concat();
    assert!(text.contains("a-long-random-text"), "{text}");
    fs::write(&file, text.replace(ADDRESS.0, ADDRESS.1)).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(file);
    let server = CacheServer::run(CacheKind::Redis, command, ADDRESS.1, Start::free_port());
    Named {
        line: cache_line("redis"),
        place: ("cache.example.org", format!("{user}{}", server.place())),
        _server: server,
    }
}

fn memcached() -> Named {
    let text = block("sh", "memcached ").replace(ADDRESS.0, ADDRESS.1);
    let mut words = text.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    let server = CacheServer::run(CacheKind::Memcached, command, ADDRESS.1, Start::free_port());
    Named {
        line: cache_line("memcache"),
        place: ("cache.example.org:11211", server.place().to_owned()),
        _server: server,
    }
}

/// `foxden check` finds nothing to say of the cache, and the program uses it.
fn is_fit_and_used(folder: &Folder, cache: &str, replaced: &[(&'static str, String)], finding: &str) {
    let namespace = TestServer::Postgres.namespace("caches");
    let mut replaced = replaced.to_vec();
    replaced.push((DATABASE, namespace.url().to_owned()));
    let file = configured(folder, &settings(cache), "caches", &replaced);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("example.org"), "{text}");
    let setup = Setup {
        server: TestServer::Postgres,
        namespace,
        start: Start::on(folder).set("FOXDEN_CONFIG", file.to_str().unwrap()),
    };
    let checked = setup.start.run(&["check"]);
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && text.contains(finding), "{text}");

    let program = setup.start.serve();
    setup.use_cache_soon(&program);
    let store = program.store(1);
    for payload in ["1", "2"] {
        let body = json!({ "payload": payload }).to_string();
        store.send("PUT", "/storage/meta/global", Some(body)).expect(200);
        for _ in 0..3 {
            let read = store.send("GET", "/storage/meta/global", None);
            assert_eq!(read.expect(200).text_of("payload"), payload);
        }
    }
    let log = program.log();
    assert!(!log.contains("NOPERM"), "{log}");
    program.stop();
}

#[test]
#[ignore = "needs PostgreSQL and starts cache servers of its own: run by cargo xtask test"]
fn configurations_of_the_manual_are_fit() {
    let folder = Folder::new();
    let password = folder.path().join("cache-password");
    fs::write(&password, "a-long-random-text\n").unwrap();
    let replaced = |named: &Named| {
        let file = ("/etc/foxden/cache-password", password.display().to_string());
        [named.place.clone(), file]
    };
    let own = block("text", "bind ");
    let beside_others = block("text", "user foxden ");
    for named in [
        redis(&folder, &[own], ""),
        redis(&folder, &[own, beside_others], "foxden@"),
    ] {
        is_fit_and_used(&folder, named.line, &replaced(&named), "ok    cache: Redis ");
    }
    let named = memcached();
    is_fit_and_used(&folder, named.line, &replaced(&named), "ok    cache: memcached ");
    is_fit_and_used(
        &folder,
        cache_line("local"),
        &[],
        "ok    the configuration is fine",
    );
}
