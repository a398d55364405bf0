//! A few requests to the key exchange, about one channel: methods, the end of the path, ids, conditions and bodies are
//! hostile. Each line of the input is a request: a byte that chooses method and client, one that chooses path and header,
//! then the header's value, a zero byte, and the body.

use std::cell::RefCell;

use axum::body::Body;
use axum::http::header::HeaderValue;
use axum::http::{Request, Response};
use foxden_fuzz::{Host, Renewed};
use http_body_util::BodyExt;

/// More requests than a pairing takes.
const MOST: usize = 24;
/// Milliseconds after which the channels of an input are gone.
const LIFE: i64 = 3_600_000;

thread_local! {
    static HOST: RefCell<Renewed<Host>> = const { RefCell::new(Renewed::every(500, open)) };
}

fn open() -> Host {
    Host::open(&[
        ("public_url", "https://sync.example.org"),
        ("key_exchange.limits", "off"),
    ])
}

/// Sends the request of one input.
pub fn fuzz(bytes: &[u8]) {
    HOST.with_borrow_mut(|host| {
        let host = host.next();
        host.server.clock.advance_millis(LIFE);
        host.block_on(async {
            let opening = Request::builder()
                .uri("/jpake/new_channel")
                .header("host", NAME)
                .header(ID, "a".repeat(256));
            let opening = opening.body(Body::empty()).expect("a request");
            let opened = host.server.answer(opening).await;
            let name = opened.headers()["x-keyexchange-channel"].clone();
            let name = name.to_str().expect("letters and digits");
            for line in bytes.split(|&byte| byte == b'\n').take(MOST) {
                let Some(request) = request(line, name) else {
                    continue;
                };
                check(host.server.answer(request).await).await;
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
    let (&[who, place], rest) = line.split_first_chunk()?;
    let (value, body) = rest.split_at(rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len()));
    let more = std::str::from_utf8(value).ok();
    let path = match place / 32 {
        0 => "/jpake/report".to_owned(),
        1 => "/jpake/new_channel".to_owned(),
        2 => format!("/jpake/{}", more?),
        3 => format!("/jpake/{name}/"),
        _ => format!("/jpake/{name}"),
    };
    let header = HEADERS[usize::from(place) % HEADERS.len()];
    let mut request = Request::builder()
        .method(METHODS[usize::from(who) % METHODS.len()])
        .uri(path)
        .header("host", NAME)
        .header(header, HeaderValue::from_bytes(value).ok()?);
    if let Some(client) = ["a", "b", "c"].get(usize::from(who / 64)) {
        request = request.header(ID, client.repeat(256));
    }
    request.body(Body::from(body.to_vec())).ok()
}

async fn check(response: Response<Body>) {
    let status = response.status().as_u16();
    assert!(status < 500 && status != 403, "{status}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = response.into_body().collect().await;
    let body = body.expect("memory does not break off").to_bytes();
    assert!(status != 304 || body.is_empty());
}
