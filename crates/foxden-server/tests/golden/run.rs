//! Runs a conversation against a server and compares its responses.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, Result, bail, ensure};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use foxden_model::{Clock, SyncTime};

use crate::capture;
use crate::conversation::{Conversation, Exchange, Expected, Step};
use crate::server::{ConversationServer, Engine, Settings};
use crate::signer::{self, Signer};
use crate::text::{self, Kept};

/// The longest body that is written down; of a longer one `{*}` is.
const LONGEST: usize = 3000;

/// How one exchange went.
pub struct Answered {
    /// The difference between the response and the file, if any.
    pub difference: Option<String>,
    /// The answer as the file should say it.
    pub now: Expected,
}

/// Runs it from the beginning to the end.
pub fn run(conversation: &Conversation, surface: &str, engine: Engine) -> Result<Vec<Answered>> {
    let mut runner = Runner {
        settings: Settings::new(engine),
        server: None,
        signer: Signer::Anonymous,
        kept: Kept::new(),
        sent: 0,
    };
    let mut answers = Vec::new();
    for (line, step) in &conversation.steps {
        let at = || format!("line {line}");
        match step {
            Step::Directive(word, rest) => runner.direct(word, rest).with_context(at)?,
            Step::Exchange(exchange) => {
                let mut answer = runner.exchange(exchange, surface).with_context(at)?;
                if let Some(difference) = &mut answer.difference {
                    *difference = format!("line {line}: {} {}\n{difference}", exchange.method, exchange.path);
                }
                answers.push(answer);
            }
        }
    }
    Ok(answers)
}

struct Runner {
    settings: Settings,
    server: Option<ConversationServer>,
    signer: Signer,
    kept: Kept,
    sent: usize,
}

impl Runner {
    fn server(&mut self) -> Result<&ConversationServer> {
        if self.server.is_none() {
            self.server = Some(ConversationServer::new(&self.settings)?);
        }
        self.server.as_ref().context("it was just made")
    }

    fn direct(&mut self, word: &str, rest: &str) -> Result<()> {
        let rest = text::fill_in(&text::expand(rest)?, &self.kept);
        if let Some(signer) = Signer::from_directive(word, &rest) {
            self.signer = signer;
            return Ok(());
        }
        match word {
            "keep" => {
                let (name, words) = rest.split_once(' ').context("keep needs a name and what")?;
                let text = capture::text(words, self.server()?)?;
                self.kept.insert(name.to_owned(), text);
                Ok(())
            }
            "person" => {
                let (name, password) = rest
                    .split_once(' ')
                    .context("a person has a name and a password")?;
                self.server()?.create_account(name, password)
            }
            "server" => {
                ensure!(
                    self.server.is_none(),
                    "settings come before the first request and the clock"
                );
                self.settings.change(&rest)
            }
            "clock" => {
                let clock = self.server()?.clock();
                let millis = |text: &str| {
                    let time: SyncTime = text.parse().context("not a time")?;
                    anyhow::Ok(time.hundredths() * 10)
                };
                match rest.strip_prefix('+') {
                    Some(seconds) => clock.advance_millis(millis(seconds)?),
                    None => clock.set_millis(millis(&rest)?),
                }
                Ok(())
            }
            _ => bail!("there is no directive {word}"),
        }
    }

    fn exchange(&mut self, exchange: &Exchange, surface: &str) -> Result<Answered> {
        let request = self.request(exchange, surface)?;
        let response = self.server()?.send(request)?;
        let mut now = answer(&response, exchange.answer.as_ref());
        let mut difference = String::new();
        match &exchange.answer {
            None => difference.push_str("  no answer is written down; cargo xtask golden --update does it"),
            Some(expected) => self.compare(expected, &mut now, &mut difference)?,
        }
        if let Some(broken) = broken_wait(&response).or_else(|| broken_promise(surface, exchange, &response))
        {
            bail!("every answer of this surface {broken}: {response:?}");
        }
        Ok(Answered {
            difference: (!difference.is_empty()).then_some(difference),
            now,
        })
    }

    fn request(&mut self, exchange: &Exchange, surface: &str) -> Result<Request<Body>> {
        self.sent += 1;
        let path = text::fill_in(&text::expand(&exchange.path)?, &self.kept);
        let body = text::fill_in(&text::expand(&exchange.body)?, &self.kept).into_bytes();
        let url = self.settings.public_url.clone();
        let mut builder = Request::builder().method(exchange.method.as_str()).uri(&path);
        let (mut body, mut content_type, mut has_host) = (body, String::new(), false);
        for (name, value) in &exchange.headers {
            let value = text::fill_in(&text::expand(value)?, &self.kept);
            match (name.as_str(), value.as_str()) {
                ("content-encoding", "gzip") => body = gzip(&body)?,
                ("content-type", media_type) => media_type.clone_into(&mut content_type),
                ("host", _) => has_host = true,
                _ => {}
            }
            builder = builder.header(name, value);
        }
        if content_type.is_empty() && surface == "fxa" && exchange.method == "POST" {
            "application/json".clone_into(&mut content_type);
            builder = builder.header("content-type", content_type.as_str());
        }
        if !has_host {
            builder = builder.header("host", url.host_and_port());
        }
        let now = self.server()?.clock().seconds();
        let authorization = self.signer.header(&signer::Request {
            method: &exchange.method,
            path: &path,
            content_type: &content_type,
            body: &body,
            now,
            index: self.sent,
            host: url.host(),
            port: url.port(),
            node: &url.base(),
        })?;
        if let Some(authorization) = authorization {
            builder = builder.header("authorization", authorization);
        }
        if !body.is_empty() {
            builder = builder.header("content-length", body.len());
        }
        Ok(builder.body(Body::from(body))?)
    }

    /// Returns the difference. Equal parts go into `now` as the file spells them.
    fn compare(&mut self, expected: &Expected, now: &mut Expected, difference: &mut String) -> Result<()> {
        if expected.status != now.status {
            writeln!(difference, "  status {}, not {}", now.status, expected.status)?;
        }
        for ((name, wanted), (_, got)) in expected.headers.iter().zip(&mut now.headers) {
            let is_fit = match (&wanted, &got) {
                (None, None) => true,
                (Some(wanted), Some(got)) => text::fits(wanted, got, &mut self.kept),
                _ => false,
            };
            if is_fit {
                got.clone_from(wanted);
            } else {
                let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "not there".to_owned());
                writeln!(difference, "  {name}: {}, not {}", show(got), show(wanted))?;
            }
        }
        if text::fits(&text::expand(&expected.body)?, &now.body, &mut self.kept) {
            now.body.clone_from(&expected.body);
        } else {
            writeln!(
                difference,
                "  body {}\n   not {}",
                shortened(&now.body),
                expected.body
            )?;
            now.body = shortened(&text::take_out(&now.body, &self.kept));
        }
        Ok(())
    }
}

/// The answer, with the headers that the file names.
fn answer(response: &Response<Bytes>, expected: Option<&Expected>) -> Expected {
    let named = expected.map_or(&[][..], |expected| &expected.headers);
    let headers = named
        .iter()
        .map(|(name, _)| (name.clone(), header(response.headers(), name)));
    Expected {
        status: response.status().as_str().to_owned(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(response.body()).into_owned(),
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn shortened(body: &str) -> String {
    if body.len() > LONGEST {
        "{*}".to_owned()
    } else {
        body.to_owned()
    }
}

fn gzip(plain: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?)
}

/// V7.14: the promise of every response. Browsers ignore any other form of the header and retry at once.
fn broken_wait(response: &Response<Bytes>) -> Option<&'static str> {
    let is_wait = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u64>().is_ok_and(|seconds| seconds > 0)
    };
    let headers = response.headers();
    let tells_time = ["retry-after", "x-weave-backoff", "x-backoff"]
        .iter()
        .all(|name| headers.get_all(*name).iter().all(is_wait));
    (!tells_time).then_some("says in whole seconds how long to wait")
}

/// Checks that hold for every response of a surface, so that no file need repeat them.
fn broken_promise(surface: &str, exchange: &Exchange, response: &Response<Bytes>) -> Option<&'static str> {
    match surface {
        "sync" => broken_sync_promise(exchange, response),
        "user" if exchange.path.starts_with("/user") || exchange.path.starts_with("/misc") => {
            broken_user_promise(response)
        }
        // These conversations go from one surface to the next, as clients do.
        "fxa" | "token" | "legacy" if exchange.path.starts_with("/1.5/") => {
            broken_sync_promise(exchange, response)
        }
        "legacy" if exchange.path == "/1.0/sync/1.5" => broken_token_promise(response),
        "legacy"
            if ["/1.1/", "/1.0/", "/1/"]
                .iter()
                .any(|name| exchange.path.starts_with(name)) =>
        {
            broken_legacy_promise(exchange, response)
        }
        "fxa" | "token" if exchange.path.contains("/1.0/") => broken_token_promise(response),
        "fxa" | "token" => broken_account_promise(exchange, response),
        // A request for another name, or without a form, gets another page.
        "pages"
            if exchange.path.starts_with("/weave-") && !matches!(response.status().as_u16(), 404 | 421) =>
        {
            broken_page_promise(response)
        }
        _ => None,
    }
}

/// Account server, section 5; and pages of other origins may not read an answer.
fn broken_account_promise(exchange: &Exchange, response: &Response<Bytes>) -> Option<&'static str> {
    let get = |name| header(response.headers(), name);
    if !get("timestamp").is_some_and(|time| is_whole(&time)) {
        return Some("has a Timestamp in seconds");
    }
    if get("x-content-type-options").as_deref() != Some("nosniff") {
        return Some("forbids to guess its type");
    }
    if get("cache-control").is_none() || get("access-control-allow-origin").is_some() {
        return Some("says who may keep it, and lets no other page read it");
    }
    if !exchange.path.starts_with("/v1/") {
        return None;
    }
    let body = serde_json::from_slice::<serde_json::Value>(response.body());
    let is_bodiless = matches!(response.status().as_u16(), 204 | 302 | 304) || exchange.method == "HEAD";
    match body {
        _ if is_bodiless => None,
        Err(_) => Some("is JSON"),
        Ok(body) if response.status().is_success() && body.get("error").is_some() => {
            Some("that is a success has no member error")
        }
        Ok(body) if !response.status().is_success() && body["code"] != response.status().as_u16() => {
            Some("that is a refusal repeats its status as code")
        }
        Ok(_) => None,
    }
}

/// User API, section 1.4: an error is a number, and pages of other origins may not read a response.
fn broken_user_promise(response: &Response<Bytes>) -> Option<&'static str> {
    let get = |name| header(response.headers(), name);
    let is_time = |text: &str| {
        text.split_once('.')
            .is_some_and(|(_, after)| after.len() == 2 && is_whole(after))
    };
    if !get("x-weave-timestamp").is_some_and(|time| is_time(&time)) {
        return Some("has an X-Weave-Timestamp with two decimals");
    }
    if get("x-content-type-options").as_deref() != Some("nosniff") {
        return Some("forbids to guess its type");
    }
    if get("cache-control").is_none() || get("access-control-allow-origin").is_some() {
        return Some("says who may keep it, and lets no other page read it");
    }
    match response.status().as_u16() {
        401 if get("www-authenticate").is_none() => Some("that is 401 names the scheme"),
        503 if get("retry-after").is_none() => Some("that is 503 says when to come again"),
        400 if serde_json::from_slice::<u8>(response.body()).is_err() => Some("that is 400 is a number"),
        _ => None,
    }
}

/// Forms for old clients: no script, no caching, no framing.
fn broken_page_promise(response: &Response<Bytes>) -> Option<&'static str> {
    let get = |name| header(response.headers(), name);
    if !get("content-security-policy").is_some_and(|policy| {
        policy.starts_with("default-src 'none'; style-src") && policy.contains("frame-ancestors 'none'")
    }) {
        return Some("forbids script and frames");
    }
    if get("x-frame-options").as_deref() != Some("DENY") {
        return Some("forbids frames to old browsers");
    }
    if get("cache-control").as_deref() != Some("no-store") || get("set-cookie").is_some() {
        return Some("leaves nothing in the browser");
    }
    if response.status() == 503 && get("retry-after").is_none() {
        return Some("that sends away says for how long");
    }
    None
}

/// Tokenserver, section 4.
fn broken_token_promise(response: &Response<Bytes>) -> Option<&'static str> {
    let get = |name| header(response.headers(), name);
    if !get("x-timestamp").is_some_and(|time| is_whole(&time)) {
        return Some("has an X-Timestamp in seconds");
    }
    if get("content-type").as_deref() != Some("application/json") {
        return Some("is JSON");
    }
    if get("x-content-type-options").as_deref() != Some("nosniff") {
        return Some("forbids to guess its type");
    }
    None
}

fn is_whole(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// D1.15 of the storage API: every response has the time, with two decimals. And the errors of 1.x.
fn broken_legacy_promise(exchange: &Exchange, response: &Response<Bytes>) -> Option<&'static str> {
    let get = |name| header(response.headers(), name);
    let time = get("x-weave-timestamp").filter(|time| is_time(time));
    let Some(time) = time else {
        return Some("has X-Weave-Timestamp with two decimals");
    };
    if get("x-last-modified").is_some() {
        return Some("knows no X-Last-Modified");
    }
    if get("cache-control").as_deref() != Some("no-store") {
        return Some("forbids to be kept by others");
    }
    let body = response.body();
    let is_json = get("content-type").as_deref() == Some("application/json");
    let has_body = !matches!(exchange.method.as_str(), "HEAD" | "OPTIONS");
    if is_json && has_body && serde_json::from_slice::<serde_json::Value>(body).is_err() {
        return Some("that says it is JSON is JSON");
    }
    let is_time_alone = std::str::from_utf8(body).is_ok_and(is_time);
    match response.status().as_u16() {
        200 if is_time_alone && body != &time => Some("that is a time is that of X-Weave-Timestamp"),
        401 if get("www-authenticate").as_deref() != Some("Basic realm=\"Sync\"") => {
            Some("that is 401 asks for Basic")
        }
        503 if get("retry-after").is_none() => Some("that is 503 says when to come again"),
        409 | 500 => Some("is none of those that this dialect never gives"),
        _ => None,
    }
}

/// A time on the wire.
fn is_time(text: &str) -> bool {
    let decimals = text.split_once('.').map(|(_, decimals)| decimals.len());
    decimals == Some(2) && text.parse::<SyncTime>().is_ok()
}

/// D1.15 of the storage API: every response has the time, with two decimals. And its other headers.
fn broken_sync_promise(exchange: &Exchange, response: &Response<Bytes>) -> Option<&'static str> {
    let get = |name| header(response.headers(), name);
    if !get("x-weave-timestamp").is_some_and(|time| is_time(&time)) {
        return Some("has X-Weave-Timestamp with two decimals");
    }
    let is_success = response.status().is_success() && exchange.method != "OPTIONS";
    if is_success && !get("x-last-modified").is_some_and(|time| is_time(&time)) {
        return Some("that is a success has X-Last-Modified");
    }
    if response.status() == 304 {
        let has_type = get("content-type").is_some();
        return (has_type || !response.body().is_empty())
            .then_some("that is 304 has no body and no type of one");
    }
    let is_json = get("content-type").as_deref() == Some("application/json");
    if !is_json && get("content-type").as_deref() != Some("application/newlines") {
        return Some("is JSON or newlines");
    }
    let has_body = !response.body().is_empty();
    if is_json && has_body && serde_json::from_slice::<serde_json::Value>(response.body()).is_err() {
        return Some("that says it is JSON is JSON");
    }
    if is_success && !has_body && exchange.method != "HEAD" && is_json {
        return Some("that is a success has a body");
    }
    if get("cache-control").as_deref() != Some("no-store") {
        return Some("forbids to be kept by others");
    }
    None
}
