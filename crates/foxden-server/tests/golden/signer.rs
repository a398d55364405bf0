//! Credentials, written from the protocol's documents: no code of the server is used.

use anyhow::{Context, Result, bail};
use data_encoding::{BASE64, BASE64URL};
use ring::hmac;

use foxden_test_support::client::hawk::{Credentials, Signed};
use foxden_test_support::client::onepw::TokenKeys;

/// The secret that signs tokens in every conversation.
pub const MASTER_SECRET: &str = "a secret of golden conversations";

/// How requests are signed.
#[derive(Clone, Debug)]
pub enum Signer {
    Anonymous,
    /// A literal header.
    Plain(String),
    /// A storage token, with the parameters of the directive.
    Storage(Vec<(String, String)>),
    /// A token of an account: its kind, its 64 digits, and the further parameters of the directive.
    Account {
        kind: String,
        token: String,
        params: Vec<(String, String)>,
    },
}

/// The parts of a request that its signature covers.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub content_type: &'a str,
    pub body: &'a [u8],
    /// The server's seconds since 1970.
    pub now: i64,
    /// Which request of the conversation it is.
    pub index: usize,
    pub host: &'a str,
    pub port: u16,
    pub node: &'a str,
}

impl Signer {
    /// The signer that a directive asks for; `None` if the directive is about something else.
    pub fn from_directive(word: &str, rest: &str) -> Option<Self> {
        Some(match word {
            "anonymous" => Self::Anonymous,
            "authorization" => Self::Plain(rest.to_owned()),
            "basic" => {
                let (name, password) = rest.split_once(' ').unwrap_or((rest, ""));
                Self::Plain(format!(
                    "Basic {}",
                    BASE64.encode(format!("{name}:{password}").as_bytes())
                ))
            }
            "account" => {
                let (params, plain): (Vec<&str>, Vec<&str>) =
                    rest.split_whitespace().partition(|word| word.contains('='));
                let (kind, token) = match plain[..] {
                    [kind, token] => (kind, token),
                    _ => ("sessionToken", plain.first().copied().unwrap_or_default()),
                };
                Self::Account {
                    kind: kind.to_owned(),
                    token: token.to_owned(),
                    params: pairs(params.into_iter()),
                }
            }
            "hawk" => Self::Storage(pairs(rest.split_whitespace())),
            _ => return None,
        })
    }

    /// The `Authorization` header of a request.
    pub fn header(&self, request: &Request<'_>) -> Result<Option<String>> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Plain(header) => Ok(Some(header.clone())),
            Self::Storage(params) => storage(params, request).map(Some),
            Self::Account { kind, token, params } => account(kind, token, params, request).map(Some),
        }
    }
}

fn pairs<'a>(params: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        (name.to_owned(), value.to_owned())
    };
    params.map(pair).collect()
}

fn account(kind: &str, token: &str, params: &[(String, String)], request: &Request<'_>) -> Result<String> {
    let keys = TokenKeys::derive(token, kind);
    let mut credentials = Credentials {
        id: keys.id,
        key: keys.auth_key,
    };
    let mut nonce = format!("nonce{}", request.index);
    let mut payload = (!request.body.is_empty()).then_some((request.content_type, request.body));
    let (mut ts, mut host) = (0, request.host);
    for (name, value) in params {
        match (name.as_str(), value.as_str()) {
            ("ts", seconds) => ts = seconds.parse()?,
            ("host", other) => host = other,
            ("nonce", text) => text.clone_into(&mut nonce),
            ("mac", "bad") => credentials.key.reverse(),
            ("hash", "bad") => payload = Some((request.content_type, b"another body")),
            ("hash", "none") => payload = None,
            _ => bail!("account knows no {name}={value}"),
        }
    }
    let signed = signed(request, host, request.now + ts, &nonce, payload);
    Ok(signed.header(&credentials))
}

fn storage(params: &[(String, String)], request: &Request<'_>) -> Result<String> {
    let (mut uid, mut secret, mut node) = (None, MASTER_SECRET, request.node);
    let (mut expires, mut ts, mut host) = (3600, 0, request.host);
    let (mut path, mut corrupt) = (request.path.to_owned(), Vec::new());
    let (mut payload, mut other_uids) = (None, "");
    for (name, value) in params {
        match (name.as_str(), value.as_str()) {
            ("beside", uids) => other_uids = uids,
            ("uid", uid_text) => uid = Some(uid_text.parse::<u64>()?),
            ("secret", other) => secret = other,
            ("node", other) => node = other,
            ("host", other) => host = other,
            ("path", prefix) => path = format!("{prefix}{path}"),
            ("expires", seconds) => expires = seconds.parse()?,
            ("ts", seconds) => ts = seconds.parse()?,
            ("hash", "") => payload = Some((request.content_type, request.body)),
            ("hash", "bad") => payload = Some((request.content_type, &b"another body"[..])),
            (part @ ("mac" | "id" | "key"), "bad") => corrupt.push(part),
            _ => bail!("hawk knows no {name}={value}"),
        }
    }
    let uid = uid.context("hawk needs a uid")?;
    let mut credentials = token(uid, node, request.now + expires, secret, other_uids);
    if corrupt.contains(&"id") {
        credentials.id = altered(&credentials.id);
    }
    if corrupt.contains(&"key") {
        credentials.key.reverse();
    }
    let nonce = format!("nonce{}", request.index);
    let signed = Signed {
        target: &path,
        ..signed(request, host, request.now + ts, &nonce, payload)
    };
    let header = signed.header(&credentials);
    Ok(
        match header.split_once("mac=\"").filter(|_| corrupt.contains(&"mac")) {
            Some((before, mac)) => format!("{before}mac=\"{}", altered(mac)),
            None => header,
        },
    )
}

fn signed<'a>(
    request: &Request<'a>,
    host: &'a str,
    ts: i64,
    nonce: &'a str,
    payload: Option<(&'a str, &'a [u8])>,
) -> Signed<'a> {
    Signed {
        method: request.method,
        target: request.path,
        host,
        port: request.port,
        payload,
        ts,
        nonce,
    }
}

/// Makes a storage token with the required members, and `beside` if the account has other stores.
fn token(uid: u64, node: &str, expires: i64, secret: &str, other_uids: &str) -> Credentials {
    let salt = "a1b2c3";
    let other_uids = if other_uids.is_empty() {
        String::new()
    } else {
        format!(r#","beside":[{other_uids}]"#)
    };
    let statement =
        format!(r#"{{"uid":{uid},"node":"{node}","expires":{expires},"salt":"{salt}"{other_uids}}}"#);
    let signing = hkdf(
        secret.as_bytes(),
        b"",
        b"services.mozilla.com/tokenlib/v1/signing",
        32,
    );
    let mut id = statement.into_bytes();
    let signature = hmac_sha256(&signing, &id);
    id.extend_from_slice(&signature);
    let id = BASE64URL.encode(&id);
    let info = format!("services.mozilla.com/tokenlib/v1/derive/{id}");
    let key = hkdf(secret.as_bytes(), salt.as_bytes(), info.as_bytes(), 32);
    Credentials {
        id,
        key: BASE64URL.encode(&key).into_bytes(),
    }
}

/// RFC 5869 with SHA-256.
fn hkdf(secret: &[u8], salt: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let extracted = hmac_sha256(if salt.is_empty() { &[0; 32] } else { salt }, secret);
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for counter in 1u8.. {
        if out.len() >= length {
            break;
        }
        block = hmac_sha256(&extracted, &[&block[..], info, &[counter]].concat());
        out.extend_from_slice(&block);
    }
    out.truncate(length);
    out
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text).as_ref().to_vec()
}

/// The same text but for one letter.
fn altered(text: &str) -> String {
    let other = if text.starts_with('x') { "y" } else { "x" };
    format!("{other}{}", &text[1..])
}
