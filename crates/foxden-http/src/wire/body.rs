//! Reads the bodies of requests, within bounds. The permit of a body exists before any of it is read, and grows
//! with it.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt;

use super::memory::{Budget, MemoryFull, MemoryPermit, Owner};

/// How many times the received bytes a buffer may have.
const BUFFER_GROWTH: usize = 8;
/// The same for an unauthenticated client, whose bodies are short: few bytes should take little memory.
const UNAUTHENTICATED_BUFFER_GROWTH: usize = 2;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadBody {
    /// It is larger than a request may be.
    TooLarge,
    /// The owner's share of the memory of bodies is in use, or all of it.
    MemoryFull,
    /// It ended early.
    Broken,
}

impl From<MemoryFull> for BadBody {
    fn from(_: MemoryFull) -> Self {
        Self::MemoryFull
    }
}

/// How much memory a body takes while its request is handled, as a factor of its size.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MemoryFactor {
    /// The body is read and copied once.
    Copied = 2,
    /// The body is parsed as JSON: a number of one digit takes 32 bytes.
    ParsedJson = 16,
}

/// Returns the maximum size of a body by its headers. One that is too large is refused before any of it is read.
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

/// Reads a body of at most `limit` bytes. They count as the owner's until the permit is dropped. An empty body
/// needs no permit.
pub(crate) async fn read_whole(
    budget: &Arc<Budget>,
    owner: Owner,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    memory_factor: MemoryFactor,
) -> Result<(Bytes, Option<MemoryPermit>), BadBody> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let length = announced_length(headers, &body, limit)?;
    let memory_of = |length: usize| (length as u64).saturating_mul(memory_factor as u64);
    let permit = budget.reserve(owner.for_body(length), memory_of(length))?;
    let bytes = read_with_permit(body, length, limit, &permit).await?;
    permit.resize(memory_of(bytes.len()))?;
    Ok((bytes, Some(permit)))
}

/// Reads a body of at most `limit` bytes, of which `length` are announced. The permit grows with the received
/// bytes, so a client that announces much and sends little holds little.
pub(crate) async fn read_with_permit(
    mut body: Body,
    length: usize,
    limit: usize,
    permit: &MemoryPermit,
) -> Result<Bytes, BadBody> {
    let growth = if permit.is_authenticated() {
        BUFFER_GROWTH
    } else {
        UNAUTHENTICATED_BUFFER_GROWTH
    };
    let mut first = Bytes::new();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        // The client disconnected or broke the framing. It does not read the answer.
        let frame = frame.map_err(|_| BadBody::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        let received = first.len() + all.len() + data.len();
        if received > limit {
            return Err(BadBody::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            permit.grow(received as u64)?;
            first = data;
            continue;
        }
        if all.capacity() < received {
            // Few steps: a buffer that grows exists twice while it is copied.
            let capacity = received.saturating_mul(growth).min(length).max(received);
            permit.grow(capacity as u64)?;
            all.reserve_exact(capacity - all.len());
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.extend_from_slice(&data);
    }
    // A body in one piece, as most are, is not copied.
    if all.is_empty() {
        return Ok(first);
    }
    // From here on the buffer has the size that the permit counts.
    all.shrink_to_fit();
    Ok(all.into())
}

#[cfg(test)]
pub(crate) mod tests;
