//! Bodies that count what passes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use super::access_log::Record;
use super::left::Left;
use super::room::seat::Seat;

/// A request's body that tells the seat when it is waited for. One that is dropped before its end is kept in `left`.
#[derive(Debug)]
pub struct Arriving<B: Body> {
    /// Absent once the body has ended.
    body: Option<B>,
    seat: Arc<Seat>,
    left: Option<Arc<Left<B>>>,
}

impl<B: Body> Arriving<B> {
    /// Watches a body.
    pub const fn new(body: B, seat: Arc<Seat>, left: Option<Arc<Left<B>>>) -> Self {
        let body = Some(body);
        Self { body, seat, left }
    }
}

impl<B: Body> Drop for Arriving<B> {
    fn drop(&mut self) {
        if let (Some(left), Some(body)) = (&self.left, self.body.take()) {
            left.keep(body);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Arriving<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Some(left) = &this.left {
            left.is_asked_for();
        }
        let polled = Pin::new(body).poll_frame(cx);
        match &polled {
            Poll::Pending => this.seat.waits_for_body(),
            Poll::Ready(Some(Ok(frame))) => {
                this.seat.body_came(frame.data_ref().map_or(0, Buf::remaining));
            }
            Poll::Ready(_) => {
                this.seat.body_came(0);
                this.body = None;
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ended = SizeHint::with_exact(0);
        self.body.as_ref().map_or(ended, B::size_hint)
    }
}

/// An answer's body that counts its bytes; once it is done with, the log has its line.
#[derive(Debug)]
pub struct Leaving {
    body: axum::body::Body,
    record: Record,
}

impl Leaving {
    /// Counts a body for a record.
    pub const fn new(body: axum::body::Body, record: Record) -> Self {
        Self { body, record }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => this.record.count(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(error)) => this.record.broke(error),
            None => this.record.is_whole(),
        }
        // What is known to have ended is not asked again.
        if this.body.is_end_stream() {
            this.record.is_whole();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
