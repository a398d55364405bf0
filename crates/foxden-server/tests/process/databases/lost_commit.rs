//! A sign-up whose transaction is lost on the way to its database: the client is told to come back, and finds one account or none.

use foxden_sql::testing::TestServer;
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::legacy::account;
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::wire::{Call, Reply, Server};
use serde_json::json;

use super::lossy_line::{Loss, LossyLine};
use super::outage::wait_of;
use super::{said, with_host};
use crate::program::{Folder, Start};

const ANN: &str = "ann@example.org";
const BEA: &str = "bea@example.org";
const PASSWORD: &str = "a password";

fn sign_up(server: &Server) -> Reply {
    let stretched = Stretched::v1(ANN, PASSWORD);
    let body = json!({ "email": ANN, "authPW": stretched.auth_pw_hex() });
    server.send(&Call::post("/v1/account/create?keys=true", &body))
}

fn a_lost_sign_up_is_made_once(database: TestServer) {
    for loss in [Loss::Commit, Loss::Answer] {
        let namespace = database.namespace("lost_commit");
        let line = LossyLine::to(namespace.url());
        let folder = Folder::new();
        let url = with_host(namespace.url(), &line.place());
        let start = Start::on(&folder).set("FOXDEN__ACCOUNTS__URL", url);
        let program = start.serve();
        let server = Server::at(program.url());

        line.lose(loss, ANN);
        let lost = sign_up(&server);
        assert!(wait_of(&lost) > 0);
        lost.expect_errno(503, 201);
        assert!(line.has_lost());
        let why = "it is unknown whether the transaction was committed";
        assert!(program.log().contains(why), "{}", program.log());
        let again = sign_up(&server);
        match loss {
            Loss::Commit => again.expect(200),
            // The client asks for the password then.
            Loss::Answer => again.expect_errno(400, 101),
        };
        let store = Session::sign_in(&server, ANN, PASSWORD)
            .connect("a browser")
            .store();
        store.put("bookmarks", "a", "x").expect(200);

        line.lose(loss, BEA);
        let lost = account::try_register(&server, BEA, PASSWORD, None);
        assert!(wait_of(&lost) > 0 && line.has_lost());
        assert_eq!(account::is_taken(&server, BEA), loss == Loss::Answer);
        if loss == Loss::Commit {
            account::register(&server, BEA, PASSWORD);
        }
        Session::sign_in(&server, BEA, PASSWORD);
        let users = said(&start.run(&["user", "list"]));
        for address in [ANN, BEA] {
            assert_eq!(users.matches(address).count(), 1, "{users}");
        }
        program.stop();
    }
}

#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn a_sign_up_that_is_lost_on_the_way_to_postgresql_is_made_once() {
    a_lost_sign_up_is_made_once(TestServer::Postgres);
}

#[test]
#[ignore = "needs MariaDB: run by cargo xtask test"]
fn a_sign_up_that_is_lost_on_the_way_to_mariadb_is_made_once() {
    a_lost_sign_up_is_made_once(TestServer::Mariadb);
}
