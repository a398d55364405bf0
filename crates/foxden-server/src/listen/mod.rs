//! The sockets the server listens on, and the conversations on them.
//!
//! - [`socket`]: opening a socket, taking connections from it
//! - [`room`]: how many connections there are, and who is too slow
//! - [`stream`]: a connection that tells the room how it moves
//! - [`stranger`]: clients that speak something else
//! - [`front`]: what happens to every request before and after its surface
//! - [`head`]: heads that could be read in two ways
//! - [`access_log`]: the log's line for each request
//! - [`body`]: bodies that count what passes
//! - [`left`]: what is left of a request's body when its answer is made; [`rest`]: reads it off
//! - [`turns`]: who may read such a rest off

pub mod access_log;
pub mod body;
pub mod front;
pub mod head;
pub mod left;
pub mod rest;
pub mod room;
pub mod socket;
pub mod stranger;
pub mod stream;
pub mod turns;

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
use front::Front;
use room::{Room, seat::Seat};
use socket::{Connection, Socket};
use stream::{Leaves, Watched};

/// The most that is kept of what one client has sent and not yet been read, and of what it has not yet taken.
const BUFFER_BYTES: usize = 36 * 1024;

/// The most that a request's head may hold. A list of a hundred ids of the longest kind fits well.
const HEAD_BYTES: usize = 32 * 1024;

/// How long to leave a socket alone that gives no connections, as when the system is out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections until the program stops.
pub async fn serve(socket: Arc<Socket>, front: Arc<Front>, room: Arc<Room>, mut tasks: Tasks) {
    let spawner = tasks.clone();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = tasks.stopped() => return,
        };
        let (connection, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("cannot take a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let seat = tokio::select! {
            seat = room.seat(front.direct_client(address)) => seat,
            () = tasks.stopped() => return,
        };
        // A network beyond its share; the log was told.
        let Some(seat) = seat else { continue };
        let front = Arc::clone(&front);
        spawner.spawn(converse(connection, address, seat, front, spawner.clone()));
    }
}

async fn converse(
    connection: Connection,
    address: Option<IpAddr>,
    seat: room::Taken,
    front: Arc<Front>,
    tasks: Tasks,
) {
    match connection {
        Connection::Tcp(stream) => talk(stream, address, seat.seat(), front, tasks).await,
        Connection::Unix(stream) => talk(stream, address, seat.seat(), front, tasks).await,
    }
}

/// One connection, from its first request to its end.
async fn talk<S>(stream: S, address: Option<IpAddr>, seat: Arc<Seat>, front: Arc<Front>, mut tasks: Tasks)
where
    S: AsyncRead + AsyncWrite + Leaves + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let (front, seat) = (Arc::clone(&front), Arc::clone(&seat));
        async move { Ok::<_, Infallible>(front.answer(request, address, seat).await) }
    });
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&seat), front.bounds));
    let mut builder = http1::Builder::new();
    // Time is kept by the room, which needs no timer for each request. Whether a client left while its request is worked
    // on is seen by the stream: hyper itself would read ahead, into a buffer made anew for each request.
    builder
        .half_close(true)
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(HEAD_BYTES)
        .header_read_timeout(None);
    let mut conversation = pin!(builder.serve_connection(stream, service));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // The client first: what has arrived when the stop comes is a request under way.
            biased;
            ended = conversation.as_mut() => {
                if let Some(stranger) = seat.stranger() {
                    front.meets(stranger, address);
                } else if let Err(error) = ended {
                    tracing::debug!("a connection broke off: {error}");
                }
                return;
            }
            () = seat.told_to_leave() => {
                tracing::debug!("a connection was cut off: its client was too slow");
                return;
            }
            () = tasks.stopped(), if !is_stopping => {
                if seat.is_lingering() {
                    return;
                }
                is_stopping = true;
                seat.will_not_linger();
                conversation.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests;
