//! A private server, which becomes public once other machines reach it.

use std::io::{BufReader, Write};
use std::process::Output;

use serde_json::json;

use crate::program::{Folder, Start};
use crate::raw::{connect, read_reply};
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::wire::{Call, Reply, Server};

/// A server for its own machine, with no proxy before it although other tests' servers may have one.
fn start(folder: &Folder) -> Start<'_> {
    let address = format!("127.0.0.1:{}", Start::free_port());
    let start = Start::on(folder).without_flags().with("--listen").with(&address);
    start.with("--public-url").with(format!("http://{address}"))
}

/// The request that makes an account.
fn create(name: &str) -> Call {
    let email = format!("{name}@example.org");
    let auth_pw = Stretched::v1(&email, "a password").auth_pw_hex();
    Call::post(
        "/v1/account/create",
        &json!({ "email": email, "authPW": auth_pw }),
    )
}

#[track_caller]
fn expect_confirmed(reply: Reply) {
    assert_eq!(reply.expect(200).json()["verified"], true);
}

#[track_caller]
fn expect_invitation_needed(reply: Reply) {
    reply.expect_errno(503, 202);
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The first five minutes: people at the machine make accounts by opening a page.
#[test]
fn at_its_own_machine_no_invitation_is_needed() {
    let folder = Folder::new();
    let start = start(&folder);
    let program = start.serve();
    let server = Server::at(program.url());
    expect_confirmed(server.send(&create("ann")));
    let by_page = create("bea").header("Origin", program.url());
    expect_confirmed(server.send(&by_page.header("Sec-Fetch-Site", "same-origin")));
    // A foreign page in the same browser gets nothing, and takes nothing from the person at the machine.
    let foreign = create("cai").header("Origin", "https://example.org");
    expect_refused(&server.send(&foreign.header("Sec-Fetch-Site", "cross-site")));
    expect_confirmed(server.send(&create("dan")));
    assert!(said(&start.run(&["check"])).contains("ok    no web server that others can reach"));
    expect_confirmed(server.send(&create("eve")));
    assert!(said(&start.run(&["private"])).contains("nothing has come from elsewhere"));
    assert!(!folder.data().join("public").exists());
    program.stop();
}

#[track_caller]
fn expect_refused(reply: &Reply) {
    assert!(reply.status >= 400, "{}", reply.status);
}

/// Each sign makes the server public, for requests without one as well, until the operator takes it back.
#[test]
fn one_sign_of_other_machines_makes_it_public_permanently() {
    let folder = Folder::new();
    let start = start(&folder);
    let mut program = start.serve();
    let mut server = Server::at(program.url());
    for (number, call) in [
        create("a").header("X-Forwarded-For", "192.0.2.7"),
        create("a").header("X-Real-IP", "192.0.2.7"),
        create("a").header("CF-Ray", "1"),
        create("a").header("Via", "1.1 a"),
        create("a").header("Origin", "https://sync.example.org"),
        // The target does not matter either.
        Call::get("/__heartbeat__").header("X-Forwarded-Proto", "https"),
        Call::get("/1.1/ann/info/collections").header("X-Forwarded-Host", "sync.example.org"),
    ]
    .into_iter()
    .enumerate()
    {
        let is_private = create(&format!("before-{number}"));
        expect_confirmed(server.send(&is_private));
        let reply = server.send(&call);
        assert!(reply.status != 200 || call_is_health(number), "{number}");
        expect_invitation_needed(server.send(&create(&format!("after-{number}"))));
        let log = program.log();
        assert!(
            log.contains("set public_url") && log.contains("foxden private"),
            "{log}"
        );
        if number == 0 {
            program.kill();
            program = start.serve();
            server = Server::at(program.url());
            expect_invitation_needed(server.send(&create("restarted")));
            assert!(
                said(&start.run(&["check"])).contains("look  this server listens for this machine alone")
            );
            // Its front page shows it, too.
            let page = server.send(&Call::get("/").header("Accept", "text/html")).text();
            assert!(page.contains("foxden private"), "{page}");
        }
        let taken_back = said(&start.run(&["private"]));
        assert!(taken_back.contains("private again"), "{taken_back}");
        assert!(!folder.data().join("public").exists());
    }
    // Once for each sign, and once at the start after the first.
    assert_eq!(
        program.log().matches("counts as public").count(),
        8,
        "{}",
        program.log()
    );
    program.stop();
}

/// The sixth call of the list above asks for the health page, which answers every client.
const fn call_is_health(number: usize) -> bool {
    number == 5
}

/// Requests that a library would not send: HTTP/1.0, another name, a name in the first line.
#[test]
fn a_request_like_a_proxys_makes_it_public() {
    let folder = Folder::new();
    let start = start(&folder);
    let program = start.serve();
    let server = Server::at(program.url());
    let address = program.address().to_owned();
    for request in [
        format!("GET / HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: sync.example.org\r\nConnection: close\r\n\r\n".to_owned(),
        format!("GET http://sync.example.org/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(),
    ] {
        let mut stream = connect(&address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        // An end of any kind will do.
        let _ = read_reply(&mut BufReader::new(stream));
        expect_invitation_needed(server.send(&create("ann")));
        let taken_back = said(&start.run(&["private"]));
        assert!(
            taken_back.contains("It counted as public since"),
            "{request}{taken_back}"
        );
    }
    expect_confirmed(server.send(&create("ann")));
    program.stop();
}

/// The command works on the files of a server that does not serve, and refuses where the configuration says otherwise.
#[test]
fn a_command_makes_the_server_private_again() {
    let folder = Folder::new();
    let start = start(&folder);
    let program = start.serve();
    let server = Server::at(program.url());
    server
        .send(&Call::get("/__lbheartbeat__").header("Forwarded", "for=192.0.2.7"))
        .expect(200);
    program.stop();
    let mark = std::fs::read_to_string(folder.data().join("public")).unwrap();
    assert!(
        mark.contains("foxden private") && mark.contains("forwarded"),
        "{mark}"
    );
    assert!(said(&start.run(&["private"])).contains("carried forwarded"));
    let program = start.serve();
    expect_confirmed(Server::at(program.url()).send(&create("ann")));
    program.stop();

    let public = Start::on(&folder)
        .with("--public-url")
        .with("https://sync.example.org");
    let program = public.serve();
    let refused = public.run(&["private"]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && text.contains("public by its configuration"),
        "{text}"
    );
    program.stop();
}
