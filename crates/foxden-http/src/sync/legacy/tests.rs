//! Tests that need several requests or a slow one: the log, chunked bodies, and concurrency.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{Response, StatusCode};
use data_encoding::BASE64;
use foxden_accounts::legacy::NewLegacyAccount;
use foxden_accounts::security::{EntryPoint, SecurityEvents};
use foxden_accounts::token::TokenSecrets;
use foxden_accounts::{ClientInfo, Cost, MIGRATIONS, Nodes, Options, Parts as AccountParts};
use foxden_model::{Clock, ManualClock, SeededRng};
use foxden_sql::Database;
use foxden_storage::{Limits, MemoryEngine, Storage};
use http_body::Frame;
use http_body_util::BodyExt;

use super::*;
use crate::sync::serve;
use crate::wire::body::tests::UnreadBody;
use crate::wire::memory::Owner;
use crate::wire::{AccessLogFields, Memory};

pub(in crate::sync) const HERE: &str = "https://sync.example.org";
/// Hashing parameters that cost nothing.
const CHEAP: Cost = Cost {
    memory: 8,
    passes: 1,
    lanes: 1,
};

/// A surface with one user, Ann, whose store is on that node.
pub(in crate::sync) async fn surface(node: &str) -> SyncState {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(1_763_690_000_000));
    let parts = AccountParts {
        database: Database::in_memory(MIGRATIONS).await.unwrap(),
        clock: Arc::clone(&clock),
        rng: Arc::new(SeededRng::new(1)),
        nodes: Nodes::Own(node.to_owned()),
        options: Options {
            cost: CHEAP,
            ..Options::default()
        },
    };
    let accounts = Accounts::open(parts).await.unwrap();
    let ann = NewLegacyAccount {
        name: "ann",
        address: "ann@example.org",
        password: "correct horse",
        is_authorised: true,
    };
    let operator = ClientInfo {
        address: Ipv4Addr::LOCALHOST.into(),
        is_private: true,
        user_agent: String::new(),
        entry_point: EntryPoint::Operator,
    };
    accounts.create_legacy(ann, &operator).await.unwrap();
    let site = Arc::new(Site {
        public_url: HERE.parse().unwrap(),
        is_loopback: false,
        other_hosts: Vec::new(),
    });
    let engine = MemoryEngine::new(Arc::clone(&clock), Arc::new(SeededRng::new(2)));
    let storage = Storage::new(Arc::new(engine), Limits::default(), None);
    let secrets = Arc::new(TokenSecrets::new([], "secret"));
    SyncState {
        legacy: Some(LegacyState::new(accounts, &site)),
        ..SyncState::new(storage, secrets, site, clock)
    }
}

fn credentials(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{name}:{password}").as_bytes()))
}

/// A request of Ann.
pub(in crate::sync) fn request(method: &str, path: &str, body: Body) -> Request {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", credentials("ann", "correct horse"));
    request.body(body).unwrap()
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
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
            None if self.breaks_off => Some(Err(std::io::Error::other("nonsense between the chunks"))),
            None => None,
        })
    }
}

async fn why(sync: &SyncState, request: Request) -> (u16, String) {
    let response = serve(sync, request).await;
    let note = response.extensions().get::<AccessLogFields>().cloned().unwrap();
    assert_eq!(note.auth, Some("basic"));
    (
        response.status().as_u16(),
        note.why.unwrap_or_default().into_owned(),
    )
}

#[tokio::test]
async fn a_refusal_tells_the_log_why() {
    let sync = surface(HERE).await;
    let asking = |header: &str| {
        let request = Request::builder().uri("/1.1/ann/info/collections");
        request
            .header("authorization", header)
            .body(Body::empty())
            .unwrap()
    };
    let anonymous = Request::builder().uri("/1.1/ann/info/collections");
    let anonymous = anonymous.body(Body::empty()).unwrap();
    assert_eq!(why(&sync, anonymous).await, (401, "no credentials".to_owned()));
    for (header, reason) in [
        ("Hawk id=\"x\"", "the credentials are not of the scheme Basic"),
        ("Basic ???", "the basic header is malformed"),
        (
            &credentials("an n", "x"),
            "the basic header holds no name that an account can have",
        ),
        (
            &credentials("bea", "x"),
            "the credentials are not those of the user in the path",
        ),
        (&credentials("ann", "wrong horse"), "the password is wrong"),
    ] {
        assert_eq!(
            why(&sync, asking(header)).await,
            (401, reason.to_owned()),
            "{header}"
        );
    }
    let mut doubled = asking(&credentials("ann", "correct horse"));
    let second = doubled.headers()["authorization"].clone();
    doubled.headers_mut().append("authorization", second);
    assert_eq!(
        why(&sync, doubled).await,
        (401, "two sets of credentials".to_owned())
    );

    for guess in 0..20 {
        let _ = serve(&sync, asking(&credentials("ann", &format!("guess {guess}")))).await;
    }
    let late = why(&sync, asking(&credentials("ann", "one more"))).await;
    assert_eq!(late, (503, "too many attempts".to_owned()));

    sync.backoff.close(60);
    let resting = why(&sync, asking("")).await;
    assert_eq!(
        resting,
        (503, "the node is in maintenance or marked as down".to_owned())
    );
}

#[tokio::test]
async fn a_store_that_is_elsewhere_is_named_in_the_log_alone() {
    let sync = surface("https://two.example.org").await;
    let reason = "the store is at node https://two.example.org, this node is https://sync.example.org";
    let counts_request = request("GET", "/1.1/ann/info/collections", Body::empty());
    assert_eq!(why(&sync, counts_request).await, (401, reason.to_owned()));
    let counts_request = request("GET", "/1.1/ann/info/collections", Body::empty());
    assert!(
        !text(serve(&sync, counts_request).await)
            .await
            .contains("two.example.org")
    );
}

#[tokio::test]
async fn the_access_log_names_the_store() {
    let sync = surface(HERE).await;
    let mut users = BTreeSet::new();
    for method in ["GET", "PATCH"] {
        let response = serve(&sync, request(method, "/1.1/ann/storage/c", Body::empty())).await;
        users.insert(response.extensions().get::<AccessLogFields>().unwrap().user);
    }
    assert!(users.len() == 1 && !users.contains(&None), "{users:?}");
}

#[tokio::test]
async fn a_body_in_pieces_is_a_body_and_a_broken_one_is_none() {
    let sync = surface(HERE).await;
    for path in ["/1.1/ann/storage/c/a", "/1.1/ann/storage/c"] {
        let send = async |breaks_off| {
            let left = br#"{"id":"a","payload":"x"}"#.iter().rev().copied().collect();
            let body = Body::new(ChunkedBody { left, breaks_off });
            serve(&sync, request("PUT", path, body)).await.status()
        };
        let count = async || {
            let counts_request = request("GET", "/1.1/ann/info/collection_counts", Body::empty());
            text(serve(&sync, counts_request).await).await
        };
        assert_eq!(send(true).await, StatusCode::BAD_REQUEST);
        assert_eq!(count().await, "{}");
        assert_eq!(send(false).await, StatusCode::OK);
        assert_eq!(count().await, r#"{"c":1}"#);
        let _ = serve(&sync, request("DELETE", "/1.1/ann/storage/c", Body::empty())).await;
    }
}

#[tokio::test]
async fn no_body_is_read_before_the_client_is_known() {
    let sync = surface(HERE).await;
    for header in [
        String::new(),
        credentials("bea", "x"),
        credentials("ann", "wrong horse"),
    ] {
        let put = Request::builder().method("PUT").uri("/1.1/ann/storage/c/a");
        let put = put.header("authorization", header).body(Body::new(UnreadBody));
        assert_eq!(
            serve(&sync, put.unwrap()).await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
    // Nor is one that is too large, for which there is no memory, or whose path is unknown.
    let announced = |length: &str| {
        let mut put = request("PUT", "/1.1/ann/storage/c/a", Body::new(UnreadBody));
        let length = length.parse().unwrap();
        put.headers_mut().insert("content-length", length);
        put
    };
    let large = serve(&sync, announced("3000000")).await;
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let nowhere = request("PUT", "/1.1/ann/other", Body::new(UnreadBody));
    assert_eq!(serve(&sync, nowhere).await.status(), StatusCode::NOT_FOUND);
    let full = SyncState {
        memory: Arc::new(Memory::new(100, 100, SecurityEvents::default())),
        ..sync
    };
    let permit = full.memory.bodies.take(Owner::Store(UserId(99)), 90).unwrap();
    let response = serve(&full, announced("20")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "10");
    drop(permit);
    // Memory that the account holds through other surfaces counts here as well.
    let accounts = &full.legacy.as_ref().unwrap().accounts;
    let store = accounts.cached_store("ann", "correct horse").unwrap();
    let _permit = full.memory.bodies.take(Owner::Account(store.account), 5).unwrap();
    let response = serve(&full, announced("20")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    // A closed store reads none.
    full.storage.close(store.user).await.unwrap();
    let response = serve(&full, announced("20")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

/// D1.1 of the storage API, for concurrent requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_uploads_get_different_times() {
    let sync = Arc::new(surface(HERE).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let sync = Arc::clone(&sync);
        writers.spawn(async move {
            let mut times = Vec::new();
            for id in 0..25 {
                let body = format!(r#"[{{"id":"{writer}-{id}","payload":"x"}}]"#);
                let posted = request("POST", "/1.1/ann/storage/c", body.into());
                let response = serve(&sync, posted).await;
                let time = response.headers()["x-weave-timestamp"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                assert!(
                    text(response)
                        .await
                        .starts_with(&format!("{{\"modified\":{time},"))
                );
                times.push(time);
            }
            times
        });
    }
    let times = writers.join_all().await.concat();
    assert_eq!(times.iter().collect::<BTreeSet<_>>().len(), 200);
    let counts_request = request("GET", "/1.1/ann/info/collection_counts", Body::empty());
    assert_eq!(text(serve(&sync, counts_request).await).await, r#"{"c":200}"#);
}

#[tokio::test]
async fn a_user_may_own_a_hundred_collections() {
    let sync = surface(HERE).await;
    let put = async |name: &str| {
        let path = format!("/1.1/ann/storage/{name}/a");
        let response = serve(&sync, request("PUT", &path, r#"{"payload":"x"}"#.into())).await;
        (response.status(), text(response).await)
    };
    for number in 0..100 {
        assert_eq!(put(&format!("c{number}")).await.0, StatusCode::OK);
    }
    assert_eq!(put("one-more").await, (StatusCode::BAD_REQUEST, "13".to_owned()));
    assert_eq!(put("c7").await.0, StatusCode::OK);
}
