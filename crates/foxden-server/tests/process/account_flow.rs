//! A person's life with the program: sign up, sync, a second device, a new password, a forgotten one, leave.
//!
//! All requests go to the program over HTTP; the scripted client of `foxden-test-support` sends them.

mod command_line;

use std::process::Output;

use crate::program::{Folder, Start};
use foxden_test_support::client::browser::{DESKTOP, Session, signer};
use foxden_test_support::client::hex;
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::sync_key::OLDSYNC;
use foxden_test_support::client::wire::{Call, Server};
use serde_json::json;

const ANN: &str = "ann@example.org";

/// Runs a command of the operator.
pub type Operator<'a> = &'a dyn Fn(&[&str]) -> Output;

/// Runs each scenario against one process.
macro_rules! at_one_process {
    ($($scenario:ident),* $(,)?) => {
        mod one_process {
            use super::*;

            $(#[test]
            fn $scenario() {
                let folder = Folder::new();
                let program = Start::on(&folder).serve();
                let operator = |command: &[&str]| Start::on(&folder).run(command);
                super::$scenario(&Server::at(program.url()), &operator);
            })*
        }
    };
}

at_one_process!(
    two_devices_share_one_store,
    a_new_password_keeps_the_store_and_ends_other_sessions,
    a_forgotten_password_ends_in_an_empty_store,
    a_closed_account_leaves_nothing,
    a_browser_signs_out,
);

/// The code that waits for Ann, as the operator sees it.
fn waiting_code(operator: Operator) -> String {
    let shown = operator(&["user", "code", ANN]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    let is_code = |word: &&str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let code = text.split_whitespace().find(is_code);
    code.unwrap_or_else(|| panic!("no code in: {text}")).to_owned()
}

pub fn two_devices_share_one_store(server: &Server, _: Operator) {
    let first = Session::sign_up(server, ANN, "correct horse").connect("Ann’s laptop");
    let store = first.store();
    store.send(Call::get("/storage/meta/global")).expect(404);
    store.put("meta", "global", "{\"storageVersion\":5}").expect(200);
    store.put("bookmarks", "dfx3kk0aaaaa", "sealed").expect(200);

    let second = Session::sign_in(server, ANN, "correct horse").connect("Ann’s desktop");
    assert_eq!(second.session.uid, first.session.uid);
    assert_eq!(
        second.sync_key, first.sync_key,
        "both hold the same key under the same name"
    );
    let same = second.store();
    assert_eq!(same.uid(), store.uid());
    assert_eq!(same.payload("bookmarks", "dfx3kk0aaaaa"), "sealed");

    let devices = second.devices();
    let named = |name: &str| devices.iter().find(|device| device["name"] == name).unwrap();
    assert_eq!(devices.len(), 2);
    assert_eq!(named("Ann’s desktop")["isCurrentDevice"], true);
    assert_eq!(named("Ann’s laptop")["isCurrentDevice"], false);

    let gone = json!({ "id": first.device["id"] });
    let call = Call::post("/v1/account/device/destroy", &gone);
    second.session.send(call).expect(200);
    assert_eq!(second.devices().len(), 1);
    let status = first.session.send(Call::get("/v1/session/status"));
    status.expect_errno(401, 110);
}

pub fn a_new_password_keeps_the_store_and_ends_other_sessions(server: &Server, _: Operator) {
    let first = Session::sign_up(server, ANN, "old password").connect("laptop");
    let other = Session::sign_in(server, ANN, "old password").connect("desktop");
    let store = first.store();
    store.put("bookmarks", "dfx3kk0aaaaa", "sealed").expect(200);
    let access = other.access_token(OLDSYNC).expect(200).text_of("access_token");

    let changed = first.session.change_password("old password", "new password");
    let status = other.session.send(Call::get("/v1/session/status"));
    status.expect_errno(401, 110);
    other.access_token(OLDSYNC).expect_errno(401, 110);
    let refused = other.ask_tokenserver_with(&access).expect(401);
    assert_eq!(refused.text_of("status"), "invalid-credentials");
    let exists = server.send(&Call::get(format!("/v1/account/status?uid={}", changed.uid)));
    assert_eq!(exists.expect(200).json()["exists"], true);
    Session::try_sign_in(server, ANN, "old password").expect_errno(400, 103);

    let connected = changed.connect("laptop");
    assert_eq!(connected.sync_key, first.sync_key, "the key and its name stay");
    assert_eq!(connected.store().uid(), store.uid());
    let again = Session::sign_in(server, ANN, "new password").connect("desktop");
    assert_eq!(again.store().payload("bookmarks", "dfx3kk0aaaaa"), "sealed");
}

pub fn a_forgotten_password_ends_in_an_empty_store(server: &Server, operator: Operator) {
    let before = Session::sign_up(server, ANN, "soon forgotten").connect("laptop");
    let old = before.store();
    old.put("bookmarks", "dfx3kk0aaaaa", "sealed").expect(200);

    let asked = server.send(&Call::post(
        "/v1/password/forgot/send_code",
        &json!({ "email": ANN }),
    ));
    let forgot = signer(
        &asked.expect(200).text_of("passwordForgotToken"),
        "passwordForgotToken",
    );
    let wrong = json!({ "code": "0".repeat(32) });
    let verify = |code| Call::post("/v1/password/forgot/verify_code", code).signed(&forgot);
    server.send(&verify(&wrong)).expect_errno(400, 105);
    let code = json!({ "code": waiting_code(operator) });
    let right = server.send(&verify(&code)).expect(200);

    let fresh = Stretched::v1(ANN, "fresh password");
    let reset = Call::post("/v1/account/reset", &json!({ "authPW": hex(&fresh.auth_pw) }));
    let by = signer(&right.text_of("accountResetToken"), "accountResetToken");
    server.send(&reset.clone().signed(&by)).expect(200);
    server.send(&reset.signed(&by)).expect_errno(401, 110);

    let status = before.session.send(Call::get("/v1/session/status"));
    status.expect_errno(401, 110);
    let after = Session::sign_in(server, ANN, "fresh password").connect("laptop");
    assert_eq!(after.session.uid, before.session.uid, "the account stays");
    assert_ne!(after.sync_key.client_state, before.sync_key.client_state);
    let new = after.store();
    assert_ne!(new.uid(), old.uid(), "a new key means a fresh store");
    new.send(Call::get("/storage/bookmarks/dfx3kk0aaaaa")).expect(404);
    // The new key cannot decrypt the old data: they are deleted at once, although a token for the old store is still valid.
    old.put("bookmarks", "dfx3kk0aaaab", "late").expect(401);
    old.send(Call::get("/storage/bookmarks")).expect(401);

    let access = after.access_token(OLDSYNC).expect(200).text_of("access_token");
    let refused = before.ask_tokenserver_with(&access).expect(401);
    let status = refused.text_of("status");
    assert!(
        ["invalid-client-state", "invalid-keysChangedAt"].contains(&status.as_str()),
        "{status}"
    );
}

pub fn a_closed_account_leaves_nothing(server: &Server, _: Operator) {
    let browser = Session::sign_up(server, ANN, "correct horse").connect("laptop");
    let store = browser.store();
    store.put("bookmarks", "dfx3kk0aaaaa", "sealed").expect(200);
    let access = browser.access_token(OLDSYNC).expect(200).text_of("access_token");

    let stretched = Stretched::v1(ANN, "correct horse");
    let wrong = json!({ "email": ANN, "authPW": "0".repeat(64) });
    let destroy = |body| Call::post("/v1/account/destroy", body);
    browser.session.send(destroy(&wrong)).expect_errno(400, 103);
    let right = json!({ "email": ANN, "authPW": hex(&stretched.auth_pw) });
    browser.session.send(destroy(&right)).expect(200);

    let status = browser.session.send(Call::get("/v1/session/status"));
    status.expect_errno(401, 110);
    let exists = Call::get(format!("/v1/account/status?uid={}", browser.session.uid));
    assert_eq!(server.send(&exists).expect(200).json()["exists"], false);
    Session::try_sign_in(server, ANN, "correct horse").expect_errno(400, 102);
    browser.ask_tokenserver_with(&access).expect(401);
    store.put("bookmarks", "dfx3kk0aaaaa", "late").expect(401);
    store.send(Call::get("/storage/bookmarks")).expect(401);

    let again = Session::sign_up(server, ANN, "another horse").connect("laptop");
    assert_ne!(again.session.uid, browser.session.uid);
    let fresh = again.store();
    assert_ne!(fresh.uid(), store.uid(), "no number is given out twice");
    fresh
        .send(Call::get("/storage/bookmarks/dfx3kk0aaaaa"))
        .expect(404);
}

pub fn a_browser_signs_out(server: &Server, _: Operator) {
    let browser = Session::sign_up(server, ANN, "correct horse").connect("laptop");
    let other = Session::sign_in(server, ANN, "correct horse").connect("desktop");
    let access = browser.access_token(OLDSYNC).expect(200).text_of("access_token");

    let destroy = Call::post("/v1/session/destroy?service=sync", &json!({}));
    browser.session.send(destroy.clone()).expect(200);
    let drop = json!({ "client_id": DESKTOP, "token": access });
    server.send(&Call::post("/v1/oauth/destroy", &drop)).expect(200);
    browser.session.send(destroy).expect_errno(401, 110);
    assert_eq!(other.devices().len(), 1);
    browser.ask_tokenserver_with(&access).expect(401);
    other.ask_tokenserver().expect(200);
}

/// A16.62: a password is stretched exactly as it was typed.
#[test]
fn a_password_may_be_any_text() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let server = Server::at(program.url());
    for (number, password) in [" spaces at both ends ", "pässwörd 💻", &"x".repeat(1000)]
        .into_iter()
        .enumerate()
    {
        let email = format!("ann{number}@example.org");
        let first = Session::sign_up(&server, &email, password);
        let again = Session::sign_in(&server, &email, password);
        assert_eq!(again.kb, first.kb, "{password}");
        let trimmed = Session::try_sign_in(&server, &email, &format!("{password} "));
        trimmed.expect_errno(400, 103);
    }
    program.stop();
}

/// A16.64, T12.49: a browser does several things at once when it is connected.
#[test]
fn concurrent_requests_of_a_browser_take_effect_once() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let server = Server::at(program.url());
    let session = Session::sign_up(&server, ANN, "correct horse");
    let at_once = |what: &(dyn Fn() + Sync)| {
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(what))));
    };
    let device = json!({ "name": "laptop", "type": "desktop", "availableCommands": {} });
    at_once(&|| {
        let reply = session.send(Call::post("/v1/account/device", &device));
        reply.expect(200);
    });
    let browser = session.connect("laptop");
    assert_eq!(browser.devices().len(), 1);

    let access = browser.access_token(OLDSYNC).expect(200).text_of("access_token");
    at_once(&|| {
        browser.ask_tokenserver_with(&access).expect(200);
    });
    assert_eq!(browser.store().uid(), browser.store().uid());
    program.stop();
}

/// A server that only its machine can reach has several names, and a client signs for the one that it came by.
#[test]
fn each_loopback_name_is_signed_for() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let (_, port) = program.address().rsplit_once(':').unwrap();
    let named = |host: &str| Server::at(&format!("http://{host}:{port}")).through(program.address());

    let browser = Session::sign_up(&named("localhost"), ANN, "correct horse").connect("laptop");
    let store = browser.store();
    for host in ["localhost", "[::1]", "127.0.0.1", "LOCALHOST"] {
        let store = store.at(&named(host));
        store.put("bookmarks", "dfx3kk0aaaaa", host).expect(200);
        assert_eq!(store.payload("bookmarks", "dfx3kk0aaaaa"), host);
        Session::sign_in(&named(host), ANN, "correct horse");
    }
    let elsewhere = store.at(&named("sync.example.org"));
    elsewhere.put("bookmarks", "dfx3kk0aaaaa", "x").expect(401);
    program.stop();
}

/// A 304 and a 404 have no body, no content type and no length.
#[test]
fn answers_without_a_body_describe_none() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let server = Server::at(program.url());
    let browser = Session::sign_up(&server, ANN, "correct horse").connect("laptop");
    let access = browser
        .access_token("profile")
        .expect(200)
        .text_of("access_token");
    let profile = Call::get("/v1/profile").bearer(&access);
    let known = server.send(&profile).expect(200);
    let tag = known.header("etag").unwrap().to_owned();
    let is_of_a_body =
        |(name, _): &&(String, String)| name.starts_with("content-") || name == "transfer-encoding";
    for (call, status) in [
        (profile.clone().header("If-None-Match", tag.as_str()), 304),
        (
            Call::new("HEAD", "/v1/profile")
                .bearer(&access)
                .header("If-None-Match", tag.as_str()),
            304,
        ),
        (Call::get("/v1/display_name").bearer(&access), 204),
        (Call::new("HEAD", "/v1/display_name").bearer(&access), 204),
    ] {
        let reply = server.send(&call).expect(status);
        let described = reply.headers.iter().find(is_of_a_body);
        assert_eq!((described, reply.body.len()), (None, 0), "{call:?}");
    }
    program.stop();
}
