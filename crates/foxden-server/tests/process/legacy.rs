//! Passwords of Sync 1.1: checked against accounts that another process keeps, and hashed as seldom as can be.

use crate::cluster::{Cluster, server};
use crate::nodes::eventually;
use crate::program::{Folder, Program, Start};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::legacy::account::{self, basic};
use foxden_test_support::client::legacy::name;
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::wire::{Call, Server};

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "ann's password";

/// The status of a read with this password.
fn status(url: &str, password: &str) -> u16 {
    let name = name::of_account(ANN);
    let call = Call::get(format!("/1.1/{name}/info/collections"));
    let call = call.header("Authorization", basic(&name, password));
    Server::at(url).send(&call).status
}

/// How many passwords this program has hashed; it must log everything.
fn hashes(program: &Program) -> usize {
    program.log().matches("a password is hashed").count()
}

/// An account made by the User API serves at once; one made by Firefox does with the same password.
#[test]
fn one_process_serves_old_clients_from_the_first_request_on() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    account::register(&server(&program), ANN, PASSWORD);
    assert_eq!(status(program.url(), PASSWORD), 200);
    let bea = "bea@example.org";
    Session::sign_up(&server(&program), bea, PASSWORD);
    let name = name::of_account(bea);
    let call = Call::get(format!("/1.1/{name}/info/quota")).header("Authorization", basic(&name, PASSWORD));
    server(&program).send(&call).expect(200);
}

/// A cached log-in is invalidated soon after a change, by whichever API.
#[test]
fn a_changed_password_reaches_the_nodes() {
    let folder = Folder::new();
    let cluster = Cluster::new(&folder, 1);
    let registration = cluster.registration.serve();
    let node = cluster.nodes[0].clone().with("--log").with("debug").serve();
    let name = account::register(&server(&registration), ANN, PASSWORD);
    for _ in 0..20 {
        assert_eq!(status(node.url(), PASSWORD), 200);
    }
    assert_eq!(hashes(&node), 1, "what is remembered is not hashed again");

    account::change_password(&server(&registration), &name, PASSWORD, "another password").expect(200);
    eventually(|| status(node.url(), PASSWORD) == 401);
    assert_eq!(status(node.url(), "another password"), 200);
    let session = Session::sign_in(&server(&registration), ANN, "another password");
    session.change_password("another password", "the third password");
    eventually(|| status(node.url(), "another password") == 401);
    assert_eq!(status(node.url(), "the third password"), 200);
    // Two good ones and two that were good before.
    assert!(hashes(&node) <= 5, "{}", hashes(&node));

    let removed = cluster.registration.run(&["user", "disable", ANN]);
    assert!(removed.status.success());
    eventually(|| status(node.url(), "the third password") == 401);
}

/// A device that keeps an old password repeats its requests for ever. It costs one hash, and locks no one out.
#[test]
fn an_old_device_with_a_wrong_password_costs_little_and_locks_no_one_out() {
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("debug").serve();
    account::register(&server(&program), ANN, PASSWORD);
    assert_eq!(status(program.url(), PASSWORD), 200);
    let before = hashes(&program);
    for _ in 0..1000 {
        assert_eq!(status(program.url(), "the old password"), 401);
    }
    assert_eq!(hashes(&program) - before, 1);
    assert_eq!(status(program.url(), PASSWORD), 200);
    Session::sign_in(&server(&program), ANN, PASSWORD);
    let reply = Session::try_sign_in(&server(&program), ANN, "no password of hers");
    assert_eq!(
        reply.expect(400).json()["errno"],
        103,
        "{}",
        Stretched::v1(ANN, "x").auth_pw_hex()
    );
}

/// A 401 means a wrong password; a node that cannot check the password must not send it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_loses_the_accounts_says_503() {
    let folder = Folder::new();
    let cluster = Cluster::new(&folder, 1);
    let (registration, nodes) = cluster.serve();
    let (url, log) = (nodes[0].url().to_owned(), &nodes[0]);
    account::register(&server(&registration), ANN, PASSWORD);
    assert_eq!(status(&url, PASSWORD), 200);

    let register = Cluster::register(&folder).display().to_string();
    let database = foxden_sql::Database::open(&register, foxden_accounts::MIGRATIONS)
        .await
        .unwrap();
    let rename = async |statement| {
        let renamed = database.transact(|tx| async move { tx.execute(statement, vec![]).await });
        renamed.await.unwrap();
    };
    rename("ALTER TABLE credential_change RENAME TO gone").await;
    eventually(|| status(&url, PASSWORD) == 503);
    for password in [PASSWORD, "a wrong password"] {
        assert_eq!(status(&url, password), 503, "{}", log.log());
    }
    rename("ALTER TABLE gone RENAME TO credential_change").await;
    assert_eq!(status(&url, PASSWORD), 200);
}
