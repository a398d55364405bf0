//! A closed-loop load: each connection sends its next request after the last answer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The repeated requests of one connection.
pub type Script = Vec<Vec<u8>>;

/// The results of a round.
#[derive(Default)]
pub struct Round {
    /// Answers a second.
    pub rate: f64,
    /// The latency of every answer, sorted.
    pub times: Vec<Duration>,
}

impl Round {
    /// The latency at this quantile.
    pub fn percentile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list, from a share between 0 and 1"
        )]
        let at = (self.times.len() as f64 * share) as usize;
        self.times
            .get(at.min(self.times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

/// Runs every script on its own connection for this long. Any status other than 2xx ends the run.
pub async fn run(port: u16, scripts: &[Script], length: Duration) -> Result<Round> {
    let mut connections = JoinSet::new();
    let start = Instant::now();
    for script in scripts {
        let script = script.clone();
        connections.spawn(async move { connection(port, &script, start + length).await });
    }
    let mut times = Vec::new();
    while let Some(done) = connections.join_next().await {
        times.extend(done??);
    }
    let length = start.elapsed();
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a count of answers")]
    let rate = times.len() as f64 / length.as_secs_f64();
    Ok(Round { rate, times })
}

/// Sends one script once, on one connection.
pub async fn once(port: u16, script: &Script) -> Result<()> {
    let mut connection = Connection::open(port).await?;
    for request in script {
        connection.ask(request).await?;
    }
    Ok(())
}

/// The cost of many first requests.
pub struct First {
    /// Until all were answered.
    pub all: Duration,
    /// How often a client was told to retry later.
    pub refused: usize,
}

/// The expected answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Success; a client that is told to retry sends the request again a moment later.
    Good,
    /// Any refusal, without a retry.
    Refusal,
}

/// Sends each request until the answer is as expected, this many at a time.
pub async fn first(port: u16, requests: Vec<Vec<u8>>, at_once: usize, expect: Expect) -> Result<First> {
    let start = Instant::now();
    let waiting = Arc::new(Mutex::new(requests));
    let mut connections = JoinSet::new();
    for _ in 0..at_once {
        let waiting = Arc::clone(&waiting);
        connections.spawn(async move { some_first(port, &waiting, expect).await });
    }
    let mut refused = 0;
    while let Some(done) = connections.join_next().await {
        refused += done??;
    }
    Ok(First {
        all: start.elapsed(),
        refused,
    })
}

async fn some_first(port: u16, waiting: &Mutex<Vec<Vec<u8>>>, expect: Expect) -> Result<usize> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut buffer = Vec::new();
    let mut refused = 0;
    loop {
        let next = waiting
            .lock()
            .map_err(|_| anyhow!("another connection failed"))?
            .pop();
        let Some(request) = next else {
            return Ok(refused);
        };
        loop {
            stream.write_all(&request).await?;
            let head = read_any(&mut stream, &mut buffer).await?;
            let is_late = head.starts_with("http/1.1 503") || head.starts_with("http/1.1 429");
            match expect {
                Expect::Good if is_late => {
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                Expect::Good => check(&buffer)?,
                Expect::Refusal if is_late => refused += 1,
                Expect::Refusal if head.starts_with("http/1.1 401") => {}
                Expect::Refusal => bail!("answered {head}"),
            }
            break;
        }
    }
}

async fn connection(port: u16, script: &Script, end: Instant) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(port).await?;
    let mut times = Vec::new();
    'all: loop {
        for request in script {
            let start = Instant::now();
            if start >= end {
                break 'all;
            }
            connection.ask(request).await?;
            times.push(start.elapsed());
        }
    }
    Ok(times)
}

/// A connection on which one request follows the other.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(1 << 16),
        })
    }

    /// Sends a request and waits for the answer, which must be a success.
    pub async fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        read_any(&mut self.stream, &mut self.buffer).await?;
        check(&self.buffer)
    }
}

fn check(answer: &[u8]) -> Result<()> {
    if !answer.starts_with(b"HTTP/1.1 2") {
        bail!("answered {}", String::from_utf8_lossy(answer));
    }
    Ok(())
}

/// Reads one answer and returns its head in lower case.
pub async fn read_any(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<String> {
    buffer.clear();
    let head = loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
    let length = text
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split('\r').next());
    if let Some(length) = length {
        let all = head + length.parse::<usize>().context("content-length")?;
        while buffer.len() < all {
            if stream.read_buf(buffer).await? == 0 {
                bail!("the server closed the connection in the middle of an answer");
            }
        }
        return Ok(text);
    }
    while !buffer.ends_with(b"\r\n0\r\n\r\n") {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection in the middle of a chunk");
        }
    }
    Ok(text)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
