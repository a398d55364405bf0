//! Reads request bodies, within bounds.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;

use super::bodies::{Bodies, Place};

/// Why a body cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadBody {
    /// Larger than a request may be.
    TooLarge,
    /// The bodies of other requests take all the room there is.
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

/// The most that a body can hold by what is announced. One that is too large is refused before any of it is read.
fn announced_length(headers: &HeaderMap, limit: usize) -> Result<usize, BadBody> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(limit);
    };
    let length: Option<usize> = length.to_str().ok().and_then(|text| text.parse().ok());
    length.filter(|&length| length <= limit).ok_or(BadBody::TooLarge)
}

/// Finds room for a body of that length, and for what comes out where it is compressed.
fn make_room(bodies: &Bodies, length: usize, coding: Coding, limit: usize) -> Result<Place<'_>, BadBody> {
    let bytes = match coding {
        Coding::Plain => length,
        Coding::Gzip => length.saturating_add(limit),
    };
    bodies.take(bytes as u64).ok_or(BadBody::NoRoom)
}

/// Reads a whole body and undoes its coding. It is counted as held as long as its place is kept.
///
/// `check` sees the bytes as they came over the wire.
pub(super) async fn take<'b, E: From<BadBody>>(
    bodies: &'b Bodies,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    check: impl FnOnce(&[u8]) -> Result<(), E>,
) -> Result<(Bytes, Place<'b>), E> {
    let length = announced_length(headers, limit)?;
    let coding = Coding::from_headers(headers)?;
    let place = make_room(bodies, length, coding, limit)?;
    let bytes = read(body, length, limit).await?;
    check(&bytes)?;
    Ok((decode(bytes, coding, limit)?, place))
}

/// Reads the bytes as they came, up to a limit; `length`: how many there may be by what is announced.
async fn read(mut body: Body, length: usize, limit: usize) -> Result<Bytes, BadBody> {
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
