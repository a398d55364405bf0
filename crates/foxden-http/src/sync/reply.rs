//! An answer of this surface, and how it becomes a response.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use foxden_model::SyncTime;

use super::print;

const TIMESTAMP: HeaderName = HeaderName::from_static("x-weave-timestamp");
const LAST_MODIFIED: HeaderName = HeaderName::from_static("x-last-modified");
const RECORDS: HeaderName = HeaderName::from_static("x-weave-records");
const NEXT_OFFSET: HeaderName = HeaderName::from_static("x-weave-next-offset");
const QUOTA_REMAINING: HeaderName = HeaderName::from_static("x-weave-quota-remaining");
const WEAVE_BACKOFF: HeaderName = HeaderName::from_static("x-weave-backoff");
const BACKOFF: HeaderName = HeaderName::from_static("x-backoff");

/// The bytes that are left to a user below which an answer to a write says so.
const QUOTA_NOTICE: u64 = 1 << 20;

/// How a list is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON value.
    Json,
    /// One JSON value in each line.
    Newlines,
}

/// An answer: what differs from one to the next.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) format: Format,
    /// The time of what was read or written.
    pub(super) modified: Option<SyncTime>,
    /// Whether the answer's own time is that of the write it tells of.
    pub(super) is_change: bool,
    /// Elements in the body.
    pub(super) records: Option<usize>,
    /// Where the next page begins.
    pub(super) next_offset: Option<String>,
    /// Bytes the user may still store.
    pub(super) quota_left: Option<u64>,
    pub(super) retry_after: Option<u32>,
    pub(super) asks_for_hawk: bool,
    /// What the log is told beyond the status.
    pub(super) why: Option<String>,
    pub(super) body: Body,
}

impl Reply {
    /// A plain answer.
    pub(super) fn new(format: Format, body: impl Into<Body>) -> Self {
        Self {
            status: StatusCode::OK,
            format,
            modified: None,
            is_change: false,
            records: None,
            next_offset: None,
            quota_left: None,
            retry_after: None,
            asks_for_hawk: false,
            why: None,
            body: body.into(),
        }
    }

    /// The answer to a read of something that changed at that time.
    pub(super) fn read(modified: SyncTime, format: Format, body: impl Into<Body>) -> Self {
        Self {
            modified: Some(modified),
            ..Self::new(format, body)
        }
    }

    /// The response, at that time of day. `backoff`: the seconds clients are asked to stay away.
    pub(super) fn into_response(self, now: SyncTime, backoff: Option<u32>) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let content_type = match self.format {
            Format::Json => "application/json",
            Format::Newlines => "application/newlines",
        };
        headers.reserve(10);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        let timestamp = match self.modified {
            Some(modified) if self.is_change => modified,
            Some(modified) => modified.max(now),
            None => now,
        };
        headers.insert(TIMESTAMP, time(timestamp));
        if let Some(modified) = self.modified {
            headers.insert(LAST_MODIFIED, time(modified));
        }
        if let Some(records) = self.records {
            headers.insert(RECORDS, records.into());
        }
        if let Some(offset) = self.next_offset.and_then(|offset| offset.try_into().ok()) {
            headers.insert(NEXT_OFFSET, offset);
        }
        if let Some(left) = self.quota_left.filter(|&left| left < QUOTA_NOTICE) {
            headers.insert(QUOTA_REMAINING, kilobytes(left));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(seconds) = backoff {
            headers.insert(WEAVE_BACKOFF, seconds.into());
            headers.insert(BACKOFF, seconds.into());
        }
        if self.asks_for_hawk {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Hawk"));
        }
        response
    }
}

fn time(time: SyncTime) -> HeaderValue {
    let mut text = Vec::with_capacity(16);
    print::time(&mut text, time);
    from_ascii(text)
}

/// Units of 1024 bytes, rounded to hundredths, without zeros at the end but for the first decimal.
fn kilobytes(bytes: u64) -> HeaderValue {
    let hundredths = (bytes * 100 + 512) / 1024;
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let text = text.strip_suffix('0').unwrap_or(&text).to_owned();
    from_ascii(text.into_bytes())
}

fn from_ascii(text: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("digits may stand in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_are_rounded_as_the_public_suite_rounds_them() {
        for (bytes, text) in [
            (200, "0.2"),
            (1024, "1.0"),
            (0, "0.0"),
            (1536, "1.5"),
            (1300, "1.27"),
        ] {
            assert_eq!(kilobytes(bytes), text, "{bytes}");
        }
    }
}
