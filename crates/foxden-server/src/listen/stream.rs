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

/// A stream whose next bytes can be peeked at.
pub trait Peek {
    /// The result of the next read. The task is woken when that changes.
    fn peek(&self, cx: &mut Context<'_>) -> Peeked;
}

/// The result of the next read of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peeked {
    /// Nothing yet.
    Nothing,
    /// Bytes.
    Bytes,
    /// The end: the client closed the connection, or it is broken.
    End,
}

impl Peek for TcpStream {
    fn peek(&self, cx: &mut Context<'_>) -> Peeked {
        let mut byte = [0];
        match self.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Pending => Peeked::Nothing,
            Poll::Ready(Ok(0) | Err(_)) => Peeked::End,
            Poll::Ready(Ok(_)) => Peeked::Bytes,
        }
    }
}

impl Peek for UnixStream {
    fn peek(&self, cx: &mut Context<'_>) -> Peeked {
        while let Poll::Ready(ready) = self.poll_read_ready(cx) {
            let peek = || Ok(recv(self, &mut [0], RecvFlags::PEEK)?.1);
            match ready.and_then(|()| self.try_io(Interest::READABLE, peek)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return Peeked::End,
                Ok(_) => return Peeked::Bytes,
            }
        }
        Peeked::Nothing
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

/// A connection whose sending half is closed: all further input is discarded.
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
    /// Discards the input that has arrived, up to a limit.
    fn discard_received(&mut self, cx: &mut Context<'_>) {
        let mut piece = [std::mem::MaybeUninit::uninit(); PIECE];
        for _ in 0..PIECES {
            let mut buffer = ReadBuf::uninit(&mut piece);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
            if !matches!(read, Poll::Ready(Ok(()))) || buffer.filled().is_empty() {
                return;
            }
        }
    }

    /// Discards input until the client disconnects, sends nothing more, or exceeds the limit.
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

impl<S: AsyncRead + AsyncWrite + Peek + Unpin> AsyncWrite for MonitoredStream<S> {
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

    /// Called only once everything is written, and also while a request is worked on or waits for a slot. If the client
    /// leaves meanwhile, the connection ends, and with it the work.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.state.client_took_all();
        if this.state.has_request() && this.stream.peek(cx) == Peeked::End {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    /// Called once everything is written. Closes the sending half, then waits for the client where it may still send.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            // A pipelined request, or the line break that some clients send after a body.
            let has_unread = this.stream.peek(cx) == Peeked::Bytes;
            if !this.state.start_linger(has_unread) {
                this.discard_received(cx);
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
impl Peek for tokio::io::DuplexStream {
    fn peek(&self, _: &mut Context<'_>) -> Peeked {
        Peeked::Nothing
    }
}
