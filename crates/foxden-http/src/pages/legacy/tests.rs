//! The forms for old clients: addresses, headers, and input that no browser sends.

use axum::Extension;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::HOST;
use foxden_accounts::{
    LegacyLoginError, LegacyResetError, MIGRATIONS, Nodes, Options, Parts, ResetRequestError, Unavailable,
};
use foxden_model::{ManualClock, SeededRng};
use foxden_sql::Database;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tower::ServiceExt;

use super::errors::FieldError;
use super::*;
use crate::pages::{PagesState, ServerStatus, router};
use crate::wire::retry_after::{all_errors, retry_after_in};
use crate::wire::{Peer, Site};

struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

async fn open(public_url: &str) -> Router {
    let clock = Arc::new(ManualClock::at_millis(1_763_690_000_000));
    let parts = Parts {
        database: Database::in_memory(MIGRATIONS).await.unwrap(),
        clock: Arc::clone(&clock) as _,
        rng: Arc::new(SeededRng::new(1)),
        nodes: Nodes::Own(public_url.to_owned()),
        options: Options::default(),
    };
    let server_status = ServerStatus {
        storage_answers: None,
        has_accounts: None,
    };
    let state = PagesState {
        site: Arc::new(Site {
            public_url: public_url.parse().unwrap(),
            is_loopback: false,
            other_hosts: Vec::new(),
        }),
        clock,
        sign_up: None,
        contact: None,
        sends_mail: false,
        legacy: Some(LegacyPages {
            accounts: Accounts::open(parts).await.unwrap(),
            storage: None,
            captcha: None,
            task_spawner: Arc::new(|work| drop(Handle::current().spawn(work))),
            memory: Arc::default(),
            key_exchange_url: None,
        }),
        server_status: Arc::new(move || Box::pin(async move { server_status })),
    };
    let peer = Peer {
        address: [192, 0, 2, 1].into(),
        is_direct: false,
    };
    router(state).layer(Extension(peer))
}

async fn send(router: &Router, method: &str, path: &str, body: impl Into<Body>) -> TestResponse {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "sync.example.org");
    let answer = router
        .clone()
        .oneshot(request.body(body.into()).unwrap())
        .await
        .unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    TestResponse {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.into()).unwrap(),
    }
}

#[tokio::test]
async fn the_forms_are_where_clients_look_for_them() {
    let router = open("https://sync.example.org/den").await;
    for path in [
        "/weave-password-reset",
        "/weave-password-reset/",
        "/den/weave-password-reset",
        "/den/weave-password-reset/",
        "/weave-delete-account",
        "/weave-delete-account/",
        "/den/weave-delete-account",
        "/media/foxden.css",
        "/den/media/mark.svg",
    ] {
        assert_eq!(
            send(&router, "GET", path, "").await.status,
            StatusCode::OK,
            "{path}"
        );
    }
    for path in [
        "/media/",
        "/media/nothing.css",
        "/media/..",
        "/media/../foxden.css",
        "/media/%2e%2e%2ffoxden.css",
        "/media/assets/foxden.css",
        "/media/foxden.css/",
        "/den/den/weave-password-reset",
        "/weave-password-reset/x",
    ] {
        let answer = send(&router, "GET", path, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = send(&router, method, "/weave-password-reset", "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_form_is_refused() {
    let router = open("https://sync.example.org").await;
    let large = format!("username={}", "a".repeat(20_000));
    for body in [large.as_bytes(), b"username=\xff", b"username=%ff"] {
        for path in ["/weave-password-reset", "/weave-delete-account"] {
            let answer = send(&router, "POST", path, body.to_vec()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            assert!(answer.text.contains("Nothing was changed") || answer.text.contains("not complete"));
        }
    }
}

#[tokio::test]
async fn a_code_in_the_url_is_not_leaked() {
    let router = open("https://sync.example.org").await;
    let page = send(
        &router,
        "GET",
        "/weave-password-reset?username=ann&key=ABCD-EFGH-JKLM-NPQR",
        "",
    )
    .await;
    assert_eq!(page.headers["referrer-policy"], REFERRER);
    assert!(
        page.text
            .contains("<meta name=\"referrer\" content=\"strict-origin\">")
    );
    assert_eq!(page.headers["cache-control"], "no-store");
    // Browsers would follow such a link with the code in their URL.
    assert!(!page.text.contains("href=\"http"));
}

/// U13.50: content of the URL is shown as text.
#[tokio::test]
async fn nothing_typed_becomes_markup() {
    let router = open("https://sync.example.org").await;
    let evil = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%27%26";
    for (method, path, body) in [
        ("GET", format!("/weave-password-reset?key={evil}"), String::new()),
        (
            "GET",
            format!("/weave-password-reset?key={evil}&username={evil}&error={evil}"),
            String::new(),
        ),
        (
            "POST",
            "/weave-password-reset".to_owned(),
            format!("username={evil}"),
        ),
        (
            "POST",
            "/weave-password-reset".to_owned(),
            format!("username={evil}&key={evil}&password={evil}"),
        ),
    ] {
        let page = send(&router, method, &path, body).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(
            !page.text.contains("<script") && !page.text.contains("alert(1)<"),
            "{}",
            page.text
        );
    }
}

#[test]
fn every_phrase_that_clients_look_for_is_said() {
    for (field_error, phrase) in [
        (FieldError::NameMissing, "Username not provided"),
        (FieldError::Unknown, "unable to locate your account"),
        (FieldError::PasswordMissing, "Password not provided"),
        (FieldError::Differs, "do not match"),
        (FieldError::Short { count: 7 }, "at least 8"),
        (FieldError::OwnName, "at least 8"),
        (FieldError::WrongKey, "Key does not match with username"),
        (FieldError::ChangeFailed, "Password change failed"),
        (
            FieldError::DataMissing {
                name: true,
                password: true,
            },
            "Missing data",
        ),
        (FieldError::BadCredentials, "Bad credentials"),
        (FieldError::DeletionFailed, "Deletion failed."),
    ] {
        assert!(field_error.text().contains(phrase), "{phrase}");
    }
}

/// A page without a form names a time where waiting helps, and no other.
#[test]
fn a_page_says_how_long_to_wait() {
    macro_rules! check {
        ($($errors:ident: $Error:ident;)+) => {
            $(for error in all_errors::$errors() {
                let wait = match &error {
                    $Error::TooMany(_) => Some(7),
                    $Error::Unavailable(Unavailable::Busy) => Some(30),
                    $Error::Unavailable(Unavailable::Database(_)) => Some(300),
                    _ => None,
                };
                let described = format!("{error:?}");
                let errors::FormFailure::Page(page_error, why) = errors::FormFailure::from(error) else {
                    assert_eq!(wait, None, "{described}");
                    continue;
                };
                let told = retry_after_in(refused(Response::default(), page_error, why).headers());
                // Errors that no form can have are reported as a server that does not answer.
                let is_odd = wait.is_none() && page_error == errors::PageError::Down;
                assert!(told == wait || is_odd && told == Some(300), "{described}: {told:?}");
            })+
        };
    }
    check! {
        reset_request_errors: ResetRequestError;
        legacy_reset_errors: LegacyResetError;
        legacy_login_errors: LegacyLoginError;
    }
}
