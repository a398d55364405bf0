//! Requests as Go's library writes them: host, agent and length first, the other headers by name.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use foxden_model::{Clock as _, SystemClock};
use ring::digest::{SHA256, digest};
use ring::hmac;

use super::base64;
use crate::client::onepw::TokenKeys;
use crate::client::random_bytes;

const VERSION: &str = "1.10.0";

/// A key and its id.
#[derive(Clone, Default)]
pub struct Key {
    /// Its name.
    pub id: String,
    /// The key.
    pub key: Vec<u8>,
}

impl Key {
    /// The key of a token of the account server.
    pub fn of_token(token: &str, kind: &str) -> Self {
        let keys = TokenKeys::derive(token, kind);
        Self {
            id: keys.id,
            key: keys.auth_key,
        }
    }
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    asked: String,
}

impl Answer {
    /// The body, parsed.
    #[track_caller]
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.body))
    }

    /// Success is 200 and nothing else.
    fn ok(self) -> Result<Self, Self> {
        if self.status == 200 { Ok(self) } else { Err(self) }
    }
}

/// A connection to a server.
pub struct Connection {
    /// The public URL.
    public: String,
    /// The address in a test.
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// Connects with the first request.
    pub fn new(public: &str, address: &str) -> Self {
        Self {
            public: public.to_owned(),
            address: address.to_owned(),
            stream: None,
        }
    }

    /// The log-in, which is not signed and takes anything.
    pub fn login(&mut self, body: &str) -> Result<Answer, Answer> {
        let agent = format!(
            "Mozilla/5.0 (Mobile; Firefox Accounts; rv:1.0) firefox-sync-client/{VERSION}golang/1.19"
        );
        let headers = [("Accept", "*/*"), ("Content-Type", "application/json")];
        let url = format!("{}/v1/account/login?keys=true", self.public);
        self.exchange("POST", &url, &agent, &headers, Some(body)).ok()
    }

    /// A request to the account server, signed with a token of its.
    pub fn account(
        &mut self,
        key: &Key,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<Answer, Answer> {
        let url = format!("{}/v1{path}", self.public);
        self.send(key, method, &url, body)
    }

    /// The tokenserver is asked without any agent of the program's own.
    pub fn storage_token(&mut self, access: &str, key_id: &str) -> Result<Answer, Answer> {
        let bearer = format!("Bearer {access}");
        // Go writes the names of headers its own way.
        let headers = [("Authorization", bearer.as_str()), ("X-Keyid", key_id)];
        let url = format!("{}/1.0/sync/1.5", self.public);
        self.exchange("GET", &url, "Go-http-client/1.1", &headers, None)
            .ok()
    }

    /// A signed request.
    pub fn send(&mut self, key: &Key, method: &str, url: &str, body: Option<&str>) -> Result<Answer, Answer> {
        let authorization = sign(key, method, url, body.unwrap_or_default());
        let headers = [
            ("Accept", "application/json"),
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
        ];
        let agent = format!("firefox-sync-client/{VERSION}");
        self.exchange(method, url, &agent, &headers, body).ok()
    }

    fn exchange(
        &mut self,
        method: &str,
        url: &str,
        agent: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let (_, host, target) = parts(url);
        let length = body.map(str::len);
        let mut lines = vec![
            format!("{method} {target} HTTP/1.1"),
            format!("Host: {host}"),
            format!("User-Agent: {agent}"),
        ];
        lines.extend(length.map(|length| format!("Content-Length: {length}")));
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.push("Accept-Encoding: gzip\r\n\r\n".to_owned());
        let text = lines.join("\r\n") + body.unwrap_or_default();
        let stream = self.stream.get_or_insert_with(|| {
            let stream = TcpStream::connect(&self.address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            BufReader::new(stream)
        });
        stream.get_mut().write_all(text.as_bytes()).unwrap();
        let answer = read(stream, format!("{method} {url}"));
        if answer.headers.contains(&("connection".into(), "close".into())) {
            self.stream = None;
        }
        answer
    }
}

/// Scheme, host, and path with query.
fn parts(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_once("://").expect("an address");
    let slash = rest.find('/').expect("a path");
    (scheme, &rest[..slash], &rest[slash..])
}

fn sign(key: &Key, method: &str, url: &str, body: &str) -> String {
    let (scheme, host, target) = parts(url);
    assert!(!host.contains(':'), "the program ends at a port in {url}");
    let port = if scheme == "https" { "443" } else { "80" };
    let hash = if method == "GET" || body.is_empty() {
        String::new()
    } else {
        let text = format!("hawk.1.payload\napplication/json\n{body}\n");
        base64(digest(&SHA256, text.as_bytes()).as_ref())
    };
    let ts = SystemClock.seconds().to_string();
    let nonce = base64(&random_bytes(5));
    let lines = [
        "hawk.1.header",
        &ts,
        &nonce,
        method,
        target,
        &host.to_lowercase(),
        port,
        &hash,
        "",
        "",
    ];
    let signing = hmac::Key::new(hmac::HMAC_SHA256, &key.key);
    let mac = base64(hmac::sign(&signing, lines.join("\n").as_bytes()).as_ref());
    let hash = (!hash.is_empty()).then(|| format!(r#", hash="{hash}""#));
    format!(
        r#"Hawk id="{}", mac="{mac}", ts="{ts}", nonce="{nonce}"{}"#,
        key.id,
        hash.unwrap_or_default()
    )
}

fn read(stream: &mut BufReader<TcpStream>, asked: String) -> Answer {
    let mut line = || {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the connection ended");
        line.trim_end().to_owned()
    };
    let status = line().split(' ').nth(1).expect("a status").parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let of = |name: &str| {
        let found = headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.clone())
    };
    assert_eq!(of("content-encoding"), None, "{asked}");
    let mut body = Vec::new();
    if of("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).unwrap();
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else {
        let length = of("content-length").map_or(0, |length| length.parse().unwrap());
        body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
    }
    Answer {
        status,
        headers,
        body: String::from_utf8(body).unwrap(),
        asked,
    }
}

/// A text in JSON as Go writes it.
pub fn json_text(text: &str) -> String {
    let plain = serde_json::to_string(text).unwrap();
    plain
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// A segment of a path as Go escapes it.
pub fn path_segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+=:@".contains(&byte);
    let escape = |byte: u8| {
        if is_plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}
