//! What targets that send whole requests share: taking the input apart, accounts to ask about, and answers.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{HOST, HeaderName, HeaderValue};
use axum::http::{Request, Response};
use foxden_accounts::{Accounts, Cost, MIGRATIONS, Nodes, Options, Parts, SignUp};
use foxden_http::wire::{Peer, Site};
use foxden_model::{Clock, ManualClock, SeededRng};
use foxden_sql::Database;
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// When everything happens, in milliseconds.
pub const BEGINNING: i64 = 1_763_690_000_000;

/// A request as an input describes it.
pub struct Aimed {
    /// How it is sent.
    pub method: &'static str,
    /// The path with its hostile end.
    pub path: String,
    /// The name of the hostile header.
    pub name: &'static str,
    /// The hostile header.
    pub value: HeaderValue,
    /// The hostile body.
    pub body: Vec<u8>,
}

/// A status, whether the answer says that it is JSON, and its body.
pub struct Answer {
    pub status: u16,
    pub is_json: bool,
    pub body: Vec<u8>,
}

impl Aimed {
    /// Takes an input apart: two bytes that choose where it goes and which header, then two lines and the rest.
    pub fn read(
        bytes: &[u8],
        places: &[(&'static str, &'static str)],
        headers: &[&'static str],
    ) -> Option<Self> {
        let (&[place, header], rest) = bytes.split_first_chunk()?;
        let (method, path) = places[usize::from(place) % places.len()];
        let mut lines = rest.splitn(3, |&byte| byte == b'\n');
        let more = std::str::from_utf8(lines.next()?).ok()?;
        Some(Self {
            method,
            path: format!("{path}{more}"),
            name: headers[usize::from(header) % headers.len()],
            value: HeaderValue::from_bytes(lines.next().unwrap_or_default()).ok()?,
            body: lines.next().unwrap_or_default().to_vec(),
        })
    }

    /// The request, with no other header.
    pub fn bare(self) -> Option<Request<Body>> {
        let request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(self.name, self.value);
        request.body(Body::from(self.body)).ok()
    }

    /// The request from this machine, over these headers.
    pub fn over(self, headers: &[(HeaderName, HeaderValue)]) -> Option<Request<Body>> {
        let mut request = local(self.method, &self.path, self.body)?;
        let all = request.headers_mut();
        for (name, value) in headers {
            all.insert(name, value.clone());
        }
        all.insert(HeaderName::from_static(self.name), self.value);
        Some(request)
    }
}

/// A request that comes from this machine.
pub fn local(method: &str, path: &str, body: Vec<u8>) -> Option<Request<Body>> {
    let peer = Peer {
        address: Ipv4Addr::LOCALHOST.into(),
        is_direct: true,
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .extension(peer)
        .header(HOST, "127.0.0.1:5000");
    request.body(Body::from(body)).ok()
}

/// A server that only this machine can reach.
pub fn private_site() -> Arc<Site> {
    site("http://127.0.0.1:5000", true)
}

/// A server that is found there.
pub fn site(url: &str, is_loopback: bool) -> Arc<Site> {
    Arc::new(Site {
        public_url: url.parse().expect("an address"),
        is_loopback,
        other_hosts: Vec::new(),
    })
}

/// A clock that stands still.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at_millis(BEGINNING))
}

/// What carries futures.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Accounts of nobody yet. Passwords are hashed as little as possible, since many are.
pub async fn accounts(clock: &Arc<dyn Clock>, site: &Site) -> Accounts {
    let parts = Parts {
        database: Database::in_memory(MIGRATIONS)
            .await
            .expect("a database in memory"),
        clock: Arc::clone(clock),
        rng: Arc::new(SeededRng::new(1)),
        nodes: Nodes::Own(site.public_url.base()),
        options: Options {
            sign_up: Some(SignUp::Open),
            cost: Cost {
                memory: 8,
                passes: 1,
                lanes: 1,
            },
            ..Options::default()
        },
    };
    Accounts::open(parts).await.expect("an empty register opens")
}

/// What the router says.
pub async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await;
    answer(response.expect("a router always answers")).await
}

/// The answer, read to its end.
pub async fn answer(response: Response<Body>) -> Answer {
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type");
    let is_json = kind.is_some_and(|kind| kind == "application/json");
    let body = response.into_body().collect().await;
    let body = body.expect("memory does not break off").to_bytes();
    Answer {
        status,
        is_json,
        body: body.to_vec(),
    }
}

impl Answer {
    /// What says it is JSON is; nothing at all is no lie.
    pub fn check_json(&self) {
        if self.is_json && !self.body.is_empty() {
            serde_json::from_slice::<serde::de::IgnoredAny>(&self.body).expect("what says it is JSON is");
        }
    }

    /// Nothing went wrong but what may.
    pub fn check_status(&self) {
        let Self { status, body, .. } = self;
        assert!(
            *status < 500 || *status == 503,
            "{status} {}",
            String::from_utf8_lossy(body)
        );
    }
}
