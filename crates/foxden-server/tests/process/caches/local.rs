//! A cache in the memory of one program, which a second one ends.

use foxden_sql::testing::TestServer;
use serde_json::json;

use super::manual::block;
use super::{Setup, await_use, is_cache_used, said_after};
use crate::program::{Folder, Program};

fn put(program: &Program, payload: &str) {
    let body = json!({ "payload": payload }).to_string();
    let reply = program.store(1).send("PUT", "/storage/meta/global", Some(body));
    reply.expect(200);
}

fn payload(program: &Program) -> String {
    let reply = program.store(1).send("GET", "/storage/meta/global", None);
    reply.expect(200).text_of("payload")
}

/// A second program on the store, with a local cache of its own or with none, writes: the first one reads that at once, and both
/// logs tell why the cache is not in use.
#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn a_second_program_ends_the_use_of_a_local_cache() {
    for (database, other) in [(TestServer::Postgres, "local"), (TestServer::Mariadb, "none")] {
        let folders = [Folder::new(), Folder::new()];
        let setup = Setup::new(&folders[0], database, "local");
        let first = setup.start.serve();
        setup.use_cache_soon(&first);
        put(&first, "1");
        assert_eq!(payload(&first), "1");

        let second = setup.beside(&folders[1], other).serve();
        assert_eq!(payload(&second), "1");
        assert!(is_cache_used(&first), "who only reads does no harm");
        put(&second, "2");
        assert_eq!([payload(&first), payload(&second)], ["2", "2"]);
        let lines = block("text", "WARN the cache is not in use").lines();
        for (program, line) in [&first, &second].into_iter().zip(lines) {
            let told = line.trim_start_matches("WARN ").trim_end_matches("…\"");
            assert!(said_after(program, 0, told).contains("WARN"));
        }
        put(&first, "3");
        assert_eq!([payload(&first), payload(&second)], ["3", "3"]);
        for program in [first, second] {
            program.stop();
        }
    }
}

mod long {
    use super::*;

    /// Nothing but time is needed for a local cache to be in use, and to be so again once the other program has ended.
    #[test]
    #[ignore = "takes minutes and needs PostgreSQL: run by cargo xtask test --long"]
    fn a_local_cache_comes_back() {
        let folders = [Folder::new(), Folder::new()];
        let setup = Setup::new(&folders[0], TestServer::Postgres, "local");
        let first = setup.start.serve();
        await_use(&first);
        let second = setup.beside(&folders[1], "none").serve();
        put(&second, "1");
        assert_eq!(payload(&first), "1");
        assert!(!is_cache_used(&first));
        second.stop();
        await_use(&first);
        put(&first, "2");
        assert_eq!(payload(&first), "2");
        first.stop();
    }
}
