//! Removal of an account whose client disconnects.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use axum::body::Body;
use axum::http::Request;
use foxden_accounts::security::EntryPoint;
use foxden_accounts::{Accounts, ClientInfo, Cost, Identity, KeyId, MIGRATIONS, Options, Parts, SignUp};
use foxden_model::{Clock, ManualClock, Rng, SeededRng, UserId};
use foxden_sql::Database;
use foxden_storage::{Detail, EngineError, Limits, MemoryEngine, Storage, StorageError};
use tower::ServiceExt;

use super::*;
use crate::fxa::router;
use crate::wire::{BoxFuture, Site};

const ANN: &str = "ann@example.org";

async fn accounts(clock: &Arc<ManualClock>) -> Accounts {
    let parts = Parts {
        database: Database::in_memory(MIGRATIONS).await.unwrap(),
        clock: Arc::clone(clock) as _,
        rng: Arc::new(SeededRng::new(1)),
        nodes: foxden_accounts::Nodes::Own("https://sync.example.org".to_owned()),
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
    Accounts::open(parts).await.unwrap()
}

/// Creates Ann's account and returns the uid of its store.
async fn with_store(accounts: &Accounts) -> UserId {
    let client_info = ClientInfo {
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        is_private: true,
        user_agent: String::new(),
        entry_point: EntryPoint::Accounts,
    };
    let new = NewAccount {
        address: ANN.to_owned(),
        auth_pw: AuthPw([7; 32]),
        invite: None,
        wants_keys: false,
    };
    let created = accounts.create(new, &client_info).await.unwrap();
    let identity = Identity {
        fxa_uid: created.account.to_string(),
        issuer: accounts.issuer().to_owned(),
        generation: None,
        scope: Vec::new(),
    };
    let key_id = KeyId {
        keys_changed_at: 1,
        client_state: vec![1; 16],
    };
    accounts.assign(&identity, &key_id).await.unwrap().user
}

#[tokio::test]
async fn the_stores_are_closed_even_if_the_client_hangs_up() {
    let clock = Arc::new(ManualClock::at_millis(1_763_690_000_000));
    let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(2));
    let accounts = accounts(&clock).await;
    let user = with_store(&accounts).await;
    let engine = MemoryEngine::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&rng));
    let storage = Storage::new(Arc::new(engine), Limits::default(), None);
    let begun: Arc<Mutex<Option<BoxFuture>>> = Arc::default();
    let kept = Arc::clone(&begun);
    let site = Site {
        public_url: "https://sync.example.org".parse().unwrap(),
        is_loopback: false,
        other_hosts: Vec::new(),
    };
    let router = router(FxaState {
        accounts: accounts.clone(),
        storage: Some(storage.clone()),
        site: Arc::new(site),
        clock,
        memory: Arc::default(),
        rng,
        task_spawner: Arc::new(move |work| *kept.lock().unwrap() = Some(work)),
    });
    let body = json!({ "email": ANN, "authPW": HEXLOWER.encode(&[7; 32]) });
    let request = Request::post("/v1/account/destroy")
        .header("host", "sync.example.org")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let mut answer = Box::pin(router.oneshot(request));
    poll_fn(|context| {
        let answered = answer.as_mut().poll(context).is_ready();
        let is_begun = begun.lock().unwrap().is_some();
        assert!(!answered || is_begun, "answered before it was begun");
        if is_begun { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(answer);
    assert!(storage.summary(user, Detail::Times).await.is_ok());

    let work = begun.lock().unwrap().take().unwrap();
    work.await;

    let refused = storage.summary(user, Detail::Times).await;
    assert!(
        matches!(refused, Err(StorageError::Engine(EngineError::Closed))),
        "{refused:?}"
    );
    assert_eq!(accounts.count_accounts().await.unwrap(), 0);
}
