//! Tests of the health pages.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use foxden_accounts::{Options, Parts};
use foxden_model::{ManualClock, SeededRng, UserId};
use foxden_sql::Database;
use foxden_storage::{
    BatchPart, Budget, Detail, Engine, EngineError, Limits, Page, Purged, Query, QueuedWrites, Staged,
    Summary, Write, Written,
};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

/// An engine whose disk is gone.
struct Broken;

fn gone() -> EngineError {
    EngineError::Unavailable(Box::<dyn Error + Send + Sync>::from("the disk is gone"))
}

#[async_trait]
impl Engine for Broken {
    async fn summary(&self, _: UserId, _: Detail) -> Result<Summary, EngineError> {
        Err(gone())
    }
    async fn read(&self, _: UserId, _: &Query) -> Result<Page, EngineError> {
        Err(gone())
    }
    async fn write(&self, _: UserId, _: Write) -> Result<Written, EngineError> {
        Err(gone())
    }
    async fn stage(&self, _: UserId, _: BatchPart) -> Result<Staged, EngineError> {
        Err(gone())
    }
    async fn purge(&self, _: Budget) -> Result<Purged, EngineError> {
        Err(gone())
    }
    async fn users(&self, _: Option<UserId>, _: usize) -> Result<Vec<UserId>, EngineError> {
        Err(gone())
    }
    async fn check(&self) -> Result<(), EngineError> {
        Err(gone())
    }
    fn queued_writes(&self) -> QueuedWrites {
        QueuedWrites::default()
    }
    async fn close(&self) {}
}

async fn ask(storage: Option<Storage>, method: &str, path: &str) -> (StatusCode, HeaderMap, String) {
    ask_of(storage, None, method, path).await
}

async fn ask_of(
    storage: Option<Storage>,
    accounts: Option<Accounts>,
    method: &str,
    path: &str,
) -> (StatusCode, HeaderMap, String) {
    let version = Version {
        source: "https://example.org/foxden",
        version: "1.2.3",
        commit: "abc",
        build: "",
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(ORIGIN, "localhost")
        .body(Body::empty())
        .unwrap();
    let state = OpsState {
        storage,
        accounts,
        version,
    };
    let response = router(state).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status,
        parts.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn a_healthy_server_says_so() {
    let (status, headers, body) = ask(None, "GET", "/__heartbeat__").await;
    assert_eq!(status, 200);
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    let healthy = r#"{"version":"1.2.3","quota":{"enabled":false,"size":0},"database":"Ok","status":"Ok"}"#;
    assert_eq!(body, healthy);
}

#[tokio::test]
async fn health_reports_a_failed_storage_without_details() {
    let storage = Storage::new(Arc::new(Broken), Limits::default(), Some(1000));
    let (status, _, body) = ask(Some(storage.clone()), "GET", "/__heartbeat__").await;
    assert_eq!(status, 503);
    assert!(
        body.contains(r#""quota":{"enabled":true,"size":1000},"database":"Unknown""#),
        "{body}"
    );
    assert!(body.ends_with(r#""status":"Err"}"#), "{body}");
    assert!(
        !body.contains("disk"),
        "outsiders hear nothing of what broke: {body}"
    );

    let (status, _, body) = ask(Some(storage), "GET", "/__lbheartbeat__").await;
    assert_eq!((status.as_u16(), body.as_str()), (200, "{}"));
}

/// A server that issues tokens and stores no objects is as healthy as its register.
#[tokio::test]
async fn health_reports_a_failed_register_without_details() {
    let folder = std::env::temp_dir().join(format!("foxden-ops-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("register.sqlite");
    let database = Database::open(file.to_str().unwrap(), foxden_accounts::MIGRATIONS)
        .await
        .unwrap();
    let accounts = Accounts::open(Parts {
        database: database.clone(),
        clock: Arc::new(ManualClock::at_millis(1)),
        rng: Arc::new(SeededRng::new(7)),
        nodes: foxden_accounts::Nodes::Own("http://127.0.0.1:5000".to_owned()),
        options: Options::default(),
    })
    .await
    .unwrap();
    let (status, _, _) = ask_of(None, Some(accounts.clone()), "GET", "/__heartbeat__").await;
    assert_eq!(status, 200);

    database.wipe_deleted().await.unwrap();
    std::fs::write(&file, vec![b'x'; 256 * 1024]).unwrap();
    let (status, _, body) = ask_of(None, Some(accounts), "GET", "/__heartbeat__").await;

    assert_eq!(status, 503);
    assert!(body.contains("the register cannot serve"), "{body}");
    assert!(
        !body.contains("not a database"),
        "outsiders hear nothing of what broke: {body}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn the_version_names_source_and_commit() {
    let (status, _, body) = ask(None, "GET", "/__version__").await;
    assert_eq!(status, 200);
    let version = r#"{"source":"https://example.org/foxden","version":"1.2.3","commit":"abc","build":""}"#;
    assert_eq!(body, version);
}

#[tokio::test]
async fn any_origin_may_ask_and_other_methods_may_not() {
    for (_, path) in ROUTES {
        let (status, headers, _) = ask(None, "OPTIONS", path).await;
        assert_eq!(status, 200);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "localhost");
        assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "1728000");
        let (status, _, body) = ask(None, "HEAD", path).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, ""));
        let (status, _, _) = ask(None, "DELETE", path).await;
        assert_eq!(status, 405);
    }
    let (status, _, _) = ask(None, "GET", "/__error__").await;
    assert_eq!(status, 404);
}
