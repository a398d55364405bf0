//! Tests that need several requests or a slow one: concurrency, chunked bodies, and every character of ids.

mod client;
mod ids;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use data_encoding::BASE64;
use foxden_accounts::AccountId;
use foxden_accounts::token::{Claims, Token};
use foxden_model::{ManualClock, SeededRng, SyncTime, UserId};
use foxden_storage::{Limits, MemoryEngine, SqliteEngine, SqliteOptions};
use http_body::Frame;
use http_body_util::BodyExt;
use ring::hmac;

use super::*;
use crate::wire::Memory;
use crate::wire::body::tests::UnreadBody;
use crate::wire::memory::Owner;

fn state() -> SyncState {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(1_763_690_000_000));
    let engine = MemoryEngine::new(Arc::clone(&clock), Arc::new(SeededRng::new(1)));
    let site = Site {
        public_url: "https://sync.example.org".parse().unwrap(),
        is_loopback: false,
        other_hosts: Vec::new(),
    };
    let storage = Storage::new(Arc::new(engine), Limits::default(), None);
    SyncState::new(storage, Arc::new(secrets()), Arc::new(site), clock)
}

fn secrets() -> TokenSecrets {
    TokenSecrets::new([], "secret")
}

fn token() -> Token {
    token_of(42, "u")
}

/// A token for that store of that account.
fn token_of(user: u64, fxa_uid: &str) -> Token {
    let claims = Claims {
        user: UserId(user),
        node: "https://sync.example.org",
        expires: 1_763_693_600,
        fxa_uid,
        fxa_kid: "k",
        hashed_fxa_uid: None,
        hashed_device_id: None,
        other_uids: &[],
        backoff_seconds: 0,
    };
    secrets().mint(&claims, &SeededRng::new(2))
}

fn request(token: &Token, method: &str, path: &str, body: Body) -> Request {
    let signed = format!("hawk.1.header\n1\nn\n{method}\n{path}\nsync.example.org\n443\n\n\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.key.as_str().as_bytes());
    let mac = BASE64.encode(hmac::sign(&key, signed.as_bytes()).as_ref());
    let header = format!(r#"Hawk id="{}", ts="1", nonce="n", mac="{mac}""#, token.id);
    let request = Request::builder().method(method).uri(path);
    request.header("authorization", header).body(body).unwrap()
}

/// Sends one request and reads the whole response without a runtime: nothing here waits for I/O.
fn send(sync: &SyncState, request: Request) -> (StatusCode, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let response = serve(sync, request).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    })
}

/// D3.66 of the storage API: parallel uploads to one collection.
#[test]
fn parallel_uploads_get_different_times() {
    let sync = state();
    let token = token();
    let upload = |id: usize| {
        let body = format!(r#"[{{"id":"{id}","payload":"x"}}]"#);
        let (status, body) = send(&sync, request(&token, "POST", "/1.5/42/storage/c", body.into()));
        assert_eq!(status, StatusCode::OK);
        let modified = body.strip_prefix("{\"modified\":").unwrap();
        modified.split(',').next().unwrap().parse().unwrap()
    };
    let times: Vec<SyncTime> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|at| scope.spawn(move || (0..25).map(|id| upload(at * 100 + id)).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(times.iter().collect::<BTreeSet<_>>().len(), 200);
    let (_, counts) = send(
        &sync,
        request(&token, "GET", "/1.5/42/info/collection_counts", Body::empty()),
    );
    assert_eq!(counts, r#"{"c":200}"#);
}

/// A body that arrives byte by byte and then fails or ends.
struct ChunkedBody {
    left: Vec<u8>,
    breaks_off: bool,
}

impl http_body::Body for ChunkedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(match self.left.pop() {
            Some(byte) => Some(Ok(Frame::data(Bytes::from(vec![byte])))),
            None if self.breaks_off => Some(Err(std::io::Error::other("the client went away"))),
            None => None,
        })
    }
}

#[test]
fn a_body_in_pieces_is_a_body_and_a_broken_one_is_none() {
    let sync = state();
    let token = token();
    let put = |breaks_off| {
        let left = br#"{"payload":"x"}"#.iter().rev().copied().collect();
        let body = Body::new(ChunkedBody { left, breaks_off });
        send(&sync, request(&token, "PUT", "/1.5/42/storage/c/a", body)).0
    };
    assert_eq!(put(true), StatusCode::BAD_REQUEST);
    let get = || {
        send(
            &sync,
            request(&token, "GET", "/1.5/42/storage/c/a", Body::empty()),
        )
        .0
    };
    assert_eq!(get(), StatusCode::NOT_FOUND);
    assert_eq!(put(false), StatusCode::OK);
    assert_eq!(get(), StatusCode::OK);
}

#[test]
fn a_refusal_tells_the_log_why() {
    let sync = state();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let why = |request| {
        let response = runtime.block_on(serve(&sync, request));
        let note = response.extensions().get::<AccessLogFields>().cloned().unwrap();
        assert_eq!(note.user, Some(UserId(42)));
        note.why.unwrap_or_default().into_owned()
    };
    let token = token();
    let info = "/1.5/42/info/collections";
    assert_eq!(why(request(&token, "GET", info, Body::empty())), "");
    assert_eq!(
        why(Request::builder().uri(info).body(Body::empty()).unwrap()),
        "no credentials"
    );

    let elsewhere = SyncState {
        site: Arc::new(Site {
            public_url: "https://other.example.org".parse().unwrap(),
            ..Site::clone(&sync.site)
        }),
        ..sync.clone()
    };
    let mut signed = request(&token, "GET", info, Body::empty());
    signed
        .headers_mut()
        .insert("host", "sync.example.org".parse().unwrap());
    let response = runtime.block_on(serve(&elsewhere, signed));
    assert_eq!(
        response
            .extensions()
            .get::<AccessLogFields>()
            .unwrap()
            .why
            .as_deref(),
        Some("signed for host sync.example.org:443, this node is other.example.org:443")
    );
}

#[test]
fn a_user_may_own_a_hundred_collections() {
    let sync = state();
    let token = token();
    let put = |name: &str| {
        let path = format!("/1.5/42/storage/{name}/a");
        send(&sync, request(&token, "PUT", &path, r#"{"payload":"x"}"#.into()))
    };
    for number in 0..100 {
        assert_eq!(put(&format!("c{number}")).0, StatusCode::OK);
    }
    assert_eq!(put("one-more"), (StatusCode::BAD_REQUEST, "13".to_owned()));
    assert_eq!(put("c7").0, StatusCode::OK);
}

/// The memory of a body is taken before any of it is read, and released when its request is answered.
#[test]
fn bodies_share_one_room() {
    let sync = SyncState {
        memory: Arc::new(Memory::new(400, 400, SecurityEvents::default())),
        ..state()
    };
    let token = token();
    let put = |length: Option<&str>, body: Body| {
        let mut request = request(&token, "PUT", "/1.5/42/storage/c/a", body);
        if let Some(length) = length {
            request
                .headers_mut()
                .insert("content-length", length.parse().unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(serve(&sync, request))
    };
    let fits = || Body::from(r#"{"payload":"x"}"#);
    let permit = sync.memory.bodies.take(Owner::Store(UserId(42)), 90).unwrap();
    // Reading this body would end in another refusal.
    let broken = || {
        Body::new(ChunkedBody {
            left: Vec::new(),
            breaks_off: true,
        })
    };
    for length in [Some("15"), None] {
        let response = put(length, broken());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{length:?}");
        assert_eq!(response.headers()["retry-after"], "10");
        assert_eq!(response.headers()["x-weave-timestamp"], "1763690000.00");
    }
    drop(permit);
    // Each of them alone would take all memory, as no length is announced.
    assert_eq!(put(None, broken()).status(), StatusCode::BAD_REQUEST);
    assert_eq!(put(None, fits()).status(), StatusCode::OK);
    assert_eq!(put(Some("15"), fits()).status(), StatusCode::OK);
    assert_eq!(sync.memory.bodies.held(), 0, "all places were given back");
}

/// The current store, former ones and the account API have one share together.
#[test]
fn the_stores_of_an_account_share_its_memory() {
    let sync = SyncState {
        memory: Arc::new(Memory::new(800, 800, SecurityEvents::default())),
        ..state()
    };
    let ann = "0123456789abcdef0123456789abcdef";
    let owner = Owner::Account(AccountId::from_hex(ann).unwrap());
    let permit = sync.memory.bodies.take(owner, 95).unwrap();
    let put = |user: u64, fxa_uid: &str, body: Body| {
        let path = format!("/1.5/{user}/storage/c/a");
        send(&sync, request(&token_of(user, fxa_uid), "PUT", &path, body)).0
    };
    for user in [42, 43] {
        assert_eq!(
            put(user, ann, Body::new(UnreadBody)),
            StatusCode::SERVICE_UNAVAILABLE
        );
        let answers = sync.memory.answers.take(owner, 100).unwrap();
        let path = format!("/1.5/{user}/storage/c");
        let (status, _) = send(&sync, request(&token_of(user, ann), "GET", &path, Body::empty()));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        drop(answers);
    }
    let object = || Body::from(r#"{"payload":"x"}"#);
    for other in ["fedcba9876543210fedcba9876543210", "u"] {
        assert_eq!(put(44, other, object()), StatusCode::OK, "{other}");
    }
    drop(permit);
    assert_eq!(put(42, ann, object()), StatusCode::OK);
}

/// The token of a closed store is still valid, but its bodies are not read.
#[test]
fn a_closed_store_takes_no_body() {
    let sync = state();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(sync.storage.close(UserId(42))).unwrap();
    for (method, path) in [
        ("PUT", "/1.5/42/storage/c/a"),
        ("POST", "/1.5/42/storage/c"),
        ("POST", "/1.5/42/storage/c?batch=true"),
    ] {
        let (status, _) = send(&sync, request(&token(), method, path, Body::new(UnreadBody)));
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    let (status, _) = send(&sync, request(&token(), "DELETE", "/1.5/42", Body::empty()));
    assert_eq!(status, StatusCode::OK, "it can still be emptied");
}

/// A buffer grows in few steps, and is no larger than its content at the end.
#[tokio::test]
async fn a_body_is_counted_at_the_size_of_its_buffer() {
    let bodies = &state().memory.bodies;
    for (left, headers) in [
        (vec![b'x'; 999], HeaderMap::new()),
        (
            gzip_of(&"x".repeat(999)),
            HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]),
        ),
    ] {
        let body = Body::new(ChunkedBody {
            left: left.into_iter().rev().collect(),
            breaks_off: false,
        });
        let taken = body::read_whole(bodies, Owner::Store(UserId(1)), &headers, body, 1 << 20, |_| {
            Ok::<_, body::BadBody>(())
        });
        let (bytes, permit) = taken.await.unwrap();
        let bytes = Vec::from(bytes);
        assert_eq!(
            (bytes.len(), bytes.capacity() as u64, bodies.held()),
            (999, 999, 999)
        );
        drop(permit);
    }
}

fn gzip_of(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Returns the result of a future at its first poll, if it is ready.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| match std::pin::Pin::new(&mut *future).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// The memory of a page is taken before it is read, so that there are no more pages than memory.
#[test]
fn lists_that_find_no_room_read_nothing() {
    let folder = std::env::temp_dir().join(format!("foxden-lists-{}", std::process::id()));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(1_763_690_000_000));
    let rng = Arc::new(SeededRng::new(1));
    let engine = SqliteEngine::open(SqliteOptions::new(&folder), clock, rng).unwrap();
    let sync = SyncState {
        storage: Storage::new(Arc::new(engine), Limits::default(), None),
        memory: Arc::new(Memory::new(400_000, 16_000_000, SecurityEvents::default())),
        ..state()
    };
    let token = token();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        for part in 0..3 {
            let object = |id: usize| format!(r#"{{"id":"{part}-{id}","payload":"x"}}"#);
            let body = format!("[{}]", (0..100).map(object).collect::<Vec<_>>().join(","));
            let response = serve(&sync, request(&token, "POST", "/1.5/42/storage/c", body.into())).await;
            assert_eq!(response.status(), StatusCode::OK);
        }
        let list = || {
            Box::pin(serve(
                &sync,
                request(&token, "GET", "/1.5/42/storage/c?full=1", Body::empty()),
            ))
        };
        // The reading thread may be as fast as the requesting one, so repeat until a list is pending.
        let mut waiting = loop {
            let mut first = list();
            if poll_once(&mut first).await.is_none() {
                break first;
            }
        };
        let mut lists: Vec<_> = (0..19).map(|_| list()).collect();
        for list in &mut lists {
            let refused = poll_once(list).await.map(|response| response.status());
            assert_eq!(refused, Some(StatusCode::SERVICE_UNAVAILABLE));
        }
        assert_eq!((&mut waiting).await.status(), StatusCode::OK);
        drop(waiting);
        drop(lists);
        assert_eq!(list().await.status(), StatusCode::OK);
    });
    assert_eq!(sync.memory.answers.held(), 0);
    drop(sync);
    std::fs::remove_dir_all(folder).unwrap();
}
