//! Responses of this surface.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use foxden_model::SyncTime;

use super::print;
use crate::wire::set_retry_after;

const TIMESTAMP: HeaderName = HeaderName::from_static("x-weave-timestamp");
const LAST_MODIFIED: HeaderName = HeaderName::from_static("x-last-modified");
const RECORDS: HeaderName = HeaderName::from_static("x-weave-records");
const NEXT_OFFSET: HeaderName = HeaderName::from_static("x-weave-next-offset");
const QUOTA_REMAINING: HeaderName = HeaderName::from_static("x-weave-quota-remaining");
const WEAVE_BACKOFF: HeaderName = HeaderName::from_static("x-weave-backoff");
const BACKOFF: HeaderName = HeaderName::from_static("x-backoff");

/// Seconds after which a client may try again after a concurrent write.
pub(super) const BUSY_SECONDS: u32 = 10;
/// Seconds after which a client may try again when the engine is unavailable.
pub(super) const UNAVAILABLE_SECONDS: u32 = 60;

/// The format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON value.
    Json,
    /// One JSON value in each line.
    Newlines,
    /// JSON values, each after its length in four bytes.
    Whoisi,
}

/// The response code in the body of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseCode {
    /// No other code fits.
    Unspecified = 0,
    /// The request would overwrite something that it must not.
    Overwrites = 4,
    /// Not JSON.
    BadJson = 6,
    /// Not a valid object.
    BadObject = 8,
    /// Not a valid collection.
    BadCollection = 13,
    /// The user's quota is used up.
    OverQuota = 14,
    /// The request is too large.
    TooMuch = 17,
}

impl Format {
    /// Returns the media type in `Accept` and `Content-Type`.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Newlines => "application/newlines",
            Self::Whoisi => "application/whoisi",
        }
    }
}

/// The parts of a response that differ.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) format: Format,
    /// The time of what was read or written, in dialects with a header for it.
    pub(super) modified: Option<SyncTime>,
    /// The timestamp of the response where it is not the current time: that of the write, or the as-of time of a
    /// read.
    pub(super) time: Option<SyncTime>,
    /// Number of elements in the body.
    pub(super) records: Option<usize>,
    /// Where the next page begins.
    pub(super) next_offset: Option<String>,
    /// The remaining quota, as the dialect prints it.
    pub(super) quota_remaining: Option<String>,
    pub(super) retry_after: Option<u32>,
    /// Seconds for which the client's token has it asked to stay away; 0: not at all.
    pub(super) token_backoff: u32,
    /// How callers authenticate, in a 401.
    pub(super) challenge: Option<&'static str>,
    /// The reason of a refusal, for the log.
    pub(super) why: Option<String>,
    pub(super) body: Body,
}

impl Reply {
    /// A response with defaults.
    pub(super) fn new(format: Format, body: impl Into<Body>) -> Self {
        Self {
            status: StatusCode::OK,
            format,
            modified: None,
            time: None,
            records: None,
            next_offset: None,
            quota_remaining: None,
            retry_after: None,
            token_backoff: 0,
            challenge: None,
            why: None,
            body: body.into(),
        }
    }

    /// A response to a read of something that changed at `modified`.
    pub(super) fn read(modified: SyncTime, format: Format, body: impl Into<Body>) -> Self {
        Self {
            modified: Some(modified),
            ..Self::new(format, body)
        }
    }

    /// Builds the response at that time, in the memory of these headers. `backoff`: how many seconds clients should
    /// stay away.
    pub(super) fn into_response(
        self,
        mut emptied: HeaderMap,
        now: SyncTime,
        backoff: Option<u32>,
    ) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        emptied.clear();
        *response.headers_mut() = emptied;
        let headers = response.headers_mut();
        headers.reserve(10);
        // A response without a body has no type. A cache would take it for the type of the cached body.
        if self.status != StatusCode::NOT_MODIFIED {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(self.format.media_type()),
            );
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        let timestamp = match (self.time, self.modified) {
            (Some(time), _) => time,
            (None, Some(modified)) => modified.max(now),
            (None, None) => now,
        };
        headers.insert(TIMESTAMP, time(timestamp));
        if let Some(modified) = self.modified {
            headers.insert(LAST_MODIFIED, time(modified));
        }
        if let Some(records) = self.records {
            headers.insert(RECORDS, number(records));
        }
        if let Some(offset) = self.next_offset.and_then(|offset| offset.try_into().ok()) {
            headers.insert(NEXT_OFFSET, offset);
        }
        if let Some(left) = self.quota_remaining.and_then(|left| left.try_into().ok()) {
            headers.insert(QUOTA_REMAINING, left);
        }
        if let Some(seconds) = self.retry_after {
            set_retry_after(headers, seconds);
        }
        if let Some(seconds) = backoff {
            headers.insert(WEAVE_BACKOFF, seconds.into());
            headers.insert(BACKOFF, seconds.into());
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

fn time(time: SyncTime) -> HeaderValue {
    match print::time_of_today(time) {
        Some(text) => digits(&text),
        None => digits(time.to_string().as_bytes()),
    }
}

fn number(number: usize) -> HeaderValue {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => digits(&[b'0' + digit]),
        _ => number.into(),
    }
}

fn digits(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).expect("digits may stand in a header")
}
