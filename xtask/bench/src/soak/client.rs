//! A client behind a proxy on this machine, which names its address.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::load::read_any;

/// The timeout of an answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client that keeps its connection for as long as the server does.
pub struct Client {
    port: u16,
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

impl Client {
    /// A client with this address, by the header of the proxy.
    pub const fn new(port: u16, address: String) -> Self {
        Self {
            port,
            address,
            stream: None,
            buffer: Vec::new(),
        }
    }

    /// The request as the proxy passes it on.
    pub fn addressed(&self, request: &[u8]) -> Vec<u8> {
        let line = request
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .map_or(0, |at| at + 2);
        let named = format!("x-forwarded-for: {}\r\n", self.address);
        [&request[..line], named.as_bytes(), &request[line..]].concat()
    }

    /// Sends a request and reads the answer. If the server has closed the connection meanwhile, the client reconnects once.
    pub async fn send(&mut self, request: &[u8]) -> Result<Answer> {
        let request = self.addressed(request);
        if let Some(stream) = self.stream.take()
            && let Ok(answer) = self.try_on(stream, &request).await
        {
            return Ok(answer);
        }
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        self.try_on(stream, &request).await
    }

    async fn try_on(&mut self, mut stream: TcpStream, request: &[u8]) -> Result<Answer> {
        let buffer = &mut self.buffer;
        let exchanged = timeout(EXCHANGE_TIMEOUT, async {
            stream.write_all(request).await?;
            read_any(&mut stream, buffer).await
        });
        let head = exchanged.await.context("no answer in time")??;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = String::from_utf8_lossy(buffer.get(head.len()..).unwrap_or_default()).into_owned();
        if !head.contains("\r\nconnection: close") {
            self.stream = Some(stream);
        }
        Ok(Answer {
            status: status.context("no status")?,
            body,
        })
    }
}

impl Answer {
    /// A text member of the body.
    pub fn member(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("\"{name}\":\""))?;
        rest.split('"').next()
    }

    /// A number of the body, as it is spelled.
    pub fn number(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("\"{name}\":"))?;
        rest.split([',', '}']).next()
    }
}

/// A request of the account API.
pub fn accounts(port: u16, method: &str, path: &str, authorization: &str, body: &str) -> Vec<u8> {
    let authorization = match authorization {
        "" => String::new(),
        given => format!("authorization: {given}\r\n"),
    };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{authorization}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
