//! The sockets the server listens on, and the connections on them.
//!
//! - [`socket`]: opens sockets and accepts connections
//! - [`connection_limiter`]: limits the number of connections and closes those of slow clients
//! - [`stream`]: a connection's stream, which reports its progress to the limiter
//! - [`foreign_protocol`]: recognises clients that do not speak HTTP/1
//! - [`request_handler`]: what happens to every request before and after its surface
//! - [`access_log`]: the log line of each request
//! - [`body`]: bodies that count the bytes that pass
//! - [`unread_body`]: the part of a request's body that its surface did not read; [`drain`] reads and discards it
//! - [`drain_permits`]: limits how many such bodies are drained at once

pub mod access_log;
pub mod body;
pub mod connection_limiter;
pub mod drain;
pub mod drain_permits;
pub mod foreign_protocol;
pub mod request_handler;
pub mod socket;
pub mod stream;
pub mod unread_body;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::tasks::Tasks;
use connection_limiter::state::ConnectionState;
use connection_limiter::{ConnectionLimiter, ConnectionPermit};
use request_handler::RequestHandler;
use socket::{Connection, Socket};
use stream::{MonitoredStream, Peek};

/// The maximum size of the read buffer and of the write buffer of one connection.
const BUFFER_BYTES: usize = 36 * 1024;

/// The longest head of a request. A list of a hundred ids of the longest kind fits well.
const HEAD_BYTES: usize = 32 * 1024;

/// The pause after a failed `accept`, as when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the program stops.
pub async fn serve(
    socket: Arc<Socket>,
    handler: Arc<RequestHandler>,
    limiter: Arc<ConnectionLimiter>,
    mut tasks: Tasks,
) {
    let spawner = tasks.clone();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = tasks.stopped() => return,
        };
        let (connection, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let permit = tokio::select! {
            permit = limiter.admit(handler.direct_client(address)) => permit,
            () = tasks.stopped() => return,
        };
        // The client's network has used up its share; the limiter has logged that.
        let Some(permit) = permit else { continue };
        let handler = Arc::clone(&handler);
        spawner.spawn(serve_connection(
            connection,
            address,
            permit,
            handler,
            spawner.clone(),
        ));
    }
}

async fn serve_connection(
    connection: Connection,
    address: Option<IpAddr>,
    permit: ConnectionPermit,
    handler: Arc<RequestHandler>,
    tasks: Tasks,
) {
    match connection {
        Connection::Tcp(stream) => serve_stream(stream, address, permit.state(), handler, tasks).await,
        Connection::Unix(stream) => serve_stream(stream, address, permit.state(), handler, tasks).await,
    }
}

/// Serves one connection, from its first request to its end.
async fn serve_stream<S>(
    stream: S,
    address: Option<IpAddr>,
    state: Arc<ConnectionState>,
    handler: Arc<RequestHandler>,
    mut tasks: Tasks,
) where
    S: AsyncRead + AsyncWrite + Peek + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let (handler, state) = (Arc::clone(&handler), Arc::clone(&state));
        async move { Ok::<_, Infallible>(handler.answer(request, address, state).await) }
    });
    let stream = TokioIo::new(MonitoredStream::new(stream, Arc::clone(&state), handler.limits));
    let mut builder = http1::Builder::new();
    // The connection limiter enforces the timeouts, without a timer for each request. The stream sees whether a client leaves
    // while its request is worked on: hyper itself would read ahead, into a new buffer for each request.
    builder
        .half_close(true)
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(HEAD_BYTES)
        .header_read_timeout(None);
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // The client first: a request that has arrived before the stop is still served.
            biased;
            ended = connection.as_mut() => {
                if let Some(protocol) = state.foreign_protocol() {
                    handler.report_foreign_protocol(protocol, address);
                } else if let Err(error) = ended {
                    tracing::debug!("a connection was interrupted: {error}");
                }
                return;
            }
            () = state.closed() => {
                tracing::debug!("a connection was closed: its client was too slow");
                return;
            }
            () = tasks.stopped(), if !is_stopping => {
                if state.is_lingering() {
                    return;
                }
                is_stopping = true;
                state.forbid_linger();
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests;
