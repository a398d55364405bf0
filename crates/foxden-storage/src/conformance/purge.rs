//! Purging frees space and changes nothing that anybody sees.

use foxden_model::Clock;

use super::{Lab, payload, sorted};
use crate::command::{Change, Detail, Patch, Selection, Ttl};
use crate::page::Budget;

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// After a purge, every read answers as before it.
pub async fn purging_changes_nothing_that_is_seen(lab: &Lab) {
    rubbish(lab).await;
    let before = lab.summary(Detail::Full).await;
    purge(lab, 1000).await;
    let after = lab.summary(Detail::Full).await;
    assert_eq!(
        (before.modified, before.collections),
        (after.modified, after.collections)
    );
    assert_eq!(lab.ids("tabs", Selection::default()).await, ["lives on", "stays"]);
    assert_eq!(lab.payload("tabs", "stays").await, "x");
    assert_eq!(lab.ids("dropped", Selection::default()).await, ["new"]);
    lab.wait(1000);
    assert_eq!(lab.ids("tabs", Selection::default()).await, ["stays"]);
}

/// A purge removes no more rows than its budget, says whether work is left, and comes to an end.
pub async fn purging_keeps_to_its_budget_and_ends(lab: &Lab) {
    rubbish(lab).await;
    let mut removed = 0;
    for round in 0.. {
        assert!(round < 1000, "a purge that goes on for ever");
        let purged = lab.engine.purge(Budget::of(7)).await.expect("a purge succeeds");
        assert!(purged.rows <= 7, "{} rows", purged.rows);
        removed += purged.rows;
        if !purged.has_more {
            break;
        }
    }
    assert!(removed >= 50, "{removed} rows");
    let idle = lab.engine.purge(Budget::of(7)).await.expect("a purge succeeds");
    assert_eq!((idle.rows, idle.has_more), (0, false));
}

/// Where nothing has expired or been dropped, a purge removes nothing.
pub async fn purging_an_empty_engine_removes_nothing(lab: &Lab) {
    assert_eq!(purge(lab, 1000).await, 0);
    lab.put("bookmarks", "a", "x").await;
    lab.put_for("tabs", "a", "x", 10).await;
    lab.wait(9);
    assert_eq!(purge(lab, 1000).await, 0);
    assert_eq!(lab.payload("tabs", "a").await, "x");
}

/// A batch that is still open survives a purge; one that has ended does not come back.
pub async fn purging_spares_open_batches(lab: &Lab) {
    let old = lab.open("bookmarks", [payload("a", "old")]).await;
    lab.wait(3600);
    let open = lab.open("bookmarks", [payload("b", "open")]).await;
    lab.wait(3600 + 60);
    purge(lab, 1000).await;
    lab.commit("bookmarks", &open).await;
    assert!(lab.try_commit("bookmarks", &old).await.is_err());
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["b"]);
}

/// A purge may be told a time: what expires later stays, even where the clock says that it has expired.
pub async fn purging_spares_what_expires_later_than_it_is_told(lab: &Lab) {
    lab.put_for("tabs", "gone", "x", 10).await;
    lab.put_for("tabs", "stays", "x", 100).await;
    lab.wait(50);
    let until = lab.clock.now();
    lab.wait(400 * DAY);
    let budget = Budget {
        until,
        ..Budget::of(1000)
    };
    let purged = lab.engine.purge(budget).await.expect("a purge succeeds");
    assert_eq!((purged.rows, purged.has_more), (1, false));
    lab.wait(-400 * DAY);
    assert_eq!(lab.ids("tabs", Selection::default()).await, ["stays"]);
}

/// An engine that serves says so when it is checked.
pub async fn an_engine_that_serves_says_so(lab: &Lab) {
    assert!(lab.engine.check().await.is_ok());
    lab.put("bookmarks", "a", "x").await;
    assert!(lab.engine.check().await.is_ok());
}

/// Expired objects, a dropped collection and an emptied store, besides things that stay.
async fn rubbish(lab: &Lab) {
    let short = |object: String| Patch {
        ttl: Ttl::In(1),
        ..payload(&object, "x")
    };
    lab.upsert(
        "tabs",
        sorted((0..20).map(|n| format!("o{n}")))
            .into_iter()
            .map(short)
            .collect::<Vec<_>>(),
    )
    .await;
    lab.put_for("tabs", "lives on", "x", 100).await;
    lab.put("tabs", "stays", "x").await;
    let old: Vec<_> = (0..20).map(|n| payload(&format!("o{n}"), "x")).collect();
    lab.upsert("dropped", old.clone()).await;
    lab.delete_collection("dropped", false).await;
    lab.put("dropped", "new", "x").await;
    let other = lab.of_user(43);
    other.upsert("bookmarks", old).await;
    other.write(Change::DeleteAll).await;
    lab.wait(2);
}

/// Purges until nothing is left and tells the rows removed.
async fn purge(lab: &Lab, rows: u64) -> u64 {
    let mut removed = 0;
    loop {
        let purged = lab
            .engine
            .purge(Budget::of(rows))
            .await
            .expect("a purge succeeds");
        removed += purged.rows;
        if !purged.has_more {
            return removed;
        }
    }
}
