//! Authenticates 1.5 requests: Hawk with a token that this node's secrets signed, without any lookup.

use std::fmt;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::request::Parts;
use axum::http::{Method, header};
use foxden_accounts::security::{EntryPoint, Event, EventKind};
use foxden_accounts::token::BadToken;
use foxden_model::SyncTime;
use ring::hmac;

use crate::sync::SyncState;
use crate::sync::v1_5::refusal::Refusal;
use crate::sync::v1_5::target::{Resource, Target};
use crate::sync::verifier::VerifiedToken;
use crate::wire::Peer;
use crate::wire::hawk::{BadHawk, HawkHeader, Signed};

/// Seconds for which an expired token may still read `info/collections`.
const GRACE_SECONDS: i64 = 2 * 60 * 60;
/// Maximum remaining lifetime of a token in seconds. None is issued for as long: a longer one was issued while the
/// clock was ahead, and would stay valid until the clock has caught up.
const MOST_SECONDS: i64 = 31 * 24 * 60 * 60;

/// Why a caller is refused. The reason is only logged.
#[derive(Debug, PartialEq, Eq)]
enum AuthFailure {
    Anonymous,
    Header(BadHawk),
    Token(BadToken),
    Expired { at: SyncTime },
    TooLong { until: SyncTime },
    OtherHost { signed: String, ours: String },
    WrongSignature,
    Skewed { seconds: i64 },
    OtherNode { token: Box<str>, ours: String },
    OtherUser { token: u64 },
    WrongHash,
}

/// Checks that the caller may open the store. Returns the signature and the token.
pub(super) fn authenticate<'r>(
    sync: &SyncState,
    parts: &'r Parts,
    peer: Option<Peer>,
    target: &Target,
) -> Result<(HawkHeader<'r>, Arc<VerifiedToken>), Refusal> {
    check(sync, parts, target).map_err(|failure| {
        report(sync, parts, peer, target, &failure);
        refuse(&failure)
    })
}

/// Checks the hash of the body, if the caller signed one.
pub(super) fn check_body(hawk: &HawkHeader<'_>, parts: &Parts, body: &[u8]) -> Result<(), Refusal> {
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if hawk.has_hash_of(content_type, body) {
        Ok(())
    } else {
        Err(refuse(&AuthFailure::WrongHash))
    }
}

/// Emits a security event for invalid credentials. A request without any is no event.
fn report(sync: &SyncState, parts: &Parts, peer: Option<Peer>, target: &Target, failure: &AuthFailure) {
    if *failure == AuthFailure::Anonymous {
        return;
    }
    let from = peer.map(|peer| peer.address);
    let (user, why) = (target.user.to_string(), failure.to_string());
    let event = Event::new(EventKind::StorageRefused, EntryPoint::Storage, from);
    let event = event.with_request(parts.method.as_str(), parts.uri.path());
    sync.security_events
        .emit(&event.with_subject(&user).with_reason(&why));
}

fn refuse(failure: &AuthFailure) -> Refusal {
    Refusal::Unauthorized {
        why: failure.to_string(),
    }
}

fn check<'r>(
    sync: &SyncState,
    parts: &'r Parts,
    target: &Target,
) -> Result<(HawkHeader<'r>, Arc<VerifiedToken>), AuthFailure> {
    let header = parts
        .headers
        .get(header::AUTHORIZATION)
        .ok_or(AuthFailure::Anonymous)?;
    let hawk = HawkHeader::parse(header).map_err(AuthFailure::Header)?;
    let verified = sync.verifier.verify(hawk.id).map_err(AuthFailure::Token)?;
    let token = &verified.token;
    check_time(sync, parts, target, token.expires)?;
    check_signature(sync, parts, &hawk, &verified.key)?;
    if let Some(max) = sync.max_skew_seconds {
        let skew = hawk.ts.saturating_sub(sync.clock.seconds());
        if skew.unsigned_abs() > u64::from(max) {
            return Err(AuthFailure::Skewed { seconds: skew });
        }
    }
    if sync.verifies_token_node && *token.node != *sync.site.public_url.base() {
        let ours = sync.site.public_url.base();
        return Err(AuthFailure::OtherNode {
            token: token.node.clone(),
            ours,
        });
    }
    if token.user != target.user {
        return Err(AuthFailure::OtherUser { token: token.user.0 });
    }
    Ok((hawk, verified))
}

fn check_time(
    sync: &SyncState,
    parts: &Parts,
    target: &Target,
    expires: SyncTime,
) -> Result<(), AuthFailure> {
    let now = sync.clock.now();
    if expires > now.plus_seconds(MOST_SECONDS) {
        return Err(AuthFailure::TooLong { until: expires });
    }
    let is_in_grace_period = target.resource == Resource::InfoCollections { is_exact: true }
        && matches!(parts.method, Method::GET | Method::HEAD)
        && now < expires.plus_seconds(GRACE_SECONDS);
    if now < expires || is_in_grace_period {
        Ok(())
    } else {
        Err(AuthFailure::Expired { at: expires })
    }
}

fn check_signature(
    sync: &SyncState,
    parts: &Parts,
    hawk: &HawkHeader<'_>,
    key: &hmac::Key,
) -> Result<(), AuthFailure> {
    let url = &sync.site.public_url;
    // The public path may have been removed by a proxy, or by this server's router.
    let original = parts.extensions.get::<OriginalUri>();
    let uri = original.map_or(&parts.uri, |OriginalUri(uri)| uri);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let prefix = if path.starts_with(url.path()) {
        ""
    } else {
        url.path()
    };
    let request = Signed {
        method: parts.method.as_str(),
        path: [prefix, path],
        host: url.host(),
        port: url.port(),
    };
    let holds = |host: &str, port| {
        let request = Signed {
            host,
            port,
            ..request
        };
        hawk.is_signed_with(key, &request)
    };
    if sync.site.is_signed_for(uri, &parts.headers, holds) {
        return Ok(());
    }
    Err(explain_signature(&request, parts, |other| {
        hawk.is_signed_with(key, other)
    }))
}

/// Checks whether the signature is valid for the host that the request itself names: the most frequent mistake in
/// the setup of a node.
fn explain_signature(
    request: &Signed<'_>,
    parts: &Parts,
    holds: impl Fn(&Signed<'_>) -> bool,
) -> AuthFailure {
    let named = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let named = named.unwrap_or_default().to_ascii_lowercase();
    let (host, port) = match named.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (named.as_str(), None),
    };
    let signed = [port.unwrap_or(443), port.unwrap_or(80)]
        .into_iter()
        .find(|&port| {
            holds(&Signed {
                host,
                port,
                ..*request
            })
        });
    match signed {
        Some(port) => AuthFailure::OtherHost {
            signed: format!("{host}:{port}"),
            ours: format!("{}:{}", request.host, request.port),
        },
        None => AuthFailure::WrongSignature,
    }
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("no credentials"),
            Self::Header(error) => error.fmt(f),
            Self::Token(error) => error.fmt(f),
            Self::Expired { at } => write!(f, "the token expired at {at}"),
            Self::TooLong { until } => {
                write!(
                    f,
                    "the token lasts until {until}: it was made by a clock that was ahead"
                )
            }
            Self::OtherHost { signed, ours } => write!(f, "signed for host {signed}, this node is {ours}"),
            Self::WrongSignature => {
                f.write_str("the signature is wrong: another key, host, path or method was signed")
            }
            Self::Skewed { seconds } => write!(f, "the client's clock is {seconds} s off"),
            Self::OtherNode { token, ours } => {
                write!(f, "the token is for node {token}, this node is {ours}")
            }
            Self::OtherUser { token } => write!(f, "the token is for uid {token}"),
            Self::WrongHash => f.write_str("the body is not the one whose hash was signed"),
        }
    }
}
