//! Several requests to the key exchange, for one channel. Each line of the input is a request: a byte that chooses method
//! and client, one that chooses path and header, then the header's value, a zero byte, and the body.

use std::cell::RefCell;

use axum::body::Body;
use axum::http::header::HeaderValue;
use axum::http::{Request, Response};
use foxden_fuzz::{BlockingServer, Recreated};
use http_body_util::BodyExt;

/// The maximum number of requests; a pairing takes fewer.
const MAX_REQUESTS: usize = 24;
/// Milliseconds after which the channels of an input have expired.
const CHANNEL_TTL: i64 = 3_600_000;

thread_local! {
    static SERVER: RefCell<Recreated<BlockingServer>> = const { RefCell::new(Recreated::every(500, open)) };
}

fn open() -> BlockingServer {
    BlockingServer::open(&[
        ("public_url", "https://sync.example.org"),
        ("key_exchange.limits", "off"),
    ])
}

/// Sends the request of one input.
pub fn fuzz(bytes: &[u8]) {
    SERVER.with_borrow_mut(|server| {
        let server = server.next();
        server.inner.clock.advance_millis(CHANNEL_TTL);
        server.block_on(async {
            let opening = Request::builder()
                .uri("/jpake/new_channel")
                .header("host", NAME)
                .header(ID, "a".repeat(256));
            let opening = opening.body(Body::empty()).expect("a request");
            let opened = server.inner.answer(opening).await;
            let name = opened.headers()["x-keyexchange-channel"].clone();
            let name = name.to_str().expect("letters and digits");
            for line in bytes.split(|&byte| byte == b'\n').take(MAX_REQUESTS) {
                let Some(request) = request(line, name) else {
                    continue;
                };
                check(server.inner.answer(request).await).await;
            }
        });
    });
}

const NAME: &str = "sync.example.org";
const ID: &str = "x-keyexchange-id";
const METHODS: [&str; 6] = ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"];
const HEADERS: [&str; 6] = [
    "if-match",
    "if-none-match",
    "x-keyexchange-cid",
    "x-keyexchange-log",
    "content-length",
    ID,
];

fn request(line: &[u8], name: &str) -> Option<Request<Body>> {
    let (&[client, target], rest) = line.split_first_chunk()?;
    let (value, body) = rest.split_at(rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len()));
    let suffix = std::str::from_utf8(value).ok();
    let path = match target / 32 {
        0 => "/jpake/report".to_owned(),
        1 => "/jpake/new_channel".to_owned(),
        2 => format!("/jpake/{}", suffix?),
        3 => format!("/jpake/{name}/"),
        _ => format!("/jpake/{name}"),
    };
    let header = HEADERS[usize::from(target) % HEADERS.len()];
    let mut request = Request::builder()
        .method(METHODS[usize::from(client) % METHODS.len()])
        .uri(path)
        .header("host", NAME)
        .header(header, HeaderValue::from_bytes(value).ok()?);
    if let Some(letter) = ["a", "b", "c"].get(usize::from(client / 64)) {
        request = request.header(ID, letter.repeat(256));
    }
    request.body(Body::from(body.to_vec())).ok()
}

async fn check(response: Response<Body>) {
    let status = response.status().as_u16();
    assert!(status < 500 && status != 403, "{status}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = response.into_body().collect().await;
    let body = body.expect("a body in memory is complete").to_bytes();
    assert!(status != 304 || body.is_empty());
}
