//! Backoff, quota and alerts: a client obeys its server.

use serde_json::json;

use super::first::fill;
use super::servers::{ANN, PASSWORD, TestServers, Topology};
use foxden_test_support::client::legacy::account;
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::legacy::engine::Platform;
use foxden_test_support::client::legacy::storage::Stop;

/// The store is full: the browser gets the response code that it understands, keeps the objects it could not store,
/// and stores them once there is space.
#[test]
fn a_full_store_is_told_and_can_be_emptied() {
    let servers = TestServers::start(Topology::AllInOne, &[("FOXDEN__STORAGE__QUOTA", "100 KB")]);
    let mut laptop = servers.ann();
    assert!(
        laptop.quota_left.is_some(),
        "less than a megabyte is left from the start"
    );
    fill(&mut laptop);
    let ids: Vec<String> = (0..200).map(|number| format!("big{number:09}")).collect();
    for id in &ids {
        laptop
            .engine("history")
            .put(id, json!({ "title": "x".repeat(900) }));
    }
    assert_eq!(laptop.sync(), Err(Stop::OverQuota));
    assert_eq!(laptop.sync(), Err(Stop::OverQuota), "and again");
    assert!(laptop.quota_left.is_none_or(|left| left < 100.0));
    let waiting: Vec<String> = laptop.engine("history").changed().iter().cloned().collect();
    assert!(!waiting.is_empty());

    let target = format!(
        "/storage/bookmarks?ids={}",
        (0..250)
            .map(|n| format!("bm{n:010}"))
            .collect::<Vec<_>>()
            .join(",")
    );
    laptop.node().delete(&target).unwrap();
    let stored = laptop.node().ids("/storage/history").unwrap();
    for ids in stored.chunks(100) {
        let target = format!("/storage/history?ids={}", ids.join(","));
        laptop.node().delete(&target).unwrap();
    }
    for id in waiting.iter().skip(10) {
        laptop.engine("history").remove(id);
    }
    laptop.sync().unwrap();
    assert!(laptop.engine("history").changed().is_empty());
}

/// Every response has a backoff and an alert: the browser finishes its sync, shows the alert to the
/// person, and does not come before that time.
#[test]
fn a_busy_server_is_left_alone() {
    let alert = r#"{"code":"soft-eol","message":"we move","url":"https://example.org/"}"#;
    let settings = [
        ("FOXDEN__STORAGE__BACKOFF", "1 h"),
        ("FOXDEN__STORAGE__ALERT", alert),
    ];
    let servers = TestServers::start(Topology::AllInOne, &settings);
    account::register(&servers.server(), ANN, PASSWORD);
    let mut laptop = Device::first(&servers.server(), ANN, PASSWORD);
    fill(&mut laptop);
    laptop.sync().unwrap();
    assert!(laptop.alerts.iter().all(|told| told == alert) && !laptop.alerts.is_empty());
    let Err(Stop::Waiting(seconds)) = laptop.sync() else {
        panic!("it should wait");
    };
    assert!((3600..=3600 + 180).contains(&seconds), "{seconds}");
    laptop.pass(seconds - 1);
    assert_eq!(laptop.sync(), Err(Stop::Waiting(1)));
    laptop.pass(1);
    laptop.sync().unwrap();
}

/// A node that rests answers 503 and says until when: the browser loses nothing, does not forget its node, and
/// does not think that the password is wrong.
#[test]
fn a_node_that_rests_is_left_alone() {
    let settings = [
        ("FOXDEN__STORAGE__BACKOFF", "10 min"),
        ("FOXDEN__STORAGE__MAINTENANCE", "true"),
    ];
    let servers = TestServers::start(Topology::AllInOne, &settings);
    account::register(&servers.server(), ANN, PASSWORD);
    let mut laptop = Device::first(&servers.server(), ANN, PASSWORD);
    assert_eq!(laptop.sync(), Err(Stop::ServerError(503)));
    assert!(laptop.node_base().is_some(), "it keeps its node");
    let Err(Stop::Waiting(seconds)) = laptop.sync() else {
        panic!("it should wait");
    };
    assert!((600..=660).contains(&seconds), "{seconds}");
}

/// A device that repeats an old password for ever locks no one out: the one with the right password goes on.
#[test]
fn an_old_password_locks_no_one_out() {
    let servers = TestServers::start(Topology::AllInOne, &[]);
    let mut laptop = servers.ann();
    let mut forgotten = laptop.another(Platform::Desktop);
    forgotten.type_password("an old password");
    for _ in 0..60 {
        assert_eq!(
            forgotten.sync(),
            Err(Stop::LoginRejected),
            "never 503, never anything else"
        );
        laptop.sync().unwrap();
    }
}
