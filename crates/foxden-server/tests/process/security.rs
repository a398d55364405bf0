//! The lines of the security log.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::program::{Folder, Program, Start, Store};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::legacy::account;
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::wire::{Call, Server};

const ANN: &str = "ann@example.org";
const BEA: &str = "bea@example.org";
const TARGET: &str = "FOXDEN__SECURITY_LOG__TARGET";

/// The lines, each as id, entry point, subject, target account, and count.
fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(summary).collect()
}

fn summary(line: &str) -> String {
    let parts: Vec<&str> = line.splitn(8, '|').collect();
    let [_, "Foxden", "foxden", _, id, _, _, extension] = parts[..] else {
        panic!("{line}")
    };
    let field = |key: &str| {
        let (_, after) = extension.split_once(&format!(" {key}="))?;
        // Of the values in these tests only reasons contain spaces.
        after.split(' ').next().map(|value| format!(" {value}"))
    };
    let fields = ["cs1", "suser", "duser", "src", "cnt"].map(field);
    format!("{id}{}", fields.into_iter().flatten().collect::<String>())
}

/// Sends the requests of a current browser, an old one and an unknown client. Returns the name of the old one's account.
fn run_clients(program: &Program) -> String {
    let server = Server::at(program.url());
    let ann = Session::sign_up(&server, ANN, "ann's password");
    for _ in 0..3 {
        Session::try_sign_in(&server, ANN, "a wrong one").expect(400);
    }
    let ann = ann.change_password("ann's password", "another password");
    let browser = ann.connect("a browser");
    browser.ask_tokenserver_with(&"ab".repeat(32)).expect(401);
    let forged = crate::token::mint("another secret", 7, program.url());
    server
        .send(&Call::get("/1.5/7/info/collections").signed(&forged))
        .expect(401);
    // Without any credential: no event.
    server.send(&Call::get("/1.5/7/info/collections")).expect(401);

    let name = account::register(&server, BEA, "bea's password");
    // The store of another user.
    let other = Call::get("/1.1/another/info/collections");
    let other = other.header("Authorization", account::basic(&name, "bea's password"));
    server.send(&other).expect(401);
    account::change_password(&server, &name, "a wrong one", "b password").expect(401);
    account::change_password(&server, &name, "bea's password", "b password").expect(200);
    account::remove(&server, &name, "b password").expect(200);

    let auth_pw = Stretched::v1(ANN, "another password").auth_pw_hex();
    let destroy = Call::post("/v1/account/destroy", &json!({ "email": ANN, "authPW": auth_pw }));
    browser.session.send(destroy).expect(200);
    name
}

#[test]
fn account_events_are_logged() {
    let folder = Folder::new();
    let file = folder.path().join("security.log");
    let start = Start::on(&folder).set(TARGET, format!("file:{}", file.display()));
    let program = start.serve();
    let name = run_clients(&program);
    program.stop();

    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        lines(&file),
        [
            format!("201 accounts {ANN} 127.0.0.1"),
            format!("101 accounts {ANN} 127.0.0.1"),
            format!("203 accounts {ANN} 127.0.0.1"),
            "401 token 127.0.0.1".to_owned(),
            "402 storage 7 127.0.0.1".to_owned(),
            format!("201 user-api {BEA} 127.0.0.1"),
            format!("402 basic {name} 127.0.0.1"),
            format!("101 user-api {name} 127.0.0.1"),
            format!("203 user-api {BEA} 127.0.0.1"),
            format!("202 user-api {BEA} 127.0.0.1"),
            format!("202 accounts {ANN} 127.0.0.1"),
            // The count of repeated events is written when the server stops.
            format!("101 accounts {ANN} 127.0.0.1 2"),
        ]
    );
    let text = fs::read_to_string(&file).unwrap();
    for secret in [
        "password=",
        "ann's",
        "bea's",
        "another password",
        "a wrong one",
        &"ab".repeat(32),
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// Commands go through the socket of the server, and without a server work on the files.
#[test]
fn operator_actions_are_logged() {
    let folder = Folder::new();
    let file = folder.path().join("security.log");
    let start = Start::on(&folder).set(TARGET, format!("file:{}", file.display()));
    let mut program = Some(start.serve());
    let run = |args: &[&str]| assert!(start.run(args).status.success(), "{args:?}");
    let mut expected = Vec::new();
    for _ in 0..2 {
        run(&["user", "add", BEA]);
        run(&["user", "admin", BEA]);
        run(&["user", "disable", BEA]);
        run(&["user", "enable", BEA]);
        run(&["user", "confirm", BEA]);
        run(&["user", "password", BEA]);
        run(&["user", "code", BEA]);
        run(&["user", "list"]);
        run(&["user", "show", BEA]);
        run(&["invite", "--note", "cai | 100% = sure"]);
        run(&["user", "remove", BEA, "--yes"]);
        // A command that changed nothing writes no event.
        assert!(!start.run(&["user", "disable", BEA]).status.success());
        for id in [501, 505, 503, 504, 506, 507, 508] {
            expected.push(format!("{id} operator operator {BEA}"));
        }
        expected.push("509 operator operator".to_owned());
        expected.push(format!("502 operator operator {BEA}"));
        if let Some(program) = program.take() {
            program.stop();
        }
    }
    run(&["invite", "revoke", "1"]);
    expected.push("510 operator operator".to_owned());
    assert_eq!(lines(&file), expected);
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains(" reason=member, for: cai | 100% \\= sure"),
        "{text}"
    );
    assert!(text.contains(" reason=administrator"));
}

/// A command that runs without a server reports that it could not write the security log.
#[test]
fn a_command_whose_audit_record_cannot_be_written_says_so() {
    let folder = Folder::new();
    let start = Start::on(&folder);
    start.serve().stop();
    let nowhere = format!("syslog:{}", folder.path().join("no syslog").display());
    let output = start.set(TARGET, nowhere).run(&["user", "add", BEA]);
    assert!(output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("the security log could not be written"),
        "{errors}"
    );
}

/// A syslog that is not read makes no request wait, and standard error holds none of it.
#[test]
fn a_syslog_that_is_not_read_delays_no_request() {
    let folder = Folder::new();
    let path = folder.path().join("syslog");
    let syslog = UnixDatagram::bind(&path).unwrap();
    let start = Start::on(&folder).set(TARGET, format!("syslog:{}", path.display()));
    let program = start.serve();
    let store = Store::at(program.url(), 7);
    for number in 0..200 {
        let forged = crate::token::mint("another secret", number, program.url());
        let call = Call::get(format!("/1.5/{number}/info/collections")).signed(&forged);
        Server::at(program.url()).send(&call).expect(401);
    }
    store.send("GET", "/info/collections", None).expect(200);
    syslog.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut buffer = [0; 4096];
    let length = syslog.recv(&mut buffer).unwrap();
    let first = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let header = format!(" foxden[{}]: CEF:0|Foxden|foxden|", program.id());
    assert!(first.starts_with("<86>") && first.contains(&header), "{first}");
    assert!(!program.log().contains("CEF:0"));
}

#[test]
fn an_unwritable_log_file_is_reported() {
    let folder = Folder::new();
    let file = folder.path().join("no/folder/security.log");
    let start = Start::on(&folder).set(TARGET, format!("file:{}", file.display()));
    let output = start.run(&["serve"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("no/folder/security.log"), "{errors}");
    let output = start.set(TARGET, "file:security.log").run(&["config", "check"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("security_log.target"), "{errors}");
}

/// A client that reaches a limit is named, also where it is not authenticated.
#[test]
fn clients_that_reach_a_limit_are_named() {
    let folder = Folder::new();
    let file = folder.path().join("security.log");
    let start = Start::on(&folder).set(TARGET, format!("file:{}", file.display()));
    let program = start.serve();
    let server = Server::at(program.url());

    let mut nothing = Vec::new();
    for _ in 0..20 {
        let member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        nothing.extend(member.finish().unwrap());
    }
    let store = Store::at(program.url(), 7);
    let authorization = store.authorization("POST", "/storage/tabs");
    let packed = Call::new("POST", store.path("/storage/tabs"))
        .header("Content-Encoding", "gzip")
        .header("Authorization", authorization)
        .body("application/json", nothing);
    server.send(&packed).expect(400);

    let client = "c".repeat(256);
    let pair = Call::get("/jpake/new_channel").header("X-KeyExchange-Id", &client);
    assert!((0..1000).any(|_| server.send(&pair).status == 503));

    let head = format!(
        "POST /v1/avatar/upload HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000\r\n\r\nthe first bytes",
        program.address()
    );
    // This machine has ten times as many turns as one address elsewhere.
    let uploads: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(program.address()).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let named = [
        "104 accounts",
        "104 key-exchange 127.0.0.1",
        "104 listener 127.0.0.1",
    ];
    crate::nodes::eventually(|| {
        named
            .iter()
            .all(|line| lines(&file).iter().any(|logged| logged == line))
    });
    drop(uploads);
    program.stop();
}
