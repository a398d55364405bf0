//! Tests of parsing query strings and headers, also hostile ones.

use axum::http::header;
use proptest::prelude::*;

use super::*;

fn tabs() -> CollectionName {
    CollectionName::new("tabs").unwrap()
}

fn query(text: &str) -> Option<Query> {
    listing(tabs(), Some(text)).ok()
}

fn ids_of(text: &str) -> Vec<String> {
    let ids = query(text).unwrap().selection.ids.unwrap();
    ids.iter().map(ToString::to_string).collect()
}

fn accepting(value: &str) -> Format {
    list_format(&[(header::ACCEPT, value.parse().unwrap())].into_iter().collect())
}

/// D2.32 of the storage API, and other values of `Accept`.
#[test]
fn the_client_s_favourite_layout_wins() {
    for (value, format) in [
        ("application/newlines", Format::Newlines),
        ("application/whoisi", Format::Whoisi),
        ("application/whoisi, application/newlines", Format::Whoisi),
        ("application/newlines, application/whoisi;q=0.9", Format::Newlines),
        ("application/newlines, */*", Format::Json),
        ("application/newlines, */*;q=0.5", Format::Newlines),
        ("text/html,application/xml;q=0.9,*/*;q=0.8", Format::Json),
        ("text/html", Format::Json),
        ("application/json;q=0, application/newlines;q=0", Format::Json),
        ("application/newlines;q=nonsense", Format::Json),
        ("", Format::Json),
    ] {
        assert_eq!(accepting(value), format, "{value}");
    }
    assert_eq!(list_format(&HeaderMap::new()), Format::Json);
}

#[test]
fn ids_are_a_list_of_any_length() {
    assert_eq!(ids_of("ids=1,3"), ["1", "3"]);
    assert_eq!(ids_of("ids=1%2C3"), ["1", "3"]);
    assert_eq!(ids_of("ids=b,,a,%20b%20,"), ["a", "b"]);
    assert_eq!(ids_of("ids=%00,a/b,{x}"), ["a/b", "{x}"]);
    assert!(ids_of("ids=").is_empty());
    let all: Vec<String> = (0..5000).map(|id| id.to_string()).collect();
    assert_eq!(ids_of(&format!("ids={}", all.join(","))).len(), 5000);
    let long = "x".repeat(65);
    assert!(ids_of(&format!("ids={long}")).is_empty());
}

#[test]
fn an_offset_needs_a_limit() {
    let range = |text| query(text).map(|query| (query.limit, query.cursor));
    for (text, limit, skipped) in [
        ("limit=2", Some(2), None),
        ("limit=2&offset=3", Some(2), Some(3)),
        ("offset=3&limit=2", Some(2), Some(3)),
        ("offset=3", None, None),
        ("limit=-5&offset=3", None, None),
        ("limit=0", None, None),
        ("limit=2&offset=-1", Some(2), None),
        ("limit=99999999999999999999", Some(i64::MAX as u64), None),
    ] {
        let cursor = skipped.map_or(Cursor::Start, Cursor::Skip);
        assert_eq!(range(text), Some((limit, cursor)), "{text}");
    }
}

#[test]
fn numbers_must_be_numbers() {
    for name in ["newer", "older", "index_above", "index_below", "limit", "offset"] {
        for value in [
            "",
            "abc",
            "inf",
            "nan",
            "NaN",
            "1e400",
            "1e5",
            "0x10",
            "--1",
            "1,5",
            "%F0%9F%A6%8A",
        ] {
            assert_eq!(query(&format!("{name}={value}")), None, "{name}={value}");
        }
        assert!(query(&format!("{name}=-1")).is_some());
    }
    for text in [
        "limit=1.5",
        "index_above=1.5",
        "newer=99999999999999999999",
        "ids=%zz",
    ] {
        assert_eq!(query(text), None, "{text}");
    }
    assert_eq!(
        query("index_above=-99999999999999999999")
            .unwrap()
            .selection
            .index_above,
        Some(-i64::MAX)
    );
}

#[test]
fn meaningless_parameters_are_ignored() {
    let plain = query("").unwrap();
    assert_eq!((plain.order, plain.fields), (Order::Oldest, Fields::Ids));
    for text in [
        "sort=foo",
        "full=",
        "full",
        "v=30.1",
        "client=x&&=",
        "full=1&full=",
    ] {
        assert_eq!(query(text).as_ref(), Some(&plain), "{text}");
    }
    assert_eq!(query("full=0").unwrap().fields, Fields::Whole);
    assert_eq!(query("sort=index").unwrap().order, Order::Index);
}

#[test]
fn a_deletion_without_conditions_is_one_of_all() {
    for text in [
        None,
        Some(""),
        Some("sort=index"),
        Some("v=1"),
        Some("limit=-1&offset=2"),
    ] {
        let change = deletion(tabs(), text).unwrap();
        let is_whole = matches!(change, Change::DeleteCollection { keeps_name: true, .. });
        assert!(is_whole, "{text:?}");
    }
    for text in ["ids=", "ids=a", "older=1", "limit=1", "parentid="] {
        let change = deletion(tabs(), Some(text)).unwrap();
        assert!(
            matches!(change, Change::DeleteObjects { or_refuse: false, .. }),
            "{text}"
        );
    }
}

#[test]
fn a_precondition_is_a_number() {
    let since = |value: &str| {
        let headers = [(UNMODIFIED_SINCE, value.parse().unwrap())].into_iter().collect();
        unmodified_since(&headers)
            .ok()
            .flatten()
            .map(SyncTime::hundredths)
    };
    assert_eq!(since("1763690000.115"), Some(176_369_000_012));
    assert_eq!(since(" 5 "), Some(500));
    // An object that never changed passes any precondition.
    assert_eq!(since("-1"), Some(0));
    for value in ["", "abc", "inf", "nan", "1e400", "1 2"] {
        assert_eq!(since(value), None, "{value}");
    }
}

proptest! {
    #[test]
    fn no_query_makes_it_panic(text in "((ids|newer|limit|offset|index_above|full|sort|x)=[-%,.0-9a-z]{0,12}&?){0,6}") {
        let _ = query(&text);
        let _ = deletion(tabs(), Some(&text));
    }
}
