//! Shared by targets that send whole requests: parsing the input, a server without sockets, and responses.

use axum::body::Body;
use axum::http::header::{HOST, HeaderName, HeaderValue};
use axum::http::{Request, Response};
use foxden_server::config::Config;
use foxden_test_support::server::TestServer;
use http_body_util::BodyExt;
use tokio::runtime::Runtime;

/// Returns the input up to the first byte that is not UTF-8.
pub fn text(bytes: &[u8]) -> &str {
    let first = bytes.utf8_chunks().next();
    first.map_or("", |chunk| chunk.valid())
}

/// The secret that signs tokens.
pub const SECRET: &str = "a secret that all targets share";

/// A request, as an input describes it.
pub struct RequestInput {
    /// The method.
    pub method: &'static str,
    /// The path, which ends with text of the input.
    pub path: String,
    /// The name of the header that the input sets.
    pub name: &'static str,
    /// The value of that header.
    pub value: HeaderValue,
    /// The body.
    pub body: Vec<u8>,
}

/// The parts of a response that targets check.
pub struct Answer {
    pub status: u16,
    pub is_json: bool,
    pub has_weave_time: bool,
    pub body: Vec<u8>,
}

impl RequestInput {
    /// Parses an input: two bytes that choose the route and the header, a line that extends the path, a line with the value
    /// of the header, and the body.
    pub fn parse(
        bytes: &[u8],
        routes: &[(&'static str, &'static str)],
        headers: &[&'static str],
    ) -> Option<Self> {
        let (&[route, header], rest) = bytes.split_first_chunk()?;
        let (method, path) = routes[usize::from(route) % routes.len()];
        let mut lines = rest.splitn(3, |&byte| byte == b'\n');
        let suffix = std::str::from_utf8(lines.next()?).ok()?;
        Some(Self {
            method,
            path: format!("{path}{suffix}"),
            name: headers[usize::from(header) % headers.len()],
            value: HeaderValue::from_bytes(lines.next().unwrap_or_default()).ok()?,
            body: lines.next().unwrap_or_default().to_vec(),
        })
    }

    /// Builds the request for this host, with these headers unless the input replaces one of them.
    pub fn into_request(self, host: &str, headers: &[(HeaderName, HeaderValue)]) -> Option<Request<Body>> {
        let mut request = request(host, self.method, &self.path, self.body)?;
        let all = request.headers_mut();
        for (name, value) in headers {
            all.insert(name, value.clone());
        }
        all.insert(HeaderName::from_static(self.name), self.value);
        Some(request)
    }
}

/// Builds a request for this host.
pub fn request(host: &str, method: &str, path: &str, body: Vec<u8>) -> Option<Request<Body>> {
    let request = Request::builder().method(method).uri(path).header(HOST, host);
    request.body(Body::from(body)).ok()
}

/// A server with the runtime that it runs on.
pub struct BlockingServer {
    /// The server.
    pub inner: TestServer,
    runtime: Runtime,
}

impl BlockingServer {
    /// The `Host` of a private server.
    pub const PRIVATE_HOST: &str = "127.0.0.1:5000";

    /// Opens a server with these settings; it stores objects in memory.
    pub fn open(settings: &[(&str, &str)]) -> Self {
        let always = [("storage.url", "memory:"), ("master_secret", SECRET)];
        let config = Config::of(&[&always, settings].concat()).expect("settings that are allowed");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.block_on(TestServer::open(&config, None));
        Self {
            inner: server.expect("a server in an empty folder opens"),
            runtime,
        }
    }

    /// Opens a private server with open sign-up.
    pub fn open_private() -> Self {
        Self::open(&[("accounts.sign_up", "open")])
    }

    /// Runs a future to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Sends a request and returns the response.
    pub fn send(&self, request: Request<Body>) -> Answer {
        self.runtime
            .block_on(async { answer(self.inner.answer(request).await).await })
    }
}

/// A value that is recreated after a number of inputs, so that it does not fill up.
pub struct Recreated<T> {
    open: fn() -> T,
    limit: u32,
    current: Option<T>,
    inputs: u32,
}

impl<T> Recreated<T> {
    /// Recreates the value after `limit` inputs. The first is created with the first input.
    pub const fn every(limit: u32, open: fn() -> T) -> Self {
        Self {
            open,
            limit,
            current: None,
            inputs: 0,
        }
    }

    /// Returns the value for the next input.
    pub fn next(&mut self) -> &mut T {
        if self.inputs >= self.limit {
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
    let body = body.expect("a body in memory is complete").to_bytes();
    Answer {
        status,
        is_json,
        has_weave_time,
        body: body.to_vec(),
    }
}

impl Answer {
    /// Checks that a response declared as JSON is JSON. Its body may be empty.
    pub fn check_json(&self) {
        if self.is_json && !self.body.is_empty() {
            serde_json::from_slice::<serde::de::IgnoredAny>(&self.body)
                .expect("a response declared as JSON is JSON");
        }
    }

    /// Checks that the server has no error but 503.
    pub fn check_status(&self) {
        let Self { status, body, .. } = self;
        assert!(
            *status < 500 || *status == 503,
            "{status} {}",
            String::from_utf8_lossy(body)
        );
    }
}
