//! A small server of Sync 1.5 in memory, with one planted fault.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How often a planted fault happens: once in so many times.
const EVERY: u32 = 7;
/// The time of the first write, in hundredths.
const START: u64 = 176_369_000_000;

/// What the server does wrong, now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Acknowledges a POST and forgets it.
    LostWrite,
    /// Gives a write an earlier time than the one before.
    TimeBack,
    /// Changes a letter of a payload that it sends.
    WrongPayload,
    /// Leaves the last object out of a list.
    ShortList,
    /// Acknowledges that objects were deleted, and keeps them.
    KeepsDeleted,
    /// Writes a time with one decimal.
    OneDecimal,
    /// Answers 503.
    Refuses,
    /// Ends the connection within an answer.
    BreaksOff,
    /// Ends the connection after each answer, which is no fault.
    Closes,
    /// Knows another secret: answers 401.
    Stranger,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    happened: Arc<AtomicU32>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Store {
    last: u64,
    collections: BTreeMap<String, Collection>,
}

#[derive(Default)]
struct Collection {
    modified: u64,
    objects: BTreeMap<String, (String, u64)>,
}

struct State {
    fault: Fault,
    count: AtomicU32,
    /// How often the fault happened.
    happened: Arc<AtomicU32>,
    stores: Mutex<BTreeMap<String, Store>>,
}

impl Server {
    /// Starts it on a free port.
    pub fn start(fault: Fault) -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let happened = Arc::new(AtomicU32::new(0));
        let of_state = Arc::clone(&happened);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(fault, of_state, &tell, stopped));
        });
        Self {
            address: told.recv().unwrap(),
            happened,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often its fault has happened.
    pub fn happened(&self) -> u32 {
        self.happened.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    fault: Fault,
    happened: Arc<AtomicU32>,
    tell: &mpsc::Sender<SocketAddr>,
    mut stopped: oneshot::Receiver<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell.send(listener.local_addr().unwrap()).unwrap();
    let state = Arc::new(State {
        fault,
        count: AtomicU32::new(0),
        happened,
        stores: Mutex::default(),
    });
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            _ = &mut stopped => return,
        };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let is_kept = state.fault != Fault::Closes;
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            // A client that goes away ends its connection.
            let _ = http1::Builder::new()
                .keep_alive(is_kept)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = head.uri.path().to_owned();
    let mut parts = path.trim_matches('/').splitn(5, '/').skip(1);
    let user = parts.next().unwrap_or_default().to_owned();
    let words: Vec<String> = parts.map(str::to_owned).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let query = head.uri.query().unwrap_or_default();
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    if state.fault == Fault::Stranger {
        return Ok(reply(StatusCode::UNAUTHORIZED, START, &json!(0)));
    }
    let mut stores = state.stores.lock().unwrap();
    let store = stores.entry(user).or_default();
    Ok(match (head.method, &words[..]) {
        (Method::GET, ["info", "collections"]) => state.collections(store),
        (Method::GET, ["info", _]) => reply(StatusCode::OK, store.last, &json!({})),
        (Method::GET, ["storage", collection]) => state.list(store, collection, &query),
        (Method::GET, ["storage", collection, id]) => state.object(store, collection, id),
        (Method::PUT, ["storage", collection, id]) => state.put(store, collection, id, &body),
        (Method::POST, ["storage", collection]) => state.post(store, collection, &body),
        (Method::DELETE, words) => state.delete(store, words, query.get("ids").copied()),
        _ => Response::builder().status(404).body(Full::default()).unwrap(),
    })
}

fn reply(status: StatusCode, modified: u64, body: &Value) -> Answer {
    // Times are written as texts between marks, so that they keep their form.
    let text = body.to_string().replace("\"@", "").replace("@\"", "");
    Response::builder()
        .status(status)
        .header("x-weave-timestamp", time(modified.max(START)))
        .header("x-last-modified", time(modified))
        .body(Full::from(text))
        .unwrap()
}

impl State {
    /// Whether this fault is planted, and happens now.
    fn is(&self, fault: Fault) -> bool {
        let is_now = self.fault == fault && self.count.fetch_add(1, Ordering::Relaxed) % EVERY == EVERY - 1;
        self.happened.fetch_add(u32::from(is_now), Ordering::Relaxed);
        is_now
    }

    fn next(&self, store: &mut Store) -> u64 {
        let last = store.last.max(START);
        store.last = if self.is(Fault::TimeBack) {
            last - 5
        } else {
            last + 1
        };
        store.last
    }

    fn mark(&self, modified: u64) -> Value {
        let mut text = time(modified);
        if self.is(Fault::OneDecimal) {
            text.pop();
        }
        Value::String(format!("@{text}@"))
    }

    fn collections(&self, store: &Store) -> Answer {
        let times = store.collections.iter();
        let times: BTreeMap<&String, Value> = times
            .map(|(name, collection)| (name, self.mark(collection.modified)))
            .collect();
        reply(StatusCode::OK, store.last, &json!(times))
    }

    fn sent(&self, id: &str, (payload, modified): &(String, u64)) -> Value {
        let mut payload = payload.clone();
        if self.is(Fault::WrongPayload) {
            payload.pop();
            payload.push('?');
        }
        json!({ "id": id, "modified": format!("@{}@", time(*modified)), "payload": payload })
    }

    fn list(&self, store: &Store, collection: &str, query: &BTreeMap<&str, &str>) -> Answer {
        let Some(collection) = store.collections.get(collection) else {
            return reply(StatusCode::OK, 0, &json!([]));
        };
        let newer = query
            .get("newer")
            .map_or(0, |newer| newer.replace('.', "").parse().unwrap());
        let mut found: Vec<_> = collection
            .objects
            .iter()
            .filter(|(_, (_, modified))| *modified > newer)
            .collect();
        found.sort_by_key(|(_, (_, modified))| std::cmp::Reverse(*modified));
        if let Some(limit) = query.get("limit") {
            found.truncate(limit.parse().unwrap());
        }
        if !found.is_empty() && self.is(Fault::ShortList) {
            found.pop();
        }
        let list: Vec<Value> = if query.contains_key("full") {
            found.iter().map(|(id, object)| self.sent(id, object)).collect()
        } else {
            found.iter().map(|(id, _)| json!(id)).collect()
        };
        reply(StatusCode::OK, collection.modified, &json!(list))
    }

    fn object(&self, store: &Store, collection: &str, id: &str) -> Answer {
        if self.is(Fault::BreaksOff) {
            let answer = Response::builder().header("content-length", 1000);
            return answer.body(Full::from("{\"id\":")).unwrap();
        }
        let collection = store.collections.get(collection);
        match collection.and_then(|collection| collection.objects.get(id)) {
            Some(object) => reply(StatusCode::OK, object.1, &self.sent(id, object)),
            None => reply(StatusCode::NOT_FOUND, 0, &json!(0)),
        }
    }

    fn put(&self, store: &mut Store, collection: &str, id: &str, body: &[u8]) -> Answer {
        if collection != foxden_mark() && self.is(Fault::Refuses) {
            return reply(StatusCode::SERVICE_UNAVAILABLE, store.last, &json!(0));
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        let modified = self.next(store);
        let collection = store.collections.entry(collection.to_owned()).or_default();
        collection.modified = modified;
        let payload = body["payload"].as_str().unwrap().to_owned();
        collection.objects.insert(id.to_owned(), (payload, modified));
        reply(
            StatusCode::OK,
            modified,
            &Value::String(format!("@{}@", time(modified))),
        )
    }

    fn post(&self, store: &mut Store, collection: &str, body: &[u8]) -> Answer {
        let body: Vec<Value> = serde_json::from_slice(body).unwrap();
        let modified = self.next(store);
        let collection = store.collections.entry(collection.to_owned()).or_default();
        collection.modified = modified;
        let mut success = Vec::new();
        let is_lost = self.is(Fault::LostWrite);
        for object in body {
            let id = object["id"].as_str().unwrap().to_owned();
            if !is_lost {
                let payload = object["payload"].as_str().unwrap().to_owned();
                collection.objects.insert(id.clone(), (payload, modified));
            }
            success.push(id);
        }
        let modified_mark = format!("@{}@", time(modified));
        reply(
            StatusCode::OK,
            modified,
            &json!({ "modified": modified_mark, "success": success, "failed": {} }),
        )
    }

    fn delete(&self, store: &mut Store, words: &[&str], ids: Option<&str>) -> Answer {
        let modified = self.next(store);
        match (words, ids) {
            (["storage", collection], Some(ids)) => {
                let is_kept = self.is(Fault::KeepsDeleted);
                let collection = store.collections.entry((*collection).to_owned()).or_default();
                collection.modified = modified;
                if !is_kept {
                    collection
                        .objects
                        .retain(|id, _| ids.split(',').all(|gone| gone != id));
                }
            }
            (["storage", collection], None) => {
                store.collections.remove(*collection);
            }
            _ => store.collections.clear(),
        }
        reply(
            StatusCode::OK,
            modified,
            &json!({ "modified": format!("@{}@", time(modified)) }),
        )
    }
}

fn time(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// The collection whose refusal would end a run before it begins.
const fn foxden_mark() -> &'static str {
    "foxden-load"
}
