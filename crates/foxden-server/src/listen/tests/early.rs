//! Answers that are made before their request's body has come, to clients that read only after they have sent all of it.

use axum::http::StatusCode;
use tokio::io::AsyncReadExt;

use super::*;

/// No answer here needs the body, and all of them come at once.
fn refusing() -> axum::Router {
    let refuse = async || (StatusCode::UNAUTHORIZED, [("retry-after", "10")], "no");
    let half = async |body: axum::body::Body| {
        let first = http_body_util::BodyExt::frame(&mut { body }).await;
        assert!(first.is_some_and(|frame| frame.is_ok()));
        (StatusCode::PAYLOAD_TOO_LARGE, "enough")
    };
    let panics = async || -> &'static str { panic!("on purpose") };
    axum::Router::new()
        .route("/early", post(refuse))
        .route("/half", post(half))
        .route("/panics", post(panics))
}

/// Small bounds, of which a test can reach the end.
fn limits() -> DrainLimits {
    DrainLimits {
        max_concurrent: 2,
        bytes: 3_000_000,
        linger_bytes: 3_000_000,
        timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(10),
        linger_timeout: Duration::from_secs(20),
        linger_idle_timeout: Duration::from_secs(10),
    }
}

fn head(path: &str, more: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n\r\n").into_bytes()
}

/// A request with a body of so many bytes, as the one or the other framing has it.
fn request(path: &str, bytes: usize, is_chunked: bool) -> Vec<u8> {
    let body = vec![b'x'; bytes];
    if !is_chunked {
        return [head(path, &format!("Content-Length: {bytes}")), body].concat();
    }
    let mut text = head(path, "Transfer-Encoding: chunked");
    for chunk in body.chunks(50_000) {
        text.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        text.extend(chunk);
        text.extend(b"\r\n");
    }
    text.extend(b"0\r\n\r\n");
    text
}

/// Sends all of a request, then reads its answer.
async fn send(stream: &mut DuplexStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    send_request(stream, "").await
}

#[tokio::test]
async fn a_client_that_reads_after_sending_all_gets_the_true_answer() {
    let (mut stream, _stop) = connect_within(refusing(), limits()).await;
    for bytes in [1, 1000, 20_000, 300_000, 2_625_536, 2_625_537, 3_000_000] {
        for is_chunked in [false, true] {
            for (path, status) in [
                ("/early", 401),
                ("/half", 413),
                ("/nowhere", 404),
                ("/panics", 500),
            ] {
                let answer = send(&mut stream, &request(path, bytes, is_chunked)).await;
                let expected = format!("HTTP/1.1 {status} ");
                assert!(answer.starts_with(&expected), "{path} {bytes}: {answer}");
                assert!(!answer.contains("connection: close"), "{path} {bytes}: {answer}");
                assert_eq!(answer.contains("retry-after: 10"), status == 401);
            }
        }
    }
}

#[tokio::test]
async fn beyond_the_bound_the_answer_comes_at_once_and_the_connection_ends() {
    // An announced body is refused at once; of another one, as much again is read before and after the response.
    for (bytes, is_chunked, is_taken) in [
        (3_020_000, false, true),
        (5_900_000, true, true),
        (50_000_000, false, false),
        (50_000_000, true, false),
    ] {
        let (mut stream, _stop) = connect_within(refusing(), limits()).await;
        let text = request("/early", bytes, is_chunked);
        let (mut reading, mut writing) = tokio::io::split(&mut stream);
        let mut answer = Vec::new();
        let (read, written) = tokio::join!(reading.read_to_end(&mut answer), writing.write_all(&text));
        read.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        // The server goes on reading for a while, so that the client is not cut off in the middle.
        assert_eq!(written.is_ok(), is_taken, "{bytes}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_the_body_is_not_asked() {
    let (mut stream, _stop) = connect_within(refusing(), limits()).await;
    let more = "Content-Length: 300000\r\nExpect: 100-continue";
    let answer = send(&mut stream, &head("/early", more)).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let mut rest = Vec::new();
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

/// It was asked for the body once the surface wanted some of it, so it sends the rest as well.
#[tokio::test]
async fn a_client_that_was_asked_for_the_body_is_read_to_the_end() {
    let (mut stream, _stop) = connect_within(refusing(), limits()).await;
    let more = "Content-Length: 300000\r\nExpect: 100-continue";
    stream.write_all(&head("/half", more)).await.unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    for _ in 0..2 {
        let answer = send(&mut stream, &vec![b'x'; 300_000]).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        stream
            .write_all(&head("/half", "Content-Length: 300000"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_client_that_falls_silent_gets_the_answer_before_the_rest_of_its_body() {
    let limits = DrainLimits {
        idle_timeout: Duration::from_millis(20),
        ..limits()
    };
    let (mut stream, _stop) = connect_within(refusing(), limits).await;
    let text = [head("/early", "Content-Length: 300000"), vec![b'x'; 1000]].concat();
    let answer = send(&mut stream, &text).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0, "it ends at once");
    // The bytes that the client still sends are read.
    stream.write_all(&vec![b'x'; 299_000]).await.unwrap();
}

#[tokio::test]
async fn a_client_that_drips_is_answered_and_let_go() {
    let limits = DrainLimits {
        timeout: Duration::from_millis(100),
        linger_timeout: Duration::from_millis(100),
        ..limits()
    };
    let (stream, _stop) = connect_within(refusing(), limits).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let drip = async {
        writing
            .write_all(&head("/early", "Content-Length: 300000"))
            .await
            .unwrap();
        let mut interval = tokio::time::interval(Duration::from_millis(5));
        loop {
            interval.tick().await;
            if writing.write_all(b"x").await.is_err() {
                return;
            }
        }
    };
    let mut answer = String::new();
    let both = async { tokio::join!(drip, reading.read_to_string(&mut answer)).1 };
    tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn a_stop_waits_for_no_client_that_still_sends() {
    let (mut stream, stop) = connect_within(refusing(), limits()).await;
    let answer = send(&mut stream, &head("/early", "Content-Length: 5000000")).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(stop.stop(Duration::from_secs(5)).await);
}

/// Bodies that are drained hold memory, and any client can send them.
#[tokio::test]
async fn where_too_many_bodies_are_read_off_the_answer_comes_first() {
    let limits = DrainLimits {
        max_concurrent: 0,
        ..limits()
    };
    let (mut stream, _stop) = connect_within(refusing(), limits).await;
    let text = request("/early", 2_000_000, false);
    let answer = send(&mut stream, &text).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    // A request without a body needs no turn.
    let (mut stream, _stop) = connect_within(refusing(), limits).await;
    let answer = send(&mut stream, &head("/early", "Content-Length: 0")).await;
    assert!(!answer.contains("connection: close"), "{answer}");
}

/// Each chunk costs work, however small it is.
#[tokio::test]
async fn a_body_in_tiny_chunks_is_not_read_to_its_end() {
    for (chunks, is_read) in [(10_000, true), (20_000, false)] {
        let (mut stream, _stop) = connect_within(refusing(), limits()).await;
        let body = [b"1\r\nx\r\n".repeat(chunks), b"0\r\n\r\n".to_vec()].concat();
        let text = [head("/early", "Transfer-Encoding: chunked"), body].concat();
        let answer = send(&mut stream, &text).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert_eq!(!answer.contains("connection: close"), is_read, "{answer}");
    }
}

/// A head that is too long is no request, but its client is told so.
#[tokio::test]
async fn a_refused_head_is_answered_though_more_comes() {
    let (mut stream, _stop) = connect_within(refusing(), limits()).await;
    let text = format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(1_000_000));
    stream.write_all(text.as_bytes()).await.unwrap();
    let answer = send_request(&mut stream, "").await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
