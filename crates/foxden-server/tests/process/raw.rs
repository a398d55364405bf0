//! HTTP on a raw socket: tests control the end of a connection and the speed of bytes.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use foxden_model::{Clock, SystemClock};

use foxden_test_support::client::hawk::{Credentials, Signed};
use foxden_test_support::client::{hex, random_bytes};

/// The credentials of a client.
pub enum Proof {
    /// It signs each request.
    Signature(Credentials),
    /// It sends this header, which holds a name and a password.
    Basic(String),
}

/// A client that opens one connection and stays on it.
pub struct Client {
    address: String,
    proof: Proof,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Client {
    /// A client of the server at this address and port.
    pub fn new(address: &str, proof: Proof) -> Self {
        Self {
            address: address.to_owned(),
            proof,
            stream: None,
        }
    }

    /// Sends a request and waits for the answer.
    pub fn send(&mut self, method: &str, target: &str, body: &str) -> io::Result<Reply> {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.address,
            self.authorization(method, target),
            body.len()
        );
        if self.stream.is_none() {
            self.stream = Some(BufReader::new(connect(&self.address)?));
        }
        let stream = self.stream.as_mut().unwrap();
        stream.get_mut().write_all(format!("{head}{body}").as_bytes())?;
        let (reply, stays) = read_reply(stream)?;
        if !stays {
            self.stream = None;
        }
        Ok(reply)
    }

    fn authorization(&self, method: &str, target: &str) -> String {
        let signer = match &self.proof {
            Proof::Signature(signer) => signer,
            Proof::Basic(header) => return header.clone(),
        };
        let (host, port) = self.address.rsplit_once(':').unwrap();
        let request = Signed {
            method,
            target,
            host,
            port: port.parse().unwrap(),
            payload: None,
            ts: SystemClock.seconds(),
            nonce: &hex(&random_bytes(6)),
        };
        request.header(signer)
    }
}

/// Opens a connection on which nothing may take longer than a test should.
pub fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Reads one answer, and whether the connection stays open after it.
pub fn read_reply(stream: &mut impl BufRead) -> io::Result<(Reply, bool)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended");
    let status = line.split(' ').nth(1).ok_or_else(ended)?;
    let status = status.parse().map_err(|_| ended())?;
    let (mut length, mut stays) = (0, true);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().map_err(|_| ended())?;
        }
        stays &= line != "connection: close";
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok((Reply { status, body }, stays))
}
