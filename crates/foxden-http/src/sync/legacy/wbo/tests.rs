//! The meaning of uploads, and that no body does harm.

use proptest::prelude::*;

use super::*;

/// The ids that are stored, and those that failed.
type Outcome = Result<(Vec<String>, Vec<(String, &'static str)>), ResponseCode>;

fn code(refusal: &Refusal) -> ResponseCode {
    match refusal {
        Refusal::Refused(code) => *code,
        other => panic!("{other:?}"),
    }
}

fn uploaded(body: &str) -> Outcome {
    let texts = |patches: &[Patch]| patches.iter().map(|patch| patch.id.to_string()).collect();
    match upload(body.as_bytes()) {
        Err(refusal) => Err(code(&refusal)),
        Ok(Upload::One(patch)) => Ok((texts(&[patch]), Vec::new())),
        Ok(Upload::Many(Objects { patches, failed })) => {
            let failed = failed.into_iter().map(|(id, reason)| (id.into_owned(), reason));
            Ok((texts(&patches), failed.collect()))
        }
    }
}

fn failed(body: &str) -> Vec<(String, &'static str)> {
    uploaded(body).unwrap().1
}

fn patch(body: &str) -> Result<Patch, ResponseCode> {
    let id = ObjectId::new("a").unwrap();
    one(id, body.as_bytes()).map_err(|refusal| code(&refusal))
}

#[test]
fn a_payload_makes_an_object_new_and_immortal() {
    let whole = patch(r#"{"payload":"x","sortindex":1,"parentid":"p","predecessorid":7}"#).unwrap();
    assert_eq!(whole.payload, Field::Set("x".to_owned()));
    assert_eq!(whole.sortindex, Field::Set(1));
    assert_eq!(whole.parent_id, Field::Set("p".to_owned()));
    assert_eq!(whole.predecessor_id, Field::Set("7".to_owned()));
    assert_eq!((whole.ttl, whole.renews), (Ttl::Never, true));

    let expiring = patch(r#"{"payload":"","ttl":"100"}"#).unwrap();
    assert_eq!((expiring.ttl, expiring.renews), (Ttl::In(100), true));
    let described = patch(r#"{"sortindex":3}"#).unwrap();
    assert_eq!((described.ttl, described.renews), (Ttl::Keep, false));
    assert_eq!(patch(r#"{"ttl":5}"#).unwrap().ttl, Ttl::In(5));
}

/// A new payload or parent changes the time of an object, other members do not.
#[test]
fn a_payload_or_a_parent_makes_an_object_news() {
    for (members, renews) in [
        (r#""payload":"x""#, true),
        (r#""payload":"""#, true),
        (r#""parentid":"p""#, true),
        (r#""parentid":"""#, true),
        (r#""parentid":7"#, true),
        (
            r#""parentid":"p","sortindex":1,"predecessorid":"q","ttl":9"#,
            true,
        ),
        (r#""payload":null,"parentid":null"#, false),
        (r#""sortindex":1,"predecessorid":"q","ttl":9"#, false),
        (r#""sortindex":1"#, false),
        (r#""predecessorid":"q""#, false),
        (r#""ttl":9"#, false),
        (r#""modified":1"#, false),
    ] {
        let single = patch(&format!("{{{members}}}")).unwrap();
        let list = format!(r#"[{{"id":"a",{members}}}]"#);
        let Ok(Upload::Many(Objects { patches, .. })) = upload(list.as_bytes()) else {
            panic!("{list}");
        };
        assert_eq!((single.renews, patches[0].renews), (renews, renews), "{members}");
    }
    // Another parent is no new payload: the object keeps its TTL.
    assert_eq!(patch(r#"{"parentid":"p"}"#).unwrap().ttl, Ttl::Keep);
}

#[test]
fn null_and_unknown_members_are_ignored() {
    let empty = Patch::empty(ObjectId::new("a").unwrap());
    for body in [
        "{}",
        r#"{"id":"other"}"#,
        r#"{"id":"a/b"}"#,
        r#"{"payload":null,"sortindex":null,"ttl":null,"parentid":null,"predecessorid":null,"id":null}"#,
        r#"{"modified":12,"collection":"c","username":"u","payload_size":"4"}"#,
        r#"{"modified":null,"foo":{"bar":[1,2]},"Payload":3}"#,
    ] {
        assert_eq!(patch(body), Ok(empty.clone()), "{body}");
    }
}

#[test]
fn of_two_members_of_one_name_the_later_counts() {
    assert_eq!(
        patch(r#"{"sortindex":1,"sortindex":2}"#).unwrap().sortindex,
        Field::Set(2)
    );
    assert_eq!(
        patch(r#"{"payload":5,"payload":"x"}"#).unwrap().payload,
        Field::Set("x".to_owned())
    );
}

/// D2.11, D2.12 of the storage API.
#[test]
fn a_sortindex_is_a_number_without_its_fraction() {
    for (value, meant) in [
        ("5", 5),
        ("5.5", 5),
        ("-5.5", -5),
        (r#""5.5""#, 5),
        (r#"" -7 ""#, -7),
        ("999999999", 999_999_999),
        ("-999999999.9", -999_999_999),
        ("-0.0", 0),
    ] {
        let read = patch(&format!(r#"{{"sortindex":{value}}}"#)).unwrap().sortindex;
        assert_eq!(read, Field::Set(meant), "{value}");
    }
    for value in [
        "1000000000",
        "9999999999",
        "-1000000000",
        "1e300",
        "true",
        "[]",
        "{}",
        r#""""#,
        r#""abc""#,
        r#""inf""#,
        r#""nan""#,
        r#""-infinity""#,
        r#""1e400""#,
        r#""0x10""#,
        r#""5 5""#,
    ] {
        let read = patch(&format!(r#"{{"sortindex":{value}}}"#));
        assert_eq!(read, Err(ResponseCode::BadObject), "{value}");
    }
}

/// D2.45 of the storage API.
#[test]
fn a_life_lasts_a_year_at_most() {
    for (value, meant) in [("0", 0), ("31536000", 31_536_000), (r#""60""#, 60), ("60.0", 60)] {
        let read = patch(&format!(r#"{{"ttl":{value}}}"#)).unwrap().ttl;
        assert_eq!(read, Ttl::In(meant), "{value}");
    }
    for value in [
        "-1", "31536001", "1.5", "1e300", r#""x""#, r#""1.5""#, r#""inf""#, "true", "[1]",
    ] {
        let read = patch(&format!(r#"{{"ttl":{value}}}"#));
        assert_eq!(read, Err(ResponseCode::BadObject), "{value}");
    }
}

/// D1.12 of the storage API, in 1.x.
#[test]
fn a_payload_has_a_quarter_of_a_megabyte_at_most() {
    let with = |length: usize| patch(&format!(r#"{{"payload":"{}"}}"#, "x".repeat(length)));
    assert!(with(262_144).is_ok());
    assert_eq!(with(262_145), Err(ResponseCode::BadObject));
    // Bytes count, not characters.
    let wide = format!(r#"{{"payload":"{}"}}"#, "é".repeat(131_073));
    assert_eq!(patch(&wide), Err(ResponseCode::BadObject));
}

/// D2.9, D2.10, D2.21 of the storage API.
#[test]
fn values_that_are_no_objects_are_refused_by_their_type() {
    for body in [
        "",
        "{",
        "[",
        "{\"payload\":\"x\"",
        "nul",
        "[1] 2",
        "{} {}",
        "\u{0}",
        "1e400",
        "{\"sortindex\":1e400}",
    ] {
        assert_eq!(patch(body), Err(ResponseCode::BadJson), "{body}");
        assert_eq!(uploaded(body), Err(ResponseCode::BadJson), "{body}");
    }
    for body in [
        "\"x\"",
        "5",
        "true",
        "null",
        "{\"foo\":1}",
        "{\"id\":[]}",
        "{\"id\":\"a\",\"ttl\":-1}",
    ] {
        assert_eq!(uploaded(body), Err(ResponseCode::BadObject), "{body}");
    }
    for body in [
        "[1]",
        "[]",
        "\"x\"",
        "5",
        "null",
        r#"{"payload":{"a":1}}"#,
        r#"{"payload":5}"#,
        r#"{"id":[]}"#,
        r#"{"modified":[]}"#,
    ] {
        assert_eq!(patch(body), Err(ResponseCode::BadObject), "{body}");
    }
    let latin = one(ObjectId::new("a").unwrap(), b"{\"payload\":\"\xe9\"}");
    assert_eq!(code(&latin.unwrap_err()), ResponseCode::BadJson);
}

#[test]
fn nested_values_are_skipped_without_being_built() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(patch(&format!(r#"{{"foo":{nested}}}"#)).map(drop), Ok(()));
    assert_eq!(
        patch(&format!(r#"{{"payload":{nested}}}"#)),
        Err(ResponseCode::BadObject)
    );
    assert_eq!(failed(&nested), [(String::new(), "invalid wbo")]);
    let open = &nested[..100_000];
    assert_eq!(uploaded(open), Err(ResponseCode::BadJson));
    assert_eq!(patch(&format!(r#"{{"foo":{open}"#)), Err(ResponseCode::BadJson));
}

/// D2.17 of the storage API.
#[test]
fn each_element_fails_for_its_own_reason() {
    let long = "x".repeat(70);
    let body = format!(
        r#"[{{"id":12,"payload":"x"}},{{"payload":"x"}},{{"id":"4","parentid":"{long}"}},
            {{"id":"5","predecessorid":"{long}"}},{{"id":"6","sortindex":"should-be-a-number"}}]"#
    );
    let reasons = [
        ("", "invalid id"),
        ("4", "invalid parentid"),
        ("5", "invalid predecessorid"),
        ("6", "invalid sortindex"),
    ];
    let reasons = reasons.map(|(id, reason)| (id.to_owned(), reason)).to_vec();
    assert_eq!(uploaded(&body), Ok((vec!["12".to_owned()], reasons)));

    let large = "x".repeat(262_145);
    for (element, id, reason) in [
        ("5", "", "invalid wbo"),
        ("[{}]", "", "invalid wbo"),
        (r#"{"id":null}"#, "", "invalid id"),
        (r#"{"id":true}"#, "", "invalid id"),
        (r#"{"id":["a"]}"#, "", "invalid id"),
        (r#"{"id":""}"#, "", "invalid id"),
        (r#"{"id":"a\nb"}"#, "a\nb", "invalid id"),
        (&format!(r#"{{"id":"{long}"}}"#), &long, "invalid id"),
        (r#"{"id":"a","ttl":-1}"#, "a", "invalid ttl"),
        (r#"{"id":"a","payload":5}"#, "a", "payload not a string"),
        (r#"{"id":"a","payload":{"b":1}}"#, "a", "payload not a string"),
        (r#"{"id":"a","parentid":{}}"#, "a", "invalid parentid"),
        (r#"{"id":"a","modified":{}}"#, "a", "invalid wbo"),
        (
            r#"{"id":"a","sortindex":"x","ttl":-1,"payload":5}"#,
            "a",
            "invalid sortindex",
        ),
        (
            &format!(r#"{{"id":"a","payload":"{large}"}}"#),
            "a",
            "payload too large",
        ),
    ] {
        assert_eq!(
            failed(&format!("[{element}]")),
            [(id.to_owned(), reason)],
            "{element:.80}"
        );
    }
}

/// Every id that form history has, and more, is stored.
#[test]
fn an_id_may_hold_any_character_but_controls() {
    for id in [
        "Qk3/aB7x+Zr9LmWd",
        "a+b/c==",
        "//",
        " a ",
        "{a-b}",
        "a,b;c!d%e~",
        "é",
        "\u{1f98a}",
    ] {
        let body = format!(r#"[{{"id":"{id}","payload":"x"}}]"#);
        assert_eq!(uploaded(&body), Ok((vec![id.to_owned()], Vec::new())));
    }
}

#[test]
fn of_several_failures_under_one_id_the_first_is_told() {
    let body = r#"[5,{"ttl":1},{"id":"a","ttl":-1},{"id":"a","sortindex":"x"}]"#;
    let told = [("", "invalid wbo"), ("a", "invalid ttl")];
    assert_eq!(failed(body), told.map(|(id, reason)| (id.to_owned(), reason)));
}

/// D2.18, D2.19 of the storage API.
#[test]
fn objects_beyond_the_limit_may_be_sent_again() {
    let elements: Vec<String> = (0..105).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let (stored, failed) = uploaded(&format!("[{}]", elements.join(","))).unwrap();
    assert_eq!((stored.len(), failed.len()), (100, 5));
    assert!(failed.iter().all(|(_, reason)| *reason == "retry wbo"));

    let sized = |lengths: &[usize]| {
        let element =
            |(id, length): (usize, &usize)| format!(r#"{{"id":{id},"payload":"{}"}}"#, "x".repeat(*length));
        let elements: Vec<String> = lengths.iter().enumerate().map(element).collect();
        let (stored, failed) = uploaded(&format!("[{}]", elements.join(","))).unwrap();
        assert!(failed.iter().all(|(_, reason)| *reason == "retry bytes"));
        stored.join(",")
    };
    assert_eq!(sized(&[215_040; 5]), "0,1,2,3");
    // An upload that reaches the limit is too large, and no later element with a payload is stored.
    assert_eq!(sized(&[262_144, 262_144, 262_144, 262_143]), "0,1,2,3");
    assert_eq!(sized(&[262_144, 262_144, 262_144, 262_144]), "0,1,2");
    assert_eq!(sized(&[262_144, 262_144, 262_144, 262_144, 1, 0]), "0,1,2");
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in r#"[\[\]{},:"0-9.e\-a-z]{0,60}"#, members in r#"("(id|payload|sortindex|ttl|parentid)":("[a-z0-9/\\u]{0,5}"|-?[0-9]{1,3}(\.[0-9]+)?|null|\[\]),?){0,4}"#) {
        let _ = uploaded(&body);
        let _ = patch(&body);
        let members = members.trim_end_matches(',');
        let _ = patch(&format!("{{{members}}}"));
        let _ = uploaded(&format!("[{{{members}}},{{{members}}}]"));
    }
}
