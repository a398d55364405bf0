#!/usr/bin/env bash
# axum 0.8.9 on hyper 1.12.0 answers HEAD with `content-length: 0` where the answer is a 304 or a 204.
#
# RFC 9110, 8.6: a 304 names no length but that of the 200 it stands for, and a 204 names none at all. One would expect
# both methods to be told the same, as hyper alone does. But axum's router writes the length of each answer before it
# takes the body off for HEAD. Hyper leaves such a header out for GET, and for HEAD it passes on what was written. A
# cache that freshens what it keeps by HEAD learns that it is empty.
#
# Foxden takes length and type off both answers behind its routers (listen/request_handler.rs).
#
# Seen:
#   axum  GET  /304: no content-length
#   axum  HEAD /304: content-length: 0
#   axum  GET  /204: no content-length
#   axum  HEAD /204: content-length: 0
#   hyper HEAD /304: no content-length
#   hyper HEAD /204: no content-length
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'END'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"

[dependencies]
axum = { version = "=0.8.9", default-features = false, features = ["http1", "tokio"] }
hyper = { version = "=1.12.0", features = ["http1", "server"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
http-body-util = "=0.1.5"
tokio = { version = "=1.54.1", features = ["rt", "net", "macros"] }
END
cat > src/main.rs <<'END'
use std::convert::Infallible;
use std::io::{Read, Write};

use axum::Router;
use axum::http::{Response, StatusCode};
use axum::routing::get;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn status(path: &str) -> (StatusCode, &'static str) {
    match path {
        "/304" => (StatusCode::NOT_MODIFIED, ""),
        "/204" => (StatusCode::NO_CONTENT, ""),
        _ => (StatusCode::OK, "eleven byte"),
    }
}

fn ask(port: u16, method: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let length = text.lines().find(|line| line.to_ascii_lowercase().starts_with("content-length"));
    length.unwrap_or("no content-length").to_owned()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let router = ["/200", "/204", "/304"]
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, get(move || async move { status(path) })));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let axum = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hyper = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let (status, body) = status(request.uri().path());
                let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });

    for (name, port) in [("axum ", axum), ("hyper", hyper)] {
        for path in ["/200", "/304", "/204"] {
            for method in ["GET", "HEAD"] {
                let length = tokio::task::spawn_blocking(move || ask(port, method, path)).await.unwrap();
                println!("{name} {method:4} {path}: {length}");
            }
        }
    }
}
END
CARGO_TARGET_DIR="$folder/target" timeout 900 cargo run --quiet > seen.txt
cat seen.txt
grep -qx "axum  HEAD /304: content-length: 0" seen.txt
grep -qx "axum  HEAD /204: content-length: 0" seen.txt
grep -qx "hyper HEAD /304: no content-length" seen.txt
grep -qx "hyper HEAD /204: no content-length" seen.txt
