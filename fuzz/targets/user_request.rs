//! A whole request for the User API, about an account that is there: the end of its path, a header and its body are
//! hostile. The first two bytes choose where it goes and which header; two lines and the rest follow.
#![no_main]

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use foxden_accounts::{Accounts, Cost, MIGRATIONS, Nodes, Options, Parts, SignUp};
use foxden_http::user::{self, AdminSecret, UserState};
use foxden_http::wire::captcha::Captcha;
use foxden_http::wire::{Peer, Site};
use foxden_model::{Clock, ManualClock, SeededChance};
use foxden_sql::Database;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Handle, Runtime};
use tower::ServiceExt;

const BEGINNING: i64 = 1_763_690_000_000;

/// How hard passwords are hashed here: as little as possible, since many are.
const CHEAP: Cost = Cost {
    memory: 8,
    passes: 1,
    lanes: 1,
};

/// `ann` and her password, as Basic says them.
const ANN: HeaderValue = HeaderValue::from_static("Basic YW5uOmNvcnJlY3QgaG9yc2U=");

/// A server with one account, renewed now and then so that it does not fill up.
struct World {
    runtime: Runtime,
    router: Router,
    uses: u32,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    WORLD.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|world| world.uses > 500) {
            *slot = Some(World::new());
        }
        let world = slot.as_mut().expect("made above");
        world.uses += 1;
        let Some(request) = request(bytes) else {
            return;
        };
        let (status, is_json, body) = world.send(request);
        assert!(
            status < 500 || status == 503,
            "{status} {}",
            String::from_utf8_lossy(&body)
        );
        if is_json {
            serde_json::from_slice::<Option<u8>>(&body).expect("what says it is JSON is a number, or null");
        }
    });
});

const PLACES: [(&str, &str); 14] = [
    ("GET", "/user/"),
    ("GET", "/user/1.0/"),
    ("PUT", "/user/1.0/"),
    ("PUT", "/user/1.0/bea"),
    ("DELETE", "/user/1.0/ann"),
    ("GET", "/user/1.0/ann/node/weave"),
    ("GET", "/user/1.0/ann/password_reset?captcha-challenge="),
    ("DELETE", "/user/1.0/ann/password_reset?"),
    ("POST", "/user/1.0/ann/password"),
    ("POST", "/user/1.0/ann/email"),
    ("POST", "/user/1.0/"),
    ("GET", "/misc/1.0/captcha_html"),
    ("GET", "/misc/"),
    ("OPTIONS", "/user/1.0/ann"),
];
const HEADERS: [&str; 8] = [
    "authorization",
    "x-weave-secret",
    "x-weave-password-reset",
    "content-type",
    "origin",
    "user-agent",
    "content-length",
    "x-forwarded-for",
];

fn request(bytes: &[u8]) -> Option<Request<Body>> {
    let (&[place, header], rest) = bytes.split_first_chunk()?;
    let (method, path) = PLACES[usize::from(place) % PLACES.len()];
    let mut lines = rest.splitn(3, |&byte| byte == b'\n');
    let more = std::str::from_utf8(lines.next()?).ok()?;
    let value = HeaderValue::from_bytes(lines.next().unwrap_or_default()).ok()?;
    let body = lines.next().unwrap_or_default().to_vec();
    let mut request = plain(method, &format!("{path}{more}"), body)?;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, ANN);
    headers.insert(
        HeaderName::from_static(HEADERS[usize::from(header) % HEADERS.len()]),
        value,
    );
    Some(request)
}

fn plain(method: &str, path: &str, body: Vec<u8>) -> Option<Request<Body>> {
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

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let router = user::router(runtime.block_on(state()));
        let world = Self {
            runtime,
            router,
            uses: 0,
        };
        world.sign_up();
        world
    }

    fn sign_up(&self) {
        let body = br#"{"email":"ann@example.org","password":"correct horse"}"#;
        let mut request = plain("PUT", "/user/1.0/ann", body.to_vec()).expect("a request");
        let word = HeaderValue::from_static("word");
        request.headers_mut().insert("x-weave-secret", word);
        let (status, _, body) = self.send(request);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }

    fn send(&self, request: Request<Body>) -> (u16, bool, Vec<u8>) {
        self.runtime.block_on(async {
            let response = self
                .router
                .clone()
                .oneshot(request)
                .await
                .expect("a router always answers");
            let status = response.status().as_u16();
            let is_json = response
                .headers()
                .get("content-type")
                .is_some_and(|kind| kind == "application/json");
            let body = response
                .into_body()
                .collect()
                .await
                .expect("memory does not break off")
                .to_bytes();
            (status, is_json, body.to_vec())
        })
    }
}

async fn state() -> UserState {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(BEGINNING));
    let chance = Arc::new(SeededChance::new(1));
    let site = Arc::new(Site {
        public_url: "http://127.0.0.1:5000".parse().expect("an address"),
        is_loopback: true,
        other_hosts: Vec::new(),
    });
    let parts = Parts {
        database: Database::in_memory(MIGRATIONS)
            .await
            .expect("a database in memory"),
        clock: Arc::clone(&clock),
        chance: Arc::clone(&chance) as _,
        nodes: Nodes::Own(site.public_url.base()),
        options: Options {
            sign_up: Some(SignUp::Open),
            cost: CHEAP,
            ..Options::default()
        },
    };
    let captcha = Captcha::new(b"a key", Arc::clone(&clock), chance);
    UserState {
        accounts: Accounts::open(parts).await.expect("an empty register opens"),
        storage: None,
        site,
        clock,
        to_the_end: Arc::new(|work| drop(Handle::current().spawn(work))),
        captcha: Some(Arc::new(captcha)),
        admin_secret: AdminSecret::new("word"),
        is_strict_about_names: false,
        offers_resets: true,
    }
}
