//! Reads the bodies of requests, within bounds. Each has its place before any of it is read, which grows as it comes.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt;

use super::memory::{Budget, NoRoom, Owner, Place};

/// How many times as much as has come a buffer has room for.
const GROWTH: usize = 8;
/// The same for a client that has proven nothing, whose bodies are short: few bytes are to take little room.
const STRANGERS_GROWTH: usize = 2;

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
    let unfolded = |length: usize| (length as u64).saturating_mul(unfolds as u64);
    let place = budget.expect(owner.who_brings(length), unfolded(length))?;
    let bytes = read(body, length, limit, &place).await?;
    place.resize(unfolded(bytes.len()))?;
    Ok((bytes, Some(place)))
}

/// Reads a whole body of at most `limit` bytes; `length`: how many there may be by what is announced. The place grows with
/// what has come: who announces much and sends little holds little.
pub(crate) async fn read(
    mut body: Body,
    length: usize,
    limit: usize,
    place: &Place,
) -> Result<Bytes, BadBody> {
    let growth = if place.is_proven() {
        GROWTH
    } else {
        STRANGERS_GROWTH
    };
    let mut first = Bytes::new();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        // The client went away or broke the framing; nobody is there to read the answer.
        let frame = frame.map_err(|_| BadBody::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        let came = first.len() + all.len() + data.len();
        if came > limit {
            return Err(BadBody::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            place.grow(came as u64)?;
            first = data;
            continue;
        }
        if all.capacity() < came {
            // In few steps: a buffer that grows is held twice while it is copied.
            let room = came.saturating_mul(growth).min(length).max(came);
            place.grow(room as u64)?;
            all.reserve_exact(room - all.len());
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.extend_from_slice(&data);
    }
    // A body that came in one piece, as most do, is not copied.
    if all.is_empty() {
        return Ok(first);
    }
    // From now on no more is held than its length, which is what its place is told.
    all.shrink_to_fit();
    Ok(all.into())
}

#[cfg(test)]
pub(crate) mod tests;
