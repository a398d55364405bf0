//! Fields that a patch sets are stored; other fields are kept.

use super::{Stored, TestContext, id, payload};
use crate::command::{Field, Patch, Selection, Ttl};

/// Every field of an object is read as it was written.
pub async fn written_objects_are_read_back(ctx: &TestContext) {
    let patch = Patch {
        payload: Field::Set("one".to_owned()),
        sortindex: Field::Set(-42),
        parent_id: Field::Set("parent".to_owned()),
        predecessor_id: Field::Set("predecessor".to_owned()),
        ttl: Ttl::Never,
        renews: true,
        ..Patch::empty(id("a"))
    };
    let modified = ctx.upsert("bookmarks", [patch]).await;
    let wanted = Stored {
        id: "a".to_owned(),
        payload: "one".to_owned(),
        modified,
        sortindex: Some(-42),
        parent_id: Some("parent".to_owned()),
        predecessor_id: Some("predecessor".to_owned()),
    };
    assert_eq!(ctx.get("bookmarks", "a").await, Some(wanted));
    assert_eq!(ctx.get("bookmarks", "b").await, None);
}

/// A patch of one field leaves the others as they are.
pub async fn fields_not_given_keep_their_value(ctx: &TestContext) {
    let whole = Patch {
        sortindex: Field::Set(1),
        parent_id: Field::Set("p".to_owned()),
        predecessor_id: Field::Set("q".to_owned()),
        ..payload("a", "one")
    };
    let first = ctx.upsert("bookmarks", [whole]).await;
    let mut wanted = ctx.get("bookmarks", "a").await.expect("it was stored");

    let sortindex = Patch {
        sortindex: Field::Set(2),
        ..Patch::empty(id("a"))
    };
    ctx.upsert("bookmarks", [sortindex]).await;
    wanted.sortindex = Some(2);
    assert_eq!(ctx.get("bookmarks", "a").await, Some(wanted.clone()));

    let second = ctx.put("bookmarks", "a", "two").await;
    assert!(second > first);
    "two".clone_into(&mut wanted.payload);
    wanted.modified = second;
    assert_eq!(ctx.get("bookmarks", "a").await, Some(wanted.clone()));

    let parent = Patch {
        parent_id: Field::Set("other".to_owned()),
        ..Patch::empty(id("a"))
    };
    ctx.upsert("bookmarks", [parent]).await;
    wanted.parent_id = Some("other".to_owned());
    assert_eq!(ctx.get("bookmarks", "a").await, Some(wanted));
}

/// A cleared field is emptied.
pub async fn fields_can_be_cleared(ctx: &TestContext) {
    let whole = Patch {
        sortindex: Field::Set(1),
        parent_id: Field::Set("p".to_owned()),
        predecessor_id: Field::Set("q".to_owned()),
        ..payload("a", "one")
    };
    let modified = ctx.upsert("bookmarks", [whole]).await;
    let nothing = Patch {
        payload: Field::Clear,
        sortindex: Field::Clear,
        parent_id: Field::Clear,
        predecessor_id: Field::Clear,
        ..Patch::empty(id("a"))
    };
    ctx.upsert("bookmarks", [nothing]).await;
    assert_eq!(ctx.get("bookmarks", "a").await, Some(empty("a", modified)));
    assert_eq!(
        ctx.held("bookmarks").await.map(|held| (held.count, held.bytes)),
        Some((1, 0))
    );
}

/// A patch without fields creates an object with an empty payload and the time of the write.
pub async fn an_empty_patch_creates_an_empty_object(ctx: &TestContext) {
    let modified = ctx.upsert("bookmarks", [Patch::empty(id("a"))]).await;
    assert_eq!(ctx.get("bookmarks", "a").await, Some(empty("a", modified)));
}

/// An object's time moves only if the patch says so; the collection's time always moves.
pub async fn modified_moves_only_if_the_patch_renews(ctx: &TestContext) {
    let first = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(1);
    let quiet = Patch {
        sortindex: Field::Set(3),
        ttl: Ttl::In(1000),
        renews: false,
        ..Patch::empty(id("a"))
    };
    let second = ctx.upsert("bookmarks", [quiet.clone()]).await;
    assert_eq!(
        ctx.get("bookmarks", "a").await.map(|object| object.modified),
        Some(first)
    );
    assert_eq!(ctx.modified("bookmarks").await, second);
    ctx.wait(1);
    let loud = Patch {
        renews: true,
        ..quiet
    };
    let third = ctx.upsert("bookmarks", [loud]).await;
    assert_eq!(
        ctx.get("bookmarks", "a").await.map(|object| object.modified),
        Some(third)
    );
    let newer = Selection {
        newer: Some(second),
        ..Selection::default()
    };
    assert_eq!(ctx.ids("bookmarks", newer).await, ["a"]);
}

/// A patch with another parent and no payload may move the time, and changes no other field.
pub async fn a_patch_of_the_parent_alone_can_renew_modified(ctx: &TestContext) {
    let whole = Patch {
        sortindex: Field::Set(1),
        predecessor_id: Field::Set("q".to_owned()),
        ttl: Ttl::In(10),
        ..payload("a", "one")
    };
    ctx.upsert("bookmarks", [whole]).await;
    let mut wanted = ctx.get("bookmarks", "a").await.expect("it was stored");
    ctx.wait(1);
    let parent = Patch {
        parent_id: Field::Set("p/+=".to_owned()),
        renews: true,
        ..Patch::empty(id("a"))
    };
    let modified = ctx.upsert("bookmarks", [parent]).await;
    wanted = Stored {
        modified,
        parent_id: Some("p/+=".to_owned()),
        ..wanted
    };
    assert_eq!(ctx.get("bookmarks", "a").await, Some(wanted.clone()));
    let predecessor = Patch {
        predecessor_id: Field::Set("r".to_owned()),
        ..Patch::empty(id("a"))
    };
    ctx.upsert("bookmarks", [predecessor]).await;
    wanted.predecessor_id = Some("r".to_owned());
    assert_eq!(ctx.get("bookmarks", "a").await, Some(wanted));
    ctx.wait(10);
    assert_eq!(ctx.get("bookmarks", "a").await, None, "its life stays");
}

/// Within one write, a later patch of an object is applied over an earlier one.
pub async fn a_later_patch_is_merged_over_an_earlier(ctx: &TestContext) {
    let index = Patch {
        sortindex: Field::Set(7),
        ..Patch::empty(id("a"))
    };
    let cleared = Patch {
        sortindex: Field::Clear,
        ..Patch::empty(id("b"))
    };
    let patches = [
        payload("a", "one"),
        index.clone(),
        payload("a", "two"),
        Patch { id: id("b"), ..index },
        payload("b", "three"),
        cleared,
    ];
    ctx.upsert("bookmarks", patches).await;
    let a = ctx.get("bookmarks", "a").await.expect("it was stored");
    let b = ctx.get("bookmarks", "b").await.expect("it was stored");
    assert_eq!((a.payload.as_str(), a.sortindex), ("two", Some(7)));
    assert_eq!((b.payload.as_str(), b.sortindex), ("three", None));
    assert_eq!(
        ctx.held("bookmarks").await.map(|held| (held.count, held.bytes)),
        Some((2, 8))
    );
}

/// A later patch of one write without a TTL keeps that of the earlier patch, even one of zero.
pub async fn a_later_patch_keeps_the_ttl_of_an_earlier(ctx: &TestContext) {
    let short = Patch {
        ttl: Ttl::In(0),
        ..payload("a", "one")
    };
    let index = Patch {
        sortindex: Field::Set(1),
        ..Patch::empty(id("a"))
    };
    let forever = Patch {
        ttl: Ttl::Never,
        ..Patch::empty(id("b"))
    };
    let patches = [short.clone(), index, Patch { id: id("b"), ..short }, forever];
    ctx.upsert("bookmarks", patches).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["b"]);
    assert_eq!(ctx.payload("bookmarks", "b").await, "one");
}

/// All objects of one write have its time, and so has the collection.
pub async fn objects_of_one_write_have_one_time(ctx: &TestContext) {
    let patches: Vec<_> = (0..50).map(|n| payload(&format!("object{n}"), "x")).collect();
    let time = ctx.upsert("bookmarks", patches).await;
    for n in [0, 25, 49] {
        let object = ctx.get("bookmarks", &format!("object{n}")).await;
        assert_eq!(object.map(|object| object.modified), Some(time));
    }
    assert_eq!(ctx.modified("bookmarks").await, time);
}

/// Ids are compared byte by byte: case, blanks and forms of one letter make different objects.
pub async fn ids_differ_by_case_and_by_any_byte(ctx: &TestContext) {
    let ids = [
        "a",
        "A",
        "a ",
        " a",
        "ä",
        "a\u{308}",
        "%22",
        "\" {x}",
        "a/b",
        "a//b",
        "Qk3/aB7x+Zr9LmWd",
        "Qk3/aB7x Zr9LmWd",
        "a,b;c=",
        "collections",
        "'; drop",
        "_",
        "%",
        "*",
    ];
    for object in ids {
        ctx.put("info", object, object).await;
    }
    for object in ids {
        assert_eq!(ctx.payload("info", object).await, object);
    }
    assert_eq!(ctx.ids("info", Selection::default()).await, super::sorted(ids));
}

/// Payloads are returned byte for byte, whatever their content.
pub async fn payloads_are_returned_unchanged(ctx: &TestContext) {
    let long = "é0".repeat(700_000);
    let texts = [
        "",
        "\0",
        "a\0b",
        "\"quoted\"\\",
        "line\nbreak\r\n\u{2028}",
        "</script>",
        "\u{1f98a}\u{10ffff}",
        "NULL",
        "0x00",
        &long,
    ];
    for (n, text) in texts.iter().enumerate() {
        ctx.put("bookmarks", &format!("object{n}"), text).await;
    }
    for (n, text) in texts.iter().enumerate() {
        assert!(
            ctx.payload("bookmarks", &format!("object{n}")).await == *text,
            "payload {n}"
        );
    }
}

/// A write without patches creates the collection, or moves its time.
pub async fn a_write_without_patches_makes_the_collection(ctx: &TestContext) {
    let made = ctx.upsert("bookmarks", []).await;
    assert_eq!(
        ctx.held("bookmarks")
            .await
            .map(|held| (held.modified, held.count)),
        Some((made, 0))
    );
    let moved = ctx.upsert("bookmarks", []).await;
    assert!(moved > made);
    assert_eq!(ctx.modified("bookmarks").await, moved);
}

/// Names of collections that differ by case are different collections.
pub async fn names_of_collections_differ_by_case(ctx: &TestContext) {
    let name = "x".repeat(32);
    for (number, name) in ["tabs", "Tabs", "TABS", "t.a_b-s", name.as_str()]
        .into_iter()
        .enumerate()
    {
        ctx.put(name, "a", &number.to_string()).await;
    }
    assert_eq!(ctx.payload("tabs", "a").await, "0");
    assert_eq!(ctx.payload("Tabs", "a").await, "1");
    assert_eq!(ctx.payload("TABS", "a").await, "2");
    assert_eq!(ctx.payload("t.a_b-s", "a").await, "3");
    assert_eq!(ctx.payload(&name, "a").await, "4");
}

fn empty(object: &str, modified: foxden_model::SyncTime) -> Stored {
    Stored {
        id: object.to_owned(),
        payload: String::new(),
        modified,
        sortindex: None,
        parent_id: None,
        predecessor_id: None,
    }
}
