//! A first sync, and the ones after it.

use serde_json::{Value, json};

use super::servers::{ANN, PASSWORD, TestServers};
use foxden_test_support::client::legacy::account::{self, StorageLocation};
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::legacy::engine::Platform;
use foxden_test_support::client::legacy::name;
use foxden_test_support::client::legacy::storage::Received;

/// Stores what a browser has after some use.
pub fn fill(device: &mut Device) {
    for number in 0..250 {
        let parent = if number < 10 { "toolbar" } else { "menu" };
        let bookmark = json!({
            "type": "bookmark", "title": format!("Füchse 🦊 \"{number}\"\n</script>"),
            "bmkUri": format!("https://example.org/?q={number}"), "parentid": parent, "sortindex": number,
        });
        device
            .engine("bookmarks")
            .put(&format!("bm{number:010}"), bookmark);
    }
    // Old browsers have ids like this one.
    let braces = "{e5a2b7c0-1f6e-4b7e-9a50-0c1d2e3f4a5b}";
    for number in 0..120 {
        let visits = json!([{ "date": 1_763_690_000_000_000_u64 + number, "type": 1 }]);
        let page = json!({ "histUri": format!("https://example.org/{number}"), "visits": visits });
        device.engine("history").put(&format!("hi{number:010}"), page);
    }
    let login = json!({ "hostname": "https://example.org", "username": "ann", "password": "pässwörd\u{0}" });
    device.engine("passwords").put(braces, login);
    let tabs = json!({ "clientName": "laptop", "tabs": [{ "urlHistory": ["https://example.org/"] }] });
    let id = device.id.clone();
    device.engine("tabs").put(&id, tabs);
    device
        .engine("forms")
        .put("fo0000000000", json!({ "name": "q", "value": "foxes" }));
    let prefs = json!({ "value": { "browser.startup.page": 3 } });
    device.engine("prefs").put("%7Bec8030f7%7D", prefs);
}

/// Name check, registration, node, first sync: `meta/global`, `crypto/keys`, `clients`, and then everything
/// else, in parts of a hundred. The server learns nothing of it but names and sizes.
pub fn a_person_starts_to_sync(servers: &TestServers) {
    let server = servers.server();
    assert!(!account::asks_a_question(&server), "nothing is asked here");
    let name = account::register(&server, ANN, PASSWORD);
    assert!(account::is_taken(&server, "Ann@Example.org"));
    let unknown = name::of_account("unknown@example.org");
    assert_eq!(
        account::storage_location(&server, &unknown),
        StorageLocation::At(format!("{}/", server.base()))
    );

    let mut device = Device::first(&server, ANN, PASSWORD);
    fill(&mut device);
    device.sync().unwrap();
    let base = device.node_base().unwrap();
    assert!(servers.bases().contains(&base), "{base}");
    assert_eq!(
        account::storage_location(&server, &name),
        StorageLocation::At(base)
    );

    let node = device.node();
    let times = node.collections("").unwrap();
    let names: Vec<&str> = times.keys().map(String::as_str).collect();
    let expected = [
        "bookmarks",
        "clients",
        "crypto",
        "forms",
        "history",
        "meta",
        "passwords",
        "prefs",
        "tabs",
    ];
    assert_eq!(names, expected);
    let counts = node.get("/info/collection_counts").unwrap().json();
    let of = |name: &str| counts[name].as_u64();
    assert_eq!(
        (of("bookmarks"), of("history"), of("clients")),
        (Some(250), Some(120), Some(1))
    );
    let (records, _) = node.list("/storage/bookmarks?full=1&sort=index&limit=1").unwrap();
    let Received {
        id,
        payload,
        sortindex,
        ..
    } = &records[0];
    assert_eq!((id.as_str(), *sortindex), ("bm0000000249", Some(249)));
    let members: Vec<&str> = payload.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["IV", "ciphertext", "hmac"]);
    the_dialogue_of_the_store(&mut device);

    let mut again = device.another(Platform::Desktop);
    again.sync().unwrap();
    device.sync().unwrap();
    again.is_alike(&device);
    let (logs, proof) = (servers.logs(), account::basic(&name, PASSWORD));
    assert!(!logs.contains(PASSWORD) && !logs.contains(proof.trim_start_matches("Basic ")));
}

/// The state of the store as the browser shows it.
fn the_dialogue_of_the_store(device: &mut Device) {
    let node = device.node();
    let usage = node.get("/info/collection_usage").unwrap().json();
    let quota = node.get("/info/quota").unwrap().json();
    let used: f64 = usage
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_f64)
        .sum();
    assert!(used > 50.0, "{usage}");
    let told = quota[0].as_f64().unwrap();
    assert!(
        (told - used).abs() < 0.1 && quota[1] == Value::Null,
        "{quota} beside {used}"
    );
}

/// After the first sync only changes are transferred, in both directions, deletions included.
pub fn changes_travel_between_devices(servers: &TestServers) {
    let mut laptop = servers.ann();
    fill(&mut laptop);
    laptop.sync().unwrap();
    let mut desktop = laptop.another(Platform::Desktop);
    desktop.sync().unwrap();
    laptop.sync().unwrap();
    laptop.is_alike(&desktop);

    laptop
        .engine("bookmarks")
        .put("bm0000000003", json!({ "title": "renamed", "sortindex": 3 }));
    laptop.engine("history").remove("hi0000000007");
    desktop
        .engine("forms")
        .put("fo0000000001", json!({ "name": "q", "value": "dens" }));
    laptop.sync().unwrap();
    desktop.sync().unwrap();
    laptop.sync().unwrap();
    laptop.is_alike(&desktop);
    assert_eq!(
        desktop.engine("bookmarks").items()["bm0000000003"]["title"],
        "renamed"
    );
    assert!(!desktop.engine("history").items().contains_key("hi0000000007"));
    assert_eq!(laptop.engine("forms").items()["fo0000000001"]["value"], "dens");

    let before = laptop.node().collections("").unwrap();
    for device in [&mut laptop, &mut desktop] {
        device.sync().unwrap();
    }
    assert_eq!(
        laptop.node().collections("").unwrap(),
        before,
        "nothing new, nothing written"
    );
    let newest = before["bookmarks"];
    let (listed, as_of) = laptop
        .node()
        .list(&format!("/storage/bookmarks?newer={newest}&full=1"))
        .unwrap();
    assert!(listed.is_empty() && as_of >= newest);
}

/// A small device fetches fifty, and the rest by their ids; an old telephone streams the new ones.
pub fn small_devices_fetch_in_parts(servers: &TestServers) {
    let mut laptop = servers.ann();
    fill(&mut laptop);
    laptop.sync().unwrap();
    for platform in [Platform::Mobile, Platform::Android] {
        let mut small = laptop.another(platform);
        small.sync().unwrap();
        small
            .engine("bookmarks")
            .put("fromtelephone", json!({ "title": format!("{platform:?}") }));
        small.sync().unwrap();
        laptop.sync().unwrap();
        small.is_alike(&laptop);
    }
}

/// U13.53: a registration tells the password as UTF-8. Some browsers prove it so later, others as ISO-8859-1; and it
/// may hold colons.
pub fn any_password_works(servers: &TestServers) {
    let server = servers.server();
    for (number, password) in ["pässwörd", "with: colon:s", "💻💻💻💻", " spaces around "]
        .into_iter()
        .enumerate()
    {
        let address = format!("ann{number}@example.org");
        account::register(&server, &address, password);
        let mut desktop = Device::first(&server, &address, password);
        desktop.sync().unwrap();
        desktop.another(Platform::Android).sync().unwrap();
    }
}
