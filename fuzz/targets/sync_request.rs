//! A whole request of Sync 1.5 with a valid signature. The input gives the end of its path, its query, a header and its
//! body: see `RequestInput::parse`.

use std::cell::RefCell;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use data_encoding::BASE64;
use foxden_accounts::token::{Claims, Token, TokenSecrets};
use foxden_fuzz::{BlockingServer, Recreated, RequestInput, SECRET};
use foxden_model::{SeededRng, UserId};
use foxden_test_support::server::START;
use ring::hmac;

const NAME: &str = "sync.example.org";
const BASE: &str = "https://sync.example.org";

/// A server, and the user of the last input. Each input has a store of its own.
struct Stores {
    server: BlockingServer,
    user: UserId,
}

thread_local! {
    static STORES: RefCell<Recreated<Stores>> = const { RefCell::new(Recreated::every(2000, Stores::new)) };
}

/// Sends the request of one input.
pub fn fuzz(bytes: &[u8]) {
    let Some(mut input) = RequestInput::parse(bytes, &ROUTES, &HEADERS) else {
        return;
    };
    STORES.with_borrow_mut(|stores| {
        let Stores { server, user } = stores.next();
        user.0 += 1;
        input.path = input.path.replacen("{uid}", &user.to_string(), 1);
        let Some(mut request) = input.into_request(NAME, &[]) else {
            return;
        };
        sign(&mut request, &token(*user));
        let answer = server.send(request);
        let status = answer.status;
        assert!(status < 500 && status != 401, "{status}");
        assert!(answer.has_weave_time);
        answer.check_json();
    });
}

impl Stores {
    fn new() -> Self {
        Self {
            server: BlockingServer::open(&[("public_url", BASE)]),
            user: UserId(0),
        }
    }
}

const ROUTES: [(&str, &str); 11] = [
    ("GET", "/1.5/{uid}/info/"),
    ("GET", "/1.5/{uid}/storage/tabs?"),
    ("GET", "/1.5/{uid}/storage/tabs?ids=a,b&limit=2&offset="),
    ("GET", "/1.5/{uid}/storage/tabs/"),
    ("PUT", "/1.5/{uid}/storage/tabs/a"),
    ("PUT", "/1.5/{uid}/storage/crypto/keys"),
    ("POST", "/1.5/{uid}/storage/tabs"),
    ("POST", "/1.5/{uid}/storage/tabs?batch=true&commit=true"),
    ("POST", "/1.5/{uid}/storage/tabs?batch"),
    ("DELETE", "/1.5/{uid}/storage/tabs?ids="),
    ("DELETE", "/1.5/{uid}/"),
];
const HEADERS: [&str; 8] = [
    "accept",
    "content-type",
    "content-encoding",
    "x-if-modified-since",
    "x-if-unmodified-since",
    "x-weave-records",
    "x-weave-total-bytes",
    "x-other",
];

fn token(user: UserId) -> Token {
    let claims = Claims {
        user,
        node: BASE,
        expires: START / 1000 + 3600,
        fxa_uid: "u",
        fxa_kid: "k",
        hashed_fxa_uid: None,
        hashed_device_id: None,
        other_uids: &[],
        backoff_seconds: 0,
    };
    TokenSecrets::new([], SECRET).mint(&claims, &SeededRng::new(2))
}

fn sign(request: &mut Request<Body>, token: &Token) {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let text = format!(
        "hawk.1.header\n1\nn\n{}\n{path}\nsync.example.org\n443\n\n\n",
        request.method()
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.key.as_str().as_bytes());
    let mac = BASE64.encode(hmac::sign(&key, text.as_bytes()).as_ref());
    let header = format!(r#"Hawk id="{}", ts="1", nonce="n", mac="{mac}""#, token.id);
    let header = HeaderValue::try_from(header).expect("letters and digits");
    request.headers_mut().insert(AUTHORIZATION, header);
}
