//! What refusals say of waiting and of credentials, in each of the three tables.

use axum::body::to_bytes;
use foxden_accounts::AccountError;

use super::*;
use crate::wire::wait::{every, wait_in};

type Table = fn(&Refusal) -> Words;

const TABLES: [(&str, Table); 3] = [
    ("accounts", auth::words),
    ("oauth", oauth::words),
    ("profile", profile::words),
];

/// The status, the seconds in the header, and those in the member that stops all calls of a browser.
async fn told(words: Words) -> (u16, Option<u64>, Option<u64>) {
    let (parts, body) = words.into_response().into_parts();
    let body: Value = serde_json::from_slice(&to_bytes(body, 9999).await.unwrap()).unwrap();
    let member = body.get("retryAfter");
    let member = member.map(|seconds| seconds.as_u64().expect("a whole number of seconds"));
    (parts.status.as_u16(), wait_in(&parts.headers), member)
}

/// A16.42: whoever cannot be served must not throw a good credential away. A database that is down
/// has the words of one that is busy.
/// V7.12, V7.13: only a server that could answer no other call either stops all calls of a browser, and for
/// half a minute. How long a limit lasts concerns the call that met it.
#[tokio::test]
async fn only_a_server_in_need_stops_all_calls_of_a_browser() {
    for (name, words) in TABLES {
        for error in every::account_errors() {
            let waits = match &error {
                AccountError::Busy | AccountError::Unavailable(_) => (Some(30), Some(30)),
                AccountError::TooMany { .. } => (Some(7), None),
                AccountError::NoRoom => (Some(1800), None),
                _ => (None, None),
            };
            let described = format!("{name}: {error:?}");
            let (status, header, member) = told(words(&error.into())).await;
            assert_eq!((header, member), waits, "{described}");
            let is_later = matches!(status, 429 | 503) && header.is_some();
            assert_eq!(is_later, header.is_some(), "{described}: {status}");
        }
    }
    assert_eq!(auth::words(&AccountError::Busy.into()).errno, 201);
}

/// What a client did wrong, or what is not offered, does not pass by waiting.
#[tokio::test]
async fn what_waiting_does_not_mend_names_no_time() {
    for (name, words) in TABLES {
        for refusal in [
            Refusal::NotJson,
            Refusal::Invalid("x"),
            Refusal::Missing("x"),
            Refusal::TooLarge,
            Refusal::Broken,
            Refusal::NoCredential("none"),
            Refusal::BadSignature("bad"),
            Refusal::Skewed(7),
            Refusal::WrongResponseType,
            Refusal::UnknownGrantType,
            Refusal::NoImage,
            Refusal::Off,
            Refusal::Retired,
            Refusal::UnknownPath,
            Refusal::WrongMethod,
            Refusal::ForeignHost,
        ] {
            let (_, header, member) = told(words(&refusal)).await;
            assert_eq!((header, member), (None, None), "{name}: {refusal:?}");
        }
    }
}

/// The layer that names the page of errors prints the answer anew, with all that it says.
#[tokio::test]
async fn an_explained_refusal_says_the_same() {
    let words = auth::words(&AccountError::Busy.into());
    let response = words.print(Some("https://sync.example.org/docs/errors".to_owned()));
    assert_eq!(wait_in(response.headers()), Some(30));
    let body = to_bytes(response.into_body(), 9999).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["retryAfter"], 30);
}

#[test]
fn the_log_is_told_what_lies_beneath() {
    let note = AccountError::ScopesRefused { scopes: "a b".into() };
    assert_eq!(Refusal::from(note).why(), "scopes not allowed");
    assert!(Refusal::Skewed(7).why().contains("a minute"));
}
