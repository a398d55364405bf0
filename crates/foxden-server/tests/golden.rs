//! Golden conversations: requests and responses, byte by byte, in readable files.
//!
//! Each `tests/golden/<surface>/*.http` is one test; those of `sync` and `legacy` are two, as objects are kept in memory or in
//! SQLite files. It begins with comments that name the promise,
//! and then lists requests and their answers in order. Each runs on a server of its own with an empty store:
//!
//! ```text
//! # A client reads back what it stored. Promise: storage API 1.5, objects.
//! hawk uid=42
//! clock 1388635807.41
//!
//! > PUT /1.5/42/storage/tabs/a  {"payload":"x"}
//! < 200  x-last-modified: 1388635807.41  1388635807.41
//! ```
//!
//! **Requests** are lines that begin with `>`: the method and the path; then, each after two spaces or on a
//! line of its own, headers (`name: value`, lower case); then the body, which may continue on further
//! lines. With `content-encoding: gzip` the body is compressed before it is sent. In `fxa`, a `POST` that names no
//! content type is JSON.
//!
//! **Answers** are lines that begin with `<`: the status; the headers that are compared (`!name`: it must be
//! absent); the body, which is always compared. Lines of a body are joined by line breaks; an empty last line
//! is a line break at the end.
//!
//! **Texts** may contain `{name}`: in an answer, it matches any text and stores it under that name, or must equal the
//! stored text; in a request, it is the stored text. `{*}` in an answer matches any text. `<<each 1..3 T>>` is
//! `T` three times, with commas between and `#` counting; `<<fill 9 T>>` is `T` nine times;
//! `<<hex 0d0a>>` are the characters of these numbers.
//!
//! **Directives**:
//! - `clock 1763690000.00` sets the clock, `clock +0.5` advances it. Otherwise it does not change.
//! - `server quota=700 batches=off …` changes settings, before the first request; see `golden/server.rs`.
//! - `hawk uid=42` signs the following requests with a storage token of that uid. Further words: `beside=1,2` (the account's
//!   other stores), `expires=-1` (seconds from
//!   now, else 3600), `secret=text`, `ts=-7200` (the client's clock is off), `node=url`, `host=name`,
//!   `path=/prefix` (signed before the path), `hash` or `hash=bad`, `mac=bad`, `id=bad`, `key=bad`.
//! - `account {token}` signs the following requests with an account's session token of 64 hex digits; `account keyFetchToken
//!   {token}` with another kind of token. Further words: `ts=-300`, `mac=bad`, `hash=bad`, `hash=none`, `nonce=text`,
//!   `host=name`.
//! - `keep name authpw ann@example.org a password` stores what a client derives from a password; `keep name id
//!   sessionToken {token}` a token's id; `keep name challenge {verifier}` the challenge of a verifier; `keep name
//!   invitation` the code of a new invitation; `keep name code ann@example.org` the pending code of an address;
//!   `keep name link ann@example.org` that of a set-password link; `keep name sum 23 + 4` the result.
//! - `person ann a password` creates an account: `ann@example.org`, or the address itself, with that password.
//! - `basic ann a password` sends the following requests with that name and password.
//! - `authorization Bearer {token}` sends the following requests with this header, unchanged.
//! - `anonymous` sends no credentials, as at the beginning.
//!
//! `cargo xtask golden --update` writes the actual answers into the files. Named headers and texts that still match are kept.
//! Review the difference like code.

#![expect(clippy::print_stdout, reason = "the test runner prints its report")]

#[path = "golden/capture.rs"]
mod capture;
#[path = "golden/conversation.rs"]
mod conversation;
#[path = "golden/run.rs"]
mod run;
#[path = "golden/server.rs"]
mod server;
#[path = "golden/signer.rs"]
mod signer;
#[path = "golden/text.rs"]
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use conversation::Conversation;
use server::Engine;

/// One conversation, held with a server of its own.
struct Test {
    name: String,
    path: PathBuf,
    surface: String,
    engine: Engine,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (flags, filters): (Vec<&str>, Vec<&str>) = arguments
        .iter()
        .map(String::as_str)
        .partition(|argument| argument.starts_with('-'));
    let is_wanted = |test: &Test| {
        // No conversation is ever ignored.
        !flags.contains(&"--ignored")
            && (filters.is_empty() || filters.iter().any(|filter| test.name.contains(filter)))
    };
    let tests = tests().expect("the folder of conversations can be read");
    let wanted = tests.iter().filter(|test| is_wanted(test));
    if flags.contains(&"--list") {
        wanted.for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let is_update = flags.contains(&"--update");
    let (mut passed, mut failures) = (0, Vec::new());
    for test in wanted {
        let name = &test.name;
        let run = catch_unwind(AssertUnwindSafe(|| test.run(is_update)));
        match run.unwrap_or_else(|_| bail!("it panicked, see above")) {
            Ok(()) => {
                println!("test {name} ... ok");
                passed += 1;
            }
            Err(error) => {
                println!("test {name} ... FAILED");
                failures.push(format!("---- {name} ----\n{error:#}"));
            }
        }
    }
    let (outcome, code) = if failures.is_empty() {
        ("ok", ExitCode::SUCCESS)
    } else {
        ("FAILED", ExitCode::FAILURE)
    };
    println!("\n{}", failures.join("\n\n"));
    println!(
        "test result: {outcome}. {passed} passed; {} failed; 0 ignored\n",
        failures.len()
    );
    code
}

impl Test {
    /// Runs the conversation, and compares or updates its answers.
    fn run(&self, is_update: bool) -> Result<()> {
        let text = fs::read_to_string(&self.path)?;
        let conversation = Conversation::parse(&text)?;
        let answers = run::run(&conversation, &self.surface, self.engine)?;
        // All engines give the same answers, so those of one are enough.
        if is_update && self.engine == Engine::Sqlite {
            let now = conversation.with_answers(&answers);
            if now != text {
                fs::write(&self.path, now).context("it cannot be written")?;
            }
            return Ok(());
        }
        let differences = answers.into_iter().filter_map(|answer| answer.difference);
        let differences: Vec<String> = differences.collect();
        ensure!(differences.is_empty(), "{}", differences.join("\n\n"));
        Ok(())
    }
}

/// All conversations with all servers, by name.
fn tests() -> Result<Vec<Test>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut tests = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let surface = entry.file_name().to_string_lossy().into_owned();
        for file in fs::read_dir(entry.path())? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "http") {
                continue;
            }
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let test = |engine, ending| Test {
                name: format!("{surface}::{stem}{ending}"),
                path: path.clone(),
                surface: surface.clone(),
                engine,
            };
            if ["sync", "legacy"].contains(&surface.as_str()) {
                tests.push(test(Engine::Memory, ""));
                tests.push(test(Engine::Sqlite, "::sqlite"));
            } else {
                tests.push(test(Engine::Sqlite, ""));
            }
        }
    }
    tests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tests)
}
