//! Waiting times and statuses of credentials, in each of the three tables.

use axum::body::to_bytes;

use super::*;
use crate::wire::retry_after::{all_errors, retry_after_in};

type Table = fn(&Refusal) -> ErrorBody;

const TABLES: [(&str, Table); 3] = [
    ("accounts", auth::error_body),
    ("oauth", oauth::error_body),
    ("profile", profile::error_body),
];

/// The status, the seconds in the header, and the seconds in the member that stops all requests of a browser.
async fn status_and_wait(error_body: ErrorBody) -> (u16, Option<u64>, Option<u64>) {
    let (parts, body) = error_body.into_response().into_parts();
    let body: Value = serde_json::from_slice(&to_bytes(body, 9999).await.unwrap()).unwrap();
    let member = body.get("retryAfter");
    let member = member.map(|seconds| seconds.as_u64().expect("a whole number of seconds"));
    (parts.status.as_u16(), retry_after_in(&parts.headers), member)
}

/// Checks the waiting times of these errors in each table: in the header, and in the member.
async fn check<E: Into<Refusal> + std::fmt::Debug>(
    errors: impl IntoIterator<Item = E>,
    waits: impl Fn(&E) -> (Option<u64>, Option<u64>),
) {
    for error in errors {
        let (expected, described) = (waits(&error), format!("{error:?}"));
        let refusal = error.into();
        for (name, error_body) in TABLES {
            let (status, header, member) = status_and_wait(error_body(&refusal)).await;
            assert_eq!((header, member), expected, "{name}: {described}");
            let is_later = matches!(status, 429 | 503) && header.is_some();
            assert_eq!(is_later, header.is_some(), "{name}: {described}: {status}");
        }
    }
}

const fn wait_of(error: &Unavailable) -> (Option<u64>, Option<u64>) {
    match error {
        Unavailable::Busy | Unavailable::Database(_) => (Some(30), Some(30)),
        Unavailable::NullCharacter | Unavailable::Damaged(_) => (None, None),
    }
}

/// A16.42: a client that cannot be served must not throw a good credential away. A database that is down answers
/// like one that is busy.
/// V7.12, V7.13: only a server that cannot answer any other request stops all requests of a browser, and for half a
/// minute. The time of a limit concerns the request that met it.
#[tokio::test]
async fn only_server_failures_stop_all_calls_of_a_browser() {
    macro_rules! check_all {
        ($($errors:ident: $Error:ident $($limited:ident)?;)+) => {
            $(check(all_errors::$errors(), |error| match error {
                $($Error::$limited(_) => (Some(7), None),)?
                $Error::Unavailable(error) => wait_of(error),
                _ => (None, None),
            })
            .await;)+
        };
    }
    check_all! {
        sign_up_errors: SignUpError TooMany;
        sign_in_errors: SignInError TooMany;
        key_fetch_errors: KeyFetchError;
        confirm_errors: ConfirmError TooMany;
        password_errors: PasswordError TooMany;
        device_errors: DeviceError;
        oauth_errors: OAuthError;
        profile_errors: ProfileError;
        credential_errors: CredentialError;
    }
    check(all_errors::unavailable(), wait_of).await;
    check([Replayed], |_| (None, None)).await;
    check(all_errors::UNVERIFIED, |_| (None, None)).await;
    assert_eq!(auth::error_body(&Unavailable::Busy.into()).errno, 201);
    for (name, error_body) in TABLES {
        let (status, ..) = status_and_wait(error_body(&Unavailable::NullCharacter.into())).await;
        assert_eq!(status, 400, "{name}");
    }
}

/// Waiting does not help with mistakes of the client and features that are not offered.
#[tokio::test]
async fn permanent_errors_have_no_retry_after() {
    for (name, error_body) in TABLES {
        for refusal in [
            Refusal::NotJson,
            Refusal::Invalid("x"),
            Refusal::Missing("x"),
            Refusal::TooLarge,
            Refusal::IncompleteBody,
            Refusal::NoCredential("none"),
            Refusal::BadSignature("bad"),
            Refusal::Skewed(7),
            Refusal::WrongResponseType,
            Refusal::UnknownGrantType,
            Refusal::UnknownPicture,
            Refusal::NotCovered,
            Refusal::NotSupported,
            Refusal::Gone,
            Refusal::UnknownPath,
            Refusal::WrongMethod,
            Refusal::ForeignHost,
        ] {
            let (_, header, member) = status_and_wait(error_body(&refusal)).await;
            assert_eq!((header, member), (None, None), "{name}: {refusal:?}");
        }
    }
}

/// The layer that adds the link prints the whole body again.
#[tokio::test]
async fn a_refusal_with_a_link_has_the_same_retry_after() {
    let error_body = auth::error_body(&Unavailable::Busy.into());
    let response = error_body.print(Some("https://sync.example.org/docs/errors".to_owned()));
    assert_eq!(retry_after_in(response.headers()), Some(30));
    let body = to_bytes(response.into_body(), 9999).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["retryAfter"], 30);
}

#[test]
fn the_log_has_the_causes_of_an_error() {
    let error = OAuthError::ScopesRefused { scopes: "a b".into() };
    assert_eq!(Refusal::from(error).why(), "scopes not allowed");
    assert!(Refusal::Skewed(7).why().contains("a minute"));
}
