//! A whole request of Sync 1.1 for storage: the end of its path, its query, a header and its body are hostile, or the
//! header that says who asks. The first two bytes choose where it goes and which header; two lines and the rest
//! follow.

use std::cell::RefCell;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use data_encoding::BASE64;
use foxden_accounts::legacy::NewLegacyAccount;
use foxden_fuzz::{Aimed, Host, Renewed};
use foxden_test_support::server::operator;

const NAME: &str = "sync.example.org";
const PASSWORD: &str = "correct horse";

thread_local! {
    static HOST: RefCell<Renewed<Host>> = const { RefCell::new(Renewed::every(500, open)) };
}

/// Sends the request of one input.
pub fn fuzz(bytes: &[u8]) {
    let Some((request, is_known)) = request(bytes) else {
        return;
    };
    HOST.with_borrow_mut(|host| {
        let answer = host.next().ask(request);
        let status = answer.status;
        // A client that tries hostile passwords has to wait in the end.
        assert!(status < 500 || (status == 503 && !is_known), "{status}");
        assert!(status != 401 || !is_known, "{status}");
        assert!(answer.has_weave_time);
        answer.check_json();
    });
}

const PLACES: [(&str, &str); 11] = [
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

/// The request, and whether it shows who asks.
fn request(bytes: &[u8]) -> Option<(Request<Body>, bool)> {
    let aimed = Aimed::read(bytes, &PLACES, &HEADERS)?;
    let name = aimed.name;
    let mut request = aimed.over(NAME, &[])?;
    // A hostile end may make it another user's path, or none at all.
    let is_known = name != "authorization" && request.uri().path().split('/').nth(2) == Some("ann");
    if is_known {
        let header = format!("Basic {}", BASE64.encode(format!("ann:{PASSWORD}").as_bytes()));
        let header = HeaderValue::try_from(header).expect("letters and digits");
        request.headers_mut().insert(AUTHORIZATION, header);
    }
    Some((request, is_known))
}

/// A server with Ann's account, for which no input can do anything but be recognised.
fn open() -> Host {
    let host = Host::open(&[("public_url", "https://sync.example.org")]);
    let new = NewLegacyAccount {
        name: "ann",
        address: "ann@example.org",
        password: PASSWORD,
        is_authorised: true,
    };
    let operator = operator();
    let accounts = host.server.accounts().expect("accounts are served");
    host.block_on(accounts.create_legacy(new, &operator))
        .expect("a new account");
    host
}
