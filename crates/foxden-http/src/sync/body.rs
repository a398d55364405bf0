//! Reads request bodies, within bounds.

use std::io::Read;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use crate::wire::body::{self, announced_length};
use crate::wire::memory::{Budget, Owner, Place};

/// Why a body cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadBody {
    /// Larger than a request may be.
    TooLarge,
    /// Other bodies take the user's share of the room there is, or all of it.
    NoRoom,
    /// Of a coding that is not understood.
    UnknownCoding,
    /// It broke off, or is not what its coding says.
    Broken,
}

/// How a body came over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
}

impl From<body::BadBody> for BadBody {
    fn from(error: body::BadBody) -> Self {
        match error {
            body::BadBody::TooLarge => Self::TooLarge,
            body::BadBody::NoRoom => Self::NoRoom,
            body::BadBody::Broken => Self::Broken,
        }
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

/// Reads a whole body and undoes its coding. It is counted as the owner's as long as its place is kept, with what comes
/// out of it where it is compressed.
///
/// `check` sees the bytes as they came over the wire.
pub(super) async fn take<E: From<BadBody>>(
    bodies: &Arc<Budget>,
    owner: Owner,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    check: impl FnOnce(&[u8]) -> Result<(), E>,
) -> Result<(Bytes, Place), E> {
    let length = announced_length(headers, &body, limit).map_err(BadBody::from)?;
    let coding = Coding::from_headers(headers)?;
    let bytes = match coding {
        Coding::Plain => length,
        Coding::Gzip => length.saturating_add(limit),
    };
    let place = bodies.take(owner, bytes as u64).map_err(|_| BadBody::NoRoom)?;
    let bytes = body::read(body, length, limit).await.map_err(BadBody::from)?;
    check(&bytes)?;
    Ok((decode(bytes, coding, limit)?, place))
}

/// Undoes the coding; the limit holds for what comes out, too.
fn decode(bytes: Bytes, coding: Coding, limit: usize) -> Result<Bytes, BadBody> {
    match coding {
        Coding::Plain => Ok(bytes),
        Coding::Gzip => {
            let mut plain = Vec::new();
            // Of several members one after the other, each is part of the body.
            let mut decoder = MultiGzDecoder::new(&bytes[..]).take(limit as u64 + 1);
            decoder.read_to_end(&mut plain).map_err(|_| BadBody::Broken)?;
            if plain.len() > limit {
                return Err(BadBody::TooLarge);
            }
            Ok(plain.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(bytes: Vec<u8>, limit: usize) -> Result<Bytes, BadBody> {
        decode(bytes.into(), Coding::Gzip, limit)
    }

    #[test]
    fn a_body_in_several_members_is_read_to_its_end() {
        let both = [gzip("{\"id\":\"a\"}\n"), gzip("{\"id\":\"b\"}\n")].concat();
        assert_eq!(
            decoded(both.clone(), 100).unwrap(),
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n"
        );
        // The limit holds for all of them together.
        assert!(matches!(decoded(both, 12), Err(BadBody::TooLarge)));
    }

    #[test]
    fn what_is_cut_or_followed_by_something_else_is_refused() {
        let whole = gzip("[]");
        let cut = whole[..whole.len() - 1].to_vec();
        let followed = [whole, b"[]".to_vec()].concat();
        for bytes in [cut, followed] {
            assert!(matches!(decoded(bytes, 100), Err(BadBody::Broken)));
        }
    }

    #[test]
    fn a_bomb_is_not_unfolded() {
        let bomb = gzip(&"x".repeat(10_000_000));
        assert!(bomb.len() < 100_000);
        assert!(matches!(decoded(bomb, 1000), Err(BadBody::TooLarge)));
    }
}
