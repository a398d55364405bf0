//! SQLite files of processes that are killed or run out of disk. Each test starts itself again as a child process, which
//! writes and reports acknowledged writes on its standard output.

#![cfg(unix)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use foxden_model::{CollectionName, ObjectId, SeededRng, SystemClock, UserId};
use foxden_storage::{
    BatchPart, Change, Detail, Engine, EngineError, Field, Fields, Patch, Query, SqliteEngine, SqliteOptions,
    Write, Written,
};
use tokio::task::JoinSet;

const USERS: u64 = 8;
const KILLS: u64 = 20;
const FOLDER: &str = "FOXDEN_TEST_CHILD_FOLDER";
const ROUND: &str = "FOXDEN_TEST_CHILD_ROUND";

/// A process is killed during its writes, repeatedly. Every acknowledged write is stored, and none is stored in part.
#[test]
fn acknowledged_writes_survive_kills() {
    if let Some(folder) = variable(FOLDER) {
        let round = variable(ROUND).expect("the parent gives both").parse();
        return runtime().block_on(write_until_killed(Path::new(&folder), round.expect("a number")));
    }
    let folder = fresh_folder("kills");
    let mut acknowledged: HashMap<u64, u64> = HashMap::new();
    for round in 1..=KILLS {
        let mut child = start(
            Command::new(this_program()),
            "acknowledged_writes_survive_kills",
            &folder,
            round,
        );
        // Killed after a different number of answers each time, once immediately.
        let mut answers = (round * 37) % 200;
        let mut lines = lines_of(&mut child);
        while answers > 0 {
            let line = lines.next().expect("a child writes until it is killed");
            answers -= 1;
            note(&line, &mut acknowledged);
        }
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
        // Lines from before the kill count as well; the last one may be incomplete.
        lines.for_each(|line| note(&line, &mut acknowledged));
        runtime().block_on(async {
            let engine = open(&folder, 2);
            for user in 0..USERS {
                check_whole(&engine, user, acknowledged.get(&user).copied()).await;
            }
        });
    }
    assert_eq!(acknowledged.len() as u64, USERS, "every user has written");
    remove(&folder);
}

/// Files that cannot grow refuse writes, keep acknowledged writes, and can be read.
#[test]
fn a_full_disk_refuses_writes_and_is_read() {
    if let Some(folder) = variable(FOLDER) {
        return runtime().block_on(write_until_full(Path::new(&folder)));
    }
    let folder = fresh_folder("full");
    let mut shell = Command::new("sh");
    // The limit is in blocks of half a kilobyte; a signal that is not ignored would end the child.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    shell.args(["-c", script]).arg(this_program());
    let mut child = start(shell, "a_full_disk_refuses_writes_and_is_read", &folder, 0);
    let mut acknowledged = HashMap::new();
    lines_of(&mut child).for_each(|line| note(&line, &mut acknowledged));
    assert!(child.wait().expect("it ends by itself").success());
    assert!(acknowledged[&1] > 5, "some writes fit: {acknowledged:?}");
    runtime().block_on(async {
        let engine = open(&folder, 1);
        check_whole(&engine, 1, acknowledged.get(&1).copied()).await;
        write(&engine, 1, acknowledged[&1] + 1, "")
            .await
            .expect("there is room again");
    });
    remove(&folder);
}

/// Writes as several users concurrently, by single writes and by batches, and reports each success.
async fn write_until_killed(folder: &Path, round: u64) {
    let engine = Arc::new(open(folder, 2));
    let mut writers = JoinSet::new();
    for user in 0..USERS {
        let engine = Arc::clone(&engine);
        writers.spawn(async move {
            for turn in 0.. {
                let number = round * 1_000_000 + turn;
                let result = match number % 3 {
                    0 => write_as_batch(&engine, user, number).await,
                    _ => write(&engine, user, number, "").await,
                };
                report(user, number, &result.expect("nothing but the kill stops it"));
            }
        });
    }
    writers.join_all().await;
}

async fn write_until_full(folder: &Path) {
    let engine = open(folder, 1);
    let mut fitted = 0;
    // A write that is too long for the free space leaves some for a shorter one.
    for padding in [50_000, 5_000] {
        let padding = "x".repeat(padding);
        let refused = loop {
            match write(&engine, 1, fitted + 1, &padding).await {
                Ok(written) => report(1, fitted + 1, &written),
                Err(error) => break error,
            }
            fitted += 1;
            assert!(fitted < 10_000, "the limit must end this");
        };
        assert!(matches!(refused, EngineError::Unavailable(_)), "{refused:?}");
        // Reads still work and show acknowledged writes only.
        check_whole(&engine, 1, Some(fitted)).await;
        let payload = payloads(&engine, 1).await.remove(0);
        assert_eq!(payload, format!("{fitted} "), "a refused write shows");
    }
}

/// Writes one number into three objects, and the padding into one of its own, so that files grow.
async fn write(engine: &SqliteEngine, user: u64, number: u64, padding: &str) -> Result<Written, EngineError> {
    let mut patches: Vec<_> = ["a", "b", "c"].map(|id| patch(id, &format!("{number} "))).into();
    if !padding.is_empty() {
        patches.push(patch(&format!("padding-{number}"), padding));
    }
    let collection = collection();
    let change = Change::Upsert { collection, patches };
    engine.write(UserId(user), Write::new(change)).await
}

/// The same in three requests.
async fn write_as_batch(engine: &SqliteEngine, user: u64, number: u64) -> Result<Written, EngineError> {
    let mut batch = None;
    for id in ["a", "b"] {
        let part = BatchPart {
            collection: collection(),
            batch,
            guard: None,
            patches: vec![patch(id, &format!("{number} "))],
            max_objects: 10,
            max_bytes: 10_000,
            max_open_bytes: u64::MAX,
            quota: None,
        };
        batch = Some(engine.stage(UserId(user), part).await?.batch);
    }
    let change = Change::CommitBatch {
        collection: collection(),
        batch: batch.ok_or(EngineError::NoSuchBatch)?,
        patches: vec![patch("c", &format!("{number} "))],
        max_objects: 10,
        max_bytes: 10_000,
    };
    engine.write(UserId(user), Write::new(change)).await
}

/// The user's three objects are equal, and contain the acknowledged number or a later one.
async fn check_whole(engine: &SqliteEngine, user: u64, acknowledged: Option<u64>) {
    let summary = engine
        .summary(UserId(user), Detail::Full)
        .await
        .expect("it is readable");
    let payloads = payloads(engine, user).await;
    let Some(first) = payloads.first() else {
        assert_eq!(acknowledged, None, "user {user} has lost everything");
        return;
    };
    assert_eq!(payloads.len(), 3, "user {user}");
    assert!(
        payloads.iter().all(|payload| payload == first),
        "half a write: {payloads:?}"
    );
    let number: u64 = first.trim().parse().expect("a number was written");
    assert!(Some(number) >= acknowledged, "{number} after {acknowledged:?}");
    let listed = &summary.collections[0];
    assert!(listed.count >= 3 && listed.modified == summary.modified);
}

async fn payloads(engine: &SqliteEngine, user: u64) -> Vec<String> {
    let mut query = Query::all(collection(), Fields::Whole);
    query.selection.ids = Some(["a", "b", "c"].map(object).into());
    let page = engine.read(UserId(user), &query).await.expect("it is readable");
    page.rows.iter().map(|row| row.payload.to_owned()).collect()
}

fn patch(id: &str, payload: &str) -> Patch {
    Patch {
        payload: Field::Set(payload.to_owned()),
        renews: true,
        ..Patch::empty(object(id))
    }
}

fn object(id: &str) -> ObjectId {
    ObjectId::new(id).expect("a plain id")
}

fn collection() -> CollectionName {
    CollectionName::new("history").expect("a plain name")
}

fn open(folder: &Path, files: u32) -> SqliteEngine {
    let options = SqliteOptions {
        shards: files,
        ..SqliteOptions::new(folder)
    };
    let rng = Arc::new(SeededRng::new(u64::from(std::process::id())));
    SqliteEngine::open(options, Arc::new(SystemClock), rng).expect("the files are sound")
}

/// Prints one line with a single write.
fn report(user: u64, number: u64, _written: &Written) {
    let mut out = std::io::stdout().lock();
    let line = format!("acknowledged {user} {number} .\n");
    // Once the parent has ended, nothing reads the output.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

fn note(line: &str, acknowledged: &mut HashMap<u64, u64>) {
    let words: Vec<&str> = line.split(' ').collect();
    // The test harness prints lines of its own, and an incomplete line has no full stop.
    if let ["acknowledged", user, number, "."] = words[..] {
        let number = number.parse().expect("a number was told");
        acknowledged.insert(user.parse().expect("a user was told"), number);
    }
}

fn start(mut command: Command, test: &str, folder: &Path, round: u64) -> Child {
    command
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts")
}

fn lines_of(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out: ChildStdout = child.stdout.take().expect("it is piped");
    BufReader::new(out).lines().map_while(Result::ok)
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("a test is a program")
}

#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("threads can be started")
}

fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sqlite-{name}"));
    if folder.exists() {
        remove(&folder);
    }
    folder
}

fn remove(folder: &Path) {
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}
