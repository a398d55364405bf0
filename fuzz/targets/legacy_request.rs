//! A whole request of Sync 1.1. The input gives the end of its path, its query, a header (perhaps `Authorization`) and its
//! body: see `RequestInput::parse`.

use std::cell::RefCell;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use data_encoding::BASE64;
use foxden_accounts::legacy::NewLegacyAccount;
use foxden_fuzz::{BlockingServer, Recreated, RequestInput};
use foxden_test_support::server::operator;

const NAME: &str = "sync.example.org";
const PASSWORD: &str = "correct horse";

thread_local! {
    static SERVER: RefCell<Recreated<BlockingServer>> = const { RefCell::new(Recreated::every(500, open)) };
}

/// Sends the request of one input.
pub fn fuzz(bytes: &[u8]) {
    let Some((request, is_known)) = request(bytes) else {
        return;
    };
    SERVER.with_borrow_mut(|server| {
        let answer = server.next().send(request);
        let status = answer.status;
        // Wrong passwords reach a rate limit in the end.
        assert!(status < 500 || (status == 503 && !is_known), "{status}");
        assert!(status != 401 || !is_known, "{status}");
        assert!(answer.has_weave_time);
        answer.check_json();
    });
}

const ROUTES: [(&str, &str); 11] = [
    ("GET", "/1.1/ann/info/"),
    ("GET", "/1.1/ann/storage/tabs?"),
    ("GET", "/1.0/ann/storage/tabs/"),
    ("PUT", "/1.1/ann/storage/tabs/a"),
    ("PUT", "/1.1/ann/storage/tabs/a/"),
    ("GET", "/1.1/ann/storage/tabs?ids=Qk3/+,"),
    ("POST", "/1/ann/storage/tabs"),
    ("PUT", "/1.1/ann/storage/"),
    ("DELETE", "/1.1/ann/storage/tabs?"),
    ("DELETE", "/1.1/ann/"),
    ("GET", "/1.1/ann"),
];
const HEADERS: [&str; 6] = [
    "accept",
    "content-encoding",
    "x-if-unmodified-since",
    "x-confirm-delete",
    "x-other",
    "authorization",
];

/// Builds the request. The flag tells whether it has Ann's credentials and path.
fn request(bytes: &[u8]) -> Option<(Request<Body>, bool)> {
    let input = RequestInput::parse(bytes, &ROUTES, &HEADERS)?;
    let name = input.name;
    let mut request = input.into_request(NAME, &[])?;
    // The input may turn the path into another user's, or into an unknown one.
    let is_known = name != "authorization" && request.uri().path().split('/').nth(2) == Some("ann");
    if is_known {
        let header = format!("Basic {}", BASE64.encode(format!("ann:{PASSWORD}").as_bytes()));
        let header = HeaderValue::try_from(header).expect("letters and digits");
        request.headers_mut().insert(AUTHORIZATION, header);
    }
    Some((request, is_known))
}

/// Opens a server with Ann's account.
fn open() -> BlockingServer {
    let server = BlockingServer::open(&[("public_url", "https://sync.example.org")]);
    let new = NewLegacyAccount {
        name: "ann",
        address: "ann@example.org",
        password: PASSWORD,
        is_authorised: true,
    };
    let operator = operator();
    let accounts = server.inner.accounts().expect("accounts are served");
    server
        .block_on(accounts.create_legacy(new, &operator))
        .expect("a new account");
    server
}
