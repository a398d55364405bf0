//! A whole request for the account API or the tokenserver, from a signed-in browser: the end of its path,
//! a header and its body are hostile. The first two bytes choose where it goes and which header; two lines
//! and the rest follow.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use data_encoding::HEXLOWER;
use foxden_accounts::token::TokenSecrets;
use foxden_accounts::{Kind, SecretToken, Secrets};
use foxden_fuzz::{Aimed, accounts, ask, clock, local, private_site, runtime};
use foxden_http::fxa::{self, FxaState};
use foxden_http::token::{self, TokenState};
use foxden_model::SeededRng;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Handle, Runtime};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A server with one account, renewed now and then so that it does not fill up.
struct World {
    runtime: Runtime,
    router: Router,
    bearer: HeaderValue,
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
        let aimed = Aimed::read(bytes, &PLACES, &HEADERS);
        let headers = [(AUTHORIZATION, world.bearer.clone()), (CONTENT_TYPE, JSON)];
        let Some(request) = aimed.and_then(|aimed| aimed.over(&headers)) else {
            return;
        };
        let answer = world.runtime.block_on(ask(&world.router, request));
        answer.check_status();
        answer.check_json();
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

impl World {
    fn new() -> Self {
        let runtime = runtime();
        let (clock, site) = (clock(), private_site());
        let rng = Arc::new(SeededRng::new(1));
        let accounts = runtime.block_on(accounts(&clock, &site));
        let tokens = TokenState {
            accounts: accounts.clone(),
            storage: None,
            secrets: Arc::new(TokenSecrets::new([], "a secret")),
            site: Arc::clone(&site),
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng) as _,
            duration: 3600,
            node_type: None,
        };
        let state = FxaState {
            accounts,
            storage: None,
            site,
            clock,
            rng,
            to_the_end: Arc::new(|work| drop(Handle::current().spawn(work))),
            memory: Arc::default(),
        };
        let router = fxa::router(state).merge(token::router(tokens));
        let bearer = runtime.block_on(sign_up(&router));
        Self {
            runtime,
            router,
            bearer,
            uses: 0,
        }
    }
}

/// Makes the account and gives what its session shows as `Bearer`.
async fn sign_up(router: &Router) -> HeaderValue {
    let proof = "0".repeat(64);
    let body = format!(r#"{{"email":"ann@example.org","authPW":"{proof}"}}"#);
    let mut request = local("POST", "/v1/account/create", body.into_bytes()).expect("a request");
    request.headers_mut().insert(CONTENT_TYPE, JSON);
    let answer = ask(router, request).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).expect("an answer");
    let token = HEXLOWER
        .decode(answer["sessionToken"].as_str().expect("a token").as_bytes())
        .expect("hex");
    let token = SecretToken(token.try_into().expect("32 bytes"));
    let id = HEXLOWER.encode(&Secrets::derive(Kind::Session, &token).id.0);
    HeaderValue::try_from(format!("Bearer fxs_{id}")).expect("letters and digits")
}
