//! Objects that are remembered: only as they are, and not too many.

use std::sync::Arc;

use foxden_model::{ObjectId, SyncTime, UserId};

use super::{Bench, Folder, name, patch, put};
use crate::command::{Change, Query, Ttl, Write};
use crate::engine::Engine;
use crate::engine::sqlite::known::Known;
use crate::engine::sqlite::lately::Lately;
use crate::page::{Row, Rows};

fn lose_files(folder: &Folder, bench: &Bench) {
    bench.engine.files[0].file.close_readers();
    for entry in folder.path().read_dir().unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

#[tokio::test]
async fn an_object_read_again_needs_no_file() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    bench.put(1, "a", "one").await.unwrap();
    bench.put(1, "b", "one").await.unwrap();
    let query = Query::one(name("history"), ObjectId::new("a").unwrap());
    let first = bench.engine.read(UserId(1), &query).await.unwrap();
    lose_files(&folder, &bench);
    assert_eq!(bench.engine.read(UserId(1), &query).await.unwrap(), first);
    assert!(bench.payload(1, "b").await.is_err());
    let mut conditional = query.clone();
    conditional.selection.index_above = Some(1);
    assert!(bench.engine.read(UserId(1), &conditional).await.is_err());
}

#[tokio::test]
async fn any_write_of_the_user_ends_what_is_remembered() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    bench.put(1, "a", "one").await.unwrap();
    for payload in ["two", "three"] {
        assert!(bench.payload(1, "a").await.unwrap().is_some());
        bench.put(1, "a", payload).await.unwrap();
        assert_eq!(bench.payload(1, "a").await.unwrap().as_deref(), Some(payload));
        put(&bench.engine, 1, "tabs", &[("a", "elsewhere")])
            .await
            .unwrap();
        assert_eq!(bench.payload(1, "a").await.unwrap().as_deref(), Some(payload));
    }
    let all = Write::new(Change::DeleteAll);
    bench.engine.write(UserId(1), all).await.unwrap();
    assert_eq!(bench.payload(1, "a").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_remembered_ends_when_the_object_does() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    let mut mortal = patch("a", "x");
    mortal.ttl = Ttl::In(10);
    let change = Change::Upsert {
        collection: name("history"),
        patches: vec![mortal, patch("b", "x")],
    };
    bench.engine.write(UserId(1), Write::new(change)).await.unwrap();
    for (millis, is_there) in [(0, true), (9980, true), (20, false)] {
        bench.clock.advance_millis(millis);
        assert_eq!(
            bench.payload(1, "a").await.unwrap().is_some(),
            is_there,
            "{millis}"
        );
        assert!(bench.payload(1, "b").await.unwrap().is_some());
    }
}

fn known() -> Arc<Known> {
    Arc::new(Known {
        is_closed: false,
        modified: SyncTime::ZERO,
        listed: Arc::new([]),
        owners: Box::new([]),
    })
}

fn object(id: &str, payload: &str) -> Rows {
    let mut rows = Rows::default();
    rows.push(Row {
        id,
        payload,
        modified: SyncTime::ZERO,
        sortindex: None,
        parent_id: None,
        predecessor_id: None,
    });
    rows
}

#[test]
fn memory_is_bounded_and_holds_what_is_asked_for() {
    let (lately, known) = (Lately::new(), known());
    let id = |number: u32| ObjectId::new(format!("object{number}")).unwrap();
    let get = |number| lately.get(&known, 1, &id(number), SyncTime::ZERO);
    for number in 0..20_000 {
        lately.keep(&known, 1, &object(id(number).as_str(), &"x".repeat(300)), None);
        lately.keep(&known, 1, &object(id(0).as_str(), "asked for all the time"), None);
        assert!(get(0).is_some());
    }
    let held = (0..20_000).filter(|&number| get(number).is_some()).count();
    assert!((200..=1000).contains(&held), "{held}");
    lately.keep(&known, 1, &object("large", &"x".repeat(5000)), None);
    let large = ObjectId::new("large").unwrap();
    assert!(lately.get(&known, 1, &large, SyncTime::ZERO).is_none());
}

#[test]
fn an_object_is_that_of_its_owner_and_state() {
    let (lately, before, after) = (Lately::new(), known(), known());
    let id = ObjectId::new("a").unwrap();
    lately.keep(&before, 1, &object("a", "x"), None);
    assert!(lately.get(&before, 1, &id, SyncTime::ZERO).is_some());
    assert!(lately.get(&before, 2, &id, SyncTime::ZERO).is_none());
    assert!(lately.get(&after, 1, &id, SyncTime::ZERO).is_none());
}
