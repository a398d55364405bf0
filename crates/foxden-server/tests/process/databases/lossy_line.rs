//! The line to a database server, which can be cut, and can lose a commit.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// How a transaction begins, at PostgreSQL and at MariaDB.
const BEGINS: [&str; 2] = ["BEGIN", "START TRANSACTION"];
/// What a client sends to commit: the statement alone, as PostgreSQL and as MariaDB put it into a message.
const COMMITS: [&str; 2] = ["\x0bCOMMIT", "\x03COMMIT"];

/// What is lost, and the connection with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The commit does not reach the server.
    Commit,
    /// The server commits, and its answer is lost.
    Answer,
}

/// A line to a server. It lives as long as the test program.
pub(super) struct LossyLine {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Both ends of each connection; `None` while the line is cut.
    open: Option<Vec<TcpStream>>,
    /// What is to be lost of the next transaction that sends this text.
    loss: Option<(Loss, String)>,
}

/// One connection.
struct Carrier {
    client: TcpStream,
    server: TcpStream,
    line: Arc<Mutex<State>>,
    loses_answer: AtomicBool,
}

impl LossyLine {
    /// A line to the server of that URL.
    pub(super) fn to(url: &str) -> Self {
        let (_, place) = url.split_once('@').unwrap();
        let place = place.split_once('/').unwrap().0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            open: Some(Vec::new()),
            loss: None,
        }));
        let line = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if let Some(open) = line.lock().unwrap().open.as_mut() {
                    let server = TcpStream::connect(&place).unwrap();
                    open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                    Carrier::start(client, server, &line);
                }
            }
        });
        Self { port, state }
    }

    /// Its address and port.
    pub(super) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn cut(&self) {
        let open = self.state.lock().unwrap().open.take();
        for stream in open.unwrap_or_default() {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn mend(&self) {
        self.state.lock().unwrap().open = Some(Vec::new());
    }

    /// Breaks the connection of the next transaction that sends this text, when it commits.
    pub(super) fn lose(&self, loss: Loss, text: &str) {
        self.state.lock().unwrap().loss = Some((loss, text.to_owned()));
    }

    /// Whether such a transaction has come.
    pub(super) fn has_lost(&self) -> bool {
        self.state.lock().unwrap().loss.is_none()
    }
}

impl Carrier {
    fn start(client: TcpStream, server: TcpStream, line: &Arc<Mutex<State>>) {
        let carrier = Arc::new(Self {
            client,
            server,
            line: Arc::clone(line),
            loses_answer: AtomicBool::new(false),
        });
        for carry in [Self::carry_questions, Self::carry_answers] {
            let carrier = Arc::clone(&carrier);
            std::thread::spawn(move || {
                carry(&carrier);
                // Both directions end together. They may have ended already.
                let _ = carrier.client.shutdown(Shutdown::Both);
                let _ = carrier.server.shutdown(Shutdown::Both);
            });
        }
    }

    fn carry_questions(&self) {
        let (mut client, mut server) = (&self.client, &self.server);
        let mut bytes = vec![0; 1 << 16];
        let mut is_meant = false;
        while let Ok(count @ 1..) = client.read(&mut bytes) {
            let question = String::from_utf8_lossy(&bytes[..count]);
            is_meant &= !contains(&question, &BEGINS);
            let mut line = self.line.lock().unwrap();
            if let Some((loss, text)) = &line.loss {
                is_meant |= question.contains(text);
                // The client waits for an answer before it commits, so the message comes alone and whole.
                if is_meant && contains(&question, &COMMITS) {
                    let loss = *loss;
                    line.loss = None;
                    if loss == Loss::Commit {
                        return;
                    }
                    self.loses_answer.store(true, Ordering::SeqCst);
                }
            }
            drop(line);
            if server.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    }

    fn carry_answers(&self) {
        let (mut client, mut server) = (&self.client, &self.server);
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = server.read(&mut bytes) {
            // Its arrival says that the server has committed.
            if self.loses_answer.load(Ordering::SeqCst) || client.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    }
}

fn contains(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}
