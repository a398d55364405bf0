//! The control socket in the data folder, over which commands reach the serving process.
//!
//! One line of JSON there, one line back. Only the user who runs the server, and root, may connect.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use super::response::Failure;
use super::{Command, Response, execute};
use crate::app::App;
use crate::listen::socket::{Connection, Socket};
use crate::tasks::{Tasks, catch_panic};

/// The longest command that is read.
const COMMAND_BYTES: u64 = 64 * 1024;
/// How long a command may take to arrive.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a command waits for its answer. A chore may take a while.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);
/// For the owner of the socket alone.
const PRIVATE: u32 = 0o600;
/// How long to leave a socket alone that gives no connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens the socket of a data folder.
pub fn open(path: &Path) -> anyhow::Result<Socket> {
    Socket::bind_unix(path, PRIVATE).with_context(|| format!("cannot listen on {}", path.display()))
}

/// Carries out commands until the program stops.
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
                    if let Err(error) = response(stream, &app).await {
                        tracing::warn!("a command was interrupted: {error:#}");
                    }
                });
            }
            Ok((Connection::Tcp(_), _)) => {}
            Err(error) => {
                tracing::warn!("cannot accept a command: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn response(stream: tokio::net::UnixStream, app: &App) -> anyhow::Result<()> {
    let caller = stream.peer_cred()?.uid();
    let owner = rustix::process::geteuid().as_raw();
    anyhow::ensure!(
        caller == 0 || caller == owner,
        "user {caller} of this machine may give no commands"
    );
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(COMMAND_BYTES));
    tokio::time::timeout(COMMAND_TIMEOUT, reader.read_line(&mut line)).await??;
    let response = match serde_json::from_str::<Command>(&line) {
        Ok(command) => match catch_panic(execute(app, command)).await {
            Ok(response) => response,
            Err(panic) => {
                tracing::error!("a command panicked: {panic}");
                failed(Failure::Panicked {
                    panic: panic.to_string(),
                })
            }
        },
        Err(error) => failed(Failure::UnknownCommand {
            cause: error.to_string(),
        }),
    };
    let mut line = serde_json::to_string(&response)?;
    line.push('\n');
    writer.write_all(line.as_bytes()).await?;
    Ok(())
}

const fn failed(failure: Failure) -> Response {
    Response::Failed { failure }
}

/// Sends a command to the serving process; `None` where none serves.
pub fn send(path: &Path, command: &Command) -> anyhow::Result<Option<Response>> {
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
    stream.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
    let mut line = serde_json::to_string(command)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let explanation = if line.is_empty() {
        "the serving process ended without a response"
    } else {
        "the serving process answers as another version does; restart it"
    };
    let response = serde_json::from_str(&line).context(explanation)?;
    Ok(Some(response))
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}
