//! Tests of when bodies are read, and of the memory that bodies and responses use.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Response, StatusCode};
use data_encoding::HEXLOWER;
use foxden_accounts::security::{EntryPoint, SecurityEvents};
use foxden_accounts::{
    Accounts, AuthPw, Cost, CredentialKind, MIGRATIONS, NewAccount, Nodes, Options, Parts, Secrets, SignUp,
};
use foxden_model::{Clock, ManualClock, SeededRng};
use foxden_sql::Database;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

use super::*;
use crate::wire::body::tests::UnreadBody;
use crate::wire::{Memory, Site};

/// Every route that needs credentials and takes a body.
const WITH_CREDENTIALS: &[&str] = &[
    "/v1/session/reauth",
    "/v1/session/destroy",
    "/v1/session/duplicate",
    "/v1/session/verify_code",
    "/v1/session/resend_code",
    "/v1/recovery_email/resend_code",
    "/v1/password/change/finish",
    "/v1/password/forgot/resend_code",
    "/v1/password/forgot/verify_code",
    "/v1/account/reset",
    "/v1/account/device",
    "/v1/account/device/destroy",
    "/v1/account/devices/notify",
    "/v1/account/devices/invoke_command",
    "/v1/account/attached_client/destroy",
    "/v1/account/scoped-key-data",
    "/v1/oauth/authorization",
    "/v1/authorization",
    "/v1/avatar/upload",
    "/v1/display_name",
    "/v1/totp/create",
];

struct TestContext {
    router: Router,
    memory: Arc<Memory>,
    session: String,
    owner: Owner,
}

impl TestContext {
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(1_763_690_000_000));
        let parts = Parts {
            database: Database::in_memory(MIGRATIONS).await.unwrap(),
            clock: Arc::clone(&clock),
            rng: Arc::new(SeededRng::new(1)),
            nodes: Nodes::Own("https://sync.example.org".to_owned()),
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
        let accounts = Accounts::open(parts).await.unwrap();
        let new = NewAccount {
            address: "ann@example.org".to_owned(),
            auth_pw: AuthPw([7; 32]),
            invite: None,
            wants_keys: false,
        };
        let client_info = ClientInfo {
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            is_private: true,
            user_agent: String::new(),
            entry_point: EntryPoint::Accounts,
        };
        let created = accounts.create(new, &client_info).await.unwrap();
        let token = created.session_token.unwrap();
        let memory: Arc<Memory> = Arc::new(Memory::new(400_000, 800_000, SecurityEvents::default()));
        let router = crate::fxa::router(FxaState {
            accounts,
            storage: None,
            site: Arc::new(Site {
                public_url: "https://sync.example.org".parse().unwrap(),
                is_loopback: false,
                other_hosts: Vec::new(),
            }),
            clock,
            memory: Arc::clone(&memory),
            rng: Arc::new(SeededRng::new(2)),
            task_spawner: Arc::new(|_| ()),
        });
        Self {
            router,
            memory,
            session: format!(
                "Bearer fxs_{}",
                Secrets::derive(CredentialKind::Session, &token).id.to_hex()
            ),
            owner: Owner::Account(created.account),
        }
    }

    async fn send(&self, method: &str, path: &str, credential: &str, body: Body) -> Response<Body> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "sync.example.org")
            .header("content-type", "application/json")
            .header("authorization", credential)
            .body(body);
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn no_body_is_read_before_the_client_is_known() {
    let ctx = TestContext::new().await;
    let unknown = HEXLOWER.encode(&[9; 32]);
    let hawk = format!(r#"Hawk id="{unknown}", ts="1763690000", nonce="n", mac="bWFj""#);
    let credentials = [
        "Basic YTpi",
        "",
        &format!("Bearer fxs_{unknown}"),
        &format!("Bearer {unknown}"),
        &hawk,
    ];
    for path in WITH_CREDENTIALS {
        for credential in credentials {
            let answer = ctx.send("POST", path, credential, Body::new(UnreadBody)).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path} {credential}");
        }
    }
    // Routes with optional credentials refuse invalid ones.
    for path in [
        "/v1/account/destroy",
        "/v1/oauth/token",
        "/v1/password/change/start",
    ] {
        for credential in &credentials[2..3] {
            let answer = ctx.send("POST", path, credential, Body::new(UnreadBody)).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path} {credential}");
        }
    }
}

/// A body that is too large is refused before the caller is identified.
#[tokio::test]
async fn the_announced_length_is_checked_first() {
    let ctx = TestContext::new().await;
    for (path, limit) in [
        ("/v1/account/login", MAX_BODY_BYTES),
        ("/v1/session/destroy", MAX_BODY_BYTES),
        ("/v1/account/device", MAX_DEVICE_BODY_BYTES),
        ("/v1/avatar/upload", 256 * 1024),
    ] {
        let request = Request::post(path)
            .header("host", "sync.example.org")
            .header("content-type", "application/json")
            .header("content-length", limit + 1)
            .body(Body::new(UnreadBody));
        let answer = ctx.router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
}

#[tokio::test]
async fn a_body_uses_the_senders_memory_until_the_response() {
    let ctx = TestContext::new().await;
    let body = || Body::from(json!({ "name": "x".repeat(200) }).to_string());
    let held = ctx.memory.bodies.take(ctx.owner, 99_000).unwrap();
    let answer = ctx.send("POST", "/v1/account/device", &ctx.session, body()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "10");
    let error: Value = serde_json::from_slice(&to_bytes(answer.into_body(), 9999).await.unwrap()).unwrap();
    assert_eq!((&error["errno"], error.get("retryAfter")), (&json!(201), None));
    let picture = ctx.send("POST", "/v1/avatar/upload", &ctx.session, "x".repeat(900).into());
    assert_eq!(picture.await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Clients without credentials have memory of their own.
    let login = ctx.send("POST", "/v1/account/login", "", body()).await;
    assert_eq!(login.status(), StatusCode::BAD_REQUEST);
    drop(held);
    let answer = ctx.send("POST", "/v1/account/device", &ctx.session, body()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(ctx.memory.bodies.held(), 0);
    let held_by_others = ctx
        .memory
        .bodies
        .take(Owner::SmallBody([0, 0, 0, 0].into()), 50_000);
    let login = ctx.send("POST", "/v1/account/login", "", body()).await;
    assert_eq!(login.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(held_by_others);
}

#[tokio::test]
async fn a_response_uses_the_readers_memory_until_it_is_read() {
    let ctx = TestContext::new().await;
    let commands = json!({ "availableCommands": { "a": "x".repeat(2000), "b": "x".repeat(2000), "c": "x".repeat(2000) } });
    let body = Body::from(commands.to_string());
    let answer = ctx.send("POST", "/v1/account/device", &ctx.session, body).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let list = || ctx.send("GET", "/v1/account/devices", &ctx.session, Body::empty());
    let mut answers = Vec::new();
    for _ in 0..9 {
        answers.push(list().await);
    }
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    let held = ctx.memory.answers.held();
    assert!((54_000..100_000).contains(&held), "{held}");
    while answers.len() < 20 {
        answers.push(list().await);
    }
    let refused = answers.last().unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "10");
    for path in ["/v1/account/devices", "/v1/account/attached_clients"] {
        let answer = ctx.send("GET", path, &ctx.session, Body::empty()).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    drop(answers);
    assert_eq!(ctx.memory.answers.held(), 0);
    assert_eq!(list().await.status(), StatusCode::OK);
}
