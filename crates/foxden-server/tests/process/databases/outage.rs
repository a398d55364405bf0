//! A database that cannot be reached for a while: clients are told to wait, and the service returns by itself.

use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::legacy::account::{self, basic};
use foxden_test_support::client::legacy::name;
use foxden_test_support::client::wire::{Call, Reply, Server};

use super::lossy_line::LossyLine;
use super::own_server::OwnServer;
use super::{DATABASES, with_host};
use crate::nodes::eventually;
use crate::program::{Folder, Start};

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "ann's password";

/// The seconds that a client is asked to wait, on a 503 alone.
#[track_caller]
pub(super) fn wait_of(reply: &Reply) -> u32 {
    assert_eq!(reply.status, 503, "{}", reply.text());
    reply.header("retry-after").unwrap().parse().unwrap()
}

/// A database that can be away.
trait Outage {
    /// The URL of the database.
    fn url(&self) -> String;

    /// The place that the log names.
    fn place(&self) -> String;

    fn begin(&mut self);

    fn end(&mut self);
}

/// The line to the server is cut.
struct Unreachable {
    namespace: TestNamespace,
    line: LossyLine,
}

impl Unreachable {
    fn new(database: TestServer) -> Self {
        let namespace = database.namespace("outage");
        let line = LossyLine::to(namespace.url());
        Self { namespace, line }
    }
}

impl Outage for Unreachable {
    fn url(&self) -> String {
        with_host(self.namespace.url(), &self.place())
    }

    fn place(&self) -> String {
        self.line.place()
    }

    fn begin(&mut self) {
        self.line.cut();
    }

    fn end(&mut self) {
        self.line.mend();
    }
}

/// The server is restarted.
impl Outage for OwnServer {
    fn url(&self) -> String {
        self.url().to_owned()
    }

    fn place(&self) -> String {
        self.place().to_owned()
    }

    fn begin(&mut self) {
        self.stop();
    }

    fn end(&mut self) {
        self.start_again();
    }
}

fn clients_wait_while_the_database_is_away(mut outage: impl Outage) {
    let url = outage.url();
    let folder = Folder::new();
    let start = Start::on(&folder);
    let start = DATABASES
        .iter()
        .fold(start, |start, (variable, _)| start.set(variable, &url));
    let program = start.serve();
    let server = Server::at(program.url());

    let store = Session::sign_up(&server, ANN, PASSWORD)
        .connect("a browser")
        .store();
    store.put("bookmarks", "a", "x").expect(200);
    let bea = "bea@example.org";
    account::register(&server, bea, PASSWORD);
    let old = || {
        let name = name::of_account(bea);
        let call = Call::get(format!("/1.1/{name}/info/collections"));
        server.send(&call.header("Authorization", basic(&name, PASSWORD)))
    };
    old().expect(200);
    let health = || server.send(&Call::get("/__heartbeat__"));
    health().expect(200);

    outage.begin();
    for number in 0..5 {
        // The first ones may be those whose connection is cut.
        let read = store.send(Call::get("/storage/bookmarks/a"));
        assert!(wait_of(&read) > 0 && read.text() == "0", "{}", read.text());
        wait_of(&store.put("bookmarks", "b", &number.to_string()));
        let refused = old();
        assert!(wait_of(&refused) > 0);
        assert!(refused.text().contains("server issue"), "{}", refused.text());
        let login = Session::try_sign_in(&server, ANN, PASSWORD);
        wait_of(&login);
        login.expect_errno(503, 201);
    }
    let ill = health().expect(503).json();
    assert_eq!(
        (&ill["database"], &ill["status"]),
        (&"Unknown".into(), &"Err".into())
    );
    server.send(&Call::get("/__lbheartbeat__")).expect(200);
    // Once for the objects, and once for the accounts.
    let log = program.log();
    assert_eq!(
        log.matches("the database cannot be reached; ").count(),
        2,
        "{log}"
    );
    assert!(log.contains(&outage.place()), "{log}");

    outage.end();
    eventually(|| health().status == 200);
    assert_eq!(store.payload("bookmarks", "a"), "x");
    store.put("bookmarks", "b", "y").expect(200);
    old().expect(200);
    Session::sign_in(&server, ANN, PASSWORD);
    let log = program.log();
    assert_eq!(
        log.matches("the database can be reached again").count(),
        2,
        "{log}"
    );
    assert!(
        log.matches("a connection to the database was lost").count() <= 2,
        "{log}"
    );
    let login = url.split_once('@').unwrap().0;
    let password = login.rsplit_once(':').unwrap().1;
    assert!(
        password.starts_with("//") || !log.contains(&format!(":{password}@")),
        "{log}"
    );
    program.stop();
}

#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn clients_wait_while_postgresql_is_away() {
    clients_wait_while_the_database_is_away(Unreachable::new(TestServer::Postgres));
}

#[test]
#[ignore = "needs MariaDB: run by cargo xtask test"]
fn clients_wait_while_mariadb_is_away() {
    clients_wait_while_the_database_is_away(Unreachable::new(TestServer::Mariadb));
}

#[test]
#[ignore = "starts a PostgreSQL of its own: run by cargo xtask test"]
fn service_returns_once_postgresql_has_restarted() {
    clients_wait_while_the_database_is_away(OwnServer::start(TestServer::Postgres));
}

#[test]
#[ignore = "starts a MariaDB of its own: run by cargo xtask test"]
fn service_returns_once_mariadb_has_restarted() {
    clients_wait_while_the_database_is_away(OwnServer::start(TestServer::Mariadb));
}
