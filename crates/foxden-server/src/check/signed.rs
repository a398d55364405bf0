//! A signed request to a storage node, for a user that does not exist.

use std::net::ToSocketAddrs;

use foxden_accounts::token::TokenSecrets;
use foxden_http::sync::client::{NodeRequests, ProbeAnswer};
use foxden_http::wire::PublicUrl;
use foxden_model::SystemClock;

use super::{Finding, date, wait};
use crate::http_client::{HttpClient, is_about_a_certificate};
use crate::rng::SystemRng;

/// The node's response.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The node's time in seconds since 1970, if the response has it.
    pub time: Option<i64>,
    /// A note on the waiting times that it tells clients; may be empty.
    pub wait: String,
}

impl Answer {
    /// The meaning of the status.
    pub fn meaning(&self) -> ProbeAnswer {
        ProbeAnswer::of(self.status)
    }
}

/// Sends a request that every node with the same secrets accepts.
pub fn request(client: &HttpClient, node: &PublicUrl, secrets: &TokenSecrets) -> Result<Answer, ureq::Error> {
    let requests = NodeRequests {
        secrets,
        clock: &SystemClock,
        rng: &SystemRng::new(),
    };
    let answer = client.send_to_node(&requests.probe(node))?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    Ok(Answer {
        status: answer.status().as_u16(),
        time: date.and_then(date::seconds_of),
        wait: wait::describe(answer.headers()),
    })
}

/// The finding if the secret cannot be read.
pub fn no_secret() -> Finding {
    Finding::warning(
        "the secret that signs tokens cannot be read",
        "run this as the user who runs the server",
    )
}

/// The finding for an address that does not answer, with a hint by the cause.
pub fn cannot_reach(url: &PublicUrl, error: &ureq::Error, else_hint: &str) -> Finding {
    Finding::error(
        format!("{url} cannot be reached from this machine: {error}"),
        hint_for(url, error, else_hint),
    )
}

fn hint_for(url: &PublicUrl, error: &ureq::Error, else_hint: &str) -> String {
    if matches!(error, ureq::Error::Timeout(_)) {
        return format!(
            "something takes the connection and does not answer in time: check the firewall, and where the proxy sends \
             requests; if it speaks TLS or HTTP/2 to this server, the server's log says so; else {else_hint}"
        );
    }
    if is_about_a_certificate(error) {
        // Errors of TLS come as texts.
        return if error.to_string().contains("certificate") {
            "the certificate is not one that browsers trust, or is another name's: renew it, or have the proxy get one; \
             where it comes from an authority of your own, name that with --ca"
                .to_owned()
        } else {
            format!(
                "what listens on port {} speaks no TLS that browsers do: put a proxy with a certificate there, which passes \
                 requests on to this server's own port",
                url.port()
            )
        };
    }
    if has_no_address(url) {
        return "the name has no address: add it to the DNS or to /etc/hosts".to_owned();
    }
    else_hint.to_owned()
}

/// Whether the name leads nowhere; the system's error for that has no kind of its own.
fn has_no_address(url: &PublicUrl) -> bool {
    let host = url.host().trim_matches(['[', ']']);
    (host, url.port()).to_socket_addrs().is_err()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_hint_for_an_address_depends_on_the_cause() {
        let here: PublicUrl = "https://127.0.0.1:8443".parse().unwrap();
        // The label is too long for DNS, so no server is queried.
        let nowhere = format!("https://{}.example.org", "a".repeat(64));
        let nowhere: PublicUrl = nowhere.parse().unwrap();
        let six: PublicUrl = "https://[::1]:8443".parse().unwrap();
        let refused = || ureq::Error::Io(io::ErrorKind::ConnectionRefused.into());
        let tls = |text: &str| ureq::Error::Io(io::Error::new(io::ErrorKind::InvalidData, text.to_owned()));
        for (url, error, expected) in [
            (&here, refused(), "start the proxy"),
            (&six, refused(), "start the proxy"),
            (
                &nowhere,
                ureq::Error::Io(io::Error::other("no such name")),
                "the name has no address",
            ),
            (
                &here,
                tls("invalid peer certificate: UnknownIssuer"),
                "the certificate is not one",
            ),
            (
                &here,
                tls("received corrupt message of type InvalidContentType"),
                "port 8443 speaks no TLS",
            ),
            (
                &here,
                ureq::Error::Timeout(ureq::Timeout::Global),
                "does not answer in time",
            ),
        ] {
            let hint = hint_for(url, &error, "start the proxy");
            assert!(hint.contains(expected), "{error}: {hint}");
        }
    }
}
