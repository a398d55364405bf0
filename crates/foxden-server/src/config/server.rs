//! What stands above every section: where this server is found and where it keeps things.

use std::net::IpAddr;
use std::path::PathBuf;

use foxden_http::wire::PublicUrl;
use ipnet::IpNet;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::{Secret, Values};

/// The settings without a section.
pub const SECTION: Section = Section {
    title: "Above all sections",
    about: "Where browsers find this server, and where it keeps what it is given.",
    settings: &[
        Setting {
            key: "public_url",
            kind: Kind::Text,
            default: "",
            help: "The address under which browsers reach this server, such as `https://sync.example.org`. Links, \
                   discovery, tokens and nodes are made of it; a `Host` header never is. A path after it is where \
                   storage and tokens are served, while pages and accounts stay at the root. Without it the \
                   address is the loopback address listened on; listening anywhere else needs it.",
        },
        Setting {
            key: "data_dir",
            kind: Kind::Text,
            default: "foxden-data",
            help: "The folder that holds everything: objects, accounts, secrets. It is made on the first start, \
                   readable by its owner alone, and locked by the process that serves it.",
        },
        Setting {
            key: "master_secret",
            kind: Kind::Secret,
            default: "",
            help: "Signs storage tokens. Processes that share it work as one server. Without it a random one is \
                   made on the first start and kept in the data folder. It may hold several lines: all of them \
                   are accepted, the last one signs.",
        },
        Setting {
            key: "ca_file",
            kind: Kind::Text,
            default: "",
            help: "A file of PEM with the certificates that are trusted when this server speaks to a storage node, besides \
                   those that browsers trust: for nodes whose certificates come from an authority of your own.",
        },
        Setting {
            key: "other_hosts",
            kind: Kind::List,
            default: "",
            help: "Further names by which browsers may reach this server, and for which they may sign their requests. Pages \
                   and account routes refuse requests that name any other host, which keeps foreign pages from \
                   reaching a server in the house.",
        },
        Setting {
            key: "trusted_proxies",
            kind: Kind::List,
            default: "",
            help: "Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed. Loopback \
                   and Unix sockets always are.",
        },
    ],
};

/// Where this server is found and where it keeps things.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where browsers reach it; `None`: at the loopback address it listens on.
    pub public_url: Option<PublicUrl>,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The secrets that sign tokens, the newest last; empty: the one in the data folder.
    pub master_secrets: Vec<Secret>,
    /// Who vouches for storage nodes; `None`: those whom browsers trust.
    pub ca_file: Option<PathBuf>,
    /// Further names of this server.
    pub other_hosts: Vec<String>,
    /// Who is believed about a client's address.
    pub trusted_proxies: Vec<IpNet>,
}

/// Under these, storage and tokens are found besides, so that what stands below either would be meant twice.
const TAKEN_PATHS: [&str; 2] = ["/storage", "/token"];

impl Server {
    /// Reads what was set.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let public_url = values.text("public_url")?.map(|text| {
            let url: PublicUrl = text
                .parse()
                .map_err(|error| values.wrong("public_url", format!("{error}")))?;
            if TAKEN_PATHS.contains(&url.path()) {
                let why = format!("its path may not be {}, which is served already", url.path());
                return Err(values.wrong("public_url", why));
            }
            Ok(url)
        });
        let networks = values.list("trusted_proxies");
        let networks = networks.iter().map(|text| {
            network(text).ok_or_else(|| {
                values.wrong(
                    "trusted_proxies",
                    format!("{text} is neither an address nor a network"),
                )
            })
        });
        Ok(Self {
            public_url: public_url.transpose()?,
            data_dir: values.text("data_dir")?.unwrap_or_default().into(),
            master_secrets: values.secrets("master_secret")?,
            ca_file: values.text("ca_file")?.map(PathBuf::from),
            other_hosts: values.list("other_hosts"),
            trusted_proxies: networks.collect::<Result<_, _>>()?,
        })
    }
}

/// Reads an address, or a network in CIDR notation.
fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_other() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("10.1.2.3/8", "10.255.1.2", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("0.0.0.0/0", "198.51.100.1", "::1"),
        ] {
            let contains = |address: &str| {
                network(text)
                    .unwrap()
                    .contains(&address.parse::<IpAddr>().unwrap())
            };
            assert!(contains(inside), "{inside}");
            assert!(!contains(outside), "{outside}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "proxy.example.org"] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
