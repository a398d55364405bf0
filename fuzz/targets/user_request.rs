//! A whole request for the User API, about an account that is there: the end of its path, a header and its body are
//! hostile. The first two bytes choose where it goes and which header; two lines and the rest follow.

use std::cell::RefCell;

use axum::http::header::{AUTHORIZATION, HeaderValue};
use foxden_fuzz::{Aimed, Host, Renewed, request};

/// `ann` and her password, as Basic says them.
const ANN: HeaderValue = HeaderValue::from_static("Basic YW5uOmNvcnJlY3QgaG9yc2U=");
/// What lets a program make accounts.
const ADMIN_SECRET: &str = "an administrator's word";

thread_local! {
    static HOST: RefCell<Renewed<Host>> = const { RefCell::new(Renewed::every(500, open)) };
}

/// Sends the request of one input.
pub fn fuzz(bytes: &[u8]) {
    HOST.with_borrow_mut(|host| {
        let host = host.next();
        let aimed = Aimed::read(bytes, &PLACES, &HEADERS);
        let request = aimed.and_then(|aimed| aimed.over(Host::PRIVATE, &[(AUTHORIZATION, ANN)]));
        let Some(request) = request else {
            return;
        };
        let answer = host.ask(request);
        answer.check_status();
        if answer.is_json {
            serde_json::from_slice::<Option<u8>>(&answer.body)
                .expect("what says it is JSON is a number, or null");
        }
    });
}

const PLACES: [(&str, &str); 14] = [
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
fn open() -> Host {
    let host = Host::open(&[
        ("accounts.sign_up", "open"),
        ("accounts.captcha", "question"),
        ("accounts.admin_secret", ADMIN_SECRET),
    ]);
    let body = br#"{"email":"ann@example.org","password":"correct horse"}"#;
    let request = request(Host::PRIVATE, "PUT", "/user/1.0/ann", body.to_vec());
    let mut request = request.expect("a request");
    let secret = HeaderValue::from_static(ADMIN_SECRET);
    request.headers_mut().insert("x-weave-secret", secret);
    let answer = host.ask(request);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    host
}
