//! The program under a clock that is wrong, and is put right while it runs.
//!
//! The wall clock is shifted, by libfaketime; the monotonic one is not, as on a machine whose clock is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use foxden_model::{Clock, SystemClock};
use serde_json::json;

use crate::program::{Folder, Program, Start};
use foxden_test_support::client::browser::{Browser, Session, Store, signer};
use foxden_test_support::client::hex;
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::wire::{Call, Server};

const ANN: &str = "ann@example.org";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A machine whose clock can be set.
pub struct Machine<'a> {
    folder: &'a Folder,
}

impl<'a> Machine<'a> {
    pub const fn new(folder: &'a Folder) -> Self {
        Self { folder }
    }

    /// How the program is started there.
    pub fn start(&self) -> Start<'a> {
        Start::on(self.folder)
            .set("LD_PRELOAD", library().display().to_string())
            .set("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string())
            .set("FAKETIME_NO_CACHE", "1")
            .set("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .set("DONT_FAKE_MONOTONIC", "1")
    }

    /// Sets its clock that many seconds ahead, or behind.
    pub fn set(&self, ahead: i64) {
        let draft = self.folder.path().join("clock.new");
        fs::write(&draft, format!("{ahead:+}\n")).unwrap();
        fs::rename(&draft, self.file()).unwrap();
    }

    /// The same while a client is connected, which learns of it as clients do: by the answers.
    pub fn set_under(&self, server: &Server, ahead: i64) {
        self.set(ahead);
        let told = server.send(&Call::get(
            "/v1/account/status?uid=00000000000000000000000000000000",
        ));
        let told: i64 = told.header("timestamp").unwrap().parse().unwrap();
        let told = told - SystemClock.seconds();
        assert!(
            (told - ahead).abs() <= 30,
            "the clock is {told} s ahead, not {ahead}"
        );
        server.set_ahead(ahead);
    }

    fn serve(&self, ahead: i64) -> (Program, Server) {
        self.set(ahead);
        let program = self.start().serve();
        let server = Server::at(program.url());
        self.set_under(&server, ahead);
        (program, server)
    }

    fn run(&self, command: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.start().run(command);
        assert!(
            status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&stderr)
        );
        String::from_utf8(stdout).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}

/// Where Debian's packages put it.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let library = folders
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| Path::is_file(library));
    library.expect("libfaketime is installed")
}

fn write(store: &Store, id: &str) {
    store.put("bookmarks", id, "sealed").expect(200);
    assert_eq!(store.payload("bookmarks", id), "sealed");
}

/// A password that was forgotten, and another one.
fn reset(machine: &Machine<'_>, server: &Server, new: &str) {
    let asked = Call::post("/v1/password/forgot/send_code", &json!({ "email": ANN }));
    let asked = server.send(&asked).expect(200);
    let forgot = signer(&asked.text_of("passwordForgotToken"), "passwordForgotToken");
    let shown = machine.run(&["user", "code", ANN]);
    let code = shown.split_whitespace().find(|word| word.len() == 32).unwrap();
    let verify = Call::post("/v1/password/forgot/verify_code", &json!({ "code": code }));
    let right = server.send(&verify.signed(&forgot)).expect(200);
    let fresh = Stretched::v1(ANN, new);
    let reset = Call::post("/v1/account/reset", &json!({ "authPW": hex(&fresh.auth_pw) }));
    let by = signer(&right.text_of("accountResetToken"), "accountResetToken");
    server.send(&reset.signed(&by)).expect(200);
}

/// An account is made, or its password set, while the clock is ahead. Then it is put right, and everything works: signing
/// in, the keys, tokens, storage, another password, a reset.
#[test]
#[ignore = "needs libfaketime; cargo xtask test installs it"]
fn a_clock_that_was_ahead_locks_no_one_out() {
    for ahead in [10 * MINUTE, 2 * HOUR, 400 * DAY] {
        let folder = Folder::new();
        let machine = Machine::new(&folder);
        let (program, server) = machine.serve(ahead);
        let made = Session::sign_up(&server, ANN, "first").connect("laptop");
        write(&made.store(), "a");

        machine.set_under(&server, 0);
        let found = connect(&server, "first");
        assert_eq!(found.sync_key.kid, made.sync_key.kid);
        assert_eq!(found.store().payload("bookmarks", "a"), "sealed");
        write(&found.store(), "b");
        // Stores that were open before keep working.
        write(&made.store(), "c");

        machine.set_under(&server, ahead);
        let changed = connect(&server, "first")
            .session
            .change_password("first", "second");
        machine.set_under(&server, 0);
        write(&changed.connect("laptop").store(), "d");
        write(&connect(&server, "second").store(), "e");

        let again = connect(&server, "second")
            .session
            .change_password("second", "third");
        write(&again.connect("laptop").store(), "f");
        reset(&machine, &server, "fourth");
        let fresh = connect(&server, "fourth");
        assert_ne!(fresh.sync_key.kid, found.sync_key.kid, "a reset makes a new key");
        write(&fresh.store(), "g");
        drop(program);
    }
}

fn connect(server: &Server, password: &str) -> Browser {
    Session::sign_in(server, ANN, password).connect("laptop")
}

/// A machine without a battery starts in 1970, or a year back, and gets the right time while it serves.
#[test]
#[ignore = "needs libfaketime; cargo xtask test installs it"]
fn a_clock_that_is_behind_at_the_start_costs_nothing() {
    for behind in [SystemClock.seconds() - DAY, 365 * DAY] {
        let folder = Folder::new();
        let machine = Machine::new(&folder);
        let (program, server) = machine.serve(0);
        let before = Session::sign_up(&server, ANN, "first").connect("laptop");
        write(&before.store(), "a");
        program.stop();

        let (program, server) = machine.serve(-behind);
        if behind > 10 * 365 * DAY {
            assert!(program.log().contains("years behind"), "{}", program.log());
        }
        let found = connect(&server, "first");
        assert_eq!(found.sync_key.kid, before.sync_key.kid);
        let store = found.store();
        assert_eq!(store.payload("bookmarks", "a"), "sealed");
        let short = json!({ "id": "tab", "payload": "sealed", "ttl": 600 });
        let put = Call::new("PUT", "/storage/tabs/tab").body("application/json", short.to_string());
        store.send(put).expect(200);
        Session::sign_up(&server, "bea@example.org", "first");

        machine.set_under(&server, 0);
        for chore in [
            "purge-expired-objects",
            "purge-expired-credentials",
            "wipe-deleted-stores",
        ] {
            machine.run(&["chore", "run", chore]);
        }
        let status = found.session.send(Call::get("/v1/session/status"));
        status.expect(200);
        let store = found.store();
        assert_eq!(
            store.payload("tabs", "tab"),
            "sealed",
            "a life counted from a wrong clock"
        );
        write(&store, "b");
        let bea = Session::sign_in(&server, "bea@example.org", "first").connect("phone");
        write(&bea.store(), "c");
        let changed = found.session.change_password("first", "second");
        write(&changed.connect("laptop").store(), "d");
        program.stop();
    }
}

/// A clock that is years ahead for a while deletes nothing: data that seemed to have expired are visible again.
#[test]
#[ignore = "needs libfaketime; cargo xtask test installs it"]
fn a_clock_that_is_years_ahead_for_a_while_takes_nothing_away() {
    let folder = Folder::new();
    let machine = Machine::new(&folder);
    let (program, server) = machine.serve(0);
    let browser = Session::sign_up(&server, ANN, "first").connect("laptop");
    // A session without a device, which would not be missed for months.
    let other = Session::sign_in(&server, ANN, "first");
    let short = json!({ "id": "tab", "payload": "sealed", "ttl": 86_400 });
    let put = Call::new("PUT", "/storage/tabs/tab").body("application/json", short.to_string());
    browser.store().send(put.clone()).expect(200);
    machine.run(&["chore", "run", "purge-expired-objects"]);

    for restarted in [false, true] {
        machine.set_under(&server, 400 * DAY);
        let tab = Call::get("/storage/tabs/tab");
        browser.store().send(tab).expect(404);
        let chores = [
            "purge-expired-objects",
            "purge-expired-credentials",
            "wipe-deleted-stores",
        ];
        for chore in chores {
            machine.run(&["chore", "run", chore]);
        }
        assert!(program.log().contains("the clock went from"), "{}", program.log());
        machine.set_under(&server, 0);
        assert_eq!(browser.store().payload("tabs", "tab"), "sealed", "{restarted}");
        other.send(Call::get("/v1/session/status")).expect(200);
    }
    program.stop();

    // It starts ahead, as with a battery that has failed, and is put right.
    let (program, server) = machine.serve(400 * DAY);
    for chore in [
        "purge-expired-objects",
        "purge-expired-credentials",
        "wipe-deleted-stores",
    ] {
        machine.run(&["chore", "run", chore]);
    }
    machine.set_under(&server, 0);
    let found = connect(&server, "first");
    assert_eq!(found.store().payload("tabs", "tab"), "sealed");
    let moved = Session {
        server: server.clone(),
        ..other
    };
    moved.send(Call::get("/v1/session/status")).expect(200);
    program.stop();
}
