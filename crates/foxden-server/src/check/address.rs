//! Whether the public address leads here, seen from this machine, and whether signatures survive the way.

use foxden_http::probe;
use foxden_http::sync::client::ProbeAnswer;
use foxden_http::wire::PublicUrl;
use foxden_model::{Clock, SystemClock};

use super::{Finding, date, elsewhere, signed, wait};
use crate::app::MasterSecrets;
use crate::config::Config;
use crate::control::response::Serving;
use crate::control::{Command, Response, socket};
use crate::data;
use crate::http_client::HttpClient;
use crate::messages;

/// Findings about the public address.
pub fn check(config: &Config, client: &HttpClient) -> anyhow::Result<Vec<Finding>> {
    let Some(answer) = socket::send(&data::socket(&config.server.data_dir), &Command::Probe)? else {
        let what = format!(
            "nothing serves the data folder {}",
            config.server.data_dir.display()
        );
        let hint = "start it with: foxden serve; then check again, to test the public address";
        let scheme = config
            .server
            .public_url
            .as_ref()
            .map(|url| check_scheme(url, config));
        let unseen = Finding::warning(what, hint);
        return Ok(scheme.into_iter().chain([unseen]).collect());
    };
    let (url, word, serving) = match answer {
        Response::Probe {
            public_url,
            word,
            serving,
        } => (public_url.parse::<PublicUrl>()?, word, serving),
        Response::Failed { failure } => anyhow::bail!(messages::failure(&failure)),
        other => anyhow::bail!("the serving process answered {other:?} to a probe"),
    };
    let mut findings = vec![check_scheme(&url, config)];
    findings.extend(check_configured(&url, config));
    let way = PublicAddress::new(&serving, url, client.clone());
    match way.find_word(&word) {
        Ok(finding) => findings.push(finding),
        Err(bad) => {
            findings.push(bad);
            return Ok(findings);
        }
    }
    if serving.keeps_objects {
        findings.push(way.check_signatures(config)?);
        findings.extend(way.check_storage(&word, serving.max_request_bytes));
    }
    findings.extend(way.check_names(&word));
    findings.extend(elsewhere::check(&serving, &word));
    Ok(findings)
}

/// The running server goes by what it was started with, whatever was written since.
fn check_configured(running: &PublicUrl, config: &Config) -> Option<Finding> {
    let configured = config.server.public_url.as_ref().filter(|url| *url != running)?;
    Some(Finding::warning(
        format!(
            "the configuration says {configured}, but the running server took {running} for its public address"
        ),
        "restart it with this configuration; what follows is about the address that it has now",
    ))
}

fn check_scheme(url: &PublicUrl, config: &Config) -> Finding {
    if url.is_https() {
        return Finding::ok(format!("the public address is {url}"));
    }
    if url.is_loopback() {
        return Finding::ok(format!(
            "the public address is {url}, for browsers on this machine"
        ));
    }
    let harm = if config.keeps_accounts() {
        "the sign-in page works only over https, and passwords would cross the net in the open"
    } else if config.serves_legacy() {
        "Sync 1.1 sends the password with every request, and it would cross the net in the open"
    } else {
        "every machine on the way would see which user stores what and when"
    };
    Finding::error(
        format!("the public address {url} has no TLS: {harm}"),
        format!(
            "put a proxy with a certificate in front (caddy reverse-proxy --from {0} --to …) and set \
                 public_url = \"https://{0}\"",
            url.host()
        ),
    )
}

/// The way through the public address.
pub(super) struct PublicAddress {
    pub(super) url: PublicUrl,
    /// Where the server's own pages are: below the path where only storage is served.
    pub(super) base: String,
    pub(super) client: HttpClient,
    /// The ports that the server itself listens on.
    pub(super) ports: Vec<u16>,
}

impl PublicAddress {
    fn new(serving: &Serving, url: PublicUrl, client: HttpClient) -> Self {
        Self {
            base: if serving.has_root {
                url.origin()
            } else {
                url.base()
            },
            client,
            url,
            ports: serving.ports.clone(),
        }
    }

    /// Whether the word that this server was told is found at the public address.
    fn find_word(&self, word: &str) -> Result<Finding, Finding> {
        let page = format!("{}{}", self.base, probe::word_path(word));
        let url = &self.url;
        let mut answer = self
            .client
            .send(|agent| agent.get(&page).call())
            .map_err(|error| self.cannot_reach(&error))?;
        let status = answer.status().as_u16();
        let date = answer
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok())
            .map(str::to_owned);
        let wait = wait::describe(answer.headers());
        let found = answer.body_mut().read_to_string().unwrap_or_default();
        if found.trim() != word {
            return Err(Finding::error(
                format!("{url} does not lead here: something else answered with status {status}{wait}"),
                "check the name's address (getent hosts …), the port, and where the proxy sends requests; it must pass \
                 all paths on, without a redirect or a log-in of its own; if it speaks TLS or HTTP/2 to this server, the \
                 server's log says so",
            ));
        }
        Ok(date::check(
            url,
            date.as_deref().and_then(date::seconds_of),
            SystemClock.seconds(),
        ))
    }

    fn cannot_reach(&self, error: &ureq::Error) -> Finding {
        signed::cannot_reach(
            &self.url,
            error,
            "start the proxy, open the port in the firewall, or mend public_url",
        )
    }

    /// Whether a request signed for the public address is taken.
    fn check_signatures(&self, config: &Config) -> anyhow::Result<Finding> {
        let Some(secrets) = MasterSecrets::find(config) else {
            return Ok(signed::no_secret());
        };
        let answer = signed::request(&self.client, &self.url, &secrets.token_secrets())?;
        Ok(match answer.meaning() {
            ProbeAnswer::Accepted => Finding::ok("storage takes requests signed for the public address"),
            ProbeAnswer::Unauthorized => Finding::error(
                format!("storage refuses requests signed for {}", self.url.host_and_port()),
                "public_url must be exactly what browsers use (name, port and path), and the proxy must not rewrite \
                 paths or drop the Authorization header; the server's log says what it saw and what was signed",
            ),
            ProbeAnswer::NotFound => Finding::error(
                format!("storage is not found at {}", self.url),
                "the proxy must pass everything below the path of public_url on",
            ),
            ProbeAnswer::Unavailable | ProbeAnswer::Other => Finding::error(
                format!("storage answers {} at {}{}", answer.status, self.url, answer.wait),
                "the server's log, or the proxy's, says why",
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use crate::config::schema::SCHEMA;
    use crate::config::values::Values;

    #[test]
    fn a_name_without_tls_is_bad_and_loopback_is_not() {
        for (url, severity) in [
            ("https://sync.example.org", Severity::Ok),
            ("http://127.0.0.1:5000", Severity::Ok),
            ("http://sync.example.org", Severity::Error),
            ("http://192.168.1.2:5000", Severity::Error),
        ] {
            let config = Config::read(&Values::new(SCHEMA)).unwrap();
            assert_eq!(
                check_scheme(&url.parse().unwrap(), &config).severity,
                severity,
                "{url}"
            );
        }
    }
}
