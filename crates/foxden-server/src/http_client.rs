//! Sends HTTP requests to other servers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use foxden_http::sync::client::NodeRequest;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Sends HTTP requests. It follows no redirect, has a timeout, and trusts the authorities that browsers trust and those in a file.
#[derive(Clone, Debug)]
pub struct HttpClient {
    usual: ureq::Agent,
    /// Trusts the others alone.
    own: Option<ureq::Agent>,
}

impl HttpClient {
    /// One that trusts the certificates in that file, too.
    pub fn new(timeout: Duration, ca: Option<&Path>) -> Result<Self, CertificateError> {
        let config = || {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .timeout_global(Some(timeout))
        };
        let trusting = |file: &Path| {
            let roots = RootCerts::new_with_certs(&read_certificates(file)?);
            let tls = TlsConfig::builder().root_certs(roots).build();
            Ok::<_, CertificateError>(config().tls_config(tls).build().into())
        };
        Ok(Self {
            usual: config().build().into(),
            own: ca.map(trusting).transpose()?,
        })
    }

    /// Sends a request. A server whose certificate none of the usual authorities has signed has not received it yet, so the
    /// request is sent again with the authorities of the file.
    pub fn send<T>(
        &self,
        request: impl Fn(&ureq::Agent) -> Result<T, ureq::Error>,
    ) -> Result<T, ureq::Error> {
        match (request(&self.usual), &self.own) {
            (Err(error), Some(own)) if is_about_a_certificate(&error) => request(own),
            (answer, _) => answer,
        }
    }
}

impl HttpClient {
    /// Sends a request to a storage node.
    pub fn send_to_node(&self, request: &NodeRequest) -> Result<Response<ureq::Body>, ureq::Error> {
        self.send(|agent| {
            let request = Request::builder()
                .method(&request.method)
                .uri(&request.url)
                .header("Authorization", &request.authorization)
                .body(())?;
            agent.run(request)
        })
    }
}

/// Returns whether a connection failed because of the server's certificate.
pub fn is_about_a_certificate(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => true,
        // An error of the TLS handshake arrives as an error of the connection.
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// Why a file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not in the PEM format.
    #[error("{} is no PEM", file.display())]
    NotPem {
        /// The file.
        file: PathBuf,
        /// The error of the parser.
        source: ureq::Error,
    },
    /// The file contains no certificate.
    #[error("{} holds no certificate", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// Reads the certificates in a PEM file, at least one.
pub fn read_certificates(file: &Path) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let path = || file.to_owned();
    let text = fs::read(file).map_err(|source| CertificateError::Read { file: path(), source })?;
    let items = parse_pem(&text).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    let certificates: Vec<_> = items
        .collect::<Result<_, _>>()
        .map_err(|source| CertificateError::NotPem { file: path(), source })?;
    if certificates.is_empty() {
        return Err(CertificateError::Empty { file: path() });
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A server with a public certificate may have nodes of a private authority.
    #[test]
    fn own_authorities_are_trusted_beside_the_usual_ones() {
        let agent = || ureq::Agent::config_builder().build().into();
        let unknown_issuer = || Err(io::Error::new(io::ErrorKind::InvalidData, "unknown issuer").into());
        let away = || Err(io::Error::new(io::ErrorKind::ConnectionRefused, "away").into());
        for (own, first, asked) in [
            (None, unknown_issuer(), 1),
            (Some(agent()), unknown_issuer(), 2),
            (Some(agent()), away(), 1),
            (Some(agent()), Ok(()), 1),
        ] {
            let usual = agent();
            let client = HttpClient { usual, own };
            let (first, count) = (Cell::new(Some(first)), Cell::new(0));
            let answer = client.send(|_| {
                count.set(count.get() + 1);
                first.take().unwrap_or(Ok(()))
            });
            assert_eq!(count.get(), asked);
            assert!(answer.is_ok() || asked == 1);
        }
    }
}
