//! Speaks to a storage node as a client does: there is no private channel between servers.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use foxden_accounts::token::{Claims, TokenSecrets};
use foxden_http::wire::PublicUrl;
use foxden_http::wire::hawk::{self, Signed};
use foxden_model::{Clock, Rng, UserId};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::rng;

/// How long the token for one request holds, in seconds.
const TOKEN_SECONDS: i64 = 300;
/// How long the node may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Signs requests to storage nodes with tokens of its own.
#[derive(Clone, Copy)]
pub struct NodeClient<'a> {
    /// The secrets that nodes know, too.
    pub secrets: &'a TokenSecrets,
    /// The time of tokens and signatures.
    pub clock: &'a dyn Clock,
    /// Where random bytes come from.
    pub rng: &'a dyn Rng,
    /// A file with certificates that are trusted besides the usual ones.
    pub ca_file: Option<&'a Path>,
}

impl NodeClient<'_> {
    /// Empties a user's store on that node.
    pub async fn empty_store(self, node: &PublicUrl, user: UserId) -> anyhow::Result<()> {
        let (base, now) = (node.base(), self.clock.seconds());
        let claims = Claims {
            user,
            node: &base,
            expires: now + TOKEN_SECONDS,
            // No account: the store's owner is removed.
            fxa_uid: "00000000000000000000000000000000",
            fxa_kid: "0000000000000-AAAAAAAAAAAAAAAAAAAAAA",
            hashed_fxa_uid: None,
            hashed_device_id: None,
            beside: &[],
        };
        let token = self.secrets.mint(&claims, self.rng);
        let path = format!("{}/1.5/{user}", node.path());
        let nonce = rng::hex(self.rng, 6);
        let request = Signed {
            method: "DELETE",
            path: ["", &path],
            host: node.host(),
            port: node.port(),
        };
        let authorization = hawk::sign(&token.id, token.key.as_str().as_bytes(), &request, now, &nonce);
        let url = format!("{}{path}", node.origin());
        let ca = self.ca_file.map(Path::to_owned);
        let delete = move || delete(&HttpClient::new(PATIENCE, ca.as_deref())?, &url, &authorization);
        let status = tokio::task::spawn_blocking(delete).await??;
        // A store that is not there is as empty as it can be.
        ensure!(
            (200..300).contains(&status) || status == 404,
            "the node {base} answered {status}"
        );
        Ok(())
    }
}

fn delete(client: &HttpClient, url: &str, authorization: &str) -> anyhow::Result<u16> {
    let answer = client.send(|agent| agent.delete(url).header("Authorization", authorization).call());
    let answer = answer.with_context(|| format!("cannot reach {url}"))?;
    Ok(answer.status().as_u16())
}

/// Sends HTTP requests. It follows no redirect, has a timeout, and trusts the authorities that browsers trust and those in a file.
#[derive(Clone, Debug)]
pub struct HttpClient {
    usual: ureq::Agent,
    /// Trusts the others alone.
    own: Option<ureq::Agent>,
}

impl HttpClient {
    /// One that trusts the certificates in that file, too.
    pub fn new(patience: Duration, ca: Option<&Path>) -> anyhow::Result<Self> {
        let config = || {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .timeout_global(Some(patience))
        };
        let trusting = |file: &Path| {
            let roots = RootCerts::new_with_certs(&read_certificates(file)?);
            let tls = TlsConfig::builder().root_certs(roots).build();
            anyhow::Ok(config().tls_config(tls).build().into())
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

/// Returns whether a connection failed because of the server's certificate.
pub fn is_about_a_certificate(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => true,
        // What TLS says while it greets comes as an error of the connection.
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// The certificates in a file of PEM, of which there must be one.
pub fn read_certificates(file: &Path) -> anyhow::Result<Vec<Certificate<'static>>> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let items = parse_pem(&text).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    let certificates: Vec<_> = items
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is no PEM", file.display()))?;
    ensure!(
        !certificates.is_empty(),
        "{} holds no certificate",
        file.display()
    );
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
        let stranger = || Err(io::Error::new(io::ErrorKind::InvalidData, "unknown issuer").into());
        let away = || Err(io::Error::new(io::ErrorKind::ConnectionRefused, "away").into());
        for (own, first, asked) in [
            (None, stranger(), 1),
            (Some(agent()), stranger(), 2),
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
