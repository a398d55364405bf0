//! Bodies that count the bytes that pass.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use super::access_log::AccessLog;
use super::connection_limiter::state::ConnectionState;
use super::unread_body::UnreadBody;

/// A request's body that notes in the connection's state when the server waits for it. One that is dropped before its end is
/// stored in `unread`.
#[derive(Debug)]
pub struct RequestBody<B: Body> {
    /// Absent once the body has ended.
    body: Option<B>,
    state: Arc<ConnectionState>,
    unread: Option<Arc<UnreadBody<B>>>,
}

impl<B: Body> RequestBody<B> {
    /// Wraps a body.
    pub const fn new(body: B, state: Arc<ConnectionState>, unread: Option<Arc<UnreadBody<B>>>) -> Self {
        let body = Some(body);
        Self { body, state, unread }
    }
}

impl<B: Body> Drop for RequestBody<B> {
    fn drop(&mut self) {
        if let (Some(unread), Some(body)) = (&self.unread, self.body.take()) {
            unread.store(body);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for RequestBody<B> {
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
        if let Some(unread) = &this.unread {
            unread.set_requested();
        }
        let polled = Pin::new(body).poll_frame(cx);
        match &polled {
            Poll::Pending => this.state.waits_for_body(),
            Poll::Ready(Some(Ok(frame))) => {
                this.state
                    .body_received(frame.data_ref().map_or(0, Buf::remaining));
            }
            Poll::Ready(_) => {
                this.state.body_received(0);
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

/// A response's body that counts its bytes. Its access log entry is written once it is dropped.
#[derive(Debug)]
pub struct ResponseBody {
    body: axum::body::Body,
    access_log: AccessLog,
}

impl ResponseBody {
    /// Counts the bytes of a body for its access log entry.
    pub const fn new(body: axum::body::Body, access_log: AccessLog) -> Self {
        Self { body, access_log }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => this.access_log.count(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(error)) => this.access_log.set_failed(error),
            None => this.access_log.set_complete(),
        }
        // A body that is known to have ended is not polled again.
        if this.body.is_end_stream() {
            this.access_log.set_complete();
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
