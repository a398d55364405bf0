//! Whether others reach a server that takes itself for private.
//!
//! A proxy that adds nothing to a request, and asks for this machine by the name of this machine, cannot be told from a
//! browser here. But what others can reach of this machine can be asked: what answers with the word that only this server
//! knows passes requests on to it.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use ureq::tls::TlsConfig;

use super::Finding;
use crate::control::response::Serving;
use foxden_http::probe;

/// How long a port may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Ports asked at most.
const MOST: usize = 64;

/// Ports of services that speak something else, and would only complain.
const OTHERS: &[u16] = &[
    21, 22, 23, 25, 53, 110, 111, 139, 143, 389, 445, 465, 587, 631, 636, 873, 993, 995, 1883, 2049, 3306,
    3389, 5432, 5672, 5900, 6379, 9042, 11211, 27017,
];

/// Where web servers listen, where the system does not say who listens.
const USUAL: &[u16] = &[80, 443, 8000, 8080, 8443, 8888];

/// Findings about a server that listens on loopback alone.
pub fn check(serving: &Serving, word: &str) -> Option<Finding> {
    if let Some(mark) = &serving.mark {
        return Some(Finding::warning(
            "this server listens for this machine alone, and was reached from elsewhere",
            mark.explain(),
        ));
    }
    serving.is_private.then(|| judge(find_way(word).as_deref()))
}

fn judge(way: Option<&str>) -> Finding {
    match way {
        Some(url) => Finding::error(
            format!(
                "{url} leads here, and others can reach it: strangers there were taken for people at this machine. From now on \
                 this server counts as public"
            ),
            "set public_url to the address that people use, and look for accounts that you do not know: foxden user list. If \
             others are not to come here, take that way away, then give: foxden private",
        ),
        None => Finding::ok("no web server that others can reach on this machine leads here by its number"),
    }
}

/// The address by which something that others can reach leads here.
fn find_way(word: &str) -> Option<String> {
    let addresses: Vec<SocketAddr> = listeners().into_iter().take(MOST).collect();
    thread::scope(|scope| {
        let probes: Vec<_> = addresses
            .into_iter()
            .map(|address| scope.spawn(move || leads_here(address, word)))
            .collect();
        probes.into_iter().find_map(|answer| answer.join().ok().flatten())
    })
}

fn leads_here(address: SocketAddr, word: &str) -> Option<String> {
    // The certificate is for another name. Nothing is told but a word of the moment.
    let tls = TlsConfig::builder().disable_verification(true).build();
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .tls_config(tls);
    let agent: ureq::Agent = config.build().into();
    ["http", "https"].into_iter().find_map(|scheme| {
        let url = format!("{scheme}://{address}");
        let page = format!("{url}{}", probe::passed_on_path(word));
        let mut answer = agent.get(&page).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        (text.trim() == word).then_some(url)
    })
}

/// Where this machine listens for others.
fn listeners() -> BTreeSet<SocketAddr> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let is_known = tables.iter().any(Result::is_ok);
    let usual = USUAL.iter().filter(|_| !is_known);
    let usual = usual.map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), *port));
    let open_addresses = tables.iter().flatten().flat_map(|table| table.lines());
    let open_addresses = open_addresses.filter_map(open_to_others);
    open_addresses.chain(usual).collect()
}

/// The address of a socket in a line of the system's table, if it listens, and not on loopback; as it is reached from here.
fn open_to_others(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, state) = (fields.next()?, fields.nth(1)?);
    let (address, port) = local.split_once(':')?;
    let (address, port) = (parse_address(address)?, u16::from_str_radix(port, 16).ok()?);
    if state != "0A" || address.to_canonical().is_loopback() || OTHERS.contains(&port) {
        return None;
    }
    let address = match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    Some(SocketAddr::new(address, port))
}

/// An address as the system's table has it: words of four bytes, each as the machine writes numbers.
fn parse_address(text: &str) -> Option<IpAddr> {
    let words = text.as_bytes().chunks_exact(8);
    let words: Option<Vec<[u8; 4]>> = words
        .map(|word| {
            let word = u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?;
            Some(word.to_ne_bytes())
        })
        .collect();
    let bytes = words?.concat();
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use crate::exposure::Mark;

    #[test]
    #[cfg(target_endian = "little")]
    fn only_sockets_that_others_reach_are_asked() {
        let line = |local: &str, state: &str| {
            let line = format!("   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000");
            open_to_others(&line).map(|address| address.to_string())
        };
        let (any, here) = ("00000000", "0100007F");
        let zeros = "00000000".repeat(3);
        assert_eq!(line(&format!("{any}:0050"), "0A").unwrap(), "127.0.0.1:80");
        assert_eq!(line("0201A8C0:1F90", "0A").unwrap(), "192.168.1.2:8080");
        assert_eq!(line(&format!("{zeros}{any}:0050"), "0A").unwrap(), "[::1]:80");
        assert_eq!(line(&format!("{here}:0050"), "0A"), None, "loopback");
        assert_eq!(line(&format!("{zeros}01000000:0050"), "0A"), None, "loopback");
        assert_eq!(line(&format!("{any}:0050"), "01"), None, "a connection");
        assert_eq!(line(&format!("{any}:0016"), "0A"), None, "SSH");
        assert_eq!(
            open_to_others("  sl  local_address rem_address   st tx_queue"),
            None
        );
        assert_eq!(open_to_others(""), None);
    }

    #[test]
    fn evidence_is_reported_with_a_hint() {
        let serving = |is_private, mark| Serving {
            ports: vec![5000],
            keeps_objects: true,
            has_root: true,
            max_request_bytes: 1,
            is_private,
            mark,
        };
        assert_eq!(
            check(&serving(false, None), "w"),
            None,
            "public by its configuration"
        );
        let mark = Mark {
            since: 0,
            why: "a sign".into(),
        };
        let found = check(&serving(false, Some(mark)), "w").unwrap();
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.hint.unwrap().contains("foxden private"));
        assert!(judge(Some("http://127.0.0.1:80")).is_error());
        assert!(!judge(None).is_error());
    }
}
