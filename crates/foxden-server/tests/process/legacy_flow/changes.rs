//! Changes of an account: the password, the key, the devices, and its deletion.

use std::time::{Duration, Instant};

use serde_json::json;

use super::first::fill;
use super::servers::{ANN, PASSWORD, TestServers};
use foxden_test_support::client::legacy::account;
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::legacy::engine::Platform;
use foxden_test_support::client::legacy::key::SyncKey;
use foxden_test_support::client::legacy::storage::Stop;

/// Within how long every process has heard of a change.
const SECONDS: Duration = Duration::from_secs(10);

/// Syncs until the server refuses the password, which every process does within seconds: what begins later is refused.
#[track_caller]
pub fn is_refused_soon(device: &mut Device) {
    let begin = Instant::now();
    loop {
        let began_after = begin.elapsed();
        match device.sync() {
            Err(Stop::LoginRejected) => return,
            // During a sync it looks like a move to another node; the next sync finds the wrong password.
            Ok(()) | Err(Stop::Reassigned) => {}
            other => panic!("the old password is good, or it is refused: {other:?}"),
        }
        assert!(began_after < SECONDS, "the old password still works");
    }
}

/// A device with the old password is refused, and asks the user; the stored data stay as they are.
pub fn a_new_password_is_asked_for_everywhere(servers: &TestServers) {
    let mut laptop = servers.ann();
    fill(&mut laptop);
    laptop.sync().unwrap();
    let mut desktop = laptop.another(Platform::Android);
    desktop.sync().unwrap();

    let (server, name) = (servers.server(), laptop.name());
    let wrong = account::change_password(&server, &name, "wrong horse", "battery staple");
    wrong.expect(401);
    let weak = account::change_password(&server, &name, PASSWORD, "short").expect(400);
    assert_eq!(weak.text(), "9");
    account::change_password(&server, &name, PASSWORD, "battery staple").expect(200);
    laptop.type_password("battery staple");
    laptop
        .engine("bookmarks")
        .put("afterwards", json!({ "title": "new" }));
    laptop.sync().unwrap();
    is_refused_soon(&mut desktop);
    assert_eq!(desktop.sync(), Err(Stop::LoginRejected), "and stays refused");

    desktop.type_password("battery staple");
    desktop.sync().unwrap();
    laptop.sync().unwrap();
    desktop.is_alike(&laptop);
}

/// The person changes the sync key: the store is wiped and filled under the new one. A device with the old key
/// understands nothing until it is told.
pub fn a_new_key_creates_a_new_store(servers: &TestServers) {
    let mut laptop = servers.ann();
    fill(&mut laptop);
    laptop.sync().unwrap();
    let mut desktop = laptop.another(Platform::Desktop);
    desktop.sync().unwrap();
    desktop
        .engine("forms")
        .put("ofthedesktop", json!({ "name": "q", "value": "kept" }));

    let key = SyncKey::generate();
    laptop.change_sync_key(&key).unwrap();
    assert_eq!(desktop.sync(), Err(Stop::WrongKey));
    desktop.type_sync_key(&key);
    desktop.sync().unwrap();
    laptop.sync().unwrap();
    desktop.is_alike(&laptop);
    assert!(laptop.engine("forms").items().contains_key("ofthedesktop"));
}

/// A wipe needs its header, and then leaves nothing; the next sync of any device fills the store again.
pub fn a_wiped_store_is_filled_again(servers: &TestServers) {
    let mut laptop = servers.ann();
    fill(&mut laptop);
    laptop.sync().unwrap();
    let mut desktop = laptop.another(Platform::Desktop);
    desktop.sync().unwrap();

    let unsure = laptop.node().send_unchecked("DELETE", "/storage", |call| call);
    assert_eq!(unsure.expect(400).text(), "4");
    assert!(laptop.node().collections("").unwrap().contains_key("bookmarks"));
    laptop.node().delete("/storage").unwrap();
    assert!(laptop.node().collections("").unwrap().is_empty());
    desktop.sync().unwrap();
    laptop.sync().unwrap();
    desktop.sync().unwrap();
    desktop.is_alike(&laptop);
    assert_eq!(laptop.engine("bookmarks").items().len(), 250);

    // One device begins one collection anew; the other notices by its id in `meta/global`.
    laptop.node().delete("/storage/history").unwrap();
    let listed = laptop.node().collections("").unwrap();
    assert!(
        listed.contains_key("history"),
        "an emptied collection keeps its name and its time"
    );
    laptop.reset();
    laptop.sync().unwrap();
    desktop.sync().unwrap();
    desktop.is_alike(&laptop);
    let count = laptop.node().ids("/storage/history").unwrap().len();
    assert_eq!(count, 120);
}

/// A device that is disconnected takes its entry with it; others stay.
pub fn a_device_is_removed_from_the_list(servers: &TestServers) {
    let mut laptop = servers.ann();
    let mut desktop = laptop.another(Platform::Desktop);
    desktop.sync().unwrap();
    let mut ids = laptop.node().ids("/storage/clients").unwrap();
    ids.sort();
    let mut expected = [laptop.id.clone(), desktop.id.clone()];
    expected.sort();
    assert_eq!(ids, expected);

    let gone = desktop.id.clone();
    desktop
        .node()
        .delete(&format!("/storage/clients/{gone}"))
        .unwrap();
    desktop
        .node()
        .delete(&format!("/storage/clients/{gone}"))
        .unwrap();
    assert_eq!(
        laptop.node().ids("/storage/clients").unwrap(),
        [laptop.id.clone()]
    );
    let target = format!("/storage/clients?ids={},{gone}", laptop.id);
    laptop.node().delete(&target).unwrap();
    assert!(laptop.node().ids("/storage/clients").unwrap().is_empty());
}

/// A closed account is refused at once where it was closed and soon at its node; its name is free again, and
/// a new account of that name finds no data.
pub fn a_closed_account_leaves_nothing(servers: &TestServers) {
    let mut laptop = servers.ann();
    fill(&mut laptop);
    laptop.sync().unwrap();
    let (server, name) = (servers.server(), laptop.name());
    account::remove(&server, &name, "wrong horse").expect(401);
    let removed = account::remove(&server, &name, PASSWORD).expect(200);
    assert_eq!(removed.text(), "1");
    assert!(!account::is_taken(&server, ANN));
    is_refused_soon(&mut laptop);

    let mut again = servers.ann();
    let times = again.node().collections("").unwrap();
    let names: Vec<&str> = times.keys().map(String::as_str).collect();
    assert!(!names.contains(&"bookmarks") || again.node().ids("/storage/bookmarks").unwrap().is_empty());
    assert_eq!(
        again.everything().len(),
        1,
        "but its own entry in the list of devices"
    );
}
