//! `foxden migrate`: what arrives, what it says, and what becomes of a move that ends early.

mod refused;
mod stopped;
mod users;

use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use foxden_sql::testing::{TestNamespace, TestServer};

use crate::program::{Folder, Start};
use users::{Dump, Size, dump, seed};

/// How long a move may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Starts a move.
fn begin(folder: &Folder, from: &str, to: &str) -> Child {
    let mut command = Start::on(folder).command(&["migrate", "--from", from, "--to", to]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// Makes a move, to its end.
fn migrate(folder: &Folder, from: &str, to: &str) -> Output {
    begin(folder, from, to).wait_with_output().unwrap()
}

/// Runs `foxden migrate --give-up`.
fn give_up(folder: &Folder, url: &str) -> Output {
    Start::on(folder).run(&["migrate", "--give-up", url, "--yes"])
}

/// Both streams of a command.
fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

/// What a move says that comes to its end.
#[track_caller]
fn moved(output: &Output) -> String {
    let text = said(output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("both stores are equal"), "{text}");
    assert!(text.contains("All objects were moved."), "{text}");
    text
}

/// What a move says that is refused.
#[track_caller]
fn refused(output: &Output) -> String {
    let text = said(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A SQLite store in this folder.
fn sqlite(folder: &Folder, name: &str) -> String {
    format!("sqlite:{}", folder.path().join(name).display())
}

fn namespace(server: TestServer) -> TestNamespace {
    server.namespace("migrate")
}

/// Random numbers that a seed repeats.
struct TestRng(u64);

impl TestRng {
    fn below(&mut self, limit: u64) -> u64 {
        // A step of splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Waits for the end of a program, but no longer than this; whether it has ended.
fn wait_for(child: &mut Child, limit: Duration) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < limit {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// Makes a move whose program is killed this many times within a span; it may end by itself before. Returns how often it was killed.
fn migrate_with_kills(
    folder: &Folder,
    (from, to): (&str, &str),
    kills: u32,
    span: Duration,
    rng: &mut TestRng,
) -> u32 {
    let began = Instant::now();
    for killed in 0..kills {
        let mut child = begin(folder, from, to);
        let pause = span.mul_f64(f64::from(u32::try_from(rng.below(1000)).unwrap()) / 1000.0);
        if wait_for(&mut child, pause) {
            let output = child.wait_with_output().unwrap();
            let text = said(&output);
            assert!(
                output.status.success() && text.contains("All objects were moved."),
                "{text}"
            );
            return killed;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(began.elapsed() < PATIENCE, "the move takes too long");
    }
    // It may have been killed after its work was done.
    let last = migrate(folder, from, to);
    let text = said(&last);
    assert!(
        last.status.success() && text.contains("All objects were moved."),
        "{text}"
    );
    kills
}

/// SQLite to PostgreSQL, to MariaDB and back to SQLite, with kills on the way.
fn move_around(size: Size, kills: u32, seed_number: u64) {
    let folder = Folder::new();
    let (postgres, mariadb) = (namespace(TestServer::Postgres), namespace(TestServer::Mariadb));
    let (first, last) = (sqlite(&folder, "first"), sqlite(&folder, "last"));
    seed(&first, size);
    let before: Dump = dump(&first);
    assert_eq!(before.totals(), (size.users, size.objects()));
    let mut rng = TestRng(seed_number);
    let places = [first.as_str(), postgres.url(), mariadb.url(), last.as_str()];
    let mut killed = 0;
    // A whole move shows how long one takes.
    let began = Instant::now();
    moved(&migrate(&folder, &first, &sqlite(&folder, "trial")));
    let span = began.elapsed();
    assert!(give_up(&folder, &first).status.success());
    for pair in places.windows(2) {
        killed += migrate_with_kills(&folder, (pair[0], pair[1]), kills, span, &mut rng);
    }
    eprintln!("seed {seed_number}: killed {killed} times");
    assert!(killed > 0, "nothing was interrupted");
    dump(&last).assert_same_as(&before);
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn a_store_that_goes_from_engine_to_engine_comes_back_as_it_was() {
    move_around(
        Size {
            users: 20,
            objects_each: 500,
        },
        2,
        1,
    );
}

mod long {
    use super::*;

    #[test]
    #[ignore = "takes a few minutes and needs database servers: run by cargo xtask test --long"]
    fn a_hundred_thousand_objects_go_from_engine_to_engine_through_many_kills() {
        for seed_number in [2, 3] {
            move_around(
                Size {
                    users: 50,
                    objects_each: 2000,
                },
                5,
                seed_number,
            );
        }
    }
}
