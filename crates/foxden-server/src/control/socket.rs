//! Asking the process that serves, over the socket in its data folder.
//!
//! One line of JSON there, one line back. Only the user who runs the server, and root, may connect.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use super::{Answer, Order, carry_out};
use crate::app::App;
use crate::listen::socket::{Connection, Socket};
use crate::tasks::{Tasks, catch_panic};

/// The longest order that is read.
const ORDER_BYTES: u64 = 64 * 1024;
/// How long an order may take to arrive.
const ORDER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a command waits for its answer. A chore may take a while.
const ANSWER_PATIENCE: Duration = Duration::from_secs(600);
/// For the owner of the socket alone.
const PRIVATE: u32 = 0o600;
/// How long to leave a socket alone that gives no connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens the socket of a data folder.
pub fn open(path: &Path) -> anyhow::Result<Socket> {
    Socket::bind_unix(path, PRIVATE).with_context(|| format!("cannot listen on {}", path.display()))
}

/// Carries out orders until the program stops.
pub async fn serve(socket: Arc<Socket>, app: Arc<App>, mut tasks: Tasks) {
    let spawner = tasks.clone();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = tasks.stopped() => return,
        };
        match accepted {
            Ok((Connection::Unix(stream), _)) => {
                let app = Arc::clone(&app);
                spawner.spawn(async move {
                    if let Err(error) = answer(stream, &app).await {
                        tracing::warn!("a command broke off: {error:#}");
                    }
                });
            }
            Ok((Connection::Tcp(_), _)) => {}
            Err(error) => {
                tracing::warn!("cannot take a command: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: tokio::net::UnixStream, app: &App) -> anyhow::Result<()> {
    let caller = stream.peer_cred()?.uid();
    let owner = rustix::process::geteuid().as_raw();
    anyhow::ensure!(
        caller == 0 || caller == owner,
        "user {caller} of this machine may give no orders"
    );
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(ORDER_BYTES));
    tokio::time::timeout(ORDER_PATIENCE, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Order>(&line) {
        Ok(order) => match catch_panic(carry_out(app, order)).await {
            Ok(answer) => answer,
            Err(panic) => {
                tracing::error!("a command panicked: {panic}");
                let text = format!("the serving process panicked: {panic}");
                Answer::Failed { text }
            }
        },
        Err(error) => Answer::Failed {
            text: format!("the serving process does not know this order, is it of another version? {error}"),
        },
    };
    let mut line = serde_json::to_string(&answer)?;
    line.push('\n');
    writer.write_all(line.as_bytes()).await?;
    Ok(())
}

/// Asks whoever serves; `None` where nobody does.
pub fn ask(path: &Path, order: &Order) -> anyhow::Result<Option<Answer>> {
    let mut stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => {
            let whose = if error.kind() == ErrorKind::PermissionDenied {
                "; run this as the user who runs the server, or as root"
            } else {
                ""
            };
            return Err(error).with_context(|| format!("cannot speak to {}{whose}", path.display()));
        }
    };
    stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
    let mut line = serde_json::to_string(order)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let complaint = if line.is_empty() {
        "the serving process ended without an answer"
    } else {
        "the serving process answers as another version does; restart it"
    };
    let answer = serde_json::from_str(&line).context(complaint)?;
    Ok(Some(answer))
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}
