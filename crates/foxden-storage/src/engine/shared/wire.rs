//! What a cache server says, read from bytes as they come, and the conversation that begins a connection.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest line and the longest value of an answer.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// What is said of an answer that no server of this kind gives.
pub(super) const STRANGE: &str = "its answer has another form";

/// What a kind of server speaks.
pub(super) trait Protocol: Send + Sync + 'static {
    /// An answer.
    type Reply: Send + 'static;

    /// Logs in, checks the server, and tells which run of it this is.
    fn greet(&self, wire: &mut Wire) -> impl Future<Output = Result<String, String>> + Send;

    /// Reads the next answer.
    fn reply(input: &mut Input<'_>) -> Result<Self::Reply, ReadFault>;

    /// Whether two texts name the same run.
    fn is_same_run(one: &str, other: &str) -> bool {
        one == other
    }
}

/// Why no answer was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadFault {
    /// Its end has not come yet.
    Incomplete,
    /// It is none that a server gives to what it was asked.
    Broken(String),
}

/// Bytes that have come and were not read.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(&'a [u8]);

/// A connection that begins: one question at a time. Its user limits the time.
pub(super) struct Wire {
    stream: TcpStream,
    input: Vec<u8>,
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn len(self) -> usize {
        self.0.len()
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> Result<&'a [u8], ReadFault> {
        let Some(end) = self.0.iter().position(|byte| *byte == b'\n') else {
            return Err(if self.0.len() > MOST_BYTES {
                ReadFault::too_long()
            } else {
                ReadFault::Incomplete
            });
        };
        let (line, rest) = self.0.split_at(end + 1);
        self.0 = rest;
        line.strip_suffix(b"\r\n").ok_or_else(ReadFault::strange)
    }

    /// The next bytes, which a line end follows.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], ReadFault> {
        if count > MOST_BYTES {
            return Err(ReadFault::too_long());
        }
        let (bytes, rest) = self.0.split_at_checked(count + 2).ok_or(ReadFault::Incomplete)?;
        self.0 = rest;
        bytes.strip_suffix(b"\r\n").ok_or_else(ReadFault::strange)
    }
}

impl ReadFault {
    pub(super) fn strange() -> Self {
        Self::Broken(STRANGE.to_owned())
    }

    fn too_long() -> Self {
        Self::Broken(too_long())
    }
}

impl Wire {
    pub(super) async fn connect(host: &str, port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("{error}: nothing listens there; start it"),
            _ => error.to_string(),
        })?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let input = Vec::new();
        Ok(Self { stream, input })
    }

    pub(super) async fn send(&mut self, request: &[u8]) -> Result<(), String> {
        let sent = self.stream.write_all(request).await;
        sent.map_err(|error| error.to_string())
    }

    /// Reads what comes next.
    pub(super) async fn read<T>(
        &mut self,
        read: impl Fn(&mut Input<'_>) -> Result<T, ReadFault>,
    ) -> Result<T, String> {
        loop {
            let mut input = Input::new(&self.input);
            match read(&mut input) {
                Ok(answer) => {
                    let used = self.input.len() - input.len();
                    self.input.drain(..used);
                    return Ok(answer);
                }
                Err(ReadFault::Broken(cause)) => return Err(cause),
                Err(ReadFault::Incomplete) => {}
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err(closed()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// The connection, if all that has come was read.
    pub(super) fn greeted(self) -> Result<TcpStream, String> {
        if self.input.is_empty() {
            Ok(self.stream)
        } else {
            Err(too_many())
        }
    }
}

pub(super) fn closed() -> String {
    "it has closed the connection".to_owned()
}

pub(super) fn too_long() -> String {
    "an answer is too long".to_owned()
}

pub(super) fn too_many() -> String {
    "it answers more than it is asked".to_owned()
}

/// The number that these digits are.
pub(super) fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Appends the digits of a number.
pub(super) fn put_number(request: &mut Vec<u8>, number: u64) {
    let begin = request.len();
    let mut rest = number;
    loop {
        request.push(b'0' + u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    request[begin..].reverse();
}
