//! The two reference programs: a bare hyper server that answers the same bytes, and a log that appends each body and syncs
//! before the answer. Neither parses a request.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// An answer as long as a small `info/collections`.
const SMALL: &str = concat!(
    r#"{"addons":1763690000.10,"bookmarks":1763690000.20,"clients":1763690000.30,"#,
    r#""crypto":1763690000.40,"forms":1763690000.50,"history":1763690000.60,"meta":1763690000.70,"#,
    r#""passwords":1763690000.80,"prefs":1763690000.90,"tabs":1763690001.00}"#
);

/// Serves the reference program `kind` until it is killed.
pub async fn serve(kind: &str, port: u16, folder: PathBuf) -> Result<()> {
    let log = match kind {
        "bare" => None,
        "log" => Some(Log::start(&folder)?),
        _ => bail!("no reference named {kind}: bare or log"),
    };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let log = log.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, log.clone()));
            // A client that disconnects ends its own connection only.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, log: Option<Log>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request
        .into_body()
        .collect()
        .await
        .map(Collected::to_bytes)
        .unwrap_or_default();
    if let (Some(log), false) = (log, body.is_empty()) {
        log.append(body).await;
    }
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("x-last-modified", "1763690001.00")
        .header("x-weave-timestamp", "1763690001.00")
        .body(Full::new(Bytes::from_static(SMALL.as_bytes())));
    Ok(response.unwrap_or_default())
}

/// A file to which bodies are appended. Waiting bodies share one sync.
#[derive(Clone)]
struct Log(mpsc::Sender<(Bytes, oneshot::Sender<()>)>);

impl Log {
    fn start(folder: &std::path::Path) -> Result<Self> {
        let mut file = File::create(folder.join("log"))?;
        let (sender, receiver) = mpsc::channel::<(Bytes, oneshot::Sender<()>)>();
        std::thread::spawn(move || {
            while let Ok(first) = receiver.recv() {
                let mut group = vec![first];
                group.extend(receiver.try_iter().take(63));
                for (body, _) in &group {
                    file.write_all(body).expect("the disk accepts the writes");
                }
                file.sync_data().expect("the disk accepts the writes");
                for (_, done) in group {
                    // The client may have gone; the bytes are on disk anyway.
                    let _ = done.send(());
                }
            }
        });
        Ok(Self(sender))
    }

    async fn append(&self, body: Bytes) {
        let (done, is_done) = oneshot::channel();
        if self.0.send((body, done)).is_ok() {
            let _ = is_done.await;
        }
    }
}
