//! Tests of the operator's commands, with a running server and on the files of a stopped one.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Output;

use serde_json::json;

use crate::program::{Folder, Start};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::wire::{Call, Server};

fn said(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "it should have failed");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Every command about accounts does the same through the socket and on the files.
#[test]
fn accounts_are_looked_after_while_serving_and_while_not() {
    let folder = Folder::new();
    let start = Start::on(&folder);
    let mut program = Some(start.serve());
    let first = Server::at(program.as_ref().unwrap().url());
    Session::sign_up(&first, "ann@example.org", "ann's password");
    for name in ["bea@example.org", "cai@example.org"] {
        assert!(said(&start.run(&["user", "add", name])).contains("/reset_password#"));
        let list = said(&start.run(&["user", "list"]));
        assert!(list.contains("ann@example.org") && list.contains(name), "{list}");
        assert!(refused(&start.run(&["user", "add", name])).contains("exists"));
        said(&start.run(&["user", "admin", name]));
        let shown = said(&start.run(&["user", "show", name]));
        assert!(
            shown.contains("administrator") && shown.contains("no password yet"),
            "{shown}"
        );
        said(&start.run(&["user", "admin", name, "--revoke"]));
        assert!(!said(&start.run(&["user", "show", name])).contains("administrator"));
        assert!(said(&start.run(&["user", "password", name])).contains("/reset_password#"));
        assert!(said(&start.run(&["user", "code", name])).contains("No code waits"));
        assert!(refused(&start.run(&["user", "remove", name])).contains("--yes"));
        said(&start.run(&["user", "remove", name, "--yes"]));
        assert!(refused(&start.run(&["user", "show", name])).contains("there is no account"));
        for chore in [
            "purge-expired-objects",
            "purge-expired-credentials",
            "wipe-deleted-stores",
        ] {
            said(&start.run(&["chore", "run", chore]));
        }
        if let Some(program) = program.take() {
            program.stop();
        }
    }
}

/// A disabled account gets error 125 with the right password, until it is enabled again.
#[test]
fn an_account_is_switched_off_and_on_and_its_story_told() {
    let folder = Folder::new();
    let start = Start::on(&folder);
    let program = start.serve();
    let server = Server::at(program.url());
    let ann = "ann@example.org";
    Session::sign_up(&server, ann, "a password");
    let auth_pw = Stretched::v1(ann, "a password").auth_pw_hex();
    let login = Call::post("/v1/account/login", &json!({ "email": ann, "authPW": auth_pw }));

    said(&start.run(&["user", "disable", ann]));
    assert!(said(&start.run(&["user", "show", ann])).contains("switched off"));
    let refusal = server.send(&login).expect(400);
    assert_eq!(refusal.json()["errno"], 125);

    said(&start.run(&["user", "enable", ann]));
    said(&start.run(&["user", "confirm", ann]));
    server.send(&login).expect(200);
    let shown = said(&start.run(&["user", "show", ann]));
    assert!(!shown.contains("switched off"), "{shown}");
    assert!(
        shown.contains("created from 127.0.0.1") && shown.contains("login from 127.0.0.1"),
        "{shown}"
    );
    program.stop();
    for command in ["disable", "enable", "confirm"] {
        let errors = refused(&start.run(&["user", command, "bea@example.org"]));
        assert!(errors.contains("there is no account"), "{errors}");
    }
}

#[test]
fn invitations_are_listed_and_taken_back() {
    let folder = Folder::new();
    let start = Start::on(&folder);
    let program = start.serve();
    assert!(said(&start.run(&["invite", "list"])).contains("There is no invitation"));
    let link = said(&start.run(&["invite", "--note", "for Bea"]));
    let invite = code_of(&link, "/invite#");
    let list = said(&start.run(&["invite", "list"]));
    assert!(list.contains("for Bea") && !list.contains(&invite), "{list}");
    let id = list.split_whitespace().next().unwrap();

    said(&start.run(&["invite", "revoke", id]));

    assert!(refused(&start.run(&["invite", "revoke", id])).contains("there is no invitation"));
    let auth_pw = Stretched::v1("bea@example.org", "a password").auth_pw_hex();
    let body = json!({ "email": "bea@example.org", "authPW": auth_pw, "invite": invite });
    Server::at(program.url())
        .send(&Call::post("/v1/account/create", &body))
        .expect(400);
    program.stop();
}

/// A folder that holds objects alone stays one, whatever command strays there.
#[test]
fn where_no_accounts_are_kept_no_command_makes_a_register() {
    let folder = Folder::new();
    let start = Start::on(&folder).with("--surfaces").with("sync,ops");
    start.serve().stop();
    for command in [&["user", "list"][..], &["invite"], &["invite", "--first"]] {
        let errors = refused(&start.run(command));
        assert!(errors.contains("there are no accounts in"), "{errors}");
    }
    for command in [&["chore", "list"][..], &["chore", "run", "purge-expired-objects"]] {
        said(&start.run(command));
    }
    assert!(!folder.data().join("register.sqlite").exists());
}

/// On a server that others can reach, the first account is made by invitation, and it is the administrator's.
#[test]
fn a_public_server_begins_with_an_invitation() {
    let folder = Folder::new();
    let start = Start::on(&folder)
        .with("--public-url")
        .with("https://sync.example.org")
        .set("FOXDEN__OTHER_HOSTS", "127.0.0.1");
    let program = start.serve();
    assert!(
        program.log().contains("foxden invite --first"),
        "{}",
        program.log()
    );
    let link = said(&start.run(&["invite", "--first"]));
    let code = code_of(&link, "https://sync.example.org/invite#");
    let server = Server::at(&format!("http://{}", program.log_address()));
    create_invited(&server, "ann@example.org", &code);
    assert!(said(&start.run(&["user", "list"])).contains("administrator"));
    assert!(refused(&start.run(&["invite", "--first"])).contains("an account already"));

    let second = said(&start.run(&["invite", "--note", "for Bea"]));
    let code = code_of(&second, "https://sync.example.org/invite#");
    create_invited(&server, "bea@example.org", &code);
    let shown = said(&start.run(&["user", "show", "bea@example.org"]));
    assert!(!shown.contains("administrator"), "{shown}");
    assert!(!program.log().contains(&code), "no code stands in the log");
    program.stop();
}

/// The request of the invitation's page.
fn create_invited(server: &Server, email: &str, invite: &str) {
    let auth_pw = Stretched::v1(email, "a password").auth_pw_hex();
    let body = json!({ "email": email, "authPW": auth_pw, "invite": invite });
    server.send(&Call::post("/v1/account/create", &body)).expect(200);
}

fn code_of(output_text: &str, before: &str) -> String {
    let (_, rest) = output_text
        .split_once(before)
        .unwrap_or_else(|| panic!("no link in: {output_text}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// `check` requests the public address, and gives a hint if another server answers.
#[test]
fn check_finds_whether_the_public_address_leads_here() {
    let folder = Folder::new();
    let start = Start::on(&folder);
    assert!(said(&start.run(&["check"])).contains("there is no data folder"));
    assert!(refused(&start.run(&["user", "list"])).contains("--data-dir"));
    assert!(!folder.data().exists(), "looking makes nothing");
    let open = Start::on(&folder)
        .with("--public-url")
        .with("http://sync.example.org")
        .run(&["check"]);
    let text = String::from_utf8_lossy(&open.stdout);
    assert!(!open.status.success() && text.contains("no TLS"), "{text}");
    let program = start.serve();
    let text = said(&start.run(&["check"]));
    assert!(
        text.contains("leads here") && text.contains("storage takes requests signed"),
        "{text}"
    );
    let stranger = Start::on(&folder)
        .named("stranger")
        .with("--public-url")
        .with(program.url());
    let other = stranger.serve();
    let output = stranger.run(&["check"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("does not lead here"),
        "{text}"
    );
    other.stop();
    program.stop();
}

/// `check` needs no flags of the server but its data folder's: the running server says how it was started.
#[test]
fn check_goes_by_the_server_that_runs() {
    let folder = Folder::new();
    let start = Start::on(&folder).set("FOXDEN__STORAGE__MAX_REQUEST_BYTES", "3000000");
    let program = start.serve();
    let flagless = Start::on(&folder).without_flags();
    let text = said(&flagless.run(&["check"]));
    assert!(text.contains("an upload of 2930 KB"), "{text}");
    assert!(!text.contains("look") && !text.contains("BAD"), "{text}");

    let other = flagless.with("--public-url").with("https://sync.example.org");
    let text = said(&other.run(&["check"]));
    assert!(
        text.contains("look  the configuration says https://sync.example.org"),
        "{text}"
    );
    assert!(
        text.contains(&format!("the running server took {}", program.url())),
        "{text}"
    );
    program.stop();
}

/// An address that begins with https needs something there that speaks it.
#[test]
fn check_finds_a_port_without_tls() {
    let folder = Folder::new();
    let address = format!("127.0.0.1:{}", Start::free_port());
    let start = Start::on(&folder).without_flags().with("--listen").with(&address);
    let start = start.with("--public-url").with(format!("https://{address}"));
    let program = start.serve();
    let output = start.run(&["check"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("speaks no TLS"),
        "{text}"
    );
    assert!(!text.contains("authority of your own"), "{text}");
    program.stop();
}

/// A proxy's own page may ask browsers to wait in a way that they do not understand.
#[test]
fn check_finds_an_unexpected_maintenance_page() {
    let page = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", page.local_addr().unwrap());
    let closed = "HTTP/1.1 503 Closed\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\
        Connection: close\r\n\r\n";
    std::thread::spawn(move || {
        for mut stream in page.incoming().flatten() {
            let mut head = BufReader::new(&stream).lines();
            while matches!(head.next(), Some(Ok(line)) if !line.is_empty()) {}
            stream.write_all(closed.as_bytes()).unwrap();
        }
    });
    let folder = Folder::new();
    let start = Start::on(&folder).with("--public-url").with(&url);
    let program = start.serve();
    let output = start.run(&["check"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("does not lead here") && text.contains("a whole number of seconds"),
        "{text}"
    );
    program.stop();
}
