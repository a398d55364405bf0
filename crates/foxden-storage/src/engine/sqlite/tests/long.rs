//! Reads that go to the read pool.

use std::future::poll_fn;
use std::sync::mpsc::channel;
use std::task::Poll;

use super::*;
use crate::engine::sqlite::MAX_SCANNED;

/// A read of one object may scan all expired objects.
#[tokio::test]
async fn a_read_that_may_scan_thousands_of_objects_delays_no_small_ones() {
    let folder = Folder::new();
    let engine = TestContext::open(&folder, 1).engine;
    let user = UserId(1);
    for (collection, count) in [("small", MAX_SCANNED), ("large", MAX_SCANNED + 1)] {
        let ids: Vec<_> = (0..count).map(|id| id.to_string()).collect();
        let objects: Vec<_> = ids.iter().map(|id| (id.as_str(), "")).collect();
        put(&engine, user.0, collection, &objects).await.unwrap();
    }
    let (go_on, gate) = channel::<()>();
    let long = engine.read_pool.run(user, move || Ok(gate.recv().is_ok()));
    let mut long = std::pin::pin!(long);
    let is_waiting = poll_fn(|context| Poll::Ready(long.as_mut().poll(context).is_pending())).await;
    assert!(is_waiting, "the user's turn of a read thread is taken");

    let first = |collection| Query {
        limit: Some(1),
        ..Query::all(name(collection), Fields::Whole)
    };
    let one = Query::one(name("large"), ObjectId::new("7").unwrap());
    for small in [first("small"), one] {
        assert_eq!(engine.read(user, &small).await.unwrap().rows.len(), 1);
    }
    let large = first("large");
    let mut read = engine.read(user, &large);
    let is_waiting = poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_pending())).await;
    assert!(is_waiting);
    go_on.send(()).unwrap();
    assert_eq!(read.await.unwrap().rows.len(), 1);
    assert!(long.await.unwrap());
}
