//! One person with both kinds of browser: the same account, two stores.

use serde_json::json;

use super::first::fill;
use super::servers::{ANN, PASSWORD, TestServers};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::legacy::account;
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::legacy::engine::Platform;
use foxden_test_support::client::legacy::storage::Stop;
use foxden_test_support::client::wire::Call;

/// The account was made in Firefox. Pale Moon logs in with the same address and password; without another Pale Moon it
/// makes a key. It does not see the data of Firefox, which stay as they are.
pub fn an_account_of_firefox_works_in_pale_moon(servers: &TestServers) {
    let server = servers.server();
    let store = Session::sign_up(&server, ANN, PASSWORD)
        .connect("Firefox")
        .store();
    store.put("meta", "global", "{\"storageVersion\":5}").expect(200);
    store.put("bookmarks", "dfx3kk0aaaaa", "sealed").expect(200);

    assert!(account::is_taken(&server, ANN));
    let mut moon = Device::first(&server, ANN, "wrong horse");
    assert_eq!(moon.sync(), Err(Stop::LoginRejected));
    let mut moon = Device::first(&server, ANN, PASSWORD);
    moon.sync().unwrap();
    assert!(
        moon.engine("bookmarks").items().is_empty(),
        "the stores are separate"
    );
    fill(&mut moon);
    moon.sync().unwrap();
    moon.node().delete("/storage").unwrap();
    moon.sync().unwrap();
    assert_eq!(store.payload("bookmarks", "dfx3kk0aaaaa"), "sealed");
    let listed = store.send(Call::get("/storage/history")).expect(200);
    assert_eq!(listed.text(), "[]");
}

/// The account was made in Pale Moon. Firefox signs in with the address and the password, and has keys and
/// a store of its own from the beginning.
pub fn an_account_of_pale_moon_works_in_firefox(servers: &TestServers) {
    let mut moon = servers.ann();
    fill(&mut moon);
    moon.sync().unwrap();

    let server = servers.server();
    Session::try_sign_in(&server, ANN, "wrong horse").expect_errno(400, 103);
    let firefox = Session::sign_in(&server, ANN, PASSWORD).connect("Firefox");
    let store = firefox.store();
    store
        .send(Call::get("/storage/bookmarks/bm0000000001"))
        .expect(404);
    assert_eq!(
        store.send(Call::get("/info/collections")).expect(200).text(),
        "{}"
    );
    store.put("bookmarks", "dfx3kk0aaaaa", "sealed").expect(200);
    let again = Session::sign_in(&server, ANN, PASSWORD).connect("another Firefox");
    assert_eq!(again.sync_key, firefox.sync_key);
    assert_eq!(again.store().payload("bookmarks", "dfx3kk0aaaaa"), "sealed");

    let mut other = moon.another(Platform::Desktop);
    other.sync().unwrap();
    assert!(!other.engine("bookmarks").items().contains_key("dfx3kk0aaaaa"));
    assert_eq!(other.engine("bookmarks").items().len(), 250);
}

/// A16.69: the password is changed in Pale Moon. Firefox is signed out, signs in with the new one, and finds its
/// key under the same id and its store under the same uid. After a change in Firefox, Pale Moon needs only the new
/// password.
pub fn a_new_password_keeps_what_firefox_has(servers: &TestServers) {
    let server = servers.server();
    let firefox = Session::sign_up(&server, ANN, PASSWORD).connect("Firefox");
    let store = firefox.store();
    store.put("bookmarks", "dfx3kk0aaaaa", "sealed").expect(200);
    let mut moon = Device::first(&server, ANN, PASSWORD);
    moon.sync().unwrap();
    fill(&mut moon);
    moon.sync().unwrap();

    account::change_password(&server, &moon.name(), PASSWORD, "battery staple").expect(200);
    let status = firefox.session.send(Call::get("/v1/session/status"));
    status.expect_errno(401, 110);
    Session::try_sign_in(&server, ANN, PASSWORD).expect_errno(400, 103);
    let session = Session::sign_in(&server, ANN, "battery staple");
    let again = session.clone().connect("Firefox");
    assert_eq!(again.sync_key, firefox.sync_key, "key and name stay");
    assert_eq!(again.store().uid(), store.uid());
    assert_eq!(again.store().payload("bookmarks", "dfx3kk0aaaaa"), "sealed");
    moon.type_password("battery staple");
    moon.sync().unwrap();

    session.change_password("battery staple", "third horse");
    super::changes::is_refused_soon(&mut moon);
    moon.type_password("third horse");
    moon.sync().unwrap();
    let mut other = moon.another(Platform::Desktop);
    other.sync().unwrap();
    assert_eq!(other.engine("bookmarks").items().len(), 250);
}

/// A16.70: the address is changed in Pale Moon, the password is not. Firefox is told which address the password
/// was stretched with. Both names lead to the same 1.1 store, and no other account can have either.
pub fn a_new_address_leads_to_the_same_account(servers: &TestServers) {
    const NEW: &str = "ann.new@example.org";
    let server = servers.server();
    let before = Session::sign_up(&server, ANN, PASSWORD).connect("Firefox");
    let mut moon = Device::first(&server, ANN, PASSWORD);
    moon.sync().unwrap();
    moon.engine("forms")
        .put("fo0000000000", json!({ "name": "q", "value": "foxes" }));
    moon.sync().unwrap();

    let changed = account::change_address(&server, &moon.name(), PASSWORD, NEW).expect(200);
    assert_eq!(changed.text(), NEW);
    let error = Session::try_sign_in(&server, NEW, PASSWORD).expect_errno(400, 120);
    assert_eq!(error.text_of("email"), ANN);
    let again = Session::sign_in(&server, ANN, PASSWORD).connect("Firefox");
    assert_eq!(again.session.uid, before.session.uid);
    assert_eq!(again.store().uid(), before.store().uid());

    moon.sync().unwrap();
    let mut renamed = moon.credentials.clone();
    NEW.clone_into(&mut renamed.account);
    let mut by_new_name = Device::new(renamed, Platform::Desktop);
    // The key of a store is bound to the name that its first device had.
    assert_eq!(by_new_name.sync(), Err(Stop::WrongKey));
    assert!(account::is_taken(&server, ANN) && account::is_taken(&server, NEW));
    let refused = account::try_register(&server, ANN, "another horse", None);
    assert_eq!(refused.expect(400).text(), "4");
    let stretched = foxden_test_support::client::onepw::Stretched::v1(ANN, "another horse");
    let body = json!({ "email": ANN, "authPW": stretched.auth_pw_hex() });
    server
        .send(&Call::post("/v1/account/create", &body))
        .expect_errno(400, 101);
}
