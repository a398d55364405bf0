//! Starts the program and ends it, the one way or the other.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::token;
use foxden_test_support::client::wire::{Call, Server};
use proxy::{Kind, Proxy, Setup};

#[path = "proxy.rs"]
pub mod proxy;

/// The secret that every program here signs tokens with.
pub const SECRET: &str = "a secret that the tests share";

/// A folder that is gone after the test.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("process-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // A folder of a process that had the same number may be left over.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The data folder within.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running program.
pub struct Program {
    child: Child,
    url: String,
    log: PathBuf,
    /// The proxy in front of it, if any.
    proxy: Option<Proxy>,
}

/// How to start it.
#[derive(Clone)]
pub struct Start<'a> {
    folder: &'a Folder,
    name: &'static str,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    has_folder: bool,
}

impl<'a> Start<'a> {
    /// On a free port, with its data in this folder and the secret of the tests.
    pub fn on(folder: &'a Folder) -> Self {
        let start = Self {
            folder,
            name: "data",
            arguments: vec!["--listen".into(), "127.0.0.1:0".into()],
            variables: Vec::new(),
            has_folder: true,
        };
        start.set("FOXDEN__MASTER_SECRET", SECRET)
    }

    /// A port that was free a moment ago, for a server whose address must be known before it starts. It is below those
    /// that a system gives to clients, of which the tests beside this one have many.
    pub fn free_port() -> u16 {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let range = 20_000..30_000_u32;
        loop {
            // Another run at the same time begins elsewhere.
            let number = std::process::id() * 97 + COUNT.fetch_add(1, Ordering::Relaxed);
            let port = range.start + number % (range.end - range.start);
            let port = u16::try_from(port).unwrap();
            if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    }

    /// With its data under another name in the folder.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// With one more argument.
    pub fn with(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With one more variable in its environment.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Without a variable.
    pub fn unset(mut self, name: &str) -> Self {
        self.variables.retain(|(given, _)| given != name);
        self
    }

    /// Without any flag but the data folder's.
    pub fn without_flags(mut self) -> Self {
        self.arguments.clear();
        self
    }

    /// Without any argument, variable or data folder.
    pub fn bare(mut self) -> Self {
        self.arguments.clear();
        self.variables.clear();
        self.has_folder = false;
        self
    }

    /// The command line of another command on the same data.
    pub fn command(&self, command: &[&str]) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_foxden"));
        process.args(command);
        if self.has_folder {
            process.arg("--data-dir").arg(self.folder.path().join(self.name));
        }
        process.args(&self.arguments).env_clear();
        process.envs(self.variables.iter().map(|(name, value)| (name, value)));
        process
    }

    /// Runs another command to its end.
    pub fn run(&self, command: &[&str]) -> Output {
        self.command(command).stdin(Stdio::null()).output().unwrap()
    }

    /// The path that a program of this name has at its public address: none but where a storage node is behind a proxy.
    pub fn public_path(name: &str) -> &'static str {
        match (proxy::wanted(), name) {
            (Some(_), "node1") => "/node1",
            (Some(_), "node2") => "/node2",
            _ => "",
        }
    }

    /// Starts to serve, behind a proxy where the environment asks for one, and waits until it does.
    pub fn serve(&self) -> Program {
        let listens = self.arguments.iter().position(|argument| argument == "--listen");
        match (proxy::wanted(), listens) {
            (Some(kind), Some(at)) if !self.arguments.iter().any(|argument| argument == "--public-url") => {
                self.serve_behind(kind, at + 1)
            }
            _ => self.serve_directly(),
        }
    }

    /// Serves where a proxy of this kind passes on what comes to the address that this argument names.
    fn serve_behind(&self, kind: Kind, listens: usize) -> Program {
        let named = self.arguments[listens].rsplit_once(':').unwrap().1;
        let port = match named.parse().unwrap() {
            0 => Self::free_port(),
            port => port,
        };
        let backend = format!("127.0.0.1:{}", Self::free_port());
        let path = Self::public_path(self.name);
        let mut start = self.clone().with("--public-url");
        start = start.with(format!("http://127.0.0.1:{port}{path}"));
        start.arguments[listens].clone_from(&backend);
        // A server that has a public address needs invitations otherwise.
        if !self
            .variables
            .iter()
            .any(|(name, _)| name == "FOXDEN__ACCOUNTS__SIGN_UP")
        {
            start = start.set("FOXDEN__ACCOUNTS__SIGN_UP", "open");
        }
        let mut setup = Setup::of_the_manual(kind, &backend);
        // One node is sent the whole path, the other what is left of it.
        if self.name == "node2" {
            setup = setup.cutting("node2");
        }
        let mut program = start.serve_directly();
        let data = self.folder.path().join(self.name);
        // It seems to be a public server, so its operator vouches for addresses.
        foxden_test_support::client::wire::operated_by(&program.url, move |email| {
            let mut confirm = Command::new(env!("CARGO_BIN_EXE_foxden"));
            confirm.args(["user", "confirm", email, "--data-dir"]).arg(&data);
            assert!(confirm.output().unwrap().status.success());
        });
        program.proxy = Some(setup.start(port));
        program
    }

    fn serve_directly(&self) -> Program {
        let log = self.folder.path().join(format!("{}.log", self.name));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut process = self.command(&["serve"]);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut child = process.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = said.map_while(Result::ok).find_map(|line| {
            let (_, url) = line.split_once("serves at ")?;
            Some(url.trim().to_owned())
        });
        let Some(url) = url else {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "the program did not begin to serve: {}",
                fs::read_to_string(&log).unwrap()
            );
        };
        Program {
            child,
            url,
            log,
            proxy: None,
        }
    }
}

impl Program {
    /// Where it is reached.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its port.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// A user's store on it.
    pub fn store(&self, user: u64) -> Store {
        Store::at(&self.url, user)
    }

    /// The address and port it listens on, as its log names them.
    pub fn log_address(&self) -> String {
        let log = self.log();
        let (_, rest) = log.rsplit_once("listening on ").unwrap();
        rest.split(' ').next().unwrap().to_owned()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory it holds.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most bytes of memory it has held.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        let kilobytes: u64 = value.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes * 1024
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Whether its log says that it answers from its cache now.
    pub fn has_cache_in_use(&self) -> bool {
        let log = self.log();
        let last = |what| log.rfind(what);
        let begun = last("listening on ").max(last("the cache is not in use any more"));
        last("the cache is in use") > begun
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        self.crash();
    }

    /// The same for one that is kept until another has its place.
    pub fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        let process = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(process, Signal::TERM).unwrap();
    }

    /// Asks it to stop and waits for it, but not for ever.
    pub fn stop(mut self) {
        self.ask_to_stop();
        assert!(
            self.wait(Duration::from_secs(40)),
            "it did not stop: {}",
            self.log()
        );
    }

    /// Waits for its end. Whether it ended well in that time.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < timeout {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::yield_now();
        }
        false
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the program's last words, latest first: {last:#?}");
        }
    }
}

/// One user's store, with a token signed by the tests themselves.
#[derive(Clone)]
pub struct Store {
    server: Server,
    base: String,
    signer: foxden_test_support::client::hawk::Credentials,
}

impl Store {
    /// A user's store on the node at this address.
    pub fn at(url: &str, user: u64) -> Self {
        Self {
            server: Server::at(url),
            base: format!("/1.5/{user}"),
            signer: token::mint(SECRET, user, url),
        }
    }

    /// The same with a token that was made for another node.
    pub fn between(url: &str, node: &str, user: u64) -> Self {
        Self {
            signer: token::mint(SECRET, user, node),
            ..Self::at(url, user)
        }
    }

    /// Sends a signed request; the target begins after the store's base.
    pub fn send(
        &self,
        method: &str,
        target: &str,
        body: Option<String>,
    ) -> foxden_test_support::client::wire::Reply {
        let call = Call::new(method, format!("{}{target}", self.base)).signed(&self.signer);
        self.server.send(&match body {
            Some(body) => call.body("application/json", body),
            None => call,
        })
    }

    /// Sends a signed request with a body of this type.
    pub fn send_as(
        &self,
        method: &str,
        target: &str,
        kind: &str,
        body: &[u8],
    ) -> foxden_test_support::client::wire::Reply {
        let call = Call::new(method, format!("{}{target}", self.base)).body(kind, body);
        self.server.send(&call.signed(&self.signer))
    }

    /// The header that signs a request whose body is not signed.
    pub fn authorization(&self, method: &str, target: &str) -> String {
        let (host, port) = self.server.base().rsplit_once(':').unwrap();
        let signed = foxden_test_support::client::hawk::Signed {
            method,
            target: &format!("{}{target}", self.base),
            host: host.strip_prefix("http://").unwrap(),
            port: port.parse().unwrap(),
            payload: None,
            ts: foxden_model::Clock::seconds(&foxden_model::SystemClock),
            nonce: &foxden_test_support::client::hex(&foxden_test_support::client::random_bytes(6)),
        };
        signed.header(&self.signer)
    }

    /// The path of a target of this store.
    pub fn path(&self, target: &str) -> String {
        format!("{}{target}", self.base)
    }
}
