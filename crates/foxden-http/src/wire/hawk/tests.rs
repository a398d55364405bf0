//! Hawk against published vectors and malformed headers.

use proptest::prelude::*;

use super::*;

const STORAGE_KEY: &str = "geOSMk2ledqZhejKLwnKwtoSaLOJUWWoxw8kGbKPZ9s=";
const SESSION_KEY: &str = "9d8f22998ee7f5798b887042466b72d53e56ab0c094388bf65831f702d2febc0";

fn key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap()
}

fn request<'a>(method: &'a str, path: &'a str, host: &'a str) -> Signed<'a> {
    Signed {
        method,
        path: ["", path],
        host,
        port: 443,
    }
}

#[test]
fn storage_vectors_are_accepted() {
    let key = key(STORAGE_KEY.as_bytes());
    let get =
        r#"Hawk id="x", ts="1763690000", nonce="abc123", mac="Lb3bZ5F1cCeid96CEGIQhcufgKvzMRzk2eaz4tkc68U=""#;
    let get = value(get);
    let get = HawkHeader::parse(&get).unwrap();
    let path = "/1.5/42/storage/bookmarks?full=1&limit=2";
    assert!(get.is_signed_with(&key, &request("GET", path, "sync.example.org")));
    assert!(!get.is_signed_with(&key, &request("GET", path, "other.example.org")));
    assert!(!get.is_signed_with(&key, &request("PUT", path, "sync.example.org")));
    assert!(!get.is_signed_with(&key, &request("GET", "/1.5/42", "sync.example.org")));

    let put = r#"Hawk mac="zko+/pfrNGgPOeiyhDfrdPrDBwZknDxlAPonaQTatFQ=",hash="jmHzSyysKOC/NIDrUxA90eKJDFvHr2ce0Vnr9Kj1ETU=", nonce=abc124, ts=1763690000, id=x"#;
    let put = value(put);
    let put = HawkHeader::parse(&put).unwrap();
    let path = "/1.5/42/storage/bookmarks/a";
    assert!(put.is_signed_with(&key, &request("PUT", path, "sync.example.org")));
    assert!(put.has_hash_of("application/json; charset=utf-8", br#"{"payload":"x"}"#));
    assert!(!put.has_hash_of("application/json", br#"{"payload":"y"}"#));
}

#[test]
fn signatures_are_spelled_in_base64() {
    for byte in 0..=255_u8 {
        let signature: Vec<u8> = (0..32).map(|at| byte.wrapping_mul(at).wrapping_add(at)).collect();
        assert_eq!(
            in_base64(&signature).as_slice(),
            BASE64.encode(&signature).as_bytes()
        );
    }
}

#[test]
fn requests_are_signed_as_published() {
    let path = "/1.5/42/storage/bookmarks?full=1&limit=2";
    let request = request("GET", path, "sync.example.org");
    let header = sign("x", STORAGE_KEY.as_bytes(), &request, 1_763_690_000, "abc123");
    assert_eq!(
        header,
        r#"Hawk id="x", ts="1763690000", nonce="abc123", mac="Lb3bZ5F1cCeid96CEGIQhcufgKvzMRzk2eaz4tkc68U=""#
    );
}

#[test]
fn session_vectors_are_accepted() {
    let key = key(&data_encoding::HEXLOWER.decode(SESSION_KEY.as_bytes()).unwrap());
    let status =
        r#"Hawk id="x", ts="1700000000", nonce="abc123", mac="qXKbTED2k3EzhiGzBTlmHDS4mmUA5vWXRkG72eGOwIg=""#;
    let status = value(status);
    let status = HawkHeader::parse(&status).unwrap();
    let path = "/v1/session/status";
    assert!(status.is_signed_with(&key, &request("GET", path, "accounts.example.org")));

    let destroy = r#"hawk id="x", ts="1700000000", nonce="abc123", hash="vNZvU+y3rJKqH4hu1yxrNuaijNPgIJ2Rgj/sHzsQhXY=", mac="hL3S0BHyIUXaqOi7hkWM4TogXtniEdFW+UJTKbl87eY=""#;
    let destroy = value(destroy);
    let destroy = HawkHeader::parse(&destroy).unwrap();
    let path = "/v1/session/destroy?service=sync";
    assert!(destroy.is_signed_with(&key, &request("POST", path, "accounts.example.org")));
    assert!(destroy.has_hash_of("application/json", b"{}"));
}

#[test]
fn a_stripped_prefix_is_signed_with_the_rest() {
    let key = key(STORAGE_KEY.as_bytes());
    let get =
        r#"Hawk id="x", ts="1763690000", nonce="abc123", mac="Lb3bZ5F1cCeid96CEGIQhcufgKvzMRzk2eaz4tkc68U=""#;
    let signed = Signed {
        path: ["/1.5/42", "/storage/bookmarks?full=1&limit=2"],
        ..request("GET", "", "sync.example.org")
    };
    assert!(
        HawkHeader::parse(&value(get))
            .unwrap()
            .is_signed_with(&key, &signed)
    );
}

#[test]
fn a_missing_attribute_is_named() {
    for (header, error) in [
        ("", BadHawk::OtherScheme),
        ("Basic dTpw", BadHawk::OtherScheme),
        ("Hawk", BadHawk::Missing("ts")),
        ("Hawk ", BadHawk::Missing("ts")),
        (
            r#"Hawk id="", ts="1", nonce="n", mac="m""#,
            BadHawk::Missing("id"),
        ),
        (r#"Hawk id="a", ts="1", mac="m""#, BadHawk::Missing("nonce")),
        (r#"Hawk id="a", ts="1", nonce="n""#, BadHawk::Missing("mac")),
        (r#"Hawk id="a", ts="x", nonce="n", mac="m""#, BadHawk::Malformed),
        (
            r#"Hawk id="a", id="b", ts="1", nonce="n", mac="m""#,
            BadHawk::Malformed,
        ),
        (r#"Hawk id="a"#, BadHawk::Malformed),
        (r#"Hawk id="a"b"#, BadHawk::Malformed),
        ("Hawk id", BadHawk::Malformed),
        (r#"Hawk id="a", ts="1", nonce="n\n", mac="m""#, BadHawk::Malformed),
        (
            "Hawk id=\"a\", ts=\"1\", nonce=\"n\t\", mac=\"m\"",
            BadHawk::Malformed,
        ),
        (r#"Hawk id="a", ts="1", nonce="é", mac="m""#, BadHawk::Malformed),
    ] {
        assert_eq!(HawkHeader::parse(&value(header)).err(), Some(error), "{header}");
    }
    let long = format!(
        r#"Hawk id="{}", ts="1", nonce="n", mac="m""#,
        "x".repeat(MAX_HEADER)
    );
    assert_eq!(HawkHeader::parse(&value(&long)).err(), Some(BadHawk::Malformed));
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(header in r"Hawk [ -~\PC]{0,200}") {
        if let Ok(header) = HeaderValue::from_str(&header) {
            let _ = HawkHeader::parse(&header);
        }
    }

    #[test]
    fn no_list_of_members_makes_it_panic(
        members in prop::collection::vec((r"id|ts|nonce|mac|hash|ext|x|", r#"=|=""#, r"[0-9a-z é\\]{0,9}", r#"|"|", |,"#), 0..9)
    ) {
        let list: String = members.into_iter().flat_map(|(a, b, c, d)| [a, b, c, d]).collect();
        let header = value(&format!("Hawk {list}"));
        if let Ok(header) = HawkHeader::parse(&header) {
            prop_assert!(!header.is_signed_with(&key(b"k"), &request("GET", "/", "a")));
        }
    }
}
