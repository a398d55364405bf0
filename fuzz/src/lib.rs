//! What targets that send whole requests share: taking the input apart, the shipped server without sockets, and answers.

use axum::body::Body;
use axum::http::header::{HOST, HeaderName, HeaderValue};
use axum::http::{Request, Response};
use foxden_server::config::Config;
use foxden_test_support::server::TestServer;
use http_body_util::BodyExt;
use tokio::runtime::Runtime;

/// The input up to the first byte that is not UTF-8.
pub fn text(bytes: &[u8]) -> &str {
    let first = bytes.utf8_chunks().next();
    first.map_or("", |chunk| chunk.valid())
}

/// The secret that signs tokens.
pub const SECRET: &str = "a secret that all targets share";

/// A request as an input describes it.
pub struct Aimed {
    /// How it is sent.
    pub method: &'static str,
    /// The path with its hostile end.
    pub path: String,
    /// The name of the hostile header.
    pub name: &'static str,
    /// The hostile header.
    pub value: HeaderValue,
    /// The hostile body.
    pub body: Vec<u8>,
}

/// A status, whether the answer says that it is JSON, and its body.
pub struct Answer {
    pub status: u16,
    pub is_json: bool,
    pub has_weave_time: bool,
    pub body: Vec<u8>,
}

impl Aimed {
    /// Takes an input apart: two bytes that choose where it goes and which header, then two lines and the rest.
    pub fn read(
        bytes: &[u8],
        places: &[(&'static str, &'static str)],
        headers: &[&'static str],
    ) -> Option<Self> {
        let (&[place, header], rest) = bytes.split_first_chunk()?;
        let (method, path) = places[usize::from(place) % places.len()];
        let mut lines = rest.splitn(3, |&byte| byte == b'\n');
        let more = std::str::from_utf8(lines.next()?).ok()?;
        Some(Self {
            method,
            path: format!("{path}{more}"),
            name: headers[usize::from(header) % headers.len()],
            value: HeaderValue::from_bytes(lines.next().unwrap_or_default()).ok()?,
            body: lines.next().unwrap_or_default().to_vec(),
        })
    }

    /// The request for this host, with these headers unless the hostile one replaces them.
    pub fn over(self, host: &str, headers: &[(HeaderName, HeaderValue)]) -> Option<Request<Body>> {
        let mut request = request(host, self.method, &self.path, self.body)?;
        let all = request.headers_mut();
        for (name, value) in headers {
            all.insert(name, value.clone());
        }
        all.insert(HeaderName::from_static(self.name), self.value);
        Some(request)
    }
}

/// A request for this host.
pub fn request(host: &str, method: &str, path: &str, body: Vec<u8>) -> Option<Request<Body>> {
    let request = Request::builder().method(method).uri(path).header(HOST, host);
    request.body(Body::from(body)).ok()
}

/// A server and the runtime that it runs on.
pub struct Host {
    /// The server.
    pub server: TestServer,
    runtime: Runtime,
}

impl Host {
    /// The name of a server that only this machine reaches.
    pub const PRIVATE: &str = "127.0.0.1:5000";

    /// A server with these settings; it keeps objects in memory.
    pub fn open(settings: &[(&str, &str)]) -> Self {
        let always = [("storage.url", "memory:"), ("master_secret", SECRET)];
        let config = Config::of(&[&always, settings].concat()).expect("settings that are allowed");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.block_on(TestServer::open(&config, None));
        Self {
            server: server.expect("a server in an empty folder opens"),
            runtime,
        }
    }

    /// A private server with open sign-up.
    pub fn open_private() -> Self {
        Self::open(&[("accounts.sign_up", "open")])
    }

    /// Runs a future to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// What the server answers.
    pub fn ask(&self, request: Request<Body>) -> Answer {
        self.runtime
            .block_on(async { answer(self.server.answer(request).await).await })
    }
}

/// Something that a target opens, and opens anew after so many inputs, so that it does not fill up.
pub struct Renewed<T> {
    open: fn() -> T,
    most: u32,
    current: Option<T>,
    inputs: u32,
}

impl<T> Renewed<T> {
    /// It is opened with the first input.
    pub const fn every(most: u32, open: fn() -> T) -> Self {
        Self {
            open,
            most,
            current: None,
            inputs: 0,
        }
    }

    /// The one for the next input.
    pub fn next(&mut self) -> &mut T {
        if self.inputs >= self.most {
            (self.current, self.inputs) = (None, 0);
        }
        self.inputs += 1;
        self.current.get_or_insert_with(self.open)
    }
}

async fn answer(response: Response<Body>) -> Answer {
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type");
    let is_json = kind.is_some_and(|kind| kind == "application/json");
    let has_weave_time = response.headers().contains_key("x-weave-timestamp");
    let body = response.into_body().collect().await;
    let body = body.expect("memory does not break off").to_bytes();
    Answer {
        status,
        is_json,
        has_weave_time,
        body: body.to_vec(),
    }
}

impl Answer {
    /// What says it is JSON is; nothing at all is no lie.
    pub fn check_json(&self) {
        if self.is_json && !self.body.is_empty() {
            serde_json::from_slice::<serde::de::IgnoredAny>(&self.body).expect("what says it is JSON is");
        }
    }

    /// Nothing went wrong but what may.
    pub fn check_status(&self) {
        let Self { status, body, .. } = self;
        assert!(
            *status < 500 || *status == 503,
            "{status} {}",
            String::from_utf8_lossy(body)
        );
    }
}
