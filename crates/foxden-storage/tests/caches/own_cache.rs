//! Cache servers of a test's own, which it may kill. The tests of several programs have them.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A kind of cache server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Memcached,
}

/// A cache server on a free port. It is killed when this is dropped.
pub(crate) struct OwnCache {
    kind: Kind,
    port: u16,
    folder: PathBuf,
    options: Vec<String>,
    process: Child,
}

impl OwnCache {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::with(kind, &[])
    }

    /// With options of its command line.
    pub(crate) fn with(kind: Kind, options: &[&str]) -> Self {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("foxden-cache-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("temporary files can be made");
        let process = spawn(kind, port, &folder, &options);
        let cache = Self {
            kind,
            port,
            folder,
            options,
            process,
        };
        cache.wait();
        cache
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// A URL at which no server listens.
    pub(crate) fn url_of_nothing(&self) -> String {
        self.url_at(free_port())
    }

    fn url_at(&self, port: u16) -> String {
        match self.kind {
            Kind::Redis => format!("redis://127.0.0.1:{port}"),
            Kind::Memcached => format!("memcache://127.0.0.1:{port}"),
        }
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Starts it at the same port, with what Redis has saved.
    pub(crate) fn start_again(&mut self) {
        self.process = spawn(self.kind, self.port, &self.folder, &self.options);
        self.wait();
    }

    /// Has Redis write what it holds to disk.
    pub(crate) fn save(&self) {
        assert_eq!(self.ask("SAVE\r\n"), "+OK");
    }

    /// How many keys Redis has.
    pub(crate) fn keys(&self) -> u64 {
        let answer = self.ask("DBSIZE\r\n");
        answer.trim_start_matches(':').parse().expect("it is a number")
    }

    /// A number that Redis tells of itself.
    pub(crate) fn statistic(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.write_all(b"INFO stats\r\n").expect("it reads");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok());
        found.expect("it tells that")
    }

    /// Removes all that it holds.
    pub(crate) fn empty(&self) {
        match self.kind {
            Kind::Redis => assert_eq!(self.ask("FLUSHALL\r\n"), "+OK"),
            Kind::Memcached => assert_eq!(self.ask("flush_all\r\n"), "OK"),
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.process.id().to_string())
            .status();
        assert!(sent.expect("there is kill").success());
    }

    /// The first line that it answers to a command.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.write_all(command.as_bytes()).expect("it reads");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    /// Waits until it answers.
    fn wait(&self) {
        let begin = Instant::now();
        let command = match self.kind {
            Kind::Redis => "PING\r\n",
            Kind::Memcached => "version\r\n",
        };
        while begin.elapsed() < Duration::from_secs(20) {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let asked = stream.write_all(command.as_bytes());
                let mut answer = String::new();
                let read = asked.and_then(|()| BufReader::new(stream).read_line(&mut answer));
                // Redis answers so while it reads its file.
                if read.is_ok() && !answer.is_empty() && !answer.starts_with("-LOADING") {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{:?} does not answer", self.kind);
    }
}

impl Drop for OwnCache {
    fn drop(&mut self) {
        // What is left is a process and a folder of a test.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(kind: Kind, port: u16, folder: &Path, options: &[String]) -> Child {
    let port = port.to_string();
    let mut command = match kind {
        Kind::Redis => {
            let mut command = Command::new("redis-server");
            command.args([
                "--port",
                &port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ]);
            command
        }
        Kind::Memcached => {
            let mut command = Command::new("memcached");
            command.args(["-l", "127.0.0.1", "-p", &port, "-U", "0", "-u", "root"]);
            command
        }
    };
    command
        .args(options)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{kind:?} cannot be started: {error}"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
