//! A whole request for storage, signed as it should be: the end of its path, its query, a header and its body
//! are hostile. The first two bytes choose where it goes and which header; two lines and the rest follow.
#![no_main]

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use data_encoding::BASE64;
use foxden_accounts::token::{Claims, Token, TokenSecrets};
use foxden_http::sync::{SyncState, serve};
use foxden_http::wire::Site;
use foxden_model::{Clock, ManualClock, SeededChance, UserId};
use foxden_storage::{Limits, MemoryEngine, Storage};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use ring::hmac;

const BEGINNING: i64 = 1_763_690_000_000;

fuzz_target!(|bytes: &[u8]| {
    let Some(mut request) = request(bytes) else { return };
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(BEGINNING));
    let engine = MemoryEngine::new(Arc::clone(&clock), Arc::new(SeededChance::new(1)));
    let site = Site {
        public_url: "https://sync.example.org".parse().expect("an address"),
        is_loopback: false,
        other_hosts: Vec::new(),
    };
    let secrets = TokenSecrets::new([], "a secret");
    sign(&mut request, &token(&secrets));
    let storage = Storage::new(Arc::new(engine), Limits::default(), None);
    let state = SyncState::new(storage, Arc::new(secrets), Arc::new(site), clock);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without anything");
    runtime.block_on(async {
        let response = serve(&state, request).await;
        let status = response.status().as_u16();
        assert!(status < 500 && status != 401, "{status}");
        assert!(response.headers().contains_key("x-weave-timestamp"));
        let is_json = response.headers()["content-type"] == "application/json";
        let body = response
            .into_body()
            .collect()
            .await
            .expect("memory does not break off");
        let body = body.to_bytes();
        if is_json && !body.is_empty() {
            serde_json::from_slice::<serde::de::IgnoredAny>(&body).expect("what says it is JSON is");
        }
    });
});

const PLACES: [(&str, &str); 10] = [
    ("GET", "/1.5/42/info/"),
    ("GET", "/1.5/42/storage/tabs?"),
    ("GET", "/1.5/42/storage/tabs/"),
    ("PUT", "/1.5/42/storage/tabs/a"),
    ("PUT", "/1.5/42/storage/crypto/keys"),
    ("POST", "/1.5/42/storage/tabs"),
    ("POST", "/1.5/42/storage/tabs?batch=true&commit=true"),
    ("POST", "/1.5/42/storage/tabs?batch"),
    ("DELETE", "/1.5/42/storage/tabs?ids="),
    ("DELETE", "/1.5/42/"),
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

fn request(bytes: &[u8]) -> Option<Request<Body>> {
    let (&[place, header], rest) = bytes.split_first_chunk()?;
    let (method, path) = PLACES[usize::from(place) % PLACES.len()];
    let mut lines = rest.splitn(3, |&byte| byte == b'\n');
    let more = std::str::from_utf8(lines.next()?).ok()?;
    let value = HeaderValue::from_bytes(lines.next().unwrap_or_default()).ok()?;
    let body = lines.next().unwrap_or_default().to_vec();
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}{more}"))
        .header(HEADERS[usize::from(header) % HEADERS.len()], value);
    request.body(Body::from(body)).ok()
}

fn token(secrets: &TokenSecrets) -> Token {
    let claims = Claims {
        user: UserId(42),
        node: "https://sync.example.org",
        expires: BEGINNING / 1000 + 3600,
        fxa_uid: "u",
        fxa_kid: "k",
        hashed_fxa_uid: None,
        hashed_device_id: None,
    };
    secrets.mint(&claims, &SeededChance::new(2))
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
