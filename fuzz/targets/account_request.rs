//! A whole request for the account API or the tokenserver, from a signed-in browser: the end of its path,
//! a header and its body are hostile. The first two bytes choose where it goes and which header; two lines
//! and the rest follow.
#![no_main]

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use data_encoding::HEXLOWER;
use foxden_accounts::token::TokenSecrets;
use foxden_accounts::{Accounts, Cost, Kind, MIGRATIONS, Options, Parts, SecretToken, Secrets, SignUp};
use foxden_http::fxa::{self, FxaState};
use foxden_http::token::{self, TokenState};
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

/// A server with one account, renewed now and then so that it does not fill up.
struct World {
    runtime: Runtime,
    router: Router,
    bearer: String,
    uses: u32,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    WORLD.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|world| world.uses > 2000) {
            *slot = Some(World::new());
        }
        let world = slot.as_mut().expect("made above");
        world.uses += 1;
        let Some(request) = request(bytes, &world.bearer) else {
            return;
        };
        let (status, is_json, body) = world.send(request);
        assert!(
            status < 500 || status == 503,
            "{status} {}",
            String::from_utf8_lossy(&body)
        );
        if is_json && !body.is_empty() {
            serde_json::from_slice::<serde::de::IgnoredAny>(&body).expect("what says it is JSON is");
        }
    });
});

const PLACES: [(&str, &str); 30] = [
    ("POST", "/v1/account/create"),
    ("POST", "/v1/account/login"),
    ("POST", "/v1/account/status"),
    ("GET", "/v1/account/status?uid="),
    ("POST", "/v1/account/credentials/status"),
    ("GET", "/v1/account/keys"),
    ("POST", "/v1/session/reauth"),
    ("POST", "/v1/session/verify_code"),
    ("POST", "/v1/recovery_email/verify_code"),
    ("POST", "/v1/password/change/start"),
    ("POST", "/v1/password/change/finish"),
    ("POST", "/v1/password/forgot/send_code"),
    ("POST", "/v1/password/forgot/verify_code"),
    ("POST", "/v1/password/link"),
    ("POST", "/v1/account/reset"),
    ("POST", "/v1/account/device"),
    ("GET", "/v1/account/devices?"),
    ("POST", "/v1/account/devices/notify"),
    ("POST", "/v1/account/devices/invoke_command"),
    ("GET", "/v1/account/device/commands?"),
    ("POST", "/v1/account/attached_client/destroy"),
    ("POST", "/v1/account/scoped-key-data"),
    ("POST", "/v1/oauth/authorization"),
    ("POST", "/v1/oauth/token"),
    ("POST", "/v1/oauth/destroy"),
    ("POST", "/v1/introspect"),
    ("POST", "/v1/display_name"),
    ("POST", "/v1/avatar/upload"),
    ("GET", "/v1/"),
    ("GET", "/1.0/"),
];
const HEADERS: [&str; 8] = [
    "authorization",
    "content-type",
    "x-keyid",
    "x-client-state",
    "if-none-match",
    "user-agent",
    "accept-language",
    "x-forwarded-for",
];

fn request(bytes: &[u8], bearer: &str) -> Option<Request<Body>> {
    let (&[place, header], rest) = bytes.split_first_chunk()?;
    let (method, path) = PLACES[usize::from(place) % PLACES.len()];
    let mut lines = rest.splitn(3, |&byte| byte == b'\n');
    let more = std::str::from_utf8(lines.next()?).ok()?;
    let value = HeaderValue::from_bytes(lines.next().unwrap_or_default()).ok()?;
    let body = lines.next().unwrap_or_default().to_vec();
    let mut request = plain(method, &format!("{path}{more}"), body)?;
    let headers = request.headers_mut();
    headers.insert(
        AUTHORIZATION,
        HeaderValue::try_from(format!("Bearer {bearer}")).ok()?,
    );
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
        .header(HOST, "127.0.0.1:5000")
        .header("content-type", "application/json");
    request.body(Body::from(body)).ok()
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(BEGINNING));
        let chance = Arc::new(SeededChance::new(1));
        let site = Arc::new(Site {
            public_url: "http://127.0.0.1:5000".parse().expect("an address"),
            is_loopback: true,
            other_hosts: Vec::new(),
        });
        let accounts = runtime.block_on(async {
            let parts = Parts {
                database: Database::in_memory(MIGRATIONS)
                    .await
                    .expect("a database in memory"),
                clock: Arc::clone(&clock),
                chance: Arc::clone(&chance) as _,
                nodes: foxden_accounts::Nodes::Own(site.public_url.base()),
                options: Options {
                    sign_up: Some(SignUp::Open),
                    cost: CHEAP,
                    ..Options::default()
                },
            };
            Accounts::open(parts).await.expect("an empty register opens")
        });
        let tokens = TokenState {
            accounts: accounts.clone(),
            secrets: Arc::new(TokenSecrets::new([], "a secret")),
            site: Arc::clone(&site),
            clock: Arc::clone(&clock),
            chance: Arc::clone(&chance) as _,
            duration: 3600,
            node_type: None,
        };
        let state = FxaState {
            accounts,
            storage: None,
            site,
            clock,
            chance,
            to_the_end: Arc::new(|work| drop(Handle::current().spawn(work))),
        };
        let router = fxa::router(state);
        let router = router.merge(token::router(tokens));
        let mut world = Self {
            runtime,
            router,
            bearer: String::new(),
            uses: 0,
        };
        world.bearer = world.sign_up();
        world
    }

    /// Makes the account and gives what its session shows as `Bearer`.
    fn sign_up(&self) -> String {
        let proof = "0".repeat(64);
        let body = format!(r#"{{"email":"ann@example.org","authPW":"{proof}"}}"#);
        let request = plain("POST", "/v1/account/create", body.into_bytes()).expect("a request");
        let (status, _, body) = self.send(request);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let answer: serde_json::Value = serde_json::from_slice(&body).expect("an answer");
        let token = HEXLOWER
            .decode(answer["sessionToken"].as_str().expect("a token").as_bytes())
            .expect("hex");
        let token = SecretToken(token.try_into().expect("32 bytes"));
        format!(
            "fxs_{}",
            HEXLOWER.encode(&Secrets::derive(Kind::Session, &token).id.0)
        )
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
