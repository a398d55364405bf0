//! A connection that tells its seat how it moves, and ends so that its client sees the last answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};

use super::rest::Bounds;
use super::room::seat::Seat;
use super::stranger::Stranger;

/// Read at once from a connection that lingers. It stands on the stack, so a connection is no larger for it.
const PIECE: usize = 16 * 1024;

/// Pieces read before others get their turn.
const PIECES: usize = 16;

/// A stream that tells whether its client closed it, without reading from it.
pub trait Leaves {
    /// Whether the client closed the connection. If not, the task is woken when something comes.
    fn has_left(&self, cx: &mut Context<'_>) -> bool;
}

impl Leaves for TcpStream {
    fn has_left(&self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        let peeked = self.poll_peek(cx, &mut ReadBuf::new(&mut byte));
        matches!(peeked, Poll::Ready(Ok(0) | Err(_)))
    }
}

impl Leaves for UnixStream {
    fn has_left(&self, cx: &mut Context<'_>) -> bool {
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

/// A connection under watch.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    seat: Arc<Seat>,
    has_begun: bool,
    /// Set once the last answer has gone out while the client may still send.
    linger: Option<Box<Linger>>,
    bounds: Bounds,
}

/// A connection whose own half is closed: what still comes is thrown away.
///
/// A connection that is closed while bytes are unread is reset, and the client's system then drops an answer that its
/// program has not read yet.
#[derive(Debug)]
struct Linger {
    alarm: Pin<Box<Sleep>>,
    until: Instant,
    /// How many more bytes are thrown away.
    bytes: u64,
}

impl<S> Watched<S> {
    /// Watches a connection. What comes after its last answer is thrown away within `bounds`.
    pub const fn new(stream: S, seat: Arc<Seat>, bounds: Bounds) -> Self {
        Self {
            stream,
            seat,
            has_begun: false,
            linger: None,
            bounds,
        }
    }

    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.seat.client_took(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.seat.client_is_full(),
        }
        written
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Throws away what comes until the client ends, is silent, or was given enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(linger) = &mut self.linger else {
            return Poll::Ready(());
        };
        let mut piece = [std::mem::MaybeUninit::uninit(); PIECE];
        for _ in 0..PIECES {
            let mut buffer = ReadBuf::uninit(&mut piece);
            let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut buffer) else {
                self.seat.waits_for_body();
                return linger.alarm.as_mut().poll(cx);
            };
            let bytes = buffer.filled().len();
            self.seat.body_came(bytes);
            linger.bytes = linger.bytes.saturating_sub(bytes as u64);
            if read.is_err() || bytes == 0 || linger.bytes == 0 {
                return Poll::Ready(());
            }
            let silence = Instant::now() + self.bounds.linger_silence;
            linger.alarm.as_mut().reset(silence.min(linger.until));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            this.seat.bytes_came();
            if !this.has_begun {
                this.has_begun = true;
                if let Some(stranger) = Stranger::of(came) {
                    this.seat.is_strange(stranger);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Leaves + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.note_written(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.note_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for only once everything was written, and also while a request is worked on. A client that leaves meanwhile
    /// ends the connection, and with it the work.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.seat.client_took_all();
        if this.seat.is_working() && this.stream.has_left(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    /// Asked for once everything was written. Closes the own half, then waits for the client where it may still send.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.seat.lingers() {
                return Poll::Ready(Ok(()));
            }
            let now = Instant::now();
            this.linger = Some(Box::new(Linger {
                alarm: Box::pin(tokio::time::sleep_until(now + this.bounds.linger_silence)),
                until: now + this.bounds.linger,
                bytes: this.bounds.linger_bytes,
            }));
        }
        this.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
impl Leaves for tokio::io::DuplexStream {
    fn has_left(&self, _: &mut Context<'_>) -> bool {
        false
    }
}
