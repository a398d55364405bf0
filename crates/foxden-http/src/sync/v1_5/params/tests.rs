//! Tests of parsing query strings and headers, also hostile ones.

use proptest::prelude::*;

use super::*;

fn tabs() -> CollectionName {
    CollectionName::new("tabs").unwrap()
}

fn accept(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, value.parse().unwrap());
    headers
}

#[test]
fn the_client_s_favourite_layout_wins() {
    for (value, format) in [
        ("application/json;q=0.9,*/*;q=0.2", Some(Format::Json)),
        ("application/newlines", Some(Format::Newlines)),
        (
            "application/newlines;q=0.5, application/json;q=0.4",
            Some(Format::Newlines),
        ),
        ("application/newlines, application/json", Some(Format::Json)),
        ("application/newlines, */*", Some(Format::Newlines)),
        ("*/*", Some(Format::Json)),
        ("", Some(Format::Json)),
        ("application/*", Some(Format::Json)),
        ("x/yy", None),
        ("application/json;q=0", None),
        (";;,,=", None),
    ] {
        assert_eq!(list_format(&accept(value)).ok(), format, "{value}");
    }
    assert_eq!(list_format(&HeaderMap::new()).ok(), Some(Format::Json));
    assert!(check_accepts_json(&accept("application/newlines")).is_err());
}

#[test]
fn a_page_token_reads_back_as_it_was() {
    for (key, tie) in [(Some(176_369_000_010), "17"), (Some(-3), "a:b"), (None, "")] {
        let token = PageToken { key, tie: tie.into() };
        let text = print_page_token(&token);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        );
        assert_eq!(page_token(&text).unwrap(), token);
    }
}

#[test]
fn an_offset_of_digits_alone_counts_objects() {
    let cursor_of = |text: &str| listing(tabs(), Some(text)).map(|query| query.cursor).ok();
    for (text, skipped) in [
        ("limit=2&offset=1", 1),
        ("offset=0", 0),
        ("offset=007", 7),
        ("offset=%31%30", 10),
        ("offset=99999999999999999999999", u64::MAX),
    ] {
        assert_eq!(cursor_of(text), Some(Cursor::Skip(skipped)), "{text}");
    }
    for text in [
        "offset=",
        "offset=-1",
        "offset=+1",
        "offset=1.0",
        "offset=1e3",
        "offset=\u{661}",
        "offset=1%20",
    ] {
        assert_eq!(cursor_of(text), None, "{text}");
    }
}

#[test]
fn an_upload_says_how_it_is_part_of_a_batch() {
    let with = Limits::default();
    let without = Limits {
        batches: false,
        ..with
    };
    let named = BatchId("abc-_9".into());
    for (query, meant) in [
        (None, Some(Upload::Plain)),
        (Some("batch=TRUE"), Some(Upload::Part(None))),
        (Some("batch"), Some(Upload::Part(None))),
        (Some("batch=&other"), Some(Upload::Part(None))),
        (Some("batch=true&commit=true"), Some(Upload::Plain)),
        (Some("batch=abc-_9"), Some(Upload::Part(Some(named.clone())))),
        (Some("commit=true&batch=abc-_9"), Some(Upload::Commit(named))),
        (Some("commit=true"), None),
        (Some("batch=abc&commit=false"), None),
        (Some("batch=a%20b"), None),
    ] {
        assert_eq!(upload(query, &with).ok(), meant, "{query:?}");
    }
    assert_eq!(upload(Some("batch=true"), &without).ok(), Some(Upload::Plain));
    assert_eq!(upload(Some("batch=abc"), &without).ok(), None);
}

#[test]
fn of_two_parameters_the_later_counts() {
    let query = listing(tabs(), Some("limit=1&limit=2&full&full=0")).unwrap();
    assert_eq!((query.limit, query.fields), (Some(2), Fields::Whole));
}

proptest! {
    /// Else it would be taken for a number of objects. This holds for all tokens that were ever given out, too.
    #[test]
    fn a_page_token_begins_with_a_letter(key in any::<Option<i64>>(), tie in ".{0,20}") {
        let token = PageToken { key, tie: tie.into() };
        let text = print_page_token(&token);
        prop_assert!(text.as_bytes()[0].is_ascii_alphabetic(), "{text}");
        prop_assert_eq!(cursor(&text).ok(), Some(Cursor::After(token)));
    }

    #[test]
    fn no_query_makes_it_panic(text in "((ids|newer|older|full|limit|offset|sort|batch|commit)?[=&%,+.0-9a-zé-]{0,12}&?){0,6}") {
        let _ = listing(tabs(), Some(&text));
        let _ = deletion(Some(&text));
        let _ = upload(Some(&text), &Limits::default());
    }

    #[test]
    fn no_accept_header_makes_it_panic(text in "[ -~]{0,60}") {
        let _ = list_format(&accept(&text));
    }
}
