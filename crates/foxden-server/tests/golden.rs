//! Golden conversations: what goes over the wire, byte by byte, in files that people read.
//!
//! Each `tests/golden/<surface>/*.http` is one test. It begins with comments that say what it promises,
//! and then tells requests and their answers in order, in a server of its own with an empty store:
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
//! line of its own, headers (`name: value`, lower case); then the body, which may go on over further
//! lines. With `content-encoding: gzip` the body is compressed on the way.
//!
//! **Answers** are lines that begin with `<`: the status; the headers that matter here (`!name`: it must not
//! be there); the body, which always matters. Lines of a body are joined by line breaks; an empty last line
//! is a line break at the end.
//!
//! **Texts** may hold `{name}`: in an answer, it takes whatever stands there and keeps it under that name, or must
//! equal what is kept; in a request, it is what was kept. `{*}` in an answer is anything. `<<each 1..3 T>>` is
//! `T` three times, with commas between and `#` counting; `<<fill 9 T>>` is `T` nine times.
//!
//! **Directives**:
//! - `clock 1763690000.00` sets the clock, `clock +0.5` moves it. It stands still otherwise.
//! - `server quota=700 batches=off …` changes settings, before the first request; see `golden/world.rs`.
//! - `hawk uid=42` signs what follows with a storage token of that uid. Further words: `expires=-1` (seconds from
//!   now, else 3600), `secret=text`, `ts=-7200` (the client's clock is off), `node=url`, `host=name`,
//!   `path=/prefix` (signed before the path), `hash` or `hash=bad`, `mac=bad`, `id=bad`, `key=bad`.
//! - `account {token}` signs what follows with an account's session token of 64 hex digits; `account keyFetchToken
//!   {token}` with another kind of token. Further words: `ts=-300`, `mac=bad`, `hash=bad`, `hash=none`, `nonce=text`.
//! - `keep name authpw ann@example.org a password` keeps what a client makes of a password; `keep name id
//!   sessionToken {token}` a token's id; `keep name challenge {verifier}` the challenge of a verifier; `keep name
//!   invitation` the code of a new invitation; `keep name code ann@example.org` the code that waits for somebody;
//!   `keep name link ann@example.org` that of a set-password link.
//! - `authorization Bearer {token}` sends what follows with this header as it stands.
//! - `anonymous` sends no credentials, as at the beginning.
//!
//! `cargo xtask golden --update` writes the answers that the code gives into the files. Headers that were named and
//! texts that still fit stay as they are. Read the difference as you would read code.

#![expect(clippy::print_stdout, reason = "it talks to whoever runs the tests")]

#[path = "golden/conversation.rs"]
mod conversation;
#[path = "golden/keep.rs"]
mod keep;
mod peer;
#[path = "golden/play.rs"]
mod play;
#[path = "golden/signer.rs"]
mod signer;
#[path = "golden/text.rs"]
mod text;
#[path = "golden/world.rs"]
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result};
use conversation::Conversation;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let files = files().expect("the folder of conversations can be read");
    let wanted = files.iter().filter(|(name, _)| {
        !has("--ignored") && (filters.is_empty() || filters.iter().any(|&filter| name.contains(filter)))
    });
    let (mut passed, mut failures) = (0, Vec::new());
    for (name, path) in wanted {
        if has("--list") {
            println!("{name}: test");
            continue;
        }
        match run(path, has("--update")) {
            Ok(()) => {
                println!("test {name} ... ok");
                passed += 1;
            }
            Err(error) => {
                println!("test {name} ... FAILED");
                failures.push((name, error));
            }
        }
    }
    for (name, error) in &failures {
        println!("\n---- {name} ----\n{error:#}");
    }
    let outcome = if failures.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {outcome}. {passed} passed; {} failed; 0 ignored\n",
        failures.len()
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plays one conversation, or writes down how it goes now.
fn run(path: &Path, is_update: bool) -> Result<()> {
    let text = fs::read_to_string(path)?;
    let conversation = Conversation::parse(&text)?;
    let surface = path.parent().and_then(Path::file_name).unwrap_or_default();
    let answers = play::play(&conversation, &surface.to_string_lossy())?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    if is_update {
        let now = conversation.with_answers(&answers);
        if now != text {
            fs::write(path, now).with_context(|| format!("{file} cannot be written"))?;
        }
        return Ok(());
    }
    let differences: Vec<String> = answers
        .into_iter()
        .filter_map(|answer| answer.difference)
        .collect();
    anyhow::ensure!(differences.is_empty(), "{}", differences.join("\n\n"));
    Ok(())
}

/// All conversations, by the name of their test.
fn files() -> Result<Vec<(String, PathBuf)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files = Vec::new();
    for surface in fs::read_dir(folder)? {
        let surface = surface?;
        if !surface.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(surface.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "http") {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                files.push((format!("{}::{stem}", surface.file_name().to_string_lossy()), path));
            }
        }
    }
    files.sort();
    Ok(files)
}
