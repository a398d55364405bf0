//! Checks whether the proxy forwards requests unchanged: their paths, their size, their client address.
//!
//! The server says how a request came to it; what is different was changed by a proxy.

use std::net::IpAddr;

use foxden_http::wire::PublicUrl;

use super::Finding;
use super::address::PublicAddress;
use foxden_http::probe::{self, Seen};

/// Escapes that proxies tend to rewrite, beside characters that must stay as they are.
const TARGET: &str = "a%7Eb%2Fc%25d%21e;f?g=%7E%2F%25";

/// The same without what some proxies refuse.
const PLAIN_TARGET: &str = "a%7Eb%25d%21e;f?g=%7E%2F%25";

/// An unassigned address (RFC 5737), claimed by the request itself.
const CLAIMED: &str = "192.0.2.123";

/// How an answer came back.
enum ProbeOutcome {
    /// The server has seen the request.
    Seen(Seen),
    /// Something else has answered: its status, and what it calls itself.
    Refused(u16, String),
    /// The connection ended, or nothing came in time.
    Broken(String),
}

/// Which proxy to set up, and how, so that paths stay as they are.
const HINT_PATHS: &str = "requests are signed over their paths, so the proxy must pass them on as they come: in nginx write \
                          proxy_pass with nothing behind the port, in Apache AllowEncodedSlashes NoDecode and nocanon";

impl PublicAddress {
    /// Looks at what clients of storage send. Nothing is found where the path of the public address leads elsewhere, since
    /// [`Self::check_signatures`] says that.
    pub(super) fn check_storage(&self, word: &str, most: u64) -> Vec<Finding> {
        match self.send(&self.url.base(), word, "here", None) {
            ProbeOutcome::Seen(_) => {
                let found = [self.check_paths(word), self.check_uploads(word, most)];
                found.into_iter().flatten().collect()
            }
            ProbeOutcome::Refused(..) | ProbeOutcome::Broken(_) => Vec::new(),
        }
    }

    /// Whether paths come as they are sent.
    fn check_paths(&self, word: &str) -> Option<Finding> {
        let (url, base) = (&self.url, self.url.base());
        let refused = |status: u16, by: &str| {
            Finding::error(
                format!("{by} refuses paths with %2F in them, with status {status}"),
                HINT_PATHS,
            )
        };
        match self.send(&base, word, TARGET, None) {
            ProbeOutcome::Seen(seen) => {
                Some(judge_path(url, &probe::request_path(word, TARGET), &seen.target))
            }
            // Is it %2F that it does not like?
            ProbeOutcome::Refused(status, by) => match self.send(&base, word, PLAIN_TARGET, None) {
                ProbeOutcome::Seen(_) => Some(refused(status, &by)),
                ProbeOutcome::Refused(..) => Some(Finding::error(
                    format!("{by} refuses paths with escapes in them, with status {status}"),
                    HINT_PATHS,
                )),
                ProbeOutcome::Broken(_) => None,
            },
            // That the address cannot be reached was said already.
            ProbeOutcome::Broken(_) => None,
        }
    }

    /// Whether an upload as large as this server announces goes through.
    fn check_uploads(&self, word: &str, most: u64) -> Option<Finding> {
        let body = vec![b' '; usize::try_from(most).ok()?];
        let came = self.send(&self.url.base(), word, "upload", Some(&body));
        Some(judge_upload(&self.url, most, &came))
    }

    /// Whether the proxy says which name is asked for, and who asks.
    pub(super) fn check_names(&self, word: &str) -> Vec<Finding> {
        match self.send(&self.base, word, "who", None) {
            ProbeOutcome::Seen(seen) if has_proxy(&self.url, &self.ports) => judge_names(&self.url, &seen),
            _ => Vec::new(),
        }
    }

    /// Asks for a page of [`foxden_http::probe`] below `base`: proxies have rules of their own for each path.
    fn send(&self, base: &str, word: &str, target: &str, body: Option<&[u8]>) -> ProbeOutcome {
        let page = format!("{base}{}", probe::request_path(word, target));
        let answer = self.client.send(|agent| match body {
            Some(body) => agent.post(&page).content_type("application/json").send(body),
            None if has_proxy(&self.url, &self.ports) => {
                agent.get(&page).header("X-Forwarded-For", CLAIMED).call()
            }
            // A private server would take the header for a proxy's.
            None => agent.get(&page).call(),
        });
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) => return ProbeOutcome::Broken(error.to_string()),
        };
        let status = answer.status().as_u16();
        let server = answer.headers().get("server").and_then(|name| name.to_str().ok());
        let by = server.map_or_else(|| "the proxy".to_owned(), |name| format!("the proxy ({name})"));
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        Seen::parse(&text).map_or(ProbeOutcome::Refused(status, by), ProbeOutcome::Seen)
    }
}

/// Whether something stands between: this program does no TLS itself, and knows its own ports.
fn has_proxy(url: &PublicUrl, ports: &[u16]) -> bool {
    url.is_https() || !ports.iter().any(|port| [0, url.port()].contains(port))
}

fn judge_path(url: &PublicUrl, sent: &str, came: &str) -> Finding {
    if sent == came {
        return Finding::ok(format!("paths come through {url} as they are sent"));
    }
    // The part before the tail is the same, and as long as two random numbers.
    let tail = |target: &str| {
        target
            .rsplit_once("/a")
            .map_or_else(|| target.to_owned(), |(_, tail)| format!("a{tail}"))
    };
    Finding::error(
        format!("a proxy writes paths anew: {} came as {}", tail(sent), tail(came)),
        HINT_PATHS,
    )
}

fn judge_upload(url: &PublicUrl, most: u64, came: &ProbeOutcome) -> Finding {
    let kilobytes = most.div_ceil(1024);
    let hint = format!(
        "raise the proxy's limit to {kilobytes} KB or more: client_max_body_size in nginx, request_body max_size in \
         Caddy, SecRequestBodyLimit in Apache's ModSecurity; or lower storage.max_request_bytes"
    );
    match came {
        ProbeOutcome::Seen(seen) if seen.bytes == most => Finding::ok(format!(
            "an upload of {kilobytes} KB, the largest, goes through {url}"
        )),
        ProbeOutcome::Seen(seen) => Finding::error(
            format!("of an upload of {most} bytes {} came through {url}", seen.bytes),
            "check what the proxy does with the bodies of requests",
        ),
        ProbeOutcome::Refused(413, by) => Finding::error(
            format!("{by} refuses an upload of {kilobytes} KB, the largest, as too large (413)"),
            hint,
        ),
        ProbeOutcome::Refused(status, by) => Finding::error(
            format!("{by} answers {status} to an upload of {kilobytes} KB, the largest"),
            "the proxy's log says why; it may have a limit for the size or the time of a request",
        ),
        ProbeOutcome::Broken(error) => Finding::error(
            format!("an upload of {kilobytes} KB, the largest, does not go through {url}: {error}"),
            hint,
        ),
    }
}

fn judge_names(url: &PublicUrl, seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    let host = seen.host.as_deref().unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    if !name.eq_ignore_ascii_case(url.host()) {
        findings.push(Finding::warning(
            format!("the proxy asks this server for {host}, not for {}", url.host()),
            "let it pass Host on: proxy_set_header Host $http_host in nginx, ProxyPreserveHost On in Apache",
        ));
    }
    findings.extend(judge_client(seen));
    findings
}

fn judge_client(seen: &Seen) -> Option<Finding> {
    const SET: &str = "let it set X-Forwarded-For: proxy_set_header X-Forwarded-For $remote_addr in nginx, RequestHeader \
                       unset X-Forwarded-For in Apache, http-request set-header X-Forwarded-For %[src] in HAProxy";
    let client = seen.client?;
    let Some(forwarded_for) = &seen.forwarded_for else {
        return Some(Finding::warning(
            "the proxy does not say who asks: all its clients count as one, and one's wrong tries keep all others waiting",
            SET,
        ));
    };
    let last = forwarded_for.rsplit(',').next()?.trim();
    if last == CLAIMED {
        return Some(Finding::error(
            "the proxy does not say who asks, and passes on what clients claim: any of them may pretend to be another",
            SET,
        ));
    }
    let named = last.parse::<IpAddr>().ok()?.to_canonical();
    (named != client).then(|| {
        Finding::error(
            format!(
                "what the proxy at {client} says of who asks is not believed: all its clients count as one"
            ),
            format!("name it: trusted_proxies = [\"{client}\"]"),
        )
    })
}

#[cfg(test)]
mod tests;
