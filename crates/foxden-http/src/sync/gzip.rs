//! Compresses responses for clients that accept it.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::Frame;

/// Bytes below which compressing is not worth its own header.
const LEAST: u64 = 1024;
/// Compressed bytes after which a chunk is sent.
const CHUNK: usize = 16 * 1024;
/// Plain bytes that are compressed at a time.
const PIECE: usize = 64 * 1024;

/// Compresses a response if it is long and the client accepts it.
pub(super) fn compress(response: Response<Body>, accepts_gzip: bool) -> Response<Body> {
    let is_long = response
        .body()
        .size_hint()
        .upper()
        .is_none_or(|bytes| bytes >= LEAST);
    if response.status() != StatusCode::OK || !is_long {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts
        .headers
        .insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !accepts_gzip {
        return Response::from_parts(parts, body);
    }
    parts
        .headers
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let gzip = Gzip {
        plain: body,
        waiting: Bytes::new(),
        encoder: Some(encoder),
    };
    Response::from_parts(parts, Body::new(gzip))
}

struct Gzip {
    plain: Body,
    /// Received bytes that are not compressed yet. A large piece counts as memory until its last byte.
    waiting: Bytes,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl HttpBody for Gzip {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.encoder.is_some() {
            let step = if self.waiting.is_empty() {
                let frame = ready!(Pin::new(&mut self.plain).poll_frame(context)).transpose();
                frame.and_then(|frame| self.take(frame).map_err(axum::Error::new))
            } else {
                self.compress().map_err(axum::Error::new)
            };
            match step {
                Ok(Some(chunk)) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
                Ok(None) => {}
                Err(error) => {
                    self.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl Gzip {
    /// Takes a piece of the plain body. At its end, returns the rest of the compressed body.
    fn take(&mut self, frame: Option<Frame<Bytes>>) -> std::io::Result<Option<Bytes>> {
        let Some(frame) = frame else {
            let rest = self.encoder.take().map(GzEncoder::finish).transpose()?;
            return Ok(rest.map(Bytes::from));
        };
        self.waiting = frame.into_data().unwrap_or_default();
        Ok(None)
    }

    /// Compresses the next pending piece.
    fn compress(&mut self) -> std::io::Result<Option<Bytes>> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(None);
        };
        let piece = self.waiting.split_to(self.waiting.len().min(PIECE));
        encoder.write_all(&piece)?;
        let is_ready = encoder.get_ref().len() >= CHUNK;
        Ok(is_ready.then(|| std::mem::take(encoder.get_mut()).into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::http::HeaderMap;
    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;

    use super::*;
    use crate::wire::accepts_gzip;

    fn answer(body: &str, accepted: &str) -> (HeaderMap, Vec<u8>) {
        let mut request = HeaderMap::new();
        request.insert(header::ACCEPT_ENCODING, accepted.parse().unwrap());
        let plain = Response::new(Body::from(body.to_owned()));
        let response = compress(plain, accepts_gzip(&request));
        let (parts, body) = response.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(body.collect()).unwrap().to_bytes();
        (parts.headers, bytes.to_vec())
    }

    #[test]
    fn long_answers_are_compressed_for_clients_that_accept_gzip() {
        let long = (0..100_000)
            .map(|number: u32| number.to_string())
            .collect::<Vec<_>>()
            .join(" ");
        let (headers, bytes) = answer(&long, "br, gzip;q=0.5, deflate");
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        let mut plain = String::new();
        GzDecoder::new(&bytes[..]).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, long);
    }

    #[test]
    fn others_get_them_as_they_are() {
        let long = "x".repeat(2000);
        for accepted in ["", "identity", "gzip;q=0", "gzip; q=0.000", "x-gzipped"] {
            let (headers, bytes) = answer(&long, accepted);
            assert!(!headers.contains_key(header::CONTENT_ENCODING), "{accepted}");
            assert_eq!(bytes, long.as_bytes(), "{accepted}");
            assert_eq!(headers[header::VARY], "Accept-Encoding");
        }
        let (headers, _) = answer("short", "gzip");
        assert!(!headers.contains_key(header::CONTENT_ENCODING));
    }
}
