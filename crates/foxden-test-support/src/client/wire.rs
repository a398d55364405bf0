//! Plain blocking HTTP against a base address.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foxden_model::{Clock as _, SystemClock};
use serde_json::Value;
use ureq::http;

use super::hawk::{Credentials, Signed};
use super::{hex, random_bytes};

/// Confirms the address of an account, as the operator does.
type Operator = Box<dyn Fn(&str) + Send>;

/// The operators of servers that require confirmed addresses, by the base URL of the server.
static OPERATORS: Mutex<Vec<(String, Operator)>> = Mutex::new(Vec::new());

/// Registers the operator of the server at this URL. A sign-up there waits for its confirmation.
pub fn operated_by(base: &str, operator: impl Fn(&str) + Send + 'static) {
    OPERATORS
        .lock()
        .unwrap()
        .push((base.to_owned(), Box::new(operator)));
}

/// A server, as a client reaches it.
#[derive(Clone, Debug)]
pub struct Server {
    base: String,
    /// The address to connect to, if the public address does not resolve in a test.
    through: Option<String>,
    agent: ureq::Agent,
    /// How far its clock is ahead of ours, in seconds: clients sign by it once they know it.
    ahead: Arc<AtomicI64>,
}

/// One request, not yet sent.
#[derive(Clone, Debug, Default)]
pub struct Call {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<(String, Vec<u8>)>,
    signer: Option<Credentials>,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The request, for messages.
    asked: String,
}

impl Server {
    /// The server at this address, such as `http://127.0.0.1:5000`.
    pub fn at(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self {
            base: base.trim_end_matches('/').to_owned(),
            through: None,
            agent: config.into(),
            ahead: Arc::default(),
        }
    }

    /// The same server, reached at this address and port as through a proxy that hands on the host it was asked for.
    pub fn through(self, address: &str) -> Self {
        Self {
            through: Some(format!("http://{address}")),
            ..self
        }
    }

    /// The same server, with a connection of its own for each request, which is waited for at most so long.
    pub fn with_fresh_connections(self, timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .timeout_global(Some(timeout))
            .build();
        Self {
            agent: config.into(),
            ..self
        }
    }

    /// Another address of the same server, reached the same way.
    pub fn elsewhere(&self, base: &str) -> Self {
        Self {
            through: self.through.clone(),
            ..Self::at(base)
        }
    }

    /// Tells this client, and all clones, how far the server's clock is ahead, in seconds.
    pub fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }

    /// Its address, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Has the operator confirm an account's address, where the server has one.
    pub fn confirm(&self, email: &str) {
        let operators = OPERATORS.lock().unwrap();
        // A port may have been another server's before.
        if let Some((_, operator)) = operators.iter().rev().find(|(base, _)| *base == self.base) {
            operator(email);
        }
    }

    /// Sends a request. Returns the response, whatever its status.
    pub fn send(&self, call: &Call) -> Reply {
        let answer = self.try_send(call);
        answer.unwrap_or_else(|error| panic!("{} {}{}: {error}", call.method, self.base, call.target))
    }

    /// The same where there may be no response.
    pub fn try_send(&self, call: &Call) -> Result<Reply, ureq::Error> {
        let asked = format!("{} {}{}", call.method, self.base, call.target);
        let public: http::Uri = format!("{}{}", self.base, call.target).parse().unwrap();
        let mut request = http::Request::builder().method(call.method.as_str());
        request = match &self.through {
            None => request.uri(&public),
            Some(address) => request
                .uri(format!("{address}{}", public.path_and_query().unwrap()))
                .header("Host", public.authority().unwrap().as_str()),
        };
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        // Every browser takes compressed answers, so whatever is on the way may compress.
        if !call
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"))
        {
            request = request.header("Accept-Encoding", "gzip, deflate");
        }
        if let Some(signer) = &call.signer {
            request = request.header("Authorization", self.sign(call, signer));
        }
        let answer = match &call.body {
            Some((content_type, body)) => {
                let request = request.header("Content-Type", content_type).body(body.as_slice());
                self.agent.run(request.unwrap())
            }
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer?;
        let headers = answer.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        let headers: Vec<(String, String)> = headers.collect();
        let is_compressed = headers.contains(&("content-encoding".into(), "gzip".into()));
        let mut body = answer.body_mut().read_to_vec()?;
        if is_compressed && !body.is_empty() {
            let compressed = std::mem::take(&mut body);
            let mut decoder = flate2::read::MultiGzDecoder::new(compressed.as_slice());
            std::io::Read::read_to_end(&mut decoder, &mut body).unwrap();
        }
        Ok(Reply {
            status: answer.status().as_u16(),
            headers,
            body,
            asked,
        })
    }

    fn sign(&self, call: &Call, signer: &Credentials) -> String {
        let uri: http::Uri = format!("{}{}", self.base, call.target).parse().unwrap();
        let is_https = uri.scheme_str() == Some("https");
        let request = Signed {
            method: &call.method,
            target: uri.path_and_query().unwrap().as_str(),
            host: uri.host().unwrap(),
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            payload: call
                .body
                .as_ref()
                .map(|(kind, body)| (kind.as_str(), body.as_slice())),
            ts: SystemClock.seconds() + self.ahead.load(Ordering::SeqCst),
            nonce: &hex(&random_bytes(6)),
        };
        request.header(signer)
    }
}

impl Call {
    /// A request without a body. The target is a path with its query.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            ..Self::default()
        }
    }

    /// A `GET`.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// A `POST` of JSON.
    pub fn post(target: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", target).json(body)
    }

    /// The same with a body of JSON, typed as Firefox types it.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json; charset=utf-8", body.to_string())
    }

    /// The same with any body.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some((content_type.to_owned(), body.into()));
        self
    }

    /// The same with a header more.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with a bearer's credential.
    pub fn bearer(self, credential: &str) -> Self {
        self.header("Authorization", format!("Bearer {credential}"))
    }

    /// The same, signed.
    pub fn signed(mut self, signer: &Credentials) -> Self {
        self.signer = Some(signer.clone());
        self
    }
}

impl Reply {
    /// Fails the test, showing the answer, unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self
    }

    /// Fails the test unless it is this refusal of the account server.
    #[track_caller]
    pub fn expect_errno(self, status: u16, errno: u64) -> Self {
        let reply = self.expect(status);
        let body = reply.json();
        assert_eq!(
            (&body["code"], &body["errno"]),
            (&status.into(), &errno.into()),
            "{}: {body}",
            reply.asked
        );
        reply
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }

    /// One text member of the JSON body.
    #[track_caller]
    pub fn text_of(&self, member: &str) -> String {
        let body = self.json();
        body[member]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no text {member} in {body}", self.asked))
            .to_owned()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// One header, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }
}
