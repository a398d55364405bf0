//! Tests of parsing uploads, also hostile ones.

use proptest::prelude::*;

use super::*;

const SMALL: Limits = Limits {
    max_request_bytes: 1000,
    max_record_payload_bytes: 10,
    max_post_records: 2,
    max_post_bytes: 12,
    max_total_records: 4,
    max_total_bytes: 24,
    max_open_bytes: 24,
    batches: true,
};

/// The ids that are stored, and those that failed.
type Outcome = Result<(Vec<String>, Vec<(String, &'static str)>), ResponseCode>;

fn collection(name: &str) -> CollectionName {
    CollectionName::new(name).unwrap()
}

fn put(body: &str) -> Result<Patch, ResponseCode> {
    one(
        collection("tabs"),
        ObjectId::new("a").unwrap(),
        body.as_bytes(),
        &SMALL,
    )
    .map_err(code)
}

fn post(body: &str) -> Outcome {
    names(list(collection("tabs"), body.as_bytes(), &SMALL))
}

fn post_lines(body: &str) -> Outcome {
    names(lines(collection("tabs"), body.as_bytes(), &SMALL))
}

fn names(read: Result<Objects<'_>, Refusal>) -> Outcome {
    let objects = read.map_err(code)?;
    let stored = objects.patches.iter().map(|patch| patch.id.to_string()).collect();
    let failed = objects
        .failed
        .into_iter()
        .map(|(id, reason)| (id.into_owned(), reason))
        .collect();
    Ok((stored, failed))
}

fn code(refusal: Refusal) -> ResponseCode {
    match refusal {
        Refusal::BadRequest(code) => code,
        other => panic!("{other:?}"),
    }
}

/// A member of null is not the same for each: an id that is null is not given, the others go back to what they are by
/// themselves. In a list each element needs an id.
#[test]
fn null_means_by_itself_or_not_given() {
    let given = |body| put(body).unwrap();
    let with_id = given(r#"{"id":null,"payload":"x"}"#);
    assert_eq!(with_id.id.as_str(), "a");
    assert_eq!(with_id, given(r#"{"payload":"x"}"#));
    assert_eq!(given(r#"{"id":null}"#), given("{}"));
    assert_eq!(
        given(r#"{"id":null,"id":"b","payload":"x"}"#),
        given(r#"{"payload":"x"}"#)
    );
    let cleared = given(r#"{"id":null,"payload":null,"sortindex":null,"ttl":null,"modified":null}"#);
    assert_eq!(
        (&cleared.payload, &cleared.sortindex),
        (&Field::Clear, &Field::Clear)
    );
    assert_eq!((cleared.ttl, cleared.renews), (Ttl::Never, true));
    assert_eq!(put(r#"{"id":null,"foo":null}"#), Err(ResponseCode::BadObject));

    let cleared = r#"[{"id":"a","payload":null,"sortindex":null,"ttl":null,"collection":null}]"#;
    assert_eq!(post(cleared), Ok((vec!["a".to_owned()], Vec::new())));
    let unknown = vec![("a".to_owned(), "unknown field")];
    assert_eq!(post(r#"[{"id":"a","foo":null}]"#), Ok((Vec::new(), unknown)));
    for id in ["null", "1", "true", "[]"] {
        let body = format!(r#"{{"id":{id},"payload":"x"}}"#);
        assert_eq!(post(&format!("[{body}]")), Err(ResponseCode::BadObject), "{body}");
        assert_eq!(post_lines(&body), Err(ResponseCode::BadObject), "{body}");
        assert_eq!(put(&body).is_ok(), id == "null", "{body}");
    }
}

#[test]
fn one_object_is_read() {
    let patch = put(r#"{"id":"b","payload":"x\n","sortindex":-42,"ttl":10,"modified":1,"collection":[]}"#);
    let patch = patch.unwrap();
    assert_eq!(patch.id.as_str(), "a");
    assert_eq!(patch.payload, Field::Set("x\n".into()));
    assert_eq!((patch.sortindex, patch.ttl), (Field::Set(-42), Ttl::In(10)));
    assert!(patch.renews);

    let patch = put(r#"{"payload":null,"sortindex":"12","ttl":null}"#).unwrap();
    assert_eq!((patch.payload, patch.sortindex), (Field::Clear, Field::Set(12)));
    assert_eq!(patch.ttl, Ttl::Never);
    assert!(!put(r#"{"ttl":1}"#).unwrap().renews);
    assert_eq!(put("{}"), Ok(Patch::empty(ObjectId::new("a").unwrap())));
}

#[test]
fn values_that_are_no_objects_are_refused() {
    for body in [
        r#""abc""#,
        "[]",
        "42",
        "null",
        r#"{"payload":1}"#,
        r#"{"foo":1}"#,
        r#"{"id":5}"#,
    ] {
        assert_eq!(put(body), Err(ResponseCode::BadObject), "{body}");
    }
    for body in [
        r#"{"ttl":-1}"#,
        r#"{"ttl":1.5}"#,
        r#"{"ttl":1000000000}"#,
        r#"{"ttl":"10"}"#,
    ] {
        assert_eq!(put(body), Err(ResponseCode::BadObject), "{body}");
    }
    for number in [
        "1e3",
        r#""2.6""#,
        "2.6",
        "1000000000",
        r#""1000000000""#,
        "true",
        "1e99",
        "[1]",
    ] {
        let body = format!(r#"{{"sortindex":{number}}}"#);
        assert_eq!(put(&body), Err(ResponseCode::BadObject), "{body}");
    }
    for body in ["", "{bad", "{} x", r#"{"payload":"x}"#, "\u{0}"] {
        assert_eq!(put(body), Err(ResponseCode::BadJson), "{body}");
    }
    assert_eq!(put(r#"{"payload":"12345678901"}"#), Err(ResponseCode::BadObject));
}

#[test]
fn deeply_nested_values_are_skipped() {
    let deep = format!(r#"{{"payload":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(put(&deep), Err(ResponseCode::BadObject));
    let unended = format!("[{}", "{\"id\":".repeat(100_000));
    assert!(post(&unended).is_err());
}

#[test]
fn of_two_members_the_later_counts() {
    assert_eq!(
        put(r#"{"payload":"x","payload":"y"}"#).unwrap().payload,
        Field::Set("y".into())
    );
}

#[test]
fn a_list_stores_its_valid_objects() {
    let body = r#"[{"id":"a","payload":"x"},{"id":"b","sortindex":"bad"},{"id":"é"},{"id":"c","new":1}]"#;
    let failed = [
        ("b", "invalid sortindex"),
        ("é", "invalid id"),
        ("c", "unknown field"),
    ];
    let failed: Vec<_> = failed.map(|(id, reason)| (id.to_owned(), reason)).into();
    assert_eq!(post(body), Ok((vec!["a".into()], failed)));
    assert_eq!(
        post(r#"[{"id":"a"},{"id":"b"},{"id":"c"}]"#).unwrap().1,
        [("c".into(), RETRY_OBJECT)]
    );
    let body =
        r#"[{"id":"a","payload":"12345"},{"id":"b","payload":"12345678"},{"id":"c","payload":"1234567"}]"#;
    assert_eq!(
        post(body),
        Ok((vec!["a".into(), "c".into()], vec![("b".into(), RETRY_BYTES)]))
    );
}

#[test]
fn some_elements_spoil_the_whole_list() {
    for body in [
        r#"{"id":"a"}"#,
        r#""x""#,
        "42",
        r#"["x"]"#,
        "[[]]",
        r#"[{"payload":"x"}]"#,
        r#"[{"id":1}]"#,
        r#"[{"id":null}]"#,
        r#"[{"id":"a"},{"id":"a"}]"#,
        r#"[{"id":"a"},{"id":"\u0061"}]"#,
    ] {
        assert_eq!(post(body), Err(ResponseCode::BadObject), "{body}");
    }
    for body in ["", "[", r#"[{"id":"a"}"#, r#"[{"id":"\ud800"}]"#] {
        assert_eq!(post(body), Err(ResponseCode::BadJson), "{body}");
    }
}

#[test]
fn lines_are_read_one_by_one() {
    for body in [
        "{\"id\":\"a\"}\n{\"id\":\"b\"}",
        "{\"id\":\"a\"}\n{\"id\":\"b\"}\n",
    ] {
        assert_eq!(post_lines(body).unwrap().0, ["a", "b"], "{body}");
    }
    assert_eq!(post_lines("").unwrap().0.len(), 0);
    for body in [
        "\n",
        "{}",
        "[]",
        "{\"id\":\"a\"}\n\n{\"id\":\"b\"}",
        "{\"id\":\"a\"}\n\n",
    ] {
        assert!(post_lines(body).is_err(), "{body:?}");
    }
}

#[test]
fn keys_encrypted_with_nothing_are_refused() {
    let bad = r#"{"id":"keys","payload":"{\"IV\": \"AAAAAAAAAAAAAAAAAAAAAA==\"}"}"#;
    let limits = Limits::default();
    let id = ObjectId::new("keys").unwrap();
    assert!(one(collection("crypto"), id.clone(), bad.as_bytes(), &limits).is_err());
    assert!(one(collection("bookmarks"), id, bad.as_bytes(), &limits).is_ok());
    assert!(list(collection("crypto"), format!("[{bad}]").as_bytes(), &limits).is_err());
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in r#"[\[\]{}":,\\0-9a-zé-]{0,60}"#) {
        let _ = (put(&body), post(&body), post_lines(&body));
    }

    #[test]
    fn stored_objects_equal_the_sent_ones(payload in r"\PC{0,2}|[\x00-\x1f\\/]{0,6}") {
        let body = serde_json::json!({ "payload": payload }).to_string();
        prop_assert_eq!(put(&body).unwrap().payload, Field::Set(payload));
    }
}
