//! Reads the bodies of requests, within bounds. Each has its place before any of it is read.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::memory::{Budget, NoRoom, Owner, Place};

/// Why a body cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadBody {
    /// Larger than a request may be.
    TooLarge,
    /// The owner's share of the memory there is for bodies is in use, or all of it.
    NoRoom,
    /// It broke off.
    Broken,
}

impl From<NoRoom> for BadBody {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

/// What a body takes of memory while its request is carried out, in terms of its own length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unfolds {
    /// It is read, and copied once.
    Twice = 2,
    /// It is JSON that is kept member by member: a number of one digit becomes 32 bytes.
    Json = 16,
}

/// The most bytes that a body can have by what is announced. One that is too large is refused before any of it is read.
pub(crate) fn announced_length(headers: &HeaderMap, body: &Body, limit: usize) -> Result<usize, BadBody> {
    let announced = match headers.get(header::CONTENT_LENGTH) {
        Some(length) => {
            let length = length.to_str().ok().and_then(|text| text.parse().ok());
            Some(length.ok_or(BadBody::TooLarge)?)
        }
        None => body.size_hint().upper(),
    };
    let length = announced.map_or(Ok(limit), usize::try_from);
    length
        .ok()
        .filter(|&length| length <= limit)
        .ok_or(BadBody::TooLarge)
}

/// Takes a body of at most `limit` bytes, counted as the owner's for as long as its place is kept. What has no body takes
/// no place.
pub(crate) async fn take(
    budget: &Arc<Budget>,
    owner: Owner,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    unfolds: Unfolds,
) -> Result<(Bytes, Option<Place>), BadBody> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let length = announced_length(headers, &body, limit)?;
    let place = budget.take(owner, length as u64 * unfolds as u64)?;
    Ok((read(body, length, limit).await?, Some(place)))
}

/// Reads a whole body of at most `limit` bytes; `length`: how many there may be by what is announced.
pub(crate) async fn read(mut body: Body, length: usize, limit: usize) -> Result<Bytes, BadBody> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // The client went away or broke the framing; nobody is there to read the answer.
        let frame = frame.map_err(|_| BadBody::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(BadBody::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                // Once and for all: a buffer that grows is held twice while it is copied.
                all.reserve(length);
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    // A body that came in one piece, as most do, is not copied.
    Ok(if all.is_empty() { first } else { all.freeze() })
}
