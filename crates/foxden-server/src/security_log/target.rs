//! Where lines go: a file, standard output, or a syslog, here or elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::cef::CefLine;
use crate::calendar::{Utc, date_time};
use crate::config::security_log::Sink;

/// Readable by the server's system user alone: the lines contain names.
const PRIVATE: u32 = 0o600;
/// How long a syslog of this machine may be busy.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the address of a syslog elsewhere is believed.
const BELIEVED: Duration = Duration::from_secs(300);
/// The syslog facility `authpriv`.
const FACILITY: u8 = 10;

/// Where lines go.
pub(super) enum Target {
    Stdout,
    File(Appended),
    Local(Local),
    Udp(Udp),
}

/// A file to which lines are appended. After a rotation it is created again.
pub(super) struct Appended {
    path: PathBuf,
    file: File,
    /// Whether the last line in it may lack its end: the next one must not be glued to it.
    may_be_torn: bool,
}

/// The syslog of this machine.
pub(super) struct Local {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

/// A syslog elsewhere.
pub(super) struct Udp {
    /// Host and port.
    to: String,
    host: String,
    socket: Option<(UdpSocket, Instant)>,
}

impl Target {
    /// Opens it; `None` where nothing is to be written.
    pub(super) fn open(sink: &Sink, host: &str) -> anyhow::Result<Option<Self>> {
        Ok(Some(match sink {
            Sink::Nowhere => return Ok(None),
            Sink::Stdout => Self::Stdout,
            Sink::File(path) => {
                let file = open(path).with_context(|| format!("cannot write {}", path.display()))?;
                let path = path.clone();
                Self::File(Appended {
                    path,
                    file,
                    may_be_torn: true,
                })
            }
            Sink::Local(path) => Self::Local(Local {
                path: path.clone(),
                socket: None,
            }),
            Sink::Udp(to) => Self::Udp(Udp {
                to: to.clone(),
                host: host.to_owned(),
                socket: None,
            }),
        }))
    }

    /// Writes one line.
    pub(super) fn write(&mut self, line: &CefLine) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                // In one piece, so that it stands alone beside what else is written there.
                stdout.write_all(format!("{}\n", line.text).as_bytes())?;
                stdout.flush()
            }
            Self::File(file) => file.write(line),
            Self::Local(syslog) => syslog.write(line),
            Self::Udp(syslog) => syslog.write(line),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(PRIVATE)
        .open(path)
}

impl Appended {
    fn write(&mut self, line: &CefLine) -> io::Result<()> {
        if !self.is_in_place()? {
            self.file = open(&self.path)?;
            self.may_be_torn = true;
        }
        let end = if self.may_be_torn && ends_amid_a_line(&self.path) {
            "\n"
        } else {
            ""
        };
        // A full disk takes half a line.
        self.may_be_torn = true;
        self.file.write_all(format!("{end}{}\n", line.text).as_bytes())?;
        self.may_be_torn = false;
        Ok(())
    }

    /// Whether the path still leads to the file that is open.
    fn is_in_place(&self) -> io::Result<bool> {
        let open = self.file.metadata()?;
        let there = fs::metadata(&self.path);
        Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino())))
    }
}

/// Whether the last line of a file lacks its end. What is no file, or cannot be read, has none.
fn ends_amid_a_line(path: &Path) -> bool {
    let last = || {
        if !fs::metadata(path)?.is_file() {
            return Ok(b'\n');
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        io::Result::Ok(last[0])
    };
    last().is_ok_and(|last| last != b'\n')
}

impl Local {
    /// Spelled as the C library does, which is what the socket's readers expect.
    fn write(&mut self, line: &CefLine) -> io::Result<()> {
        let text = format!(
            "<{}>{} foxden[{}]: {}",
            priority(line.severity),
            Old(line.time),
            std::process::id(),
            line.text
        );
        // A restarted syslog has another socket.
        if let Some(socket) = &self.socket
            && socket.send(text.as_bytes()).is_ok()
        {
            return Ok(());
        }
        self.socket = None;
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        socket.set_write_timeout(Some(FLUSH_TIMEOUT))?;
        socket.send(text.as_bytes())?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Udp {
    /// Spelled as RFC 5424 has it.
    fn write(&mut self, line: &CefLine) -> io::Result<()> {
        let text = format!(
            "<{}>1 {} {} foxden {} - - {}",
            priority(line.severity),
            Utc(line.time),
            if self.host.is_empty() { "-" } else { &self.host },
            std::process::id(),
            line.text
        );
        let sent = self.socket().and_then(|socket| socket.send(text.as_bytes()));
        if sent.is_err() {
            self.socket = None;
        }
        sent.map(|_| ())
    }

    fn socket(&mut self) -> io::Result<&UdpSocket> {
        let known = self.socket.take();
        let known = known.filter(|(_, since)| since.elapsed() < BELIEVED);
        let found = match known {
            Some(found) => found,
            None => (connect(&self.to)?, Instant::now()),
        };
        Ok(&self.socket.insert(found).0)
    }
}

fn connect(to: &str) -> io::Result<UdpSocket> {
    let address = to.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))?;
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(address)?;
    Ok(socket)
}

/// Facility and severity in one number, as syslog has them.
fn priority(severity: u8) -> u8 {
    let level = match severity {
        0..=3 => 6,
        4 | 5 => 5,
        6 | 7 => 4,
        _ => 3,
    };
    FACILITY * 8 + level
}

/// A time as the old syslog format has it.
struct Old(i64);

impl std::fmt::Display for Old {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = date_time(self.0);
        let (hour, minute, second) = at.as_hms();
        write!(
            f,
            "{:.3} {:2} {hour:02}:{minute:02}:{second:02}",
            at.month(),
            at.day()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_weights_are_spelled_as_syslog_has_them() {
        assert_eq!(Old(1_763_690_000_000).to_string(), "Nov 21 01:53:20");
        assert_eq!(Old(1_762_000_000_000).to_string(), "Nov  1 12:26:40");
        assert_eq!([0, 4, 7, 10].map(priority), [86, 85, 84, 83]);
    }
}
