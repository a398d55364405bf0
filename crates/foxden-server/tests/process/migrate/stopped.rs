//! Moves that end early, and go on with the same command or are given up.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use foxden_sql::testing::TestServer;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    Folder, Size, Start, begin, dump, give_up, migrate, moved, namespace, refused, said, seed, sqlite,
    wait_for,
};

const SOME: Size = Size {
    users: 8,
    objects_each: 1000,
};

/// Ctrl-C says that nothing is lost, and the same command goes on.
#[test]
fn ctrl_c_ends_a_move_that_goes_on_later() {
    let folder = Folder::new();
    let (store, other) = (sqlite(&folder, "store"), sqlite(&folder, "other"));
    seed(&store, SOME);
    let before = dump(&store);
    let mut pause = Duration::from_millis(400);
    let is_interrupted = |_| {
        let mut child = begin(&folder, &store, &other);
        let has_ended = wait_for(&mut child, pause);
        if !has_ended {
            let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            kill_process(process, Signal::INT).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let text = said(&output);
        if output.status.code() == Some(130) {
            assert!(
                text.contains("Interrupted. Nothing is lost: the same command goes on."),
                "{text}"
            );
            return true;
        }
        if output.status.signal() == Some(Signal::INT.as_raw()) {
            // On a busy machine it may not have begun.
            pause *= 2;
            return false;
        }
        // On a fast machine it may have been done before.
        moved(&output);
        assert!(give_up(&folder, &store).status.success());
        std::fs::remove_dir_all(folder.path().join("other")).unwrap();
        pause /= 2;
        false
    };
    assert!((0..20).any(is_interrupted), "it is never interrupted");
    // It may have been interrupted when all was done.
    let output = migrate(&folder, &store, &other);
    let text = said(&output);
    assert!(
        output.status.success() && text.contains("All objects were moved."),
        "{text}"
    );
    dump(&other).assert_same_as(&before);
}

/// A file that may not grow stands for a disk that is full.
#[test]
fn a_full_disk_stops_a_move_that_goes_on_later() {
    let folder = Folder::new();
    let (store, other) = (sqlite(&folder, "store"), sqlite(&folder, "other"));
    seed(&store, SOME);
    let before = dump(&store);
    let program = Start::on(&folder).command(&["migrate", "--from", &store, "--to", &other]);
    let mut limited = Command::new("sh");
    // Blocks of 512 bytes.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 800; exec \"$@\"", "sh"]);
    limited.arg(program.get_program()).args(program.get_args());
    let text = refused(&limited.stdin(Stdio::null()).output().unwrap());
    assert!(
        text.contains("once that is mended, the same command goes on"),
        "{text}"
    );
    let start = Start::on(&folder).set("FOXDEN__STORAGE__URL", &other);
    let served = super::super::databases::failed_start(&start);
    assert!(
        served.contains("objects are being moved here from sqlite:"),
        "{served}"
    );
    let checked = said(&start.run(&["check"]));
    assert!(
        checked.contains("objects are being moved here from sqlite:"),
        "{checked}"
    );
    moved(&migrate(&folder, &store, &other));
    dump(&other).assert_same_as(&before);
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn lost_connections_harm_no_move() {
    let folder = Folder::new();
    let database = namespace(TestServer::Postgres);
    let store = sqlite(&folder, "store");
    seed(&store, SOME);
    let before = dump(&store);
    let terminate = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'foxden move in {}%'",
        database.name()
    );
    let mut child = begin(&folder, &store, database.url());
    for _ in 0..10 {
        if wait_for(&mut child, Duration::from_millis(50)) {
            break;
        }
        TestServer::Postgres.run(&terminate);
    }
    // Users who were being copied begin anew. Before and after, the command ends.
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        refused(&output);
        moved(&migrate(&folder, &store, database.url()));
    }
    let back = sqlite(&folder, "back");
    moved(&migrate(&folder, database.url(), &back));
    dump(&back).assert_same_as(&before);
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn a_move_that_is_given_up_leaves_the_source_as_it_was_and_the_target_empty() {
    for server in TestServer::ALL {
        let folder = Folder::new();
        let database = namespace(server);
        let store = sqlite(&folder, "store");
        seed(&store, SOME);
        let before = dump(&store);
        let mut child = begin(&folder, &store, database.url());
        // Less than the move takes.
        assert!(
            !wait_for(&mut child, Duration::from_millis(80)),
            "it has ended before"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        // Each of them is flagged unless the program was killed before.
        for (url, done) in [
            (store.as_str(), "can be served again"),
            (database.url(), "is empty, and can be used again"),
        ] {
            let output = give_up(&folder, url);
            let text = said(&output);
            let done = if output.status.success() {
                done
            } else {
                "takes part in no move"
            };
            let is_new = text.contains("there are no objects at");
            assert!(text.contains(done) || is_new, "{text}");
        }
        dump(&store).assert_same_as(&before);
        let other = sqlite(&folder, "other");
        moved(&migrate(&folder, &store, &other));
        moved(&migrate(&folder, &other, database.url()));
        let back = sqlite(&folder, "back");
        moved(&migrate(&folder, database.url(), &back));
        dump(&back).assert_same_as(&before);
    }
}
