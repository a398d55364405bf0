//! Set-password links.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use data_encoding::HEXLOWER;
use foxden_accounts::{Accounts, Cost, MIGRATIONS, Nodes, Options, Parts, Role};
use foxden_model::{Clock, ManualClock, SeededRng};
use foxden_sql::Database;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fxa::FxaState;
use crate::wire::Site;

async fn server() -> (Accounts, Router) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at_millis(1_763_690_000_000));
    let parts = Parts {
        database: Database::in_memory(MIGRATIONS).await.unwrap(),
        clock: Arc::clone(&clock),
        rng: Arc::new(SeededRng::new(1)),
        nodes: Nodes::Own("https://sync.example.org".to_owned()),
        options: Options {
            cost: Cost {
                memory: 8,
                passes: 1,
                lanes: 1,
            },
            ..Options::default()
        },
    };
    let accounts = Accounts::open(parts).await.unwrap();
    let site = Site {
        public_url: "https://sync.example.org".parse().unwrap(),
        is_loopback: false,
        other_hosts: Vec::new(),
    };
    let router = crate::fxa::router(FxaState {
        accounts: accounts.clone(),
        storage: None,
        site: Arc::new(site),
        clock,
        memory: Arc::default(),
        rng: Arc::new(SeededRng::new(2)),
        task_spawner: Arc::new(|_| ()),
    });
    (accounts, router)
}

async fn post(router: &Router, path: &str, credential: &str, body: Value) -> Value {
    let request = Request::post(path)
        .header("host", "sync.example.org")
        .header("content-type", "application/json")
        .header("authorization", credential)
        .body(Body::from(body.to_string()));
    let response = router.clone().oneshot(request.unwrap()).await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
    let body = to_bytes(response.into_body(), 9999).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// The page for the first password warns of no new key, as there is no data yet. A later password replaces the key.
#[tokio::test]
async fn a_link_tells_whether_it_sets_the_first_password() {
    let (accounts, router) = server().await;
    let code = accounts
        .add_account("ann@example.org", Role::Member)
        .await
        .unwrap();
    let first = post(&router, "/v1/password/link", "", json!({ "code": code })).await;
    assert_eq!(first["hasPassword"], json!(false));
    let token = HEXLOWER
        .decode(first["accountResetToken"].as_str().unwrap().as_bytes())
        .unwrap();
    let token = foxden_accounts::SecretToken(token.try_into().unwrap());
    let id = foxden_accounts::Secrets::derive(foxden_accounts::CredentialKind::AccountReset, &token).id;
    let credential = format!("Bearer fxar_{}", id.to_hex());
    let password = json!({ "authPW": HEXLOWER.encode(&[7; 32]) });
    post(&router, "/v1/account/reset", &credential, password).await;

    let code = accounts.password_link("ann@example.org").await.unwrap();
    let later = post(&router, "/v1/password/link", "", json!({ "code": code })).await;
    assert!(later.get("hasPassword").is_none(), "{later}");
}
