//! Two programs on one database server, started from the file of `config/` that is for them.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_test_support::client::browser::{Browser, Session, Store};
use foxden_test_support::client::legacy::account::{self, basic};
use foxden_test_support::client::sync_key::OLDSYNC;
use foxden_test_support::client::wire::{self, Call, Server};

use crate::cluster::{file, start};
use crate::peers::meet;
use crate::program::proxy::{Proxy, Setup};
use crate::program::{Folder, Program, Start};

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "correct horse";
const ANOTHER: &str = "battery staple";

/// Within how long a change at one process holds at all others, as the manual promises.
const PROMISE: Duration = Duration::from_secs(2);

/// Two programs with one public address.
pub struct Several {
    /// Declared first: connections end before what they lead to.
    proxy: Option<Proxy>,
    pub programs: [Program; 2],
    /// Where each of them listens.
    addresses: [String; 2],
    public: String,
    port: u16,
    configuration: PathBuf,
    database: TestNamespace,
}

impl Several {
    /// Both serve everything, on an empty database of this server.
    pub fn start(folder: &Folder, server: TestServer) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let database = runtime
            .block_on(server.fresh("several"))
            .expect("cargo xtask test starts a server");
        let port = Start::free_port();
        let public = format!("http://127.0.0.1:{port}");
        let addresses = [(); 2].map(|()| format!("127.0.0.1:{}", Start::free_port()));
        let files: Vec<_> = ["first", "second"]
            .into_iter()
            .zip(&addresses)
            .map(|(name, address)| {
                (
                    name,
                    configuration(folder, name, &public, address, database.url()),
                )
            })
            .collect();
        // Both at once: they create the tables together.
        let programs = std::thread::scope(|scope| {
            let starting = [0, 1].map(|at| {
                let (name, file) = &files[at];
                scope.spawn(move || start(folder, name, file).serve())
            });
            starting.map(|program| program.join().unwrap())
        });
        Self {
            proxy: None,
            programs,
            addresses,
            public,
            port,
            configuration: files[1].1.clone(),
            database,
        }
    }

    /// With the balancer of the manual at the public address.
    pub fn behind_a_balancer(mut self) -> Self {
        let [first, second] = &self.addresses;
        self.proxy = Some(Setup::of_two(first, second).start(self.port));
        let configuration = self.configuration.clone();
        // It is a public server, so its operator vouches for addresses.
        wire::operated_by(&self.public, move |email| {
            let mut confirm = Command::new(env!("CARGO_BIN_EXE_foxden"));
            confirm.args(["user", "confirm", email]);
            let confirmed = confirm.env_clear().env("FOXDEN_CONFIG", &configuration).output();
            assert!(confirmed.unwrap().status.success());
        });
        self
    }

    /// Waits until they know each other.
    pub fn meet(&self) {
        meet(self.database.url());
    }

    /// The public address, which leads to both.
    pub fn server(&self) -> Server {
        Server::at(&self.public)
    }

    /// What reaches the one, and what reaches the other.
    pub fn each(&self) -> [Server; 2] {
        [0, 1].map(|at| Server::at(&self.public).through(&self.addresses[at]))
    }

    /// Runs a command of the operator at the second one.
    pub fn operator(&self, folder: &Folder, command: &[&str]) -> Output {
        start(folder, "second", &self.configuration).run(command)
    }

    /// Whether both have answered such a request.
    pub fn have_both_answered(&self, part: &str) -> bool {
        self.programs.iter().all(|program| program.log().contains(part))
    }

    /// Ends both as an operator does.
    pub fn stop(self) {
        drop(self.proxy);
        self.programs.into_iter().for_each(Program::stop);
    }
}

/// The file of `config/`, with the test's addresses.
fn configuration(folder: &Folder, name: &str, public: &str, address: &str, database: &str) -> PathBuf {
    const DATABASE: &str = "\"postgres://foxden@db.example.org/foxden?\
        password_file=/etc/foxden/database-password&sslmode=verify-full\"";
    let quoted = |text: &str| format!("\"{text}\"");
    let replacements = [
        (DATABASE, quoted(database)),
        ("\"https://sync.example.org\"", quoted(public)),
        ("\"10.0.0.2:5000\"", quoted(address)),
        ("\"/var/lib/foxden\"", quoted(&format!("/var/lib/{name}"))),
        ("\"invite\"", quoted("open")),
    ];
    let replacements = replacements.each_ref().map(|(from, to)| (*from, to.as_str()));
    file(folder, "shared.toml", name, &replacements)
}

/// A browser of today and one of yesterday, which use one process and have everything in its caches.
struct Devices<'a> {
    server: &'a Server,
    browser: Browser,
    access: String,
    store: Store,
    /// The name and the password of Sync 1.1.
    name: &'a str,
    password: &'static str,
}

impl<'a> Devices<'a> {
    fn at(server: &'a Server, name: &'a str, password: &'static str) -> Self {
        let browser = Session::sign_in(server, ANN, password).connect("a browser");
        let access = browser.access_token(OLDSYNC).expect(200).text_of("access_token");
        browser.ask_tokenserver_with(&access).expect(200);
        let store = browser.store();
        store.put("bookmarks", "a", "sealed").expect(200);
        let devices = Self {
            server,
            browser,
            access,
            store,
            name,
            password,
        };
        for _ in 0..3 {
            assert_eq!(devices.statuses(), Statuses::of_an_account());
        }
        devices
    }

    fn statuses(&self) -> Statuses {
        Statuses {
            session: self.browser.session.send(Call::get("/v1/session/status")).status,
            tokenserver: self.browser.ask_tokenserver_with(&self.access).status,
            basic: self.basic(self.password),
        }
    }

    fn basic(&self, password: &str) -> u16 {
        let call = Call::get(format!("/1.1/{}/info/collections", self.name));
        let call = call.header("Authorization", basic(self.name, password));
        self.server.send(&call).status
    }

    /// Waits until all of it is refused. Whatever was sent after the time that is promised is.
    fn are_refused_in_time(&self, changed: Instant) {
        loop {
            let sent = Instant::now();
            let statuses = self.statuses();
            if statuses == Statuses::of_nobody() {
                return;
            }
            assert!(sent.duration_since(changed) < PROMISE, "{statuses:?}");
        }
    }
}

/// What the requests of one moment were answered with.
#[derive(Debug, PartialEq, Eq)]
struct Statuses {
    session: u16,
    tokenserver: u16,
    basic: u16,
}

impl Statuses {
    const fn of_an_account() -> Self {
        Self {
            session: 200,
            tokenserver: 200,
            basic: 200,
        }
    }

    const fn of_nobody() -> Self {
        Self {
            session: 401,
            tokenserver: 401,
            basic: 401,
        }
    }
}

/// The person changes the password, and the operator disables and removes the account, all through one process.
fn what_one_process_changes_holds_at_the_other(server: TestServer) {
    let folder = Folder::new();
    let several = Several::start(&folder, server);
    let [first, second] = several.each();
    let name = account::register(&second, ANN, PASSWORD);
    let operator = |command: &[&str]| {
        let done = several.operator(&folder, command);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Instant::now()
    };

    let devices = Devices::at(&first, &name, PASSWORD);
    account::change_password(&second, &name, PASSWORD, ANOTHER).expect(200);
    devices.are_refused_in_time(Instant::now());
    assert_eq!(devices.basic(ANOTHER), 200);
    Session::try_sign_in(&first, ANN, PASSWORD).expect_errno(400, 103);

    let devices = Devices::at(&first, &name, ANOTHER);
    assert_eq!(
        devices.store.payload("bookmarks", "a"),
        "sealed",
        "the store stays"
    );
    devices.are_refused_in_time(operator(&["user", "disable", ANN]));
    assert_ne!(Session::try_sign_in(&first, ANN, ANOTHER).status, 200);

    operator(&["user", "enable", ANN]);
    let enabled = Instant::now();
    while devices.basic(ANOTHER) != 200 {
        assert!(enabled.elapsed() < 5 * PROMISE, "it is still disabled");
    }
    let devices = Devices::at(&first, &name, ANOTHER);
    devices.are_refused_in_time(operator(&["user", "remove", ANN, "--yes"]));
    devices.store.send(Call::get("/storage/bookmarks/a")).expect(401);
    devices.store.put("bookmarks", "a", "late").expect(401);
    assert!(!account::is_taken(&first, ANN));
    several.stop();
}

#[test]
#[ignore = "needs a server: cargo xtask test starts one"]
fn what_one_process_changes_holds_at_the_other_on_postgres() {
    what_one_process_changes_holds_at_the_other(TestServer::Postgres);
}

#[test]
#[ignore = "needs a server: cargo xtask test starts one"]
fn what_one_process_changes_holds_at_the_other_on_mariadb() {
    what_one_process_changes_holds_at_the_other(TestServer::Mariadb);
}
