//! A whole request for storage, signed as it should be: the end of its path, its query, a header and its body
//! are hostile. The first two bytes choose where it goes and which header; two lines and the rest follow.
#![no_main]

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use data_encoding::BASE64;
use foxden_accounts::token::{Claims, Token, TokenSecrets};
use foxden_fuzz::{Aimed, BEGINNING, answer, clock, runtime, site};
use foxden_http::sync::{SyncState, serve};
use foxden_model::{SeededRng, UserId};
use foxden_storage::{Limits, MemoryEngine, Storage};
use libfuzzer_sys::fuzz_target;
use ring::hmac;

fuzz_target!(|bytes: &[u8]| {
    let aimed = Aimed::read(bytes, &PLACES, &HEADERS);
    let Some(mut request) = aimed.and_then(Aimed::bare) else {
        return;
    };
    let clock = clock();
    let engine = MemoryEngine::new(Arc::clone(&clock), Arc::new(SeededRng::new(1)));
    let secrets = TokenSecrets::new([], "a secret");
    sign(&mut request, &token(&secrets));
    let storage = Storage::new(Arc::new(engine), Limits::default(), None);
    let state = SyncState::new(
        storage,
        Arc::new(secrets),
        site("https://sync.example.org", false),
        clock,
    );
    runtime().block_on(async {
        let response = serve(&state, request).await;
        let status = response.status().as_u16();
        assert!(status < 500 && status != 401, "{status}");
        assert!(response.headers().contains_key("x-weave-timestamp"));
        answer(response).await.check_json();
    });
});

const PLACES: [(&str, &str); 11] = [
    ("GET", "/1.5/42/info/"),
    ("GET", "/1.5/42/storage/tabs?"),
    ("GET", "/1.5/42/storage/tabs?ids=a,b&limit=2&offset="),
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

fn token(secrets: &TokenSecrets) -> Token {
    let claims = Claims {
        user: UserId(42),
        node: "https://sync.example.org",
        expires: BEGINNING / 1000 + 3600,
        fxa_uid: "u",
        fxa_kid: "k",
        hashed_fxa_uid: None,
        hashed_device_id: None,
        beside: &[],
    };
    secrets.mint(&claims, &SeededRng::new(2))
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
