//! Bodies that count what passes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::front::Record;
use super::room::Seat;

/// A request's body that tells the seat when it is waited for.
#[derive(Debug)]
pub struct Arriving {
    body: Incoming,
    seat: Arc<Seat>,
}

impl Arriving {
    /// Watches a body.
    pub const fn new(body: Incoming, seat: Arc<Seat>) -> Self {
        Self { body, seat }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Pending => this.seat.waits_for_body(),
            Poll::Ready(Some(Ok(frame))) => {
                this.seat.body_came(frame.data_ref().map_or(0, Buf::remaining));
            }
            Poll::Ready(_) => this.seat.body_came(0),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
