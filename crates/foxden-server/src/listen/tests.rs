//! Conversations on one connection.

use axum::routing::{get, post};
use foxden_accounts::security::SecurityEvents;
use foxden_model::SeededRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpStream, UnixStream};

use super::drain::DrainLimits;
use super::request_handler::RequestIds;
use super::*;
use crate::config::http::Http;
use crate::exposure;

mod early;

/// The client's end of a connection to this router, and what ends the program.
async fn connect(router: axum::Router) -> (DuplexStream, crate::tasks::Stopper) {
    connect_within(router, DrainLimits::for_uploads_of(0)).await
}

/// The same where this much of a body is read off.
async fn connect_within(router: axum::Router, limits: DrainLimits) -> (DuplexStream, crate::tasks::Stopper) {
    let limiter = limiter();
    connect_to(&limiter, router, limits).await
}

/// A limiter for one connection.
fn limiter() -> Arc<ConnectionLimiter> {
    let http = Http {
        max_connections: 1,
        max_connections_per_network: 1,
        max_slow_readers: 1,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        stall_timeout: Duration::from_secs(20),
        min_rate: 1000,
        request_timeout: Duration::from_secs(300),
        max_body_memory: 1_000_000,
        max_answer_memory: 1_000_000,
        shutdown_timeout: Duration::from_secs(1),
    };
    ConnectionLimiter::new(&http, 1, foxden_accounts::security::SecurityEvents::default())
}

async fn connect_to(
    limiter: &Arc<ConnectionLimiter>,
    router: axum::Router,
    limits: DrainLimits,
) -> (DuplexStream, crate::tasks::Stopper) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    (ours, serve_on(theirs, limiter, router, limits).await)
}

/// Serves this router on that end of a connection; what is given ends the program.
async fn serve_on<S>(
    theirs: S,
    limiter: &Arc<ConnectionLimiter>,
    router: axum::Router,
    limits: DrainLimits,
) -> crate::tasks::Stopper
where
    S: AsyncRead + AsyncWrite + Peek + Unpin + Send + 'static,
{
    let (tasks, stop) = Tasks::new();
    let handler = handler(router, limits);
    let permit = limiter.admit(None).await.unwrap();
    let stopping = tasks.clone();
    tasks.spawn(async move { serve_stream(theirs, None, permit.state(), handler, stopping).await });
    stop
}

fn handler(router: axum::Router, limits: DrainLimits) -> Arc<RequestHandler> {
    let ids = Arc::new(RequestIds::new(&SeededRng::new(1)));
    let exposure = Arc::new(exposure::tests::open(false, "/proc/foxden/public".into()));
    Arc::new(RequestHandler::new(
        router.into(),
        Vec::new(),
        exposure,
        ids,
        limits,
        SecurityEvents::default(),
    ))
}

/// Both ends of a TCP connection: the server's and the client's.
async fn tcp() -> (TcpStream, TcpStream) {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
    (socket.accept().await.unwrap().0, client)
}

/// Sends a request and reads one answer, which must have a length.
async fn send_request(stream: &mut DuplexStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        answer.push(stream.read_u8().await.unwrap());
        if answer.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let mut answer = String::from_utf8(answer).unwrap();
    let length = answer.split("content-length: ").nth(1).unwrap();
    let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    answer.push_str(&String::from_utf8(body).unwrap());
    answer
}

#[tokio::test]
async fn a_handler_that_panics_costs_one_answer_and_no_more() {
    let router = axum::Router::new()
        .route("/fails", get(async || -> &'static str { panic!("on purpose") }))
        .route("/works", get(async || "fine"));
    let (mut stream, _stop) = connect(router).await;
    for _ in 0..2 {
        let failed = send_request(&mut stream, "GET /fails HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(
            failed.starts_with("HTTP/1.1 500 ") && failed.contains("The server made a mistake"),
            "{failed}"
        );
        assert!(!failed.contains("on purpose"), "{failed}");
        for header in [
            "x-weave-timestamp: ",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
        ] {
            assert!(failed.contains(header), "{failed}");
        }
        let fine = send_request(&mut stream, "GET /works HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(
            fine.starts_with("HTTP/1.1 200 ") && fine.ends_with("fine"),
            "{fine}"
        );
    }
}

/// The work on a request ends when its client leaves, and goes on while the client waits.
async fn work_ends_when_the_client_leaves<S, C>(theirs: S, mut client: C)
where
    S: AsyncRead + AsyncWrite + Peek + Unpin + Send + 'static,
    C: AsyncRead + AsyncWrite + Unpin,
{
    let (working, mut worked_on) = tokio::sync::mpsc::channel(1);
    let work = async move || {
        // Dropped with the work.
        let (_work, ended) = tokio::sync::oneshot::channel::<()>();
        working.send(ended).await.unwrap();
        std::future::pending::<&'static str>().await
    };
    let router = axum::Router::new().route("/works", post(work));
    let _stop = serve_on(theirs, &limiter(), router, DrainLimits::for_uploads_of(0)).await;
    let request = b"POST /works HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    client.write_all(request).await.unwrap();
    let mut ended = worked_on.recv().await.unwrap();
    tokio::task::yield_now().await;
    assert!(ended.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty));
    drop(client);
    assert!(ended.await.is_err());
}

#[tokio::test]
async fn a_client_that_leaves_by_tcp_ends_the_work_on_its_request() {
    let (theirs, client) = tcp().await;
    work_ends_when_the_client_leaves(theirs, client).await;
}

#[tokio::test]
async fn a_client_that_leaves_by_a_unix_socket_ends_the_work_on_its_request() {
    let (theirs, client) = UnixStream::pair().unwrap();
    work_ends_when_the_client_leaves(theirs, client).await;
}

/// A client that leaves while its request waits for a slot gives its place to others at once.
#[tokio::test]
async fn a_client_that_leaves_while_it_waits_for_a_slot_waits_no_more() {
    let limiter = limiter();
    let first = limiter.admit(None).await.unwrap();
    first.state().request_began();
    let waiting = limiter.admit(None).await.unwrap();
    assert!(waiting.state().is_waiting());
    let (theirs, mut client) = tcp().await;
    let (tasks, _stop) = Tasks::new();
    let handler = handler(axum::Router::new(), DrainLimits::for_uploads_of(0));
    let serving = serve_stream(theirs, None, waiting.state(), handler, tasks);
    let leaving = async move { client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await };
    // Without a look at the client it would wait for several seconds.
    let (ended, sent) = tokio::join!(tokio::time::timeout(Duration::from_secs(2), serving), leaving);
    assert!(sent.is_ok() && ended.is_ok());
}

/// Bytes that a client sends after its last request do not cost it the response.
#[tokio::test]
async fn a_response_arrives_although_more_was_sent_than_is_read() {
    let (theirs, mut client) = tcp().await;
    let work = Arc::new(tokio::sync::Notify::new());
    let done = Arc::clone(&work);
    let router = axum::Router::new().route("/works", post(async move || done.notified().await));
    let _stop = serve_on(theirs, &limiter(), router, DrainLimits::for_uploads_of(0)).await;
    let request = b"POST /works HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab";
    client.write_all(request).await.unwrap();
    tokio::task::yield_now().await;
    client
        .write_all(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    work.notify_one();
    let mut response = Vec::new();
    client.read_to_end(&mut response).await.unwrap();
    assert!(response.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let (mut stream, _stop) = connect(axum::Router::new()).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = send_request(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let (_, id) = answer.split_once("x-request-id: ").unwrap();
        ids.push(id.split("\r\n").next().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| id.len() == 12), "{ids:?}");
}

#[tokio::test]
async fn a_stop_lets_a_request_end_and_then_the_connection() {
    let router = axum::Router::new().route("/slow", post(async |body: String| body));
    let (mut stream, stop) = connect(router).await;
    let head = "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nha";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (all_ended, answer) = tokio::join!(stop.stop(Duration::from_secs(10)), async {
        let answer = send_request(&mut stream, "lf").await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
        answer
    });
    assert!(all_ended);
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("half"),
        "{answer}"
    );
}

/// While the server works for all its connections, a health check is answered. Any other request waits for a connection.
#[tokio::test]
async fn health_checks_are_answered_while_all_connections_are_busy() {
    let (release, released) = tokio::sync::watch::channel(false);
    let began = Arc::new(tokio::sync::Notify::new());
    let begins = Arc::clone(&began);
    let slow = move || {
        let (mut released, begins) = (released.clone(), Arc::clone(&begins));
        async move {
            begins.notify_one();
            let _ = released.wait_for(|is_released| *is_released).await;
            "slow"
        }
    };
    let router = axum::Router::new()
        .route("/slow", get(slow))
        .route("/__heartbeat__", get(async || "well"))
        .route("/other", get(async || "other"));
    let limiter = limiter();
    let limits = DrainLimits::for_uploads_of(0);
    let (mut busy, _stop) = connect_to(&limiter, router.clone(), limits).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    began.notified().await;
    let mut monitors = Vec::new();
    for _ in 0..3 {
        let (mut monitor, stop) = connect_to(&limiter, router.clone(), limits).await;
        for _ in 0..2 {
            let answer = send_request(&mut monitor, "GET /__heartbeat__ HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(
                answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("well"),
                "{answer}"
            );
        }
        monitors.push((monitor, stop));
    }
    let (mut waiting, _stop) = connect_to(&limiter, router, limits).await;
    waiting
        .write_all(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    release.send_replace(true);
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
    let answer = send_request(&mut waiting, "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("other"),
        "{answer}"
    );
}

/// Ambiguous request heads reach no surface.
#[tokio::test]
async fn an_ambiguous_request_head_is_refused() {
    let router = axum::Router::new().fallback(post(async |body: String| body));
    for (head, is_fine) in [
        ("POST /x HTTP/1.1\r\nHost: a", true),
        ("POST http://a/x HTTP/1.1\r\nHost: a", true),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: b\r\nX-Forwarded-For: c",
            true,
        ),
        ("POST /x HTTP/1.1\r\nHost: a\r\nHost: a", false),
        ("POST /x HTTP/1.1\r\nHost: a\r\nHost: b", false),
        ("POST http://a/x HTTP/1.1\r\nHost: b", false),
        ("POST /x HTTP/1.1\r\nHost:", false),
        ("POST /x HTTP/1.1\r\nAccept: a", false),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic a\r\nAuthorization: Basic b",
            false,
        ),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip",
            false,
        ),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nX-If-Unmodified-Since: 1\r\nX-If-Unmodified-Since: 2",
            false,
        ),
    ] {
        let (mut stream, _stop) = connect(router.clone()).await;
        let answer = send_request(&mut stream, &format!("{head}\r\nContent-Length: 2\r\n\r\nhi")).await;
        let status = if is_fine { "HTTP/1.1 200 " } else { "HTTP/1.1 400 " };
        assert!(answer.starts_with(status), "{head}: {answer}");
        // The connection is as good as before.
        let answer = send_request(
            &mut stream,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nho",
        )
        .await;
        assert!(answer.ends_with("ho"), "{head}: {answer}");
    }
    // A length that stands twice counts if it is the same.
    for (second, status) in [("2", b"HTTP/1.1 200"), ("3", b"HTTP/1.1 400")] {
        let (mut stream, _stop) = connect(router.clone()).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2";
        let rest = format!("{head}\r\nContent-Length: {second}\r\n\r\nhi");
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, status, "{second}");
    }
}
