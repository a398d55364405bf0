//! A real mail server for the tests, and the mails that it was given.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Folder, Program, Start};

/// Longer than anything here takes, the pauses before a second try included.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The interpreter for which Debian's package brings the mail server.
const PYTHON: &str = "/usr/bin/python3";

/// A running mail server.
pub struct MailServer {
    child: Child,
    events: Receiver<Value>,
    port: u16,
}

/// A mail that it was given.
pub struct ReceivedMail(Value);

impl MailServer {
    /// Starts one with this configuration; `server.py` documents it.
    pub fn start(config: &Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/mail/server.py");
        let mut child = Command::new(PYTHON)
            .arg(script)
            .arg(config.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap();
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        let mut started = Self {
            child,
            events,
            port: 0,
        };
        let port = started.next_event()["port"].as_u64().unwrap();
        started.port = port.try_into().unwrap();
        started
    }

    /// Starts one that accepts everything.
    pub fn plain() -> Self {
        Self::start(&json!({}))
    }

    /// A server program that sends its mails here.
    pub fn used_by<'a>(&self, start: Start<'a>) -> Start<'a> {
        at_port(start, self.port)
    }

    /// The next event that it reports.
    pub fn next_event(&mut self) -> Value {
        self.events
            .recv_timeout(TIMEOUT)
            .expect("the mail server tells something")
    }

    /// The next mail; fails if another event comes first.
    pub fn mail(&mut self) -> ReceivedMail {
        let event = self.next_event();
        assert!(event["text"].is_string(), "{event}");
        assert_eq!(event["defects"], json!([]));
        ReceivedMail(event)
    }

    /// Accepts the mails that it holds back.
    pub fn release(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Stops the program, which finishes its deliveries. Fails if there are further events.
    pub fn ends_silent(self, program: Program) {
        program.stop();
        self.ends();
    }

    /// Ends the mail server. Fails if there are further events.
    pub fn ends(mut self) {
        drop(self.child.stdin.take());
        let events: Vec<Value> = self.events.iter().collect();
        assert!(events.is_empty(), "{events:?}");
    }
}

/// A server program that sends its mails to that port of this machine, in the open.
pub fn at_port(start: Start<'_>, port: u16) -> Start<'_> {
    start
        .set("FOXDEN__MAIL__HOST", "localhost")
        .set("FOXDEN__MAIL__PORT", port.to_string())
        .set("FOXDEN__MAIL__TLS", "none")
        .set("FOXDEN__MAIL__FROM", "Foxden <foxden@example.org>")
        .set("FOXDEN__ACCOUNTS__SIGN_UP", "open")
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ReceivedMail {
    /// A header.
    pub fn head(&self, name: &str) -> &str {
        let heads = self.0["heads"].as_array().unwrap();
        let mut found = heads.iter().filter(|head| head[0] == name);
        let head = found.next().unwrap_or_else(|| panic!("no {name}: {heads:?}"));
        assert!(found.next().is_none(), "one {name}");
        head[1].as_str().unwrap()
    }

    /// Another field of the event.
    pub fn told(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// The lines of its plain text.
    pub fn lines(&self) -> Vec<&str> {
        self.0["text"].as_str().unwrap().lines().collect()
    }

    /// Its HTML.
    pub fn html(&self) -> &str {
        self.0["html"].as_str().unwrap()
    }

    /// The code or link: the third line.
    pub fn key(&self) -> &str {
        self.lines()[2]
    }

    /// The line that is an address with this in it.
    pub fn link(&self, part: &str) -> &str {
        let lines = self.lines();
        let found = lines
            .into_iter()
            .find(|line| line.starts_with("http") && line.contains(part));
        found.unwrap_or_else(|| panic!("no link with {part}: {}", self.0["text"]))
    }
}

/// A certificate for `localhost`, and the authority that signed it.
pub struct Certificates {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The server's.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// Creates the certificates with openssl.
    pub fn make(folder: &Folder) -> Self {
        let file = |name: &str| folder.path().join(name);
        let made = Self {
            ca: file("ca.pem"),
            cert: file("cert.pem"),
            key: file("key.pem"),
        };
        let ca_key = file("ca.key");
        make_certificate(
            &["-subj", "/CN=an authority of the tests", "-keyout"],
            &ca_key,
            &[("-out", &made.ca)],
        );
        make_certificate(
            &[
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
            ],
            &made.key,
            &[("-CA", &made.ca), ("-CAkey", &ca_key), ("-out", &made.cert)],
        );
        made
    }
}

/// Makes a key and its certificate, which last two days.
fn make_certificate(options: &[&str], key: &Path, files: &[(&str, &Path)]) {
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    command.args(["-nodes", "-days", "2"]).args(options).arg(key);
    for (word, file) in files {
        command.arg(word).arg(file);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
