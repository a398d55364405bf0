//! Basic credentials as clients send them, and malformed ones.

use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn headers(values: &[&[u8]]) -> HeaderMap {
    let values = values.iter().map(|value| HeaderValue::from_bytes(value).unwrap());
    values.map(|value| (header::AUTHORIZATION, value)).collect()
}

fn read(pair: &[u8]) -> Result<Basic, NoBasic> {
    Basic::read(&headers(&[format!("Basic {}", BASE64.encode(pair)).as_bytes()]))
}

fn name_and_password(pair: &[u8]) -> (String, String) {
    let basic = read(pair).unwrap();
    (basic.name, basic.password)
}

#[test]
fn a_pair_is_split_at_the_first_colon() {
    for (pair, name, password) in [
        ("ann:secret", "ann", "secret"),
        ("Ann.B_c-1:se:cr:et", "ann.b_c-1", "se:cr:et"),
        ("ann:", "ann", ""),
        ("ann: a b ", "ann", " a b "),
        ("ann:\0", "ann", "\0"),
    ] {
        let both = (name.to_owned(), password.to_owned());
        assert_eq!(name_and_password(pair.as_bytes()), both, "{pair}");
    }
}

/// Such a password comes as UTF-8 or with one byte for each character.
#[test]
fn a_password_is_utf_8_or_else_iso_8859_1() {
    assert_eq!(name_and_password("ann:é€".as_bytes()).1, "é€");
    assert_eq!(name_and_password(b"ann:\xe9").1, "é");
    assert_eq!(name_and_password(b"ann:na\xefve \x80\xff").1, "naïve \u{80}ÿ");
}

#[test]
fn an_address_means_the_name_that_follows_from_it() {
    for (address, name) in [
        ("sync@example.com", "h556uyifil2npdqhtpip45uz4zkj2llp"),
        ("Sync@Example.COM", "h556uyifil2npdqhtpip45uz4zkj2llp"),
        ("new@example.com", "7ioseqrtlsocvds5kgdrs7rvr3tur2lj"),
    ] {
        let basic = read(format!("{address}:secret").as_bytes()).unwrap();
        assert_eq!(basic.name, name);
        assert!(basic.is_for(name) && !basic.is_for(address), "{address}");
    }
}

/// Clients hash what was typed, servers once hashed its ASCII form.
#[test]
fn an_address_beyond_ascii_means_either_name() {
    let basic = read("tést@exämple.com:secret".as_bytes()).unwrap();
    assert_eq!(basic.name, "nrrsl7423nhkobui3axjh3dzikuzfnme");
    assert!(basic.is_for("nrrsl7423nhkobui3axjh3dzikuzfnme"));
    assert!(basic.is_for("ndqt46wgjd4m4ua47baoidk4xtliggiy"));
    assert!(!basic.is_for("h556uyifil2npdqhtpip45uz4zkj2llp"));
}

#[test]
fn credentials_are_for_one_name() {
    let basic = read(b"Ann:secret").unwrap();
    assert!(basic.is_for("ann"));
    for other in ["", "an", "anna", "bea", "Ann"] {
        assert!(!basic.is_for(other), "{other}");
    }
}

#[test]
fn the_scheme_may_be_spelled_in_any_case() {
    for scheme in ["Basic", "basic", "BASIC"] {
        assert!(Basic::read(&headers(&[format!("{scheme} YTpi").as_bytes()])).is_ok());
    }
}

#[test]
fn each_fault_of_the_header_has_its_error() {
    let long = format!("Basic {}", "YWFh".repeat(MAX_HEADER / 4));
    for (values, why) in [
        (&[][..], NoBasic::Anonymous),
        (&[&b"Basic YTpi"[..], b"Basic YTpi"], NoBasic::Doubled),
        (&[b"Basic YTpi", b"Hawk id=1"], NoBasic::Doubled),
        (&[b""], NoBasic::OtherScheme),
        (&[b"Bearer YTpi"], NoBasic::OtherScheme),
        (&[b"BasicYTpi"], NoBasic::OtherScheme),
        (&[b"Basic\tYTpi"], NoBasic::OtherScheme),
        (&[b"Basic"], NoBasic::Malformed),
        (&[b"Basic !!!!"], NoBasic::Malformed),
        (&[b"Basic YTpi YTpi"], NoBasic::Malformed),
        (&[b"Basic YTpi,Basic YTpi"], NoBasic::Malformed),
        (&[b"Basic \xff\xfe"], NoBasic::Malformed),
        (&[b"Basic YWFh"], NoBasic::Malformed),
        (&[long.as_bytes()], NoBasic::Malformed),
    ] {
        assert_eq!(Basic::read(&headers(values)), Err(why), "{values:?}");
    }
    let long = "a".repeat(33);
    for name in [
        "", "a b", "ann/bea", "ann\0", "ännchen", "a%40b", "\u{130}", "@", "ann@", &long,
    ] {
        let pair = format!("{name}:secret");
        assert_eq!(read(pair.as_bytes()), Err(NoBasic::BadName), "{name}");
    }
}

#[test]
fn a_password_does_not_show() {
    let shown = format!("{:?}", read(b"ann:secret").unwrap());
    assert!(shown.contains("ann") && !shown.contains("secret"));
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(value in prop::collection::vec(any::<u8>(), 0..60), pair: Vec<u8>) {
        let _ = Basic::parse(&value);
        let _ = Basic::parse(&[b"basic ", &value[..]].concat());
        if let Ok(basic) = read(&pair) {
            prop_assert!(basic.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)));
        }
    }
}
