//! A private server behind an unknown proxy.

use serde_json::json;

use crate::program::proxy::Setup;
use crate::program::{Folder, Start};
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::wire::{Call, Reply, Server};

/// A sign-up with `curl`: without a page or an invitation.
fn create(name: &str) -> Call {
    let email = format!("{name}@example.org");
    let auth_pw = Stretched::v1(&email, "a password").auth_pw_hex();
    Call::post(
        "/v1/account/create",
        &json!({ "email": email, "authPW": auth_pw }),
    )
}

#[track_caller]
fn expect_invitation_needed(reply: Reply) {
    reply.expect_errno(503, 202);
}

fn private(folder: &Folder) -> (Start<'_>, String) {
    let backend = format!("127.0.0.1:{}", Start::free_port());
    let start = Start::on(folder).without_flags().with("--listen").with(&backend);
    let start = start.with("--public-url").with(format!("http://{backend}"));
    (start, backend)
}

/// Behind an nginx with nothing but `proxy_pass` no request gets an account without an invitation, neither then nor after a
/// restart.
#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn a_bare_nginx_makes_the_server_public() {
    let folder = Folder::new();
    let (start, backend) = private(&folder);
    let program = start.serve();
    let port = Start::free_port();
    let proxy = Setup::bare_nginx(&backend, "").start(port);
    let (direct, through) = (
        Server::at(program.url()),
        Server::at(&format!("http://127.0.0.1:{port}")),
    );
    for _ in 0..2 {
        expect_invitation_needed(through.send(&create("stranger")));
        assert!(folder.data().join("public").exists());
    }
    expect_invitation_needed(direct.send(&create("ann")));
    program.kill();
    let program = start.serve();
    let direct = Server::at(program.url());
    expect_invitation_needed(direct.send(&create("ann")));
    expect_invitation_needed(through.send(&create("stranger")));

    let taken_back = start.run(&["private"]);
    assert!(taken_back.status.success());
    assert_eq!(direct.send(&create("ann")).expect(200).json()["verified"], true);
    expect_invitation_needed(through.send(&create("stranger")));
    expect_invitation_needed(direct.send(&create("bea")));
    drop(proxy);
    program.stop();
}

/// A proxy that adds no header hides its clients, until the first page of its own is used or `foxden check` finds it.
#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn a_proxy_that_hides_itself_is_found() {
    let folder = Folder::new();
    let (start, backend) = private(&folder);
    let program = start.serve();
    let port = Start::free_port();
    let hides = "proxy_http_version 1.1; proxy_set_header Connection \"\";";
    // Others can reach it.
    let proxy = Setup::bare_nginx(&backend, hides).for_others().start(port);
    let (direct, through) = (
        Server::at(program.url()),
        Server::at(&format!("http://127.0.0.1:{port}")),
    );

    let page = create("stranger").header("Origin", "https://sync.example.org");
    let reply = through.send(&page.header("Sec-Fetch-Site", "same-origin"));
    assert!(reply.status >= 400, "{}", reply.status);
    expect_invitation_needed(direct.send(&create("ann")));
    assert!(start.run(&["private"]).status.success());

    let check = start.run(&["check"]);
    let report = String::from_utf8_lossy(&check.stdout);
    assert!(
        !check.status.success() && report.contains(&format!("BAD   http://127.0.0.1:{port} leads here")),
        "{report}"
    );
    expect_invitation_needed(through.send(&create("stranger")));
    expect_invitation_needed(direct.send(&create("ann")));
    drop(proxy);
    program.stop();
}
