//! A connection to the server, kept between requests.
//!
//! The task of the user drives it: there is no task for each connection, and no switch between tasks in a latency.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::target::Target;

/// The most bytes of an answer.
const MOST_BYTES: usize = 256 << 20;

/// What carries the requests.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Io = TokioIo<Box<dyn Stream>>;

/// Opens connections to one server.
#[derive(Clone)]
pub struct Connector {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// For the server at this address.
    pub fn new(target: &Target) -> anyhow::Result<Self> {
        let tls = if target.is_https {
            let roots = webpki_roots::TLS_SERVER_ROOTS
                .iter()
                .cloned()
                .collect::<RootCertStore>();
            let config = ClientConfig::builder()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let name = ServerName::try_from(target.host.clone())?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self {
            host: target.host.clone(),
            port: target.port,
            tls,
        })
    }

    /// Opens a connection.
    pub async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some((tls, name)) => Box::new(tls.connect(name.clone(), stream).await?),
            None => Box::new(stream),
        };
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Connection {
            sender,
            driver: Driver {
                connection: Some(driver),
            },
        })
    }
}

/// A connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// What moves the bytes of a connection.
struct Driver {
    /// None once it has ended: only when it is dropped do waiting requests hear of it.
    connection: Option<http1::Connection<Io, Full<Bytes>>>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nothing of the request was sent: the server had closed the connection.
    NotSent(Box<Request<Full<Bytes>>>),
    /// The connection ended.
    Broken(String),
}

impl Connection {
    /// Whether a request can be sent. It notices that the server closed the connection meanwhile.
    pub async fn is_open(&mut self) -> bool {
        let Self { sender, driver } = self;
        let is_ready = driver.drive(sender.ready()).await;
        matches!(is_ready, Ok(Ok(()))) && driver.connection.is_some() && !sender.is_closed()
    }

    /// Sends a request and reads the whole answer.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, NoAnswer> {
        let Self { sender, driver } = self;
        let sent = driver.drive(sender.try_send_request(request)).await;
        let answer = match sent.map_err(broken)? {
            Ok(answer) => answer,
            Err(mut error) => {
                return Err(match error.take_message() {
                    Some(request) => NoAnswer::NotSent(Box::new(request)),
                    None => broken(error.into_error()),
                });
            }
        };
        let (head, mut body) = answer.into_parts();
        let first = driver.drive(body.frame()).await.map_err(broken)?;
        let mut first = match first {
            None => return Ok(Response::from_parts(head, Bytes::new())),
            Some(frame) => frame.map_err(broken)?.into_data().unwrap_or_default(),
        };
        let mut rest = BytesMut::new();
        while let Some(frame) = driver.drive(body.frame()).await.map_err(broken)? {
            let data = frame.map_err(broken)?.into_data().unwrap_or_default();
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
            if rest.len() > MOST_BYTES {
                return Err(NoAnswer::Broken(format!(
                    "the answer is longer than {MOST_BYTES} bytes"
                )));
            }
        }
        if !rest.is_empty() {
            first = rest.freeze();
        }
        Ok(Response::from_parts(head, first))
    }
}

impl Driver {
    /// Does this work while the connection moves its bytes.
    async fn drive<F: Future>(&mut self, work: F) -> Result<F::Output, hyper::Error> {
        let mut work = pin!(work);
        let mut failure = None;
        poll_fn(|context| {
            // The connection first: it may have ended since it was last used.
            if let Some(connection) = &mut self.connection
                && let Poll::Ready(end) = Pin::new(connection).poll(context)
            {
                self.connection = None;
                failure = end.err();
            }
            // What was read before the end is still there to be taken, and so is the reason of a failure.
            match (work.as_mut().poll(context), failure.take()) {
                (Poll::Ready(done), _) => Poll::Ready(Ok(done)),
                (Poll::Pending, Some(error)) => Poll::Ready(Err(error)),
                (Poll::Pending, None) => Poll::Pending,
            }
        })
        .await
    }
}

fn broken(error: impl std::error::Error) -> NoAnswer {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    NoAnswer::Broken(text)
}
