#!/usr/bin/env bash
# hyper 1.12.0 takes a fresh read buffer of 8 KiB from the allocator for each request of a connection that is kept open.
#
# One would expect that a connection reads its next request into the buffer of the last one: by then the last request is
# gone. But before the service is called for the first time, the connection looks ahead whether its client has left, and
# for that look it makes room for 8 KiB. The head of the request is still in the old buffer, so the room is a new one.
# With `half_close(true)` hyper does not look ahead, and the old buffer is used again.
#
# Foxden sets `half_close(true)`, and its own stream peeks whether the client has left (listen/stream.rs).
#
# Seen:
#   as it is:   a buffer of 8 KiB for each request
#   half_close: no buffer of 8 KiB for a request
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
hyper = { version = "=1.12.0", features = ["http1", "server"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
http-body-util = "=0.1.5"
tokio = { version = "=1.54.1", features = ["rt", "net", "macros", "io-util"] }
END
cat > src/main.rs <<'END'
use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const REQUESTS: usize = 1000;

static BUFFERS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is the system's allocator's own doing; it is only counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if (8192..16384).contains(&layout.size()) {
            BUFFERS.fetch_add(1, Ordering::Relaxed);
        }
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        System.dealloc(pointer, layout)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The buffers that so many requests on one connection cost.
async fn buffers(half_close: bool) -> usize {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
    let (server, _) = socket.accept().await.unwrap();
    let answer = service_fn(|request: Request<Incoming>| async move {
        assert_eq!(request.uri().path(), "/");
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"x"))))
    });
    let serving = http1::Builder::new()
        .half_close(half_close)
        .serve_connection(TokioIo::new(server), answer);
    let before = BUFFERS.load(Ordering::Relaxed);
    let asking = async {
        let mut buffer = [0; 1024];
        for _ in 0..REQUESTS {
            client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let mut seen = 0;
            while !buffer[..seen].ends_with(b"\r\n\r\nx") {
                seen += client.read(&mut buffer[seen..]).await.unwrap();
            }
        }
        drop(client);
    };
    let (served, ()) = tokio::join!(serving, asking);
    served.unwrap();
    BUFFERS.load(Ordering::Relaxed) - before
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (name, half_close) in [("as it is:  ", false), ("half_close:", true)] {
        let count = buffers(half_close).await;
        let seen = match count {
            0..=10 => "no buffer of 8 KiB for a request",
            count if count >= REQUESTS => "a buffer of 8 KiB for each request",
            _ => "something else",
        };
        println!("{name} {seen}");
    }
}
END
timeout 600 cargo run --quiet --release > seen 2> errors || { cat errors; exit 1; }
cat seen
diff seen - <<'END'
as it is:   a buffer of 8 KiB for each request
half_close: no buffer of 8 KiB for a request
END
