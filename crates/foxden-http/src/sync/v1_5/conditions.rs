//! The preconditions of a request.

use axum::http::{HeaderMap, HeaderName};
use foxden_model::SyncTime;
use foxden_storage::{Guard, Target};

use super::refusal::Refusal;
use crate::sync::reply::ResponseCode;

const MODIFIED_SINCE: HeaderName = HeaderName::from_static("x-if-modified-since");
const UNMODIFIED_SINCE: HeaderName = HeaderName::from_static("x-if-unmodified-since");

/// The common prefix of both headers.
const PREFIX: &str = "x-if-";

/// The preconditions of the client. At most one is set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions {
    modified_since: Option<SyncTime>,
    unmodified_since: Option<SyncTime>,
}

impl Conditions {
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, Refusal> {
        // Looking at all names is a fraction of the work of two searches, and most requests have neither.
        if !headers.keys().any(|name| name.as_str().starts_with(PREFIX)) {
            return Ok(Self::default());
        }
        let conditions = Self {
            modified_since: time(headers, &MODIFIED_SINCE)?,
            unmodified_since: time(headers, &UNMODIFIED_SINCE)?,
        };
        if conditions.modified_since.is_some() && conditions.unmodified_since.is_some() {
            return Err(bad_request());
        }
        Ok(conditions)
    }

    /// Checks the time of what was read; missing resources have time zero.
    pub(super) fn check_read(&self, modified: SyncTime) -> Result<(), Refusal> {
        if self.modified_since.is_some_and(|since| modified <= since) {
            return Err(Refusal::NotModified { modified });
        }
        if self.unmodified_since.is_some_and(|since| modified > since) {
            return Err(Refusal::Stale { modified });
        }
        Ok(())
    }

    /// Returns the guard of a write to that target.
    pub(super) fn guard(&self, target: Target) -> Option<Guard> {
        self.unmodified_since.map(|unmodified_since| Guard {
            target,
            unmodified_since,
        })
    }
}

fn time(headers: &HeaderMap, name: &HeaderName) -> Result<Option<SyncTime>, Refusal> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| bad_request())?;
    let time: SyncTime = text.trim().parse().map_err(|_| bad_request())?;
    if time.is_negative() {
        return Err(bad_request());
    }
    Ok(Some(time))
}

const fn bad_request() -> Refusal {
    Refusal::BadRequest(ResponseCode::Unspecified)
}
