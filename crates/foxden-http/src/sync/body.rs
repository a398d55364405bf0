//! Reads request bodies, within bounds.

use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::write::GzDecoder;

use crate::wire::body::{self, announced_length};
use crate::wire::memory::{Budget, MemoryFull, MemoryPermit, Owner};

/// Maximum number of gzip members in a body: clients send one, tools that join files send some.
const MAX_GZIP_MEMBERS: usize = 16;

/// Compressed bytes that are decompressed before other requests get their turn.
const GZIP_PIECE_BYTES: usize = 4096;

/// How many bytes the compressed form may be larger than its content. A larger difference means empty blocks, each
/// of which takes more work than many bytes of text.
const MAX_GZIP_OVERHEAD: usize = 64 * 1024;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadBody {
    /// It is larger than a request may be.
    TooLarge,
    /// Other bodies take the user's share of the memory, or all of it.
    MemoryFull,
    /// Its content coding is unknown.
    UnknownCoding,
    /// It ended early, or does not match its content coding.
    Broken,
    /// Its decompression is far more work than its content is worth.
    WastefulGzip,
}

/// The content coding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
}

impl From<body::BadBody> for BadBody {
    fn from(error: body::BadBody) -> Self {
        match error {
            body::BadBody::TooLarge => Self::TooLarge,
            body::BadBody::MemoryFull => Self::MemoryFull,
            body::BadBody::Broken => Self::Broken,
        }
    }
}

impl From<MemoryFull> for BadBody {
    fn from(_: MemoryFull) -> Self {
        Self::MemoryFull
    }
}

impl Coding {
    fn from_headers(headers: &HeaderMap) -> Result<Self, BadBody> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else {
            return Ok(Self::Plain);
        };
        let coding = value.to_str().map_err(|_| BadBody::UnknownCoding)?.trim();
        if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
            Ok(Self::Plain)
        } else if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            Ok(Self::Gzip)
        } else {
            Err(BadBody::UnknownCoding)
        }
    }
}

/// Reads a whole body and decompresses it. The owner holds its memory until the permit is dropped, including the
/// content of a compressed body.
///
/// `check` sees the bytes as received.
pub(super) async fn read_whole<E: From<BadBody>>(
    bodies: &Arc<Budget>,
    owner: Owner,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    check: impl FnOnce(&[u8]) -> Result<(), E>,
) -> Result<(Bytes, MemoryPermit), E> {
    let length = announced_length(headers, &body, limit).map_err(BadBody::from)?;
    let coding = Coding::from_headers(headers)?;
    let held = |length: usize| match coding {
        Coding::Plain => length as u64,
        Coding::Gzip => length.saturating_add(limit) as u64,
    };
    let permit = bodies.reserve(owner, held(length)).map_err(BadBody::from)?;
    let bytes = body::read_with_permit(body, length, limit, &permit)
        .await
        .map_err(BadBody::from)?;
    check(&bytes)?;
    permit.grow(held(bytes.len())).map_err(BadBody::from)?;
    let decoded = decode(bytes, coding, limit).await;
    if decoded == Err(BadBody::WastefulGzip) {
        bodies.report(owner, "work on compressed bodies that hold little");
    }
    let plain = decoded?;
    permit.set(plain.len() as u64);
    Ok((plain, permit))
}

/// Decompresses a body. The limit applies to the content, too.
async fn decode(bytes: Bytes, coding: Coding, limit: usize) -> Result<Bytes, BadBody> {
    match coding {
        Coding::Plain => Ok(bytes),
        // Boxed, so that the future of a plain request is not as large as that of a compressed one.
        Coding::Gzip => Box::pin(inflate(&bytes, limit)).await,
    }
}

/// Decompresses all members, each of which is part of the body. Other requests get their turn after each piece.
async fn inflate(mut compressed: &[u8], limit: usize) -> Result<Bytes, BadBody> {
    let mut plain = Vec::new();
    let (mut consumed, mut members) = (0, 0);
    while members == 0 || !compressed.is_empty() {
        members += 1;
        if members > MAX_GZIP_MEMBERS {
            return Err(BadBody::WastefulGzip);
        }
        let mut decoder = GzDecoder::new(plain);
        while !compressed.is_empty() {
            let piece = &compressed[..compressed.len().min(GZIP_PIECE_BYTES)];
            let taken = decoder.write(piece).map_err(|_| BadBody::Broken)?;
            if taken == 0 {
                break;
            }
            compressed = &compressed[taken..];
            consumed += taken;
            let plain = decoder.get_ref().len();
            if plain > limit {
                return Err(BadBody::TooLarge);
            }
            if consumed > plain + MAX_GZIP_OVERHEAD {
                return Err(BadBody::WastefulGzip);
            }
            tokio::task::yield_now().await;
        }
        plain = decoder.finish().map_err(|_| BadBody::Broken)?;
    }
    if plain.len() > limit {
        return Err(BadBody::TooLarge);
    }
    // From here on the buffer has the size that the permit counts.
    plain.shrink_to_fit();
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(bytes: Vec<u8>, limit: usize) -> Result<Bytes, BadBody> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(decode(bytes.into(), Coding::Gzip, limit))
    }

    /// A member with this content, in stored blocks of so many bytes each.
    fn stored(text: &[u8], block: usize) -> Vec<u8> {
        let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        let blocks = text.chunks(block).chain(std::iter::repeat_n(&[][..], 2));
        for piece in blocks {
            let length = u16::try_from(piece.len()).unwrap();
            member.push(0);
            member.extend_from_slice(&length.to_le_bytes());
            member.extend_from_slice(&(!length).to_le_bytes());
            member.extend_from_slice(piece);
        }
        member
    }

    #[test]
    fn a_body_in_several_members_is_read_to_its_end() {
        let both = [gzip("{\"id\":\"a\"}\n"), gzip("{\"id\":\"b\"}\n")].concat();
        assert_eq!(
            decoded(both.clone(), 100).unwrap(),
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n"
        );
        // The limit applies to all members together.
        assert!(matches!(decoded(both, 12), Err(BadBody::TooLarge)));
    }

    #[test]
    fn truncated_gzip_and_trailing_bytes_are_refused() {
        let whole = gzip("[]");
        let cut = whole[..whole.len() - 1].to_vec();
        let followed = [whole, b"[]".to_vec()].concat();
        for bytes in [cut, followed] {
            assert!(matches!(decoded(bytes, 100), Err(BadBody::Broken)));
        }
    }

    #[test]
    fn a_gzip_bomb_is_refused() {
        let bomb = gzip(&"x".repeat(10_000_000));
        assert!(bomb.len() < 100_000);
        assert!(matches!(decoded(bomb, 1000), Err(BadBody::TooLarge)));
    }

    #[test]
    fn a_body_of_empty_gzip_members_is_refused() {
        let empty = gzip("");
        assert_eq!(decoded(empty.repeat(MAX_GZIP_MEMBERS), 1000).unwrap(), "");
        for members in [MAX_GZIP_MEMBERS + 1, 100_000] {
            assert!(matches!(
                decoded(empty.repeat(members), 1000),
                Err(BadBody::WastefulGzip)
            ));
        }
        // A member of a hundred thousand empty blocks is refused as early.
        let mut blocks = stored(b"x", 1);
        blocks.extend_from_slice(&[0, 0, 0, 0xff, 0xff].repeat(100_000));
        assert!(matches!(decoded(blocks, 1_000_000), Err(BadBody::WastefulGzip)));
        assert!(matches!(decoded(Vec::new(), 1000), Err(BadBody::Broken)));
    }

    #[test]
    fn incompressible_bodies_are_accepted() {
        let mut number = 1_u32;
        let mut noise = || {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'!' + u8::try_from(number >> 26).unwrap())
        };
        let noise: String = (0..500_000).map(|_| noise()).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(noise.as_bytes()).unwrap();
        let compressed = encoder.finish().unwrap();
        assert!(compressed.len() > noise.len());
        assert_eq!(decoded(compressed, 500_000).unwrap(), noise);
    }
}
