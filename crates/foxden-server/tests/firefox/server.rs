//! The program under test, on a free port of this machine and with a data folder of its own.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{Process, free_port, wait_for};

const START_LIMIT: Duration = Duration::from_secs(20);

/// A `foxden serve` that ends with this value; its data stay.
pub(crate) struct Server {
    process: Option<Process>,
    folder: PathBuf,
    port: u16,
    /// The URL by which the browser reaches it, without a slash at the end.
    pub(crate) url: String,
    is_public_url_set: bool,
    environment: Vec<(String, String)>,
}

/// One line of the request log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
}

impl Server {
    /// Starts a server without any configuration.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let port = free_port()?;
        let mut server = Self {
            process: None,
            folder: folder.to_owned(),
            port,
            url: format!("http://127.0.0.1:{port}"),
            is_public_url_set: false,
            environment: Vec::new(),
        };
        server.resume()?;
        Ok(server)
    }

    /// Ends it as an operator does, with SIGTERM.
    pub(crate) fn stop(&mut self) {
        drop(self.process.take());
    }

    /// Starts it again on the same data.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let mut command = self.command();
        let listen = format!("127.0.0.1:{}", self.port);
        command.args(["serve", "--listen", &listen]);
        if self.is_public_url_set {
            command.args(["--public-url", &self.url]);
        }
        self.process = Some(Process::start(&command, &self.log_file())?);
        wait_for("foxden to listen", START_LIMIT, || {
            Ok(TcpStream::connect(("127.0.0.1", self.port)).ok())
        })?;
        Ok(())
    }

    /// Gives it another port and a public URL with another name, and starts it on the same data.
    pub(crate) fn move_to(&mut self, host: &str) -> Result<()> {
        self.stop();
        self.port = free_port()?;
        self.url = format!("http://{host}:{}", self.port);
        self.is_public_url_set = true;
        self.resume()
    }

    /// Starts it again on another port, for a balancer at this public URL.
    pub(crate) fn move_behind(&mut self, url: &str) -> Result<()> {
        self.stop();
        self.port = free_port()?;
        url.clone_into(&mut self.url);
        self.is_public_url_set = true;
        self.resume()
    }

    /// Starts one more with the same public URL and environment, and a data folder of its own.
    pub(crate) fn start_another(&self, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut server = Self {
            process: None,
            folder: folder.to_owned(),
            port: free_port()?,
            url: self.url.clone(),
            is_public_url_set: self.is_public_url_set,
            environment: self.environment.clone(),
        };
        server.resume()?;
        Ok(server)
    }

    /// Where it listens itself.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sets a variable of its environment from the next start on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Runs another command of the program on this server's data. Returns its output.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.command().args(words).output()?;
        let output_text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "foxden {words:?}: {output_text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output_text)
    }

    /// The program in the folder where it keeps its data by itself.
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foxden"));
        command.current_dir(&self.folder);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("foxden-data")
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join("foxden.log")
    }

    /// Every request answered so far, in order.
    pub(crate) fn requests(&self) -> Result<Vec<Request>> {
        let log = fs::read_to_string(self.log_file()).context("the server's log")?;
        Ok(log.lines().filter_map(Request::read).collect())
    }

    /// Those since the first `count`, which are left out.
    pub(crate) fn requests_since(&self, count: usize) -> Result<Vec<Request>> {
        Ok(self.requests()?.into_iter().skip(count).collect())
    }
}

impl Request {
    /// Parses a line of the log about a request.
    fn read(line: &str) -> Option<Self> {
        const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"];
        let mut words = line.split_whitespace().skip_while(|word| !METHODS.contains(word));
        Some(Self {
            method: words.next()?.to_owned(),
            path: words.next()?.to_owned(),
            status: words.next()?.parse().ok()?,
        })
    }
}
