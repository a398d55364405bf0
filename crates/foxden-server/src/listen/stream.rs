//! A connection's stream, which reports its progress and ends so that its client sees the last response.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};

use super::connection_limiter::state::ConnectionState;
use super::drain::DrainLimits;
use super::foreign_protocol::ForeignProtocol;

/// Read at once from a connection that lingers. It is on the stack, so that a connection is no larger for it.
const PIECE: usize = 16 * 1024;

/// Pieces read before others get their turn.
const PIECES: usize = 16;

/// A stream that knows whether its client closed it, without reading from it.
pub trait ClientGone {
    /// Returns whether the client closed the connection. If not, the task is woken when something comes.
    fn is_client_gone(&self, cx: &mut Context<'_>) -> bool;
}

impl ClientGone for TcpStream {
    fn is_client_gone(&self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        let peeked = self.poll_peek(cx, &mut ReadBuf::new(&mut byte));
        matches!(peeked, Poll::Ready(Ok(0) | Err(_)))
    }
}

impl ClientGone for UnixStream {
    fn is_client_gone(&self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(ready) = self.poll_read_ready(cx) {
            let peek = || Ok(recv(self, &mut [0], RecvFlags::PEEK)?.1);
            match ready.and_then(|()| self.try_io(Interest::READABLE, peek)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                peeked => return matches!(peeked, Ok(0) | Err(_)),
            }
        }
        false
    }
}

/// A stream that reports its progress to the state of its connection.
#[derive(Debug)]
pub struct MonitoredStream<S> {
    stream: S,
    state: Arc<ConnectionState>,
    has_begun: bool,
    /// Set once the last response is sent while the client may still send.
    linger: Option<Box<Linger>>,
    limits: DrainLimits,
}

/// A connection whose sending half is closed: what still comes is discarded.
///
/// If a connection is closed while bytes are unread, it is reset, and the client's system then drops a response that its
/// program has not read yet.
#[derive(Debug)]
struct Linger {
    alarm: Pin<Box<Sleep>>,
    until: Instant,
    /// How many more bytes are discarded.
    bytes: u64,
}

impl<S> MonitoredStream<S> {
    /// Wraps a stream. What comes after the last response is discarded within `limits`.
    pub const fn new(stream: S, state: Arc<ConnectionState>, limits: DrainLimits) -> Self {
        Self {
            stream,
            state,
            has_begun: false,
            linger: None,
            limits,
        }
    }

    fn report_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.state.client_took(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.state.client_is_full(),
        }
        written
    }
}

impl<S: AsyncRead + Unpin> MonitoredStream<S> {
    /// Discards what comes until the client ends, is silent, or has sent more than the limit.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(linger) = &mut self.linger else {
            return Poll::Ready(());
        };
        let mut piece = [std::mem::MaybeUninit::uninit(); PIECE];
        for _ in 0..PIECES {
            let mut buffer = ReadBuf::uninit(&mut piece);
            let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut buffer) else {
                self.state.waits_for_body();
                return linger.alarm.as_mut().poll(cx);
            };
            let bytes = buffer.filled().len();
            self.state.body_received(bytes);
            linger.bytes = linger.bytes.saturating_sub(bytes as u64);
            if read.is_err() || bytes == 0 || linger.bytes == 0 {
                return Poll::Ready(());
            }
            let silence = Instant::now() + self.limits.linger_idle_timeout;
            linger.alarm.as_mut().reset(silence.min(linger.until));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MonitoredStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let received = &buffer.filled()[before..];
        if !received.is_empty() {
            this.state.bytes_received();
            if !this.has_begun {
                this.has_begun = true;
                if let Some(protocol) = ForeignProtocol::of(received) {
                    this.state.set_foreign_protocol(protocol);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + ClientGone + Unpin> AsyncWrite for MonitoredStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.report_written(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.report_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called only once everything is written, and also while a request is worked on. If the client leaves meanwhile, the
    /// connection ends, and with it the work.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.state.client_took_all();
        if this.state.is_working() && this.stream.is_client_gone(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    /// Called once everything is written. Closes the sending half, then waits for the client where it may still send.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.state.start_linger() {
                return Poll::Ready(Ok(()));
            }
            let now = Instant::now();
            this.linger = Some(Box::new(Linger {
                alarm: Box::pin(tokio::time::sleep_until(now + this.limits.linger_idle_timeout)),
                until: now + this.limits.linger_timeout,
                bytes: this.limits.linger_bytes,
            }));
        }
        this.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
impl ClientGone for tokio::io::DuplexStream {
    fn is_client_gone(&self, _: &mut Context<'_>) -> bool {
        false
    }
}
