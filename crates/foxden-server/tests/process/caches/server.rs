//! Cache servers with options of a test's own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::wait_until;
use crate::program::Start;

/// A kind of cache server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheKind {
    Redis,
    Memcached,
}

/// A cache server. It is killed when this is dropped.
pub(super) struct CacheServer {
    kind: CacheKind,
    place: String,
    process: Child,
}

impl CacheKind {
    /// The URL of a server on this machine.
    pub(super) fn url(self, port: u16) -> String {
        self.url_at(&format!("127.0.0.1:{port}"))
    }

    /// The URL of a server at this address and port.
    pub(super) fn url_at(self, place: &str) -> String {
        match self {
            Self::Redis => format!("redis://{place}"),
            Self::Memcached => format!("memcache://{place}"),
        }
    }
}

impl CacheServer {
    /// Starts one with options of its command line.
    pub(super) fn start(kind: CacheKind, options: &[&str]) -> Self {
        Self::start_at(kind, Start::free_port(), options)
    }

    /// Starts one at this port.
    pub(super) fn start_at(kind: CacheKind, port: u16, options: &[&str]) -> Self {
        let mut command = match kind {
            CacheKind::Redis => {
                let mut command = Command::new("redis-server");
                command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
                command
            }
            CacheKind::Memcached => {
                let mut command = Command::new("memcached");
                command.arg("--listen=127.0.0.1");
                command
            }
        };
        command.args(options);
        Self::run(kind, command, "127.0.0.1", port)
    }

    /// Starts what this command names at an address and a port.
    pub(super) fn run(kind: CacheKind, mut command: Command, host: &str, port: u16) -> Self {
        match kind {
            CacheKind::Redis => command.args(["--port", &port.to_string()]),
            CacheKind::Memcached => command.args([format!("--port={port}"), "--udp-port=0".to_owned()]),
        };
        if kind == CacheKind::Memcached && geteuid().is_root() {
            // It does not run as root unless it is told to.
            command.arg("--user=root");
        }
        command.current_dir(std::env::temp_dir());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn();
        let process = process.unwrap_or_else(|error| panic!("{kind:?} cannot be started: {error}"));
        let mut server = Self {
            kind,
            place: format!("{host}:{port}"),
            process,
        };
        wait_until("the cache server answers", || {
            let ended = server.process.try_wait().unwrap();
            assert!(ended.is_none(), "{kind:?} has ended: {command:?}");
            server.answers()
        });
        server
    }

    /// Its address and port.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Its URL, without a password.
    pub(super) fn url(&self) -> String {
        self.kind.url_at(&self.place)
    }

    /// Has it stand still.
    pub(super) fn pause(&self) {
        let process = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(process, Signal::STOP).unwrap();
    }

    fn answers(&self) -> bool {
        let question = match self.kind {
            CacheKind::Redis => "PING\r\n",
            CacheKind::Memcached => "mn\r\n",
        };
        let Ok(mut stream) = TcpStream::connect(&self.place) else {
            return false;
        };
        let mut answer = String::new();
        // Any answer will do: it may be that it wants a password.
        stream.write_all(question.as_bytes()).is_ok()
            && BufReader::new(stream).read_line(&mut answer).is_ok()
            && !answer.is_empty()
    }
}

impl Drop for CacheServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
