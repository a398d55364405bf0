//! Effects of the User API that no response shows: mails and security events.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::HOST;
use foxden_accounts::security::{EntryPoint, SecurityEvents};
use foxden_accounts::{ClientInfo, Cost, MIGRATIONS, Mail, Nodes, Options, Parts, SignUp, SingleProcess};
use foxden_model::{ManualClock, SeededRng};
use foxden_sql::Database;
use tower::ServiceExt;

use super::*;
use crate::wire::Peer;

/// A server with its mails and security events.
struct TestContext {
    state: UserState,
    events: Arc<Mutex<Vec<String>>>,
}

impl TestContext {
    /// A server that sends mail and asks a captcha, with an account called ann.
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(1_763_690_000_000));
        let rng = Arc::new(SeededRng::new(1));
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&events);
        let parts = Parts {
            database: Database::in_memory(MIGRATIONS).await.unwrap(),
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng) as _,
            nodes: Nodes::Own("https://sync.example.org".to_owned()),
            options: Options {
                sign_up: Some(SignUp::Open),
                cost: Cost {
                    memory: 8,
                    passes: 1,
                    lanes: 1,
                },
                sends_mail: true,
                security_events: SecurityEvents::new(move |event| {
                    sink.lock().unwrap().push(format!("{event:?}"));
                }),
                ..Options::default()
            },
        };
        let site = Site {
            public_url: "https://sync.example.org".parse().unwrap(),
            is_loopback: false,
            other_hosts: Vec::new(),
        };
        let state = UserState {
            accounts: Accounts::open(parts).await.unwrap(),
            storage: None,
            site: Arc::new(site),
            clock: Arc::clone(&clock),
            task_spawner: Arc::new(|work| drop(tokio::runtime::Handle::current().spawn(work))),
            memory: Arc::default(),
            captcha: None,
            admin_secret: None,
            is_strict_about_names: false,
            offers_resets: true,
        };
        let ctx = Self { state, events };
        let ann = r#"{"email":"ann@example.org","password":"correct horse"}"#;
        assert_eq!(ctx.send("PUT", "/user/1.0/ann", ann).await, StatusCode::OK);
        ctx.take_mails().await;
        ctx
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> StatusCode {
        self.answer(Self::request(method, path, body)).await
    }

    fn request(method: &str, path: &str, body: impl Into<Body>) -> Request {
        let peer = Peer {
            address: Ipv4Addr::LOCALHOST.into(),
            is_direct: false,
        };
        Request::builder()
            .method(method)
            .uri(path)
            .extension(peer)
            .header(HOST, "sync.example.org")
            .body(body.into())
            .unwrap()
    }

    async fn answer(&self, request: Request) -> StatusCode {
        let response = router(self.state.clone()).oneshot(request).await;
        response.unwrap().status()
    }

    /// The pending mails, as if they were sent now.
    async fn take_mails(&self) -> Vec<(String, Mail)> {
        let mut mails = Vec::new();
        while let Some(posted) = self.state.accounts.take_mail().await.unwrap() {
            self.state.accounts.ack_mail(posted.id).await.unwrap();
            mails.push((posted.address, posted.mail));
        }
        mails
    }
}

/// U13.33, U13.34: one mail for each request, and the same code in both.
#[tokio::test]
async fn a_code_is_mailed_each_time_it_is_asked_for() {
    let ctx = TestContext::new().await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        let status = ctx.send("GET", "/user/1.0/ann/password_reset", "").await;
        assert_eq!(status, StatusCode::OK);
        let mails = ctx.take_mails().await;
        let [(address, Mail::LegacyReset { name, code })] = mails.as_slice() else {
            panic!("one mail with a code, not {}", mails.len());
        };
        assert_eq!((address.as_str(), name.as_str()), ("ann@example.org", "ann"));
        codes.push(code.clone());
    }
    assert_eq!(codes[0], codes[1]);
}

/// Nothing is mailed for an unknown name.
#[tokio::test]
async fn an_unknown_account_gets_no_mail() {
    let ctx = TestContext::new().await;
    let status = ctx.send("GET", "/user/1.0/unknown/password_reset", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(ctx.take_mails().await.is_empty());
}

#[tokio::test]
async fn an_answer_that_no_person_gave_is_told() {
    let mut ctx = TestContext::new().await;
    let rng = Arc::new(SeededRng::new(2));
    let captcha = Captcha::new(
        b"a key",
        Arc::clone(&ctx.state.clock),
        rng,
        Arc::new(SingleProcess),
    );
    ctx.state.captcha = Some(Arc::new(captcha));
    let bea = r#"{"email":"bea@example.org","password":"correct horse"}"#;
    let status = ctx.send("PUT", "/user/1.0/bea", bea).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let events = ctx.events.lock().unwrap();
    let event = events.last().unwrap();
    for word in ["CaptchaFailed", "UserApi", "bea", "127.0.0.1", "not answered"] {
        assert!(event.contains(word), "{event}");
    }
}

/// Clients use both encodings: U13.21 and U13.22 say the same of credentials.
#[tokio::test]
async fn a_body_that_is_not_utf8_has_one_byte_for_each_character() {
    let ctx = TestContext::new().await;
    let body = |password: &[u8]| {
        let before = br#"{"email":"bea@example.org","password":""#;
        [before.as_slice(), password, br#""}"#].concat()
    };
    let status = ctx.send("PUT", "/user/1.0/bea", body(&[0xe9; 8])).await;
    assert_eq!(status, StatusCode::OK);
    let client_info = ClientInfo {
        address: Ipv4Addr::LOCALHOST.into(),
        is_private: false,
        user_agent: String::new(),
        entry_point: EntryPoint::Basic,
    };
    let accounts = &ctx.state.accounts;
    accounts
        .verify_plain_password("bea", "éééééééé", &client_info)
        .await
        .unwrap();

    ctx.send("GET", "/user/1.0/bea/password_reset", "").await;
    let mails = ctx.take_mails().await;
    let Some((_, Mail::LegacyReset { code, .. })) = mails.last() else {
        panic!("a mail with a code");
    };
    let mut request = TestContext::request("POST", "/user/1.0/bea/password", vec![0xe8; 8]);
    let headers = request.headers_mut();
    headers.insert("x-weave-password-reset", code.parse().unwrap());
    assert_eq!(ctx.answer(request).await, StatusCode::OK);
    accounts
        .verify_plain_password("bea", "èèèèèèèè", &client_info)
        .await
        .unwrap();
}

#[tokio::test]
async fn of_two_concurrent_sign_ups_with_one_name_one_succeeds() {
    let ctx = TestContext::new().await;
    let bea = r#"{"email":"bea@example.org","password":"correct horse"}"#;
    let take = || ctx.send("PUT", "/user/1.0/bea", bea);
    let (one, other) = tokio::join!(take(), take());
    let mut statuses = [one.as_u16(), other.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}
