//! Hawk: requests signed with a shared key. Storage requests are signed with the key of a token, account requests
//! with that of a session. The surfaces look ids up.

#[cfg(test)]
mod tests;

use axum::http::HeaderValue;
use data_encoding::BASE64;
use memchr::memchr;
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

/// Maximum length of a header. A real one has about 600 bytes.
pub const MAX_HEADER: usize = 8192;

/// The length of a signature as a header spells it.
const MAC_LENGTH: usize = 44;

/// The members of an `Authorization: Hawk …` header, as the client wrote them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct HawkHeader<'a> {
    /// The id of the key.
    pub id: &'a str,
    /// The client's time of the signature, in seconds.
    pub ts: i64,
    /// Makes two equal requests different.
    pub nonce: &'a str,
    /// The hash of the body, if the client sent one.
    pub hash: Option<&'a str>,
    /// The signature.
    mac: &'a str,
    ts_text: &'a str,
    ext: Option<&'a str>,
    app: Option<&'a str>,
    dlg: Option<&'a str>,
}

/// The signed parts of a request besides the members of the header.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The method in upper case.
    pub method: &'a str,
    /// The path in two pieces, as the client spelled it: a prefix that was stripped on the way, and the rest with
    /// its query.
    pub path: [&'a str; 2],
    /// The host that the client asked for: lower case, without a port.
    pub host: &'a str,
    /// The port that the client asked for.
    pub port: u16,
}

/// Why a header is not a valid Hawk header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHawk {
    /// Another scheme.
    #[error("the credentials are not of the scheme Hawk")]
    OtherScheme,
    /// Not of the form `name="value", …`, or over [`MAX_HEADER`].
    #[error("the hawk header is malformed")]
    Malformed,
    /// `id`, `ts`, `nonce` or `mac` is missing.
    #[error("the hawk header lacks its {0}")]
    Missing(&'static str),
}

impl<'a> HawkHeader<'a> {
    /// Parses the value of an `Authorization` header in one pass. Members come in any order, quoted or not.
    pub fn parse(header: &'a HeaderValue) -> Result<Self, BadHawk> {
        let header = header.to_str().map_err(|_| BadHawk::Malformed)?;
        let scheme = memchr(b' ', header.as_bytes()).unwrap_or(header.len());
        let (scheme, mut rest) = header.split_at(scheme);
        if !scheme.eq_ignore_ascii_case("Hawk") {
            return Err(BadHawk::OtherScheme);
        }
        if header.len() > MAX_HEADER {
            return Err(BadHawk::Malformed);
        }
        let mut members = HawkMembers::default();
        while let Some((name, value, after)) = next_member(rest)? {
            members.set(name, value)?;
            rest = after;
        }
        members.into_header()
    }

    /// Returns whether the key signed this request, compared in constant time.
    pub fn is_signed_with(&self, key: &hmac::Key, request: &Signed<'_>) -> bool {
        let signature = hmac::sign(key, &self.normalized(request));
        // Encoding costs half of what decoding does, and a signature has one spelling.
        is_equal(self.mac.as_bytes(), &in_base64(signature.as_ref()))
    }

    /// Returns whether the hash, if the client sent one, is that of this body. The comparison need not be
    /// constant-time: an attacker without the key cannot sign another hash.
    pub fn has_hash_of(&self, content_type: &str, body: &[u8]) -> bool {
        self.hash
            .is_none_or(|hash| hash == payload_hash(content_type, body))
    }

    /// The text that is signed.
    fn normalized(&self, request: &Signed<'_>) -> Vec<u8> {
        let mut text = Vec::with_capacity(512);
        let mut port = [0; 5];
        let port = decimal(request.port, &mut port);
        let [prefix, path] = request.path;
        text.extend_from_slice(b"hawk.1.header\n");
        for line in [self.ts_text, self.nonce, request.method] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(prefix.as_bytes());
        let optional = [self.hash, self.ext].map(Option::unwrap_or_default);
        for line in [path, request.host, port].into_iter().chain(optional) {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        if let Some(app) = self.app {
            for line in [app, self.dlg.unwrap_or_default()] {
                text.extend_from_slice(line.as_bytes());
                text.push(b'\n');
            }
        }
        text
    }
}

/// A signature in base64. For so few bytes a general encoder takes several times as long.
fn in_base64(signature: &[u8]) -> [u8; MAC_LENGTH] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'='; MAC_LENGTH];
    let (groups, rest) = signature.as_chunks();
    let (quads, _) = text.as_chunks_mut();
    let quad = |[a, b, c]: [u8; 3]| -> [u8; 4] {
        let bits = u32::from_be_bytes([0, a, b, c]);
        [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift) as usize % DIGITS.len()])
    };
    for (group, digits) in groups.iter().zip(quads.iter_mut()) {
        *digits = quad(*group);
    }
    // 32 bytes are ten groups and two more: three digits, and one that only fills.
    if let (&[a, b], Some([head @ .., _])) = (rest, quads.last_mut()) {
        let [one, two, three, _] = quad([a, b, 0]);
        *head = [one, two, three];
    }
    text
}

/// Whether a header has this signature, in a time that tells nothing of where the two differ.
fn is_equal(header: &[u8], mac: &[u8; MAC_LENGTH]) -> bool {
    let Ok(header) = <&[u8; MAC_LENGTH]>::try_from(header) else {
        return false;
    };
    let (ours, _) = mac.as_chunks();
    let pairs = header.as_chunks().0.iter().zip(ours);
    let difference = pairs.fold(0, |found, (one, other)| {
        found | (u32::from_ne_bytes(*one) ^ u32::from_ne_bytes(*other))
    });
    difference.ct_eq(&0).into()
}

/// The header by which a client signs a request without a body at a time in `seconds`.
pub fn sign(id: &str, key: &[u8], request: &Signed<'_>, seconds: i64, nonce: &str) -> String {
    let ts_text = seconds.to_string();
    let unsigned = HawkHeader {
        ts_text: &ts_text,
        nonce,
        ..HawkHeader::default()
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mac = BASE64.encode(hmac::sign(&key, &unsigned.normalized(request)).as_ref());
    format!("Hawk id=\"{id}\", ts=\"{seconds}\", nonce=\"{nonce}\", mac=\"{mac}\"")
}

/// Digits as a number.
fn decimal(mut number: u16, digits: &mut [u8; 5]) -> &str {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            return std::str::from_utf8(&digits[at..]).unwrap_or_default();
        }
    }
}

/// The hash of a body, as in a header's `hash`. Parameters of the content type are ignored.
pub fn payload_hash(content_type: &str, body: &[u8]) -> String {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"hawk.1.payload\n");
    context.update(media_type.to_ascii_lowercase().as_bytes());
    context.update(b"\n");
    context.update(body);
    context.update(b"\n");
    BASE64.encode(context.finish().as_ref())
}

#[derive(Default)]
struct HawkMembers<'a> {
    id: Option<&'a str>,
    ts: Option<&'a str>,
    nonce: Option<&'a str>,
    mac: Option<&'a str>,
    hash: Option<&'a str>,
    ext: Option<&'a str>,
    app: Option<&'a str>,
    dlg: Option<&'a str>,
}

impl<'a> HawkMembers<'a> {
    fn set(&mut self, name: &str, value: &'a str) -> Result<(), BadHawk> {
        let member = match name {
            "id" => &mut self.id,
            "ts" => &mut self.ts,
            "nonce" => &mut self.nonce,
            "mac" => &mut self.mac,
            "hash" => &mut self.hash,
            "ext" => &mut self.ext,
            "app" => &mut self.app,
            "dlg" => &mut self.dlg,
            _ => return Ok(()),
        };
        match member.replace(value) {
            None => Ok(()),
            Some(_) => Err(BadHawk::Malformed),
        }
    }

    fn into_header(self) -> Result<HawkHeader<'a>, BadHawk> {
        let filled = |value: Option<&'a str>| value.filter(|value| !value.is_empty());
        let need = |value, name| filled(value).ok_or(BadHawk::Missing(name));
        // These members are free text, in which implementations read a backslash differently. A header has no control character
        // but tabs.
        let free_text = [self.nonce, self.ext, self.app, self.dlg];
        let is_odd = |byte: u8| matches!(byte, b'\\' | b'\t');
        if free_text
            .into_iter()
            .flatten()
            .any(|text| text.bytes().any(is_odd))
        {
            return Err(BadHawk::Malformed);
        }
        let ts_text = need(self.ts, "ts")?;
        Ok(HawkHeader {
            id: need(self.id, "id")?,
            ts: ts_text.parse().map_err(|_| BadHawk::Malformed)?,
            ts_text,
            nonce: need(self.nonce, "nonce")?,
            mac: need(self.mac, "mac")?,
            hash: filled(self.hash),
            ext: self.ext,
            app: filled(self.app),
            dlg: self.dlg,
        })
    }
}

/// Returns the first `name=value` of a list, and the rest.
fn next_member(list: &str) -> Result<Option<(&str, &str, &str)>, BadHawk> {
    let bytes = list.as_bytes();
    let is_between = |byte: &u8| matches!(byte, b' ' | b',' | b'\t');
    let start = bytes.iter().take_while(|byte| is_between(byte)).count();
    if start == bytes.len() {
        return Ok(None);
    }
    // Names are short: looking at byte after byte is done before a search has begun.
    let end = bytes[start..].iter().position(|byte| *byte == b'=');
    let end = start + end.ok_or(BadHawk::Malformed)?;
    let (name, rest) = (&list[start..end], &list[end + 1..]);
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => {
            let end = memchr(b'"', quoted.as_bytes()).ok_or(BadHawk::Malformed)?;
            (&quoted[..end], &quoted[end + 1..])
        }
        None => rest.split_at(rest.find([',', ' ']).unwrap_or(rest.len())),
    };
    match rest.as_bytes().first() {
        None | Some(b',' | b' ') => Ok(Some((name, value, rest))),
        Some(_) => Err(BadHawk::Malformed),
    }
}
