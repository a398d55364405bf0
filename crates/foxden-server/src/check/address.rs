//! Whether the public address leads here, seen from this machine, and whether signatures survive the way.

use std::time::Duration;

use foxden_accounts::token::{Claims, TokenSecrets};
use foxden_http::wire::PublicUrl;
use foxden_model::{Chance, Clock, SystemClock, UserId};

use super::Finding;
use crate::chance::{self, SystemChance};
use crate::config::Config;
use crate::config::listener::Surface;
use crate::control::{Answer, Order, socket};
use crate::house::MasterSecrets;
use crate::{data, node, probe};

/// How long the way through the public address may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Further apart than this, two clocks cannot both be right.
const APART: i64 = 30;
/// A store that no account ever has: uids are given out from one upwards.
const NOBODY: UserId = UserId(9_999_999_999);

/// What there is to say about the public address.
pub fn look(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let Some(answer) = socket::ask(&data::socket(&config.server.data_dir), &Order::Probe)? else {
        let what = format!(
            "nothing serves the data folder {}",
            config.server.data_dir.display()
        );
        let mend =
            "start it with: foxden serve; then check again, so that the public address can be looked at";
        let scheme = config.server.public_url.as_ref().map(look_at_scheme);
        let unseen = Finding::doubtful(what, mend);
        return Ok(scheme.into_iter().chain([unseen]).collect());
    };
    let (url, word) = match answer {
        Answer::Probe { public_url, word } => (public_url.parse::<PublicUrl>()?, word),
        Answer::Failed { text } => anyhow::bail!(text),
        other => anyhow::bail!("the serving process answered {other:?} to a probe"),
    };
    let mut findings = vec![look_at_scheme(&url)];
    let way = Way::new(config, url);
    match way.find_word(&word) {
        Ok(finding) => findings.push(finding),
        Err(bad) => {
            findings.push(bad);
            return Ok(findings);
        }
    }
    if config
        .listeners
        .iter()
        .any(|listener| listener.surfaces.contains(&Surface::Sync))
    {
        findings.push(way.look_at_signatures(config)?);
    }
    Ok(findings)
}

fn look_at_scheme(url: &PublicUrl) -> Finding {
    if url.is_https() {
        return Finding::good(format!("the public address is {url}"));
    }
    if url.is_loopback() {
        return Finding::good(format!(
            "the public address is {url}, for browsers on this machine"
        ));
    }
    Finding::bad(
        format!(
            "the public address {url} has no TLS: the sign-in page works only over https, and passwords \
                 would cross the net in the open"
        ),
        format!(
            "put a proxy with a certificate in front (caddy reverse-proxy --from {0} --to …) and set \
                 public_url = \"https://{0}\"",
            url.host()
        ),
    )
}

/// The way through the public address.
struct Way {
    url: PublicUrl,
    /// Where the server's own pages are: below the path where only storage is served.
    base: String,
    agent: ureq::Agent,
}

impl Way {
    fn new(config: &Config, url: PublicUrl) -> Self {
        let mut surfaces = config.listeners.iter().flat_map(|listener| &listener.surfaces);
        let has_root = surfaces.any(|surface| matches!(surface, Surface::Fxa | Surface::Pages));
        Self {
            base: if has_root { url.origin() } else { url.base() },
            agent: node::agent(PATIENCE),
            url,
        }
    }

    /// Whether the word that this server was told is found at the public address.
    fn find_word(&self, word: &str) -> Result<Finding, Finding> {
        let page = format!("{}{}{word}", self.base, probe::PATH);
        let url = &self.url;
        let mut answer = self
            .agent
            .get(&page)
            .call()
            .map_err(|error| self.cannot_reach(&error))?;
        let status = answer.status().as_u16();
        let date = answer
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok())
            .map(str::to_owned);
        let found = answer.body_mut().read_to_string().unwrap_or_default();
        if found.trim() != word {
            return Err(Finding::bad(
                format!("{url} does not lead here: something else answered with status {status}"),
                "check the name's address (getent hosts …), the port, and where the proxy sends requests; it must pass \
                 all paths on, without a redirect or a log-in of its own",
            ));
        }
        Ok(look_at_date(
            url,
            date.as_deref().and_then(seconds_of),
            SystemClock.seconds(),
        ))
    }

    fn cannot_reach(&self, error: &ureq::Error) -> Finding {
        let url = &self.url;
        let mend = match error {
            ureq::Error::HostNotFound => "the name has no address: add it to the DNS or to /etc/hosts",
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
                "the certificate is not one that browsers trust, or is another name's: renew it, or have the proxy \
                 get one"
            }
            _ => "start the proxy, open the port in the firewall, or mend public_url",
        };
        Finding::bad(
            format!("{url} cannot be reached from this machine: {error}"),
            mend,
        )
    }

    /// Whether a request signed for the public address is taken.
    fn look_at_signatures(&self, config: &Config) -> anyhow::Result<Finding> {
        let Some(secrets) = MasterSecrets::find(config) else {
            let mend = "run this as the user who runs the server";
            return Ok(Finding::doubtful(
                "the secret that signs tokens cannot be read",
                mend,
            ));
        };
        let authorization = self.sign(&secrets.token_secrets(), &SystemChance::new());
        let url = format!("{}{}", self.url.origin(), self.target());
        let answer = self
            .agent
            .get(&url)
            .header("Authorization", authorization)
            .call()?;
        Ok(match answer.status().as_u16() {
            200 => Finding::good("storage takes requests signed for the public address"),
            401 => Finding::bad(
                format!("storage refuses requests signed for {}", self.url.host_and_port()),
                "public_url must be exactly what browsers use (name, port and path), and the proxy must not rewrite \
                 paths or drop the Authorization header; the server's log says what it saw and what was signed",
            ),
            404 => Finding::bad(
                format!("storage is not found at {}", self.url),
                "the proxy must pass everything below the path of public_url on",
            ),
            status => Finding::bad(
                format!("storage answers {status} at {}", self.url),
                "the server's log, or the proxy's, says why",
            ),
        })
    }

    fn target(&self) -> String {
        format!("{}/1.5/{NOBODY}/info/collections", self.url.path())
    }

    fn sign(&self, secrets: &TokenSecrets, chance: &dyn Chance) -> String {
        let base = self.url.base();
        let claims = Claims {
            user: NOBODY,
            node: &base,
            expires: SystemClock.seconds() + 60,
            fxa_uid: "00000000000000000000000000000000",
            fxa_kid: "0000000000000-AAAAAAAAAAAAAAAAAAAAAA",
            hashed_fxa_uid: None,
            hashed_device_id: None,
        };
        let token = secrets.mint(&claims, chance);
        let nonce = chance::hex(chance, 6);
        node::sign(
            &token,
            "GET",
            &self.target(),
            &self.url,
            SystemClock.seconds(),
            &nonce,
        )
    }
}

/// A proxy on another machine has a clock of its own.
fn look_at_date(url: &PublicUrl, theirs: Option<i64>, ours: i64) -> Finding {
    match theirs {
        Some(theirs) if (theirs - ours).abs() > APART => Finding::bad(
            format!(
                "the clock behind {url} and this machine's are {} seconds apart",
                (theirs - ours).abs()
            ),
            "keep both right with a time service such as systemd-timesyncd or chrony",
        ),
        _ => Finding::good(format!("{url} leads here")),
    }
}

/// The seconds since 1970 of a date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of(date: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut parts = date.split(' ').skip(1);
    let day: i64 = parts.next()?.parse().ok()?;
    let month = i64::try_from(MONTHS.find(parts.next()?)? / 3 + 1).ok()?;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut time = parts.next()?.split(':').map(str::parse::<i64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    // Years are counted from March, so that the day that leap years add comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::super::Weight;
    use super::*;

    #[test]
    fn dates_are_read() {
        for (date, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("soon", None),
            ("Sun, 06 Nvm 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(seconds_of(date), seconds, "{date}");
        }
    }

    #[test]
    fn a_name_without_tls_is_bad_and_loopback_is_not() {
        for (url, weight) in [
            ("https://sync.example.org", Weight::Good),
            ("http://127.0.0.1:5000", Weight::Good),
            ("http://sync.example.org", Weight::Bad),
            ("http://192.168.1.2:5000", Weight::Bad),
        ] {
            assert_eq!(look_at_scheme(&url.parse().unwrap()).weight, weight, "{url}");
        }
    }

    #[test]
    fn clocks_that_disagree_are_bad() {
        let url: PublicUrl = "https://sync.example.org".parse().unwrap();
        assert_eq!(look_at_date(&url, Some(1000), 1010).weight, Weight::Good);
        assert_eq!(look_at_date(&url, Some(1000), 1100).weight, Weight::Bad);
        assert_eq!(look_at_date(&url, None, 1100).weight, Weight::Good);
    }
}
