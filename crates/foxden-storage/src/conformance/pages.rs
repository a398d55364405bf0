//! Pages are bounded, show one state, and together contain each object once.

use super::{TestContext, collection, id, payload, sorted};
use crate::command::{Cursor, Field, Fields, Order, PageToken, Patch, Query, Selection};
use crate::engine::{EngineError, MAX_PAGE_BYTES, MAX_PAGE_OBJECTS};

const ORDERS: [Order; 3] = [Order::Newest, Order::Oldest, Order::Index];

/// With a limit, the pages contain every object once, in the order of a read without one.
pub async fn pages_return_every_object_once(ctx: &TestContext) {
    ten(ctx).await;
    for order in ORDERS {
        let whole = ctx.ids_in("bookmarks", order).await;
        assert_eq!(
            sorted(whole.clone()),
            sorted((0..10).map(|n| format!("object{n}")))
        );
        for limit in 1..=11 {
            let mut query = ids_only(order);
            query.limit = Some(limit);
            assert_eq!(by_pages(ctx, query, limit).await, whole, "{order:?} by {limit}");
        }
    }
}

/// A token continues after the last object of its page, even if that object was deleted meanwhile.
pub async fn a_page_token_continues_after_the_last_object(ctx: &TestContext) {
    ten(ctx).await;
    for (order, doomed) in ORDERS.into_iter().zip([3, 2, 1]) {
        let whole = ctx.ids_in("bookmarks", order).await;
        let mut query = ids_only(order);
        query.limit = Some(doomed);
        let next = ctx.page(&query).await.next.expect("there is more");
        let last = usize::try_from(doomed - 1).unwrap_or_default();
        assert!(ctx.delete_one("bookmarks", &whole[last]).await.changed);
        query.cursor = Cursor::After(next);
        query.limit = None;
        let rest: Vec<_> = ctx
            .all(&query)
            .await
            .into_iter()
            .map(|object| object.id)
            .collect();
        assert_eq!(rest, whole[last + 1..], "{order:?}");
    }
}

/// A limit equal to the number of objects leaves no further page; a lower limit does.
pub async fn the_last_page_has_no_next(ctx: &TestContext) {
    ten(ctx).await;
    for order in ORDERS {
        for (limit, goes_on) in [(9, true), (10, false), (11, false)] {
            let mut query = ids_only(order);
            query.limit = Some(limit);
            assert_eq!(
                ctx.page(&query).await.next.is_some(),
                goes_on,
                "{order:?} by {limit}"
            );
        }
    }
}

/// A limit of zero returns the collection's time, no objects and no token.
pub async fn a_limit_of_zero_reads_nothing(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "x").await;
    let mut query = ids_only(Order::Newest);
    query.limit = Some(0);
    let page = ctx.page(&query).await;
    assert_eq!((page.rows.len(), page.next, page.modified), (0, None, Some(time)));
}

/// Plain offsets count objects of the same order, beyond the end too.
pub async fn skipping_counts_from_the_same_order(ctx: &TestContext) {
    ten(ctx).await;
    for order in ORDERS {
        let whole = ctx.ids_in("bookmarks", order).await;
        for skipped in [0, 1, 4, 9, 10, 11, u64::MAX] {
            let mut query = ids_only(order);
            query.cursor = Cursor::Skip(skipped);
            let from = usize::try_from(skipped.min(10)).unwrap_or_default();
            let rest: Vec<_> = ctx
                .all(&query)
                .await
                .into_iter()
                .map(|object| object.id)
                .collect();
            assert_eq!(rest, whole[from..], "{order:?} after {skipped}");
            query.limit = Some(2);
            let page = ctx.page(&query).await;
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
            let beyond = ctx.all(&query).await.into_iter().map(|object| object.id);
            let beyond: Vec<_> = beyond.collect();
            assert_eq!(beyond, whole[from + 2..], "{order:?} on after {skipped}");
        }
    }
}

/// Objects are skipped once: further pages continue after the first.
pub async fn a_long_read_skips_once(ctx: &TestContext) {
    let patches: Vec<_> = (0..2500).map(|n| payload(&format!("object{n}"), "x")).collect();
    for part in patches.chunks(500) {
        ctx.upsert("history", part).await;
    }
    for order in ORDERS {
        let whole = ctx.ids_in("history", order).await;
        let mut query = Query::all(collection("history"), Fields::Ids);
        (query.order, query.cursor) = (order, Cursor::Skip(300));
        let rest = ctx.all(&query).await.into_iter().map(|object| object.id);
        assert_eq!(rest.collect::<Vec<_>>(), whole[300..], "{order:?}");
    }
}

/// A page has at most a thousand objects, whatever the limit, and a token.
pub async fn a_long_read_comes_in_bounded_pages(ctx: &TestContext) {
    let patches: Vec<_> = (0..2500).map(|n| payload(&format!("object{n}"), "x")).collect();
    for part in patches.chunks(500) {
        ctx.upsert("history", part).await;
    }
    for (order, fields) in [(Order::Newest, Fields::Whole), (Order::Index, Fields::Ids)] {
        let mut query = Query::all(collection("history"), fields);
        query.order = order;
        query.limit = Some(5000);
        let page = ctx.page(&query).await;
        assert!(!page.rows.is_empty() && page.rows.len() <= MAX_PAGE_OBJECTS && page.next.is_some());
        let ids = ctx.all(&query).await.into_iter().map(|object| object.id);
        assert_eq!(sorted(ids), sorted((0..2500).map(|n| format!("object{n}"))));
    }
}

/// A page ends before its payloads exceed a mebibyte, but contains at least one object of any size.
pub async fn a_page_ends_by_its_bytes_but_holds_an_object(ctx: &TestContext) {
    let sizes = [
        MAX_PAGE_BYTES / 2,
        MAX_PAGE_BYTES / 2,
        1,
        MAX_PAGE_BYTES * 2,
        1,
        MAX_PAGE_BYTES,
        1,
    ];
    for (number, size) in sizes.into_iter().enumerate() {
        ctx.put("bookmarks", &format!("object{number}"), &"x".repeat(size))
            .await;
    }
    let mut query = Query::all(collection("bookmarks"), Fields::Whole);
    query.order = Order::Oldest;
    let mut read = Vec::new();
    loop {
        let page = ctx.page(&query).await;
        let bytes: usize = page.rows.iter().map(|row| row.payload.len()).sum();
        assert!(page.rows.len() == 1 || bytes <= MAX_PAGE_BYTES, "{bytes} bytes");
        assert!(!page.rows.is_empty());
        read.extend(page.rows.iter().map(|row| row.payload.len()));
        let Some(next) = page.next else { break };
        query.cursor = Cursor::After(next);
    }
    assert_eq!(read, sizes);
}

/// Each page has the time of its collection, whatever it selects.
pub async fn a_page_has_the_collections_time(ctx: &TestContext) {
    ten(ctx).await;
    let time = ctx.modified("bookmarks").await;
    ctx.put("history", "a", "later").await;
    let mut query = ids_only(Order::Newest);
    query.limit = Some(3);
    let first = ctx.page(&query).await;
    query.cursor = Cursor::After(first.next.expect("there is more"));
    assert_eq!(
        [first.modified, ctx.page(&query).await.modified],
        [Some(time), Some(time)]
    );
    query.selection.ids = Some(vec![id("missing")]);
    assert_eq!(ctx.page(&query).await.modified, Some(time));
}

/// With `until`, further pages leave out objects that changed meanwhile and repeat none.
pub async fn a_read_in_pages_can_be_fixed_at_a_time(ctx: &TestContext) {
    ten(ctx).await;
    for order in [Order::Newest, Order::Oldest] {
        let time = ctx.modified("bookmarks").await;
        let whole = ctx.ids_in("bookmarks", order).await;
        let mut query = ids_only(order);
        query.limit = Some(4);
        let first = ctx.page(&query).await;
        let seen: Vec<_> = first.rows.iter().map(|row| row.id.to_owned()).collect();
        assert_eq!(seen, whole[..4]);

        ctx.put("bookmarks", &whole[0], "seen").await;
        ctx.put("bookmarks", &whole[9], "not yet seen").await;
        ctx.put("bookmarks", "one more", "new").await;
        query.selection.until = Some(time);
        query.cursor = Cursor::After(first.next.expect("there is more"));
        query.limit = None;
        let rest: Vec<_> = ctx
            .all(&query)
            .await
            .into_iter()
            .map(|object| object.id)
            .collect();
        assert_eq!(rest, whole[4..9], "{order:?}");
        ctx.delete_one("bookmarks", "one more").await;
    }
}

/// A token that does not come from this engine is refused.
pub async fn a_foreign_token_is_refused(ctx: &TestContext) {
    ten(ctx).await;
    let mut query = ids_only(Order::Newest);
    for (key, tie) in [(None, "1"), (Some(1), ""), (Some(1), "\n")] {
        query.cursor = Cursor::After(PageToken { key, tie: tie.into() });
        let refused = ctx.engine.read(ctx.user, &query).await;
        assert!(matches!(refused, Err(EngineError::BadCursor)), "{key:?} {tie:?}");
    }
}

/// Pages of a selection contain selected objects only.
pub async fn pages_in_a_selection_stay_in_it(ctx: &TestContext) {
    ten(ctx).await;
    for order in ORDERS {
        let mut query = ids_only(order);
        query.selection = Selection {
            ids: Some((0..10).step_by(2).map(|n| id(&format!("object{n}"))).collect()),
            ..Selection::default()
        };
        query.limit = Some(2);
        let ids = by_pages(ctx, query, 2).await;
        assert_eq!(
            sorted(ids),
            ["object0", "object2", "object4", "object6", "object8"]
        );
    }
}

/// Ids alone are those of the whole objects, in the same order, with the same times.
pub async fn ids_alone_are_the_ids_of_the_objects(ctx: &TestContext) {
    ten(ctx).await;
    for order in ORDERS {
        let mut query = ids_only(order);
        let ids = ctx.all(&query).await;
        query.fields = Fields::Whole;
        let objects = ctx.all(&query).await;
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
async fn ten(ctx: &TestContext) {
    let patch = |n: i64| Patch {
        sortindex: if n % 4 == 0 {
            Field::Keep
        } else {
            Field::Set(n % 3 - 1)
        },
        ..payload(&format!("object{n}"), &format!("object{n}"))
    };
    for numbers in [[0, 7, 4], [1, 9, 2], [8, 3, 5]] {
        ctx.upsert("bookmarks", numbers.map(patch)).await;
    }
    ctx.upsert("bookmarks", [patch(6)]).await;
}

/// The ids of all pages, each of `limit` objects but the last.
async fn by_pages(ctx: &TestContext, mut query: Query, limit: u64) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = ctx.page(&query).await;
        ids.extend(page.rows.iter().map(|row| row.id.to_owned()));
        let Some(next) = page.next else { return ids };
        assert_eq!(page.rows.len() as u64, limit);
        query.cursor = Cursor::After(next);
    }
}
