//! A whole request for the User API, for an existing account. The input gives the end of its path, a header and its body:
//! see `RequestInput::parse`.

use std::cell::RefCell;

use axum::http::header::{AUTHORIZATION, HeaderValue};
use foxden_fuzz::{BlockingServer, Recreated, RequestInput, request};

/// Basic credentials of `ann`.
const ANN: HeaderValue = HeaderValue::from_static("Basic YW5uOmNvcnJlY3QgaG9yc2U=");
/// The secret with which programs create accounts.
const ADMIN_SECRET: &str = "an administrator's word";

thread_local! {
    static SERVER: RefCell<Recreated<BlockingServer>> = const { RefCell::new(Recreated::every(500, open)) };
}

/// Sends the request of one input.
pub fn fuzz(bytes: &[u8]) {
    SERVER.with_borrow_mut(|server| {
        let server = server.next();
        let input = RequestInput::parse(bytes, &ROUTES, &HEADERS);
        let request =
            input.and_then(|input| input.into_request(BlockingServer::PRIVATE_HOST, &[(AUTHORIZATION, ANN)]));
        let Some(request) = request else {
            return;
        };
        let answer = server.send(request);
        answer.check_status();
        if answer.is_json {
            serde_json::from_slice::<Option<u8>>(&answer.body).expect("a JSON response is a number, or null");
        }
    });
}

const ROUTES: [(&str, &str); 14] = [
    ("GET", "/user/"),
    ("GET", "/user/1.0/"),
    ("PUT", "/user/1.0/"),
    ("PUT", "/user/1.0/bea"),
    ("DELETE", "/user/1.0/ann"),
    ("GET", "/user/1.0/ann/node/weave"),
    ("GET", "/user/1.0/ann/password_reset?captcha-challenge="),
    ("DELETE", "/user/1.0/ann/password_reset?"),
    ("POST", "/user/1.0/ann/password"),
    ("POST", "/user/1.0/ann/email"),
    ("POST", "/user/1.0/"),
    ("GET", "/misc/1.0/captcha_html"),
    ("GET", "/misc/"),
    ("OPTIONS", "/user/1.0/ann"),
];
const HEADERS: [&str; 8] = [
    "authorization",
    "x-weave-secret",
    "x-weave-password-reset",
    "content-type",
    "origin",
    "user-agent",
    "content-length",
    "x-forwarded-for",
];

/// A server with Ann's account.
fn open() -> BlockingServer {
    let server = BlockingServer::open(&[
        ("accounts.sign_up", "open"),
        ("accounts.captcha", "question"),
        ("accounts.admin_secret", ADMIN_SECRET),
    ]);
    let body = br#"{"email":"ann@example.org","password":"correct horse"}"#;
    let request = request(
        BlockingServer::PRIVATE_HOST,
        "PUT",
        "/user/1.0/ann",
        body.to_vec(),
    );
    let mut request = request.expect("a request");
    let secret = HeaderValue::from_static(ADMIN_SECRET);
    request.headers_mut().insert("x-weave-secret", secret);
    let answer = server.send(request);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    server
}
