//! The first start, refused configurations, and two programs with one secret.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::{fs, str};

use crate::program::{Folder, Start, Store};

fn complaint(output: &Output) -> &str {
    assert!(!output.status.success(), "it should have failed");
    str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn a_first_start_makes_a_private_folder_and_keeps_its_secrets() {
    let folder = Folder::new();
    let start = Start::on(&folder).unset("FOXDEN__MASTER_SECRET");
    start.serve().stop();
    let mode = |name: &str| {
        fs::metadata(folder.data().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode(""), mode("secrets.toml"), mode("lock")),
        (0o700, 0o600, 0o600)
    );
    let secrets = fs::read_to_string(folder.data().join("secrets.toml")).unwrap();
    start.serve().stop();
    assert_eq!(
        fs::read_to_string(folder.data().join("secrets.toml")).unwrap(),
        secrets
    );
}

/// With a secret that can be guessed, anyone signs tokens.
#[test]
fn a_data_folder_with_a_short_secret_is_refused() {
    let folder = Folder::new();
    let start = Start::on(&folder).unset("FOXDEN__MASTER_SECRET");
    start.serve().stop();
    for secret in ["", "short", "                "] {
        let text = format!("master_secret = \"{secret}\"\n");
        fs::write(folder.data().join("secrets.toml"), text).unwrap();
        let refused = start.run(&["serve"]);
        assert!(
            complaint(&refused).contains("at least 16 characters"),
            "{}",
            complaint(&refused)
        );
    }
}

#[test]
fn a_second_process_on_the_same_data_says_who_is_there_and_ends() {
    let folder = Folder::new();
    let start = Start::on(&folder);
    let program = start.serve();
    let second = start.run(&["serve"]);
    let expected = format!("is in use by process {}", program.id());
    assert!(complaint(&second).contains(&expected), "{}", complaint(&second));
    program
        .store(1)
        .send("GET", "/info/collections", None)
        .expect(200);
    program.kill();
    start.serve().stop();
}

#[test]
fn a_configuration_that_cannot_be_is_refused() {
    let folder = Folder::new();
    let file = folder.path().join("foxden.toml");
    for (text, expected) in [
        (
            "[storage]\nquotas = \"1 MB\"\n",
            "there is no setting storage.quotas; did you mean storage.quota?",
        ),
        ("[http]\nidle_timeout = \"soon\"\n", "http.idle_timeout"),
        (
            "[[listener]]\nbind = \"0.0.0.0:0\"\n",
            "public_url = \"https://sync.example.org\"",
        ),
        ("public_url = ", "is not valid TOML"),
    ] {
        fs::write(&file, text).unwrap();
        let start = Start::on(&folder)
            .without_flags()
            .set("FOXDEN_CONFIG", file.to_str().unwrap());
        for command in [&["serve"][..], &["config", "check"], &["config", "print"]] {
            let output = start.run(command);
            assert!(complaint(&output).contains(expected), "{}", complaint(&output));
        }
    }
    let unknown = Start::on(&folder)
        .set("FOXDEN__STORAGE__QUOTAS", "1 MB")
        .run(&["config", "check"]);
    let expected = "FOXDEN__STORAGE__QUOTAS: there is no setting storage.quotas";
    assert!(complaint(&unknown).contains(expected), "{}", complaint(&unknown));
}

#[test]
fn print_shows_values_and_origins_but_no_secrets() {
    let folder = Folder::new();
    let output = Start::on(&folder)
        .set("FOXDEN__STORAGE__QUOTA", "3 MB")
        .run(&["config", "print"]);
    assert!(output.status.success());
    let text = str::from_utf8(&output.stdout).unwrap();
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(
        line("storage.quota").contains("3 MB  (FOXDEN__STORAGE__QUOTA)"),
        "{text}"
    );
    assert!(
        line("master_secret").contains("***  (FOXDEN__MASTER_SECRET)"),
        "{text}"
    );
    assert!(!text.contains(crate::program::SECRET), "{text}");
}

/// A node needs only the secret: no table of users, no channel to the tokenserver.
#[test]
fn a_token_signed_elsewhere_opens_a_store() {
    let folder = Folder::new();
    let program = Start::on(&folder).with("--surfaces").with("sync,ops").serve();
    let store = program.store(4_000_000);
    store
        .send("PUT", "/storage/tabs/a", Some(r#"{"payload":"x"}"#.into()))
        .expect(200);
    let stranger = Start::on(&folder)
        .named("other")
        .set("FOXDEN__MASTER_SECRET", "another secret entirely")
        .serve();
    Store::at(stranger.url(), 4_000_000)
        .send("GET", "/info/collections", None)
        .expect(401);
    assert!(
        !folder.data().join("register.sqlite").exists(),
        "a node opens no register"
    );
    stranger.stop();
    program.stop();
}

/// The path of the public address is served whether or not a proxy cuts it off; signatures hold either way.
#[test]
fn a_public_path_is_served_with_and_without_a_proxy_that_cuts_it() {
    let folder = Folder::new();
    let program = Start::on(&folder)
        .with("--public-url")
        .with("http://127.0.0.1:80/sync")
        .serve();
    let address = program.log_address();
    let token = crate::token::mint(crate::program::SECRET, 5, "http://127.0.0.1/sync");
    let signed = |target: &str| {
        foxden_test_support::client::hawk::Signed {
            method: "GET",
            target,
            host: "127.0.0.1",
            port: 80,
            payload: None,
            ts: foxden_model::Clock::seconds(&foxden_model::SystemClock),
            nonce: "abc",
        }
        .header(&token)
    };
    let ask = |path: &str, authorization: String| {
        let call = foxden_test_support::client::wire::Call::get(path).header("Authorization", authorization);
        let call = call.header("Host", "127.0.0.1");
        foxden_test_support::client::wire::Server::at(&format!("http://{address}"))
            .send(&call)
            .status
    };
    let path = "/sync/1.5/5/info/collections";
    assert_eq!(ask(path, signed(path)), 200);
    assert_eq!(ask("/1.5/5/info/collections", signed(path)), 200);
    assert_eq!(
        ask("/1.5/5/info/collections", signed("/1.5/5/info/collections")),
        401
    );
    program.stop();
}
