//! PyFxA, the real library, from sign-up to storage, through two resets and to the end.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::mail::mail_server::MailServer;
use crate::program::{Folder, Start};

/// The interpreter that has PyFxA, in the words of xtask.
const PYTHON: &str = "FOXDEN_TEST_PYFXA";

#[expect(
    clippy::disallowed_methods,
    reason = "where the library is installed is not known before the test runs"
)]
fn python() -> PathBuf {
    let python = std::env::var_os(PYTHON);
    python
        .unwrap_or_else(|| panic!("cargo xtask test installs PyFxA and says in {PYTHON} where"))
        .into()
}

/// The script asks for the texts that a user would read, and does all else by itself.
#[test]
#[ignore = "needs PyFxA and python3-aiosmtpd; cargo xtask test installs them"]
fn pyfxa_goes_from_sign_up_to_storage_and_through_its_reset() {
    let (folder, mut mail_server) = (Folder::new(), MailServer::plain());
    let start = mail_server.used_by(Start::on(&folder));
    let program = start.serve();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/pyfxa/client.py");
    let mut client = Command::new(python())
        .arg(script)
        .arg(program.url())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = client.stdin.take().unwrap();
    for line in BufReader::new(client.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Ok(asked) = serde_json::from_str::<Value>(&line) else {
            eprintln!("PyFxA says: {line}");
            continue;
        };
        let answer = match asked["ask"].as_str() {
            Some("mail") => json!(mail_server.mail().lines()),
            Some("operator") => {
                let name = asked["name"].as_str().unwrap();
                json!(String::from_utf8_lossy(
                    &start.run(&["user", "code", name]).stdout
                ))
            }
            _ => panic!("the script asks for {asked}"),
        };
        writeln!(answers, "{answer}").unwrap();
    }
    assert!(
        client.wait().unwrap().success(),
        "the script says above what went wrong"
    );
    mail_server.ends_silent(program);
}
