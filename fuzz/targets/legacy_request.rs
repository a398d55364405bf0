//! A whole request of Sync 1.1 for storage: the end of its path, its query, a header and its body are hostile, or the
//! header that says who asks. The first two bytes choose where it goes and which header; two lines and the rest
//! follow.
#![no_main]

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use data_encoding::BASE64;
use foxden_accounts::plain::NewPlain;
use foxden_accounts::security::Door;
use foxden_accounts::token::TokenSecrets;
use foxden_accounts::{Accounts, Visitor};
use foxden_fuzz::{Aimed, answer, clock, runtime, site};
use foxden_http::sync::{LegacyState, SyncState, serve};
use foxden_http::wire::Site;
use foxden_model::{Clock, SeededRng};
use foxden_storage::{Limits, MemoryEngine, Storage};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

const BASE: &str = "https://sync.example.org";
const PASSWORD: &str = "correct horse";

/// What outlives a request: an account, for which no input can do anything but be recognised.
struct House {
    runtime: Runtime,
    accounts: Accounts,
    clock: Arc<dyn Clock>,
    site: Arc<Site>,
}

fuzz_target!(|bytes: &[u8]| {
    static HOUSE: OnceLock<House> = OnceLock::new();
    let Some((request, is_known)) = request(bytes) else {
        return;
    };
    let house = HOUSE.get_or_init(House::open);
    let state = house.state();
    house.runtime.block_on(async {
        let response = serve(&state, request).await;
        let status = response.status().as_u16();
        // Whoever tries hostile passwords is made to wait in the end.
        assert!(status < 500 || (status == 503 && !is_known), "{status}");
        assert!(status != 401 || !is_known, "{status}");
        assert!(response.headers().contains_key("x-weave-timestamp"));
        answer(response).await.check_json();
    });
});

const PLACES: [(&str, &str); 11] = [
    ("GET", "/1.1/ann/info/"),
    ("GET", "/1.1/ann/storage/tabs?"),
    ("GET", "/1.0/ann/storage/tabs/"),
    ("PUT", "/1.1/ann/storage/tabs/a"),
    ("PUT", "/1.1/ann/storage/tabs/a/"),
    ("GET", "/1.1/ann/storage/tabs?ids=Qk3/+,"),
    ("POST", "/1/ann/storage/tabs"),
    ("PUT", "/1.1/ann/storage/"),
    ("DELETE", "/1.1/ann/storage/tabs?"),
    ("DELETE", "/1.1/ann/"),
    ("GET", "/1.1/ann"),
];
const HEADERS: [&str; 6] = [
    "accept",
    "content-encoding",
    "x-if-unmodified-since",
    "x-confirm-delete",
    "x-other",
    "authorization",
];

/// The request, and whether it shows who asks.
fn request(bytes: &[u8]) -> Option<(Request<Body>, bool)> {
    let aimed = Aimed::read(bytes, &PLACES, &HEADERS)?;
    let name = aimed.name;
    let mut request = aimed.bare()?;
    // A hostile end may make it another user's path, or none at all.
    let is_known = name != "authorization" && request.uri().path().split('/').nth(2) == Some("ann");
    if is_known {
        let header = format!("Basic {}", BASE64.encode(format!("ann:{PASSWORD}").as_bytes()));
        let header = HeaderValue::try_from(header).expect("letters and digits");
        request.headers_mut().insert(AUTHORIZATION, header);
    }
    Some((request, is_known))
}

impl House {
    fn open() -> Self {
        let (runtime, clock, site) = (runtime(), clock(), site(BASE, false));
        let accounts = runtime.block_on(with_ann(&clock, &site));
        Self {
            runtime,
            accounts,
            clock,
            site,
        }
    }

    /// A surface over an empty store.
    fn state(&self) -> SyncState {
        let engine = MemoryEngine::new(Arc::clone(&self.clock), Arc::new(SeededRng::new(1)));
        let storage = Storage::new(Arc::new(engine), Limits::default(), None);
        let secrets = Arc::new(TokenSecrets::new([], "a secret"));
        SyncState {
            legacy: Some(LegacyState::new(self.accounts.clone(), &self.site)),
            ..SyncState::new(storage, secrets, Arc::clone(&self.site), Arc::clone(&self.clock))
        }
    }
}

async fn with_ann(clock: &Arc<dyn Clock>, site: &Site) -> Accounts {
    let accounts = foxden_fuzz::accounts(clock, site).await;
    let new = NewPlain {
        name: "ann",
        address: "ann@example.org",
        password: PASSWORD,
        is_authorised: true,
    };
    let operator = Visitor {
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        is_private: true,
        user_agent: String::new(),
        door: Door::Operator,
    };
    accounts
        .create_plain(new, &operator)
        .await
        .expect("a new account");
    accounts
}
