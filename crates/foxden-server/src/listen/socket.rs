//! Opening a socket and taking connections from it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::listener::Bind;

/// A socket that connections come from.
#[derive(Debug)]
pub enum Socket {
    /// On an address and a port.
    Tcp(TcpListener, SocketAddr),
    /// In the file system.
    Unix(UnixListener, PathBuf),
}

/// One connection.
#[derive(Debug)]
pub enum Connection {
    /// From an address.
    Tcp(TcpStream),
    /// From this machine.
    Unix(UnixStream),
}

impl Socket {
    /// Opens the socket.
    pub async fn bind(bind: &Bind) -> io::Result<Self> {
        match bind {
            Bind::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                Ok(Self::Tcp(listener, address))
            }
            Bind::Unix(path) => Self::bind_unix(path, ANY_USER),
        }
    }

    /// Opens a socket in the file system, in place of one that no process serves any more.
    pub fn bind_unix(path: &Path, mode: u32) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_deserted(path) => {
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            other => other?,
        };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    /// The next connection, and the address it comes from unless it is this machine.
    pub async fn accept(&self) -> io::Result<(Connection, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, address) = listener.accept().await?;
                // Answers are small and whole: waiting for more to send with them only delays them.
                stream.set_nodelay(true)?;
                Ok((Connection::Tcp(stream), Some(address.ip().to_canonical())))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Connection::Unix(stream), None))
            }
        }
    }
}

/// Every user who may open the folder may connect, as every user of the machine may connect to a loopback port.
const ANY_USER: u32 = 0o666;

fn is_deserted(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket && std::os::unix::net::UnixStream::connect(path).is_err()
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, address) => address.fmt(f),
            Self::Unix(_, path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // A socket that stays behind is recognised as deserted by the next start.
            let _ = fs::remove_file(path);
        }
    }
}
