//! A client of a Sync server: signs requests, sends them, and measures.
//!
//! - [`connection`]: one connection
//! - [`token`], [`hawk`]: tokens from a shared secret, and signatures
//! - [`onepw`]: what is made of passwords
//! - [`reply`]: an answer, with what is checked in every one

pub mod connection;
pub mod hawk;
pub mod onepw;
pub mod reply;
pub mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::BASE64;
use foxden_model::{Clock, SystemClock};
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request};

use crate::fault::{Fault, FaultKind};
use crate::measure::recorder::Handle;
use crate::protocol::{Protocol, RequestKind};
use crate::target::Target;
use connection::{Connection, Connector, NoAnswer};
use hawk::Signed;
use reply::Reply;
use token::Credentials;

/// What every client of a run shares.
#[derive(Debug)]
pub struct Server {
    /// Its address.
    pub target: Target,
    /// Opens connections to it.
    pub connector: Connector,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether it may be on another machine.
    may_be_remote: bool,
    host: HeaderValue,
    /// What stands before every path, for faults.
    origin: String,
}

impl Server {
    /// The server at this address, if it may be loaded: on another machine only after that was confirmed.
    pub fn new(target: Target, timeout: Duration, may_be_remote: bool) -> anyhow::Result<Self> {
        anyhow::ensure!(
            target.is_local() || may_be_remote,
            "{} is not on this machine. A load test can bring a server down: add --yes-this-is-my-server if it is yours",
            target.host
        );
        Ok(Self {
            may_be_remote,
            connector: Connector::new(&target)?,
            host: HeaderValue::from_str(&target.authority())?,
            origin: target.origin(),
            target,
            timeout,
        })
    }

    /// Another one, used in the same way.
    pub fn beside(&self, target: Target) -> anyhow::Result<Self> {
        Self::new(target, self.timeout, self.may_be_remote)
    }
}

/// How requests are authorized.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// Signed with a token.
    Hawk(Credentials),
    /// With name and password.
    Basic(HeaderValue),
    /// Not at all.
    None,
}

impl Authorization {
    /// With name and password.
    pub fn basic(name: &str, password: &str) -> Self {
        let text = format!("Basic {}", BASE64.encode(format!("{name}:{password}").as_bytes()));
        let value = HeaderValue::try_from(text);
        Self::Basic(value.expect("base64 is a valid header"))
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    kind: RequestKind,
    method: Method,
    path: String,
    headers: Vec<(HeaderName, String)>,
    body: Option<String>,
}

impl Call {
    /// A request without a body. The path begins after the user's own.
    pub fn new(kind: RequestKind, method: Method, path: impl Into<String>) -> Self {
        Self {
            kind,
            method,
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// A request to read.
    pub fn get(kind: RequestKind, path: impl Into<String>) -> Self {
        Self::new(kind, Method::GET, path)
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.headers
            .push((HeaderName::from_static(name), value.to_string()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn with_body(mut self, body: String) -> Self {
        self.body = Some(body);
        self
    }
}

/// One user's client.
#[derive(Debug)]
pub struct Client {
    server: Arc<Server>,
    /// The path of the user.
    root: String,
    protocol: Protocol,
    authorization: Authorization,
    connection: Option<Connection>,
    recorder: Handle,
    /// How much later than planned the next request is sent.
    late: Duration,
    nonce: u64,
}

impl Client {
    /// For the user whose storage begins at this path.
    pub fn new(
        server: Arc<Server>,
        protocol: Protocol,
        root: String,
        authorization: Authorization,
        recorder: Handle,
    ) -> Self {
        Self {
            server,
            root,
            protocol,
            authorization,
            connection: None,
            recorder,
            late: Duration::ZERO,
            nonce: 0,
        }
    }

    /// Goes on at another server or path, as one who may.
    pub fn move_to(&mut self, server: Arc<Server>, root: String, authorization: Authorization) {
        if !Arc::ptr_eq(&self.server, &server) {
            self.connection = None;
        }
        self.server = server;
        self.root = root;
        self.authorization = authorization;
    }

    /// The protocol that it speaks.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where it reports.
    pub const fn recorder(&self) -> &Handle {
        &self.recorder
    }

    /// The next request was planned so much earlier.
    pub const fn begin(&mut self, late: Duration) {
        self.late = late;
    }

    /// Closes the connection.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Sends a request below the user's path and waits for the whole answer, whatever its status.
    pub async fn send(&mut self, call: Call) -> Result<Reply, Fault> {
        let path = format!("{}{}", self.root, call.path);
        self.send_to(path, call).await
    }

    /// The same, for another path below that of the server.
    pub async fn send_to(&mut self, path: String, call: Call) -> Result<Reply, Fault> {
        let target = format!("{}{path}", self.server.target.path);
        let about = About::new(&call, &self.server.origin, &target);
        let kind = call.kind;
        let sent_bytes = call.body.as_ref().map_or(0, String::len);
        let request = match self.request(&target, call) {
            Ok(request) => request,
            Err(what) => return Err(about.fault(FaultKind::Form, what)),
        };
        let late = std::mem::take(&mut self.late);
        let sent = Instant::now();
        let answer = tokio::time::timeout(self.server.timeout, self.exchange(request)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err((kind, what))) => {
                self.connection = None;
                return Err(about.fault(kind, what));
            }
            Err(_) => {
                self.connection = None;
                self.recorder.request(kind, sent, late, 0);
                let what = format!("no answer within {:?}", self.server.timeout);
                return Err(about.fault(FaultKind::Timeout, what));
            }
        };
        let bytes = sent_bytes.saturating_add(answer.body().len());
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.recorder.request(kind, sent, late, bytes);
        Ok(Reply::new(about.request(), answer))
    }

    /// The request, signed.
    fn request(&mut self, target: &str, call: Call) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(target)
            .header(header::HOST, &self.server.host)
            .header(
                header::USER_AGENT,
                concat!("foxden-load/", env!("CARGO_PKG_VERSION")),
            );
        if !call.headers.iter().any(|(name, _)| name == header::ACCEPT) {
            request = request.header(header::ACCEPT, "application/json;q=0.9,*/*;q=0.2");
        }
        match &self.authorization {
            Authorization::Hawk(credentials) => {
                self.nonce += 1;
                let signed = Signed {
                    method: call.method.as_str(),
                    target,
                    host: &self.server.target.bracketed(),
                    port: self.server.target.port,
                    ts: SystemClock.seconds(),
                    nonce: &format!("{:06x}", self.nonce),
                };
                request = request.header(header::AUTHORIZATION, signed.header(credentials));
            }
            Authorization::Basic(value) => request = request.header(header::AUTHORIZATION, value),
            Authorization::None => {}
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if call.body.is_some() && !call.headers.iter().any(|(name, _)| name == header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, "text/plain");
        }
        let body = Full::from(Bytes::from(call.body.unwrap_or_default()));
        request.body(body).map_err(|error| error.to_string())
    }

    /// Sends it on the connection that is open, or on a new one.
    async fn exchange(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<hyper::Response<Bytes>, (FaultKind, String)> {
        if let Some(mut connection) = self.connection.take()
            && connection.is_open().await
        {
            match connection.exchange(request).await {
                Ok(answer) => {
                    self.connection = Some(connection);
                    return Ok(answer);
                }
                Err(NoAnswer::Broken(what)) => return Err((FaultKind::Broken, what)),
                // The server closed it in that very moment.
                Err(NoAnswer::NotSent(unsent)) => request = *unsent,
            }
        }
        let connection = self.server.connector.connect().await;
        let mut connection = connection.map_err(|error| (FaultKind::Connect, error.to_string()))?;
        match connection.exchange(request).await {
            Ok(answer) => {
                self.connection = Some(connection);
                Ok(answer)
            }
            Err(NoAnswer::Broken(what)) => Err((FaultKind::Broken, what)),
            Err(NoAnswer::NotSent(_)) => {
                let what = "the server closed a new connection".to_owned();
                Err((FaultKind::Broken, what))
            }
        }
    }
}

/// What a fault says about its request.
struct About {
    line: String,
    body: Option<Bytes>,
}

impl About {
    fn new(call: &Call, origin: &str, target: &str) -> Self {
        // The beginning is enough for a fault, and a copy of it costs little.
        let beginning = |body: &String| Bytes::copy_from_slice(&body.as_bytes()[..body.len().min(1200)]);
        let body = call.body.as_ref().map(beginning);
        Self {
            line: format!("{} {origin}{target}", call.method),
            body,
        }
    }

    fn request(self) -> reply::RequestText {
        reply::RequestText {
            line: self.line,
            body: self.body,
        }
    }

    fn fault(self, kind: FaultKind, what: String) -> Fault {
        Fault {
            kind,
            what,
            request: self.request().to_string(),
            answer: "none".to_owned(),
        }
    }
}
