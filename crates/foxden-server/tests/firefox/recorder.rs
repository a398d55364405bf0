//! The proxy that every browser must use for all hosts but this machine. It refuses every request and records it, so
//! that the tests can prove which hosts the browser did not contact.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// Hosts that serve accounts and Sync elsewhere: the browser must contact neither them nor their subdomains.
const FORBIDDEN: [&str; 4] = [
    "accounts.firefox.com",
    "token.services.mozilla.com",
    "sync.services.mozilla.com",
    "channelserver.services.mozilla.com",
];

/// A listener that answers 502 to everything.
#[derive(Clone)]
pub(crate) struct Recorder {
    lines: Arc<Mutex<Vec<String>>>,
    port: u16,
}

impl Recorder {
    /// Listens until the tests end.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let recorder = Self {
            lines: Arc::default(),
            port: listener.local_addr()?.port(),
        };
        let lines = Arc::clone(&recorder.lines);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let lines = Arc::clone(&lines);
                thread::spawn(move || refuse(stream, &lines));
            }
        });
        Ok(recorder)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Clears the recorded requests.
    pub(crate) fn clear(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Every request line since it was cleared.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those that went to account or Sync servers elsewhere.
    pub(crate) fn forbidden_requests(&self) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| FORBIDDEN.iter().any(|host| line.contains(host)));
        lines
    }
}

/// Reads one request's head and refuses it. Nothing is reported if the browser disconnects early.
fn refuse(mut stream: TcpStream, lines: &Mutex<Vec<String>>) {
    let timeout_set = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let mut head = BufReader::new((&stream).take(64 * 1024));
    let mut first = String::new();
    if timeout_set.is_err() || head.read_line(&mut first).is_err() || first.is_empty() {
        return;
    }
    lines
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(first.trim_end().to_owned());
    let mut line = String::new();
    while matches!(head.read_line(&mut line), Ok(length) if length > 2) {
        line.clear();
    }
    let answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if stream.write_all(answer).is_err() {
        // The browser hung up first.
    }
}
