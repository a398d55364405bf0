//! A whole request for the User API, about an account that is there: the end of its path, a header and its body are
//! hostile. The first two bytes choose where it goes and which header; two lines and the rest follow.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use foxden_fuzz::{Aimed, accounts, ask, clock, local, private_site, runtime};
use foxden_http::user::{self, AdminSecret, UserState};
use foxden_http::wire::captcha::Captcha;
use foxden_model::SeededRng;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Handle, Runtime};

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
        let aimed = Aimed::read(bytes, &PLACES, &HEADERS);
        let Some(request) = aimed.and_then(|aimed| aimed.over(&[(AUTHORIZATION, ANN)])) else {
            return;
        };
        let answer = world.runtime.block_on(ask(&world.router, request));
        answer.check_status();
        if answer.is_json {
            serde_json::from_slice::<Option<u8>>(&answer.body)
                .expect("what says it is JSON is a number, or null");
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

impl World {
    fn new() -> Self {
        let runtime = runtime();
        let router = user::router(runtime.block_on(state()));
        runtime.block_on(sign_up(&router));
        Self {
            runtime,
            router,
            uses: 0,
        }
    }
}

async fn sign_up(router: &Router) {
    let body = br#"{"email":"ann@example.org","password":"correct horse"}"#;
    let mut request = local("PUT", "/user/1.0/ann", body.to_vec()).expect("a request");
    let word = HeaderValue::from_static("word");
    request.headers_mut().insert("x-weave-secret", word);
    let answer = ask(router, request).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

async fn state() -> UserState {
    let (clock, site) = (clock(), private_site());
    let captcha = Captcha::new(b"a key", Arc::clone(&clock), Arc::new(SeededRng::new(1)));
    UserState {
        accounts: accounts(&clock, &site).await,
        storage: None,
        site,
        clock,
        to_the_end: Arc::new(|work| drop(Handle::current().spawn(work))),
        memory: Arc::default(),
        captcha: Some(Arc::new(captcha)),
        admin_secret: AdminSecret::new("word"),
        is_strict_about_names: false,
        offers_resets: true,
    }
}
