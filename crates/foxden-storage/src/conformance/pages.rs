//! Pages are bounded, are each one state, and together hold each object once.

use super::{Lab, collection, id, payload, sorted};
use crate::command::{Cursor, Field, Fields, Order, PageToken, Patch, Query, Selection};
use crate::engine::{EngineError, PAGE_BYTES, PAGE_OBJECTS};

const ORDERS: [Order; 3] = [Order::Newest, Order::Oldest, Order::Index];

/// With a limit, page after page meets every object once, in the order of a read without one.
pub async fn pages_meet_every_object_once(lab: &Lab) {
    ten(lab).await;
    for order in ORDERS {
        let whole = lab.ids_in("bookmarks", order).await;
        assert_eq!(
            sorted(whole.clone()),
            sorted((0..10).map(|n| format!("object{n}")))
        );
        for limit in 1..=11 {
            let mut query = ids_only(order);
            query.limit = Some(limit);
            assert_eq!(by_pages(lab, query, limit).await, whole, "{order:?} by {limit}");
        }
    }
}

/// A token goes on after the object its page ended with, even if that object is gone meanwhile.
pub async fn a_page_goes_on_after_its_last_object(lab: &Lab) {
    ten(lab).await;
    for (order, doomed) in ORDERS.into_iter().zip([3, 2, 1]) {
        let whole = lab.ids_in("bookmarks", order).await;
        let mut query = ids_only(order);
        query.limit = Some(doomed);
        let next = lab.page(&query).await.next.expect("there is more");
        let last = usize::try_from(doomed - 1).unwrap_or_default();
        assert!(lab.delete_one("bookmarks", &whole[last]).await.changed);
        query.cursor = Cursor::After(next);
        query.limit = None;
        let rest: Vec<_> = lab
            .all(&query)
            .await
            .into_iter()
            .map(|object| object.id)
            .collect();
        assert_eq!(rest, whole[last + 1..], "{order:?}");
    }
}

/// A limit equal to the number of objects leaves nothing to go on with; one less does.
pub async fn the_last_page_has_no_next(lab: &Lab) {
    ten(lab).await;
    for order in ORDERS {
        for (limit, goes_on) in [(9, true), (10, false), (11, false)] {
            let mut query = ids_only(order);
            query.limit = Some(limit);
            assert_eq!(
                lab.page(&query).await.next.is_some(),
                goes_on,
                "{order:?} by {limit}"
            );
        }
    }
}

/// A limit of zero reads nothing, tells the collection's time and does not go on.
pub async fn a_limit_of_zero_reads_nothing(lab: &Lab) {
    let time = lab.put("bookmarks", "a", "x").await;
    let mut query = ids_only(Order::Newest);
    query.limit = Some(0);
    let page = lab.page(&query).await;
    assert_eq!((page.rows.len(), page.next, page.modified), (0, None, Some(time)));
}

/// Plain offsets count objects of the same order, beyond the end too.
pub async fn skipping_counts_from_the_same_order(lab: &Lab) {
    ten(lab).await;
    for order in ORDERS {
        let whole = lab.ids_in("bookmarks", order).await;
        for skipped in [0, 1, 4, 9, 10, 11, u64::MAX] {
            let mut query = ids_only(order);
            query.cursor = Cursor::Skip(skipped);
            let from = usize::try_from(skipped.min(10)).unwrap_or_default();
            let rest: Vec<_> = lab
                .all(&query)
                .await
                .into_iter()
                .map(|object| object.id)
                .collect();
            assert_eq!(rest, whole[from..], "{order:?} after {skipped}");
            query.limit = Some(2);
            let page = lab.page(&query).await;
            let two: Vec<_> = page.rows.iter().map(|row| row.id.to_owned()).collect();
            assert_eq!(
                two,
                whole[from..(from + 2).min(10)],
                "{order:?} two after {skipped}"
            );
            let Some(token) = page.next else {
                assert!(from + 2 >= 10, "{order:?} ends after {skipped}");
                continue;
            };
            (query.cursor, query.limit) = (Cursor::After(token), None);
            let beyond = lab.all(&query).await.into_iter().map(|object| object.id);
            let beyond: Vec<_> = beyond.collect();
            assert_eq!(beyond, whole[from + 2..], "{order:?} on after {skipped}");
        }
    }
}

/// What is skipped is skipped once: the pages after the first go on behind it.
pub async fn a_long_read_skips_once(lab: &Lab) {
    let patches: Vec<_> = (0..2500).map(|n| payload(&format!("object{n}"), "x")).collect();
    for part in patches.chunks(500) {
        lab.upsert("history", part).await;
    }
    for order in ORDERS {
        let whole = lab.ids_in("history", order).await;
        let mut query = Query::all(collection("history"), Fields::Ids);
        (query.order, query.cursor) = (order, Cursor::Skip(300));
        let rest = lab.all(&query).await.into_iter().map(|object| object.id);
        assert_eq!(rest.collect::<Vec<_>>(), whole[300..], "{order:?}");
    }
}

/// However much is asked for, a page holds at most a thousand objects and goes on.
pub async fn a_long_read_comes_in_bounded_pages(lab: &Lab) {
    let patches: Vec<_> = (0..2500).map(|n| payload(&format!("object{n}"), "x")).collect();
    for part in patches.chunks(500) {
        lab.upsert("history", part).await;
    }
    for (order, fields) in [(Order::Newest, Fields::Whole), (Order::Index, Fields::Ids)] {
        let mut query = Query::all(collection("history"), fields);
        query.order = order;
        query.limit = Some(5000);
        let page = lab.page(&query).await;
        assert!(!page.rows.is_empty() && page.rows.len() <= PAGE_OBJECTS && page.next.is_some());
        let ids = lab.all(&query).await.into_iter().map(|object| object.id);
        assert_eq!(sorted(ids), sorted((0..2500).map(|n| format!("object{n}"))));
    }
}

/// A page ends before its payloads pass a mebibyte, but holds an object of any size.
pub async fn a_page_ends_by_its_bytes_but_holds_an_object(lab: &Lab) {
    let sizes = [
        PAGE_BYTES / 2,
        PAGE_BYTES / 2,
        1,
        PAGE_BYTES * 2,
        1,
        PAGE_BYTES,
        1,
    ];
    for (number, size) in sizes.into_iter().enumerate() {
        lab.put("bookmarks", &format!("object{number}"), &"x".repeat(size))
            .await;
    }
    let mut query = Query::all(collection("bookmarks"), Fields::Whole);
    query.order = Order::Oldest;
    let mut read = Vec::new();
    loop {
        let page = lab.page(&query).await;
        let bytes: usize = page.rows.iter().map(|row| row.payload.len()).sum();
        assert!(page.rows.len() == 1 || bytes <= PAGE_BYTES, "{bytes} bytes");
        assert!(!page.rows.is_empty());
        read.extend(page.rows.iter().map(|row| row.payload.len()));
        let Some(next) = page.next else { break };
        query.cursor = Cursor::After(next);
    }
    assert_eq!(read, sizes);
}

/// Each page tells the time of its collection, whatever it selects.
pub async fn a_page_tells_the_collections_time(lab: &Lab) {
    ten(lab).await;
    let time = lab.modified("bookmarks").await;
    lab.put("history", "a", "later").await;
    let mut query = ids_only(Order::Newest);
    query.limit = Some(3);
    let first = lab.page(&query).await;
    query.cursor = Cursor::After(first.next.expect("there is more"));
    assert_eq!(
        [first.modified, lab.page(&query).await.modified],
        [Some(time), Some(time)]
    );
    query.selection.ids = Some(vec![id("missing")]);
    assert_eq!(lab.page(&query).await.modified, Some(time));
}

/// With `until`, the further pages of a read leave out what changed meanwhile and repeat nothing.
pub async fn a_read_can_stay_at_a_time(lab: &Lab) {
    ten(lab).await;
    for order in [Order::Newest, Order::Oldest] {
        let time = lab.modified("bookmarks").await;
        let whole = lab.ids_in("bookmarks", order).await;
        let mut query = ids_only(order);
        query.limit = Some(4);
        let first = lab.page(&query).await;
        let seen: Vec<_> = first.rows.iter().map(|row| row.id.to_owned()).collect();
        assert_eq!(seen, whole[..4]);

        lab.put("bookmarks", &whole[0], "seen").await;
        lab.put("bookmarks", &whole[9], "not yet seen").await;
        lab.put("bookmarks", "one more", "new").await;
        query.selection.until = Some(time);
        query.cursor = Cursor::After(first.next.expect("there is more"));
        query.limit = None;
        let rest: Vec<_> = lab
            .all(&query)
            .await
            .into_iter()
            .map(|object| object.id)
            .collect();
        assert_eq!(rest, whole[4..9], "{order:?}");
        lab.delete_one("bookmarks", "one more").await;
    }
}

/// A token that no page of this engine gave is refused.
pub async fn a_foreign_token_is_refused(lab: &Lab) {
    ten(lab).await;
    let mut query = ids_only(Order::Newest);
    for (key, tie) in [(None, "1"), (Some(1), ""), (Some(1), "\n")] {
        query.cursor = Cursor::After(PageToken { key, tie: tie.into() });
        let refused = lab.engine.read(lab.user, &query).await;
        assert!(matches!(refused, Err(EngineError::BadCursor)), "{key:?} {tie:?}");
    }
}

/// Pages of a selection hold what it selects and end with it.
pub async fn pages_in_a_selection_stay_in_it(lab: &Lab) {
    ten(lab).await;
    for order in ORDERS {
        let mut query = ids_only(order);
        query.selection = Selection {
            ids: Some((0..10).step_by(2).map(|n| id(&format!("object{n}"))).collect()),
            ..Selection::default()
        };
        query.limit = Some(2);
        let ids = by_pages(lab, query, 2).await;
        assert_eq!(
            sorted(ids),
            ["object0", "object2", "object4", "object6", "object8"]
        );
    }
}

/// Ids alone are those of the whole objects, in the same order, with the same times.
pub async fn ids_alone_are_the_ids_of_the_objects(lab: &Lab) {
    ten(lab).await;
    for order in ORDERS {
        let mut query = ids_only(order);
        let ids = lab.all(&query).await;
        query.fields = Fields::Whole;
        let objects = lab.all(&query).await;
        let heads = |read: &[super::Stored]| -> Vec<_> {
            read.iter()
                .map(|object| (object.id.clone(), object.modified))
                .collect()
        };
        assert_eq!(heads(&ids), heads(&objects), "{order:?}");
        assert!(
            objects.iter().all(|object| object.payload == object.id),
            "{order:?}"
        );
    }
}

fn ids_only(order: Order) -> Query {
    Query {
        order,
        ..Query::all(collection("bookmarks"), Fields::Ids)
    }
}

/// Ten objects with ties in every order, some without a sortindex.
async fn ten(lab: &Lab) {
    let patch = |n: i64| Patch {
        sortindex: if n % 4 == 0 {
            Field::Keep
        } else {
            Field::Set(n % 3 - 1)
        },
        ..payload(&format!("object{n}"), &format!("object{n}"))
    };
    for numbers in [[0, 7, 4], [1, 9, 2], [8, 3, 5]] {
        lab.upsert("bookmarks", numbers.map(patch)).await;
    }
    lab.upsert("bookmarks", [patch(6)]).await;
}

/// The ids met page by page, each page of `limit` but the last.
async fn by_pages(lab: &Lab, mut query: Query, limit: u64) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = lab.page(&query).await;
        ids.extend(page.rows.iter().map(|row| row.id.to_owned()));
        let Some(next) = page.next else { return ids };
        assert_eq!(page.rows.len() as u64, limit);
        query.cursor = Cursor::After(next);
    }
}
