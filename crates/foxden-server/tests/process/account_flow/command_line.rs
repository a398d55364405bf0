//! A person with a browser also uses a client for the command line: what the one stores the other reads, changes and
//! deletes.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::ANN;
use crate::program::{Folder, Program, Start};
use foxden_test_support::client::browser::{Browser, Session, Store};
use foxden_test_support::client::command_line::Client;
use foxden_test_support::client::command_line::records::Listing;
use foxden_test_support::client::legacy::envelope;
use foxden_test_support::client::legacy::key::KeyPair;
use foxden_test_support::client::wire::{Call, Server};

/// The client signs for ports 443 and 80 only, so the server is public and behind a proxy.
const PUBLIC: &str = "https://sync.example.org";
const PASSWORD: &str = "correct horse";

/// A browser that has synced: its keys and its store.
struct Synced {
    browser: Browser,
    store: Store,
    keys: KeyPair,
}

impl Synced {
    fn new(folder: &Folder, server: &Server) -> Self {
        let session = Session::sign_up_invited(server, ANN, PASSWORD, &invitation(folder));
        let browser = session.connect("Ann’s laptop");
        let store = browser.store();
        let account = BASE64URL_NOPAD.decode(browser.sync_key.k.as_bytes()).unwrap();
        let account = KeyPair {
            encryption: account[..32].to_vec(),
            hmac: account[32..].to_vec(),
        };
        let keys = KeyPair::generate();
        let record = json!({
            "id": "keys", "collection": "crypto", "default": keys.to_json(), "collections": {},
        });
        let sealed = envelope::seal(&account, &record.to_string());
        store.put("meta", "global", r#"{"storageVersion":5}"#).expect(200);
        store.put("crypto", "keys", &sealed.to_string()).expect(200);
        Self { browser, store, keys }
    }

    fn upload(&self, collection: &str, records: &[Value]) {
        let sealed = records.iter().map(|record| {
            let payload = envelope::seal(&self.keys, &record.to_string()).to_string();
            json!({ "id": record["id"], "payload": payload })
        });
        let body: Value = sealed.collect();
        let call = Call::post(format!("/storage/{collection}"), &body);
        let answer = self.store.send(call).expect(200).json();
        assert_eq!(answer["failed"], json!({}), "{answer}");
    }

    fn read(&self, collection: &str, escaped_id: &str) -> Value {
        let payload = self.store.payload(collection, escaped_id);
        let sealed = serde_json::from_str(&payload).unwrap();
        serde_json::from_str(&envelope::open(&self.keys, &sealed).unwrap()).unwrap()
    }
}

fn start(folder: &Folder) -> Program {
    at(folder).serve()
}

fn at(folder: &Folder) -> Start<'_> {
    Start::on(folder).with("--public-url").with(PUBLIC)
}

/// The code of an invitation, out of the link that the operator is shown.
fn invitation(folder: &Folder) -> String {
    let shown = at(folder).run(&["invite"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let (_, code) = text
        .split_once("/invite#")
        .unwrap_or_else(|| panic!("no link in: {text}"));
    code.split_whitespace().next().unwrap().to_owned()
}

fn login(program: &Program, email: &str, password: &str) -> Result<Client, (u16, String)> {
    let device = "Firefox-Sync-Client on <ann> & co";
    Client::login(PUBLIC, &program.log_address(), email, password, device)
        .map_err(|answer| (answer.status, answer.body))
}

#[test]
fn a_client_for_the_command_line_logs_in_and_stays() {
    let folder = Folder::new();
    let program = start(&folder);
    let server = Server::at(PUBLIC).through(&program.log_address());
    let synced = Synced::new(&folder, &server);

    let mut client = login(&program, ANN, PASSWORD).unwrap();
    let devices = synced.browser.devices();
    let device = devices.iter().find(|device| device["type"] == "cli");
    let device = device.unwrap_or_else(|| panic!("{devices:?}"));
    assert_eq!(device["name"], "Firefox-Sync-Client on <ann> & co");
    assert!(client.check_session().unwrap());
    client.refresh().unwrap();
    assert!(client.check_session().unwrap());
    assert_eq!(
        client.record("meta", "global").unwrap().payload,
        r#"{"storageVersion":5}"#
    );
    let (used, quota) = client.quota().unwrap();
    assert!(used > 0.0 && quota.is_none());

    let (status, body) = login(&program, ANN, "wrong horse").err().unwrap();
    assert_eq!(status, 400, "{body}");
    assert!(body.contains(r#""errno":103"#), "{body}");

    // The session is ended by another client.
    let gone = json!({ "id": device["id"] });
    let call = Call::post("/v1/account/device/destroy", &gone);
    synced.browser.session.send(call).expect(200);
    assert_eq!(client.check_session().unwrap_err().status, 401);
    program.stop();
}

/// The client repeats its log-in with the address as it was typed, the password stretched with the spelling it was told.
#[test]
fn a_client_for_the_command_line_types_an_address_its_own_way() {
    let folder = Folder::new();
    let program = start(&folder);
    let server = Server::at(PUBLIC).through(&program.log_address());
    Synced::new(&folder, &server);
    let mut client = login(&program, "Ann@Example.org", PASSWORD).unwrap();
    assert!(client.check_session().unwrap());
    program.stop();
}

#[test]
fn a_client_for_the_command_line_shares_records_with_a_browser() {
    let folder = Folder::new();
    let program = start(&folder);
    let server = Server::at(PUBLIC).through(&program.log_address());
    let synced = Synced::new(&folder, &server);
    let folder_record = |children: &[&str]| {
        json!({
            "id": "unfiled", "type": "folder", "parentid": "places", "title": "Other", "children": children,
        })
    };
    synced.upload("bookmarks", &[folder_record(&[])]);
    let tab = json!({ "title": "A page", "urlHistory": ["https://example.org/"], "icon": "", "lastUsed": 1_763_690_000 });
    synced.upload(
        "tabs",
        &[json!({ "id": "aaaaaaaaaaaa", "clientName": "Ann’s laptop", "tabs": [tab] })],
    );
    // Form history has ids of standard base64.
    let form = json!({ "id": "Qk3/aB7x+Zr9LmWd", "name": "search", "value": "foxes" });
    synced.upload("forms", std::slice::from_ref(&form));
    let mut client = login(&program, ANN, PASSWORD).unwrap();

    // Bookmarks.
    client
        .create_bookmark("abcdefghijkl", "An <example> & more", "https://example.org/?a&b")
        .unwrap();
    assert_eq!(
        synced.read("bookmarks", "abcdefghijkl")["bmkUri"],
        "https://example.org/?a&b"
    );
    assert_eq!(
        synced.read("bookmarks", "unfiled")["children"],
        json!(["abcdefghijkl"])
    );
    let mut bookmark = client.decoded("bookmarks", "abcdefghijkl").unwrap();
    bookmark["title"] = json!("Another");
    client.put("bookmarks", "abcdefghijkl", &bookmark).unwrap();
    assert_eq!(synced.read("bookmarks", "abcdefghijkl")["title"], "Another");
    client.delete_bookmark("abcdefghijkl").unwrap();
    let tombstone = json!({ "id": "abcdefghijkl", "deleted": true });
    assert_eq!(synced.read("bookmarks", "abcdefghijkl"), tombstone);
    assert_eq!(synced.read("bookmarks", "unfiled")["children"], json!([]));

    // Passwords, whose ids stand in braces, and which the client does not read before it writes them.
    let id = "{5f0c4cf5-9f2b-4c2c-8d8e-2f0d8d5f1f5a}";
    let escaped = "%7B5f0c4cf5-9f2b-4c2c-8d8e-2f0d8d5f1f5a%7D";
    let mut login_record = json!({
        "id": id, "hostname": "https://example.org", "formSubmitURL": "", "username": "ann", "password": "p<w>",
        "usernameField": "", "passwordField": "", "timeCreated": 1, "timePasswordChanged": 1,
    });
    client.put("passwords", id, &login_record).unwrap();
    login_record["password"] = json!("other");
    client.put("passwords", id, &login_record).unwrap();
    let listed = client.list_decoded("passwords", &Listing::default()).unwrap();
    assert_eq!(listed, [login_record.clone()]);
    assert_eq!(synced.read("passwords", escaped), login_record);
    client.delete("passwords", id).unwrap();
    assert_eq!(synced.read("passwords", escaped)["deleted"], true);
    client.delete_hard("passwords", id).unwrap();
    assert_eq!(client.delete_hard("passwords", id).unwrap_err().status, 404);

    // Tabs are only listed; forms are read, made and deleted, history deleted.
    let tabs = client.list_decoded("tabs", &Listing::default()).unwrap();
    assert_eq!(tabs[0]["tabs"][0]["title"], "A page");
    assert_eq!(client.decoded("forms", "Qk3/aB7x+Zr9LmWd").unwrap(), form);
    client
        .create(
            "forms",
            "Abcdefghijklmn01",
            &json!({ "id": "Abcdefghijklmn01", "name": "n", "value": "v" }),
        )
        .unwrap();
    client.delete("forms", "Qk3/aB7x+Zr9LmWd").unwrap();
    assert_eq!(synced.read("forms", "Qk3%2FaB7x+Zr9LmWd")["deleted"], true);
    client.delete_hard("forms", "Qk3/aB7x+Zr9LmWd").unwrap();
    // A deleted object need not have existed.
    client.delete("history", "bbbbbbbbbbbb").unwrap();
    assert_eq!(synced.read("history", "bbbbbbbbbbbb")["deleted"], true);
    program.stop();
}

#[test]
fn a_client_for_the_command_line_lists_pages_and_removes_all() {
    let folder = Folder::new();
    let program = start(&folder);
    let server = Server::at(PUBLIC).through(&program.log_address());
    let synced = Synced::new(&folder, &server);
    let mut client = login(&program, ANN, PASSWORD).unwrap();
    let ids = ["a", "b", "c", "d", "e"];
    for id in ids {
        client.create("custom", id, &json!({ "id": id })).unwrap();
    }
    client
        .update("custom", "a", &json!({ "id": "a", "more": 1 }))
        .unwrap();

    // In the order of their times: b, c, d, e, a.
    let page = |limit, offset| Listing {
        sort: Some("oldest"),
        limit,
        offset,
        ..Listing::default()
    };
    for (limit, offset, wanted) in [
        (None, None, &["b", "c", "d", "e", "a"][..]),
        (Some(2), None, &["b", "c"]),
        (Some(2), Some(1), &["c", "d"]),
        (Some(2), Some(4), &["a"]),
        (Some(2), Some(5), &[]),
        (None, Some(3), &["e", "a"]),
        (Some(10), Some(0), &["b", "c", "d", "e", "a"]),
    ] {
        let listed = client.list_ids("custom", &page(limit, offset)).unwrap();
        assert_eq!(listed, wanted, "{limit:?} {offset:?}");
        let whole = client.list_decoded("custom", &page(limit, offset)).unwrap();
        let whole: Vec<_> = whole
            .iter()
            .map(|record| record["id"].as_str().unwrap())
            .collect();
        assert_eq!(whole, wanted, "{limit:?} {offset:?}");
    }
    let newest = Listing {
        sort: Some("newest"),
        limit: Some(1),
        ..Listing::default()
    };
    assert_eq!(client.list_ids("custom", &newest).unwrap(), ["a"]);
    #[expect(clippy::cast_possible_truncation, reason = "a time in whole seconds")]
    let now = client.record("custom", "a").unwrap().modified as i64;
    let listing = |after| Listing {
        after: Some(after),
        ..Listing::default()
    };
    assert_eq!(client.list_ids("custom", &listing(now - 60)).unwrap().len(), 5);
    assert!(client.list_ids("custom", &listing(now + 60)).unwrap().is_empty());

    let collections = client.collections().unwrap();
    let names: Vec<_> = collections.keys().map(String::as_str).collect();
    assert_eq!(names, ["crypto", "custom", "meta"]);
    let (time, count, bytes) = collections["custom"];
    assert!(time > 0.0 && count == 5 && bytes > 0);
    client.delete_collection("custom").unwrap();
    client.delete_collection("never").unwrap();
    assert!(client.list_ids("custom", &Listing::default()).unwrap().is_empty());
    assert_eq!(client.collections().unwrap().len(), 2);
    client.delete_all().unwrap();
    assert!(client.collections().unwrap().is_empty());
    // Without the keys nothing can be decrypted, and a log-in fails until a browser has synced.
    assert_eq!(client.refresh().unwrap_err().status, 404);
    let (status, _) = login(&program, ANN, PASSWORD).err().unwrap();
    assert_eq!(status, 404);
    synced.store.send(Call::get("/storage/crypto/keys")).expect(404);
    program.stop();
}
