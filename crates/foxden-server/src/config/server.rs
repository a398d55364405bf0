//! The settings above all sections: the address of this server, its data folder and its secret.

use std::net::IpAddr;
use std::path::PathBuf;

use foxden_http::wire::PublicUrl;
use ipnet::IpNet;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::{Secret, Values};

/// The settings without a section.
pub const SECTION: Section = Section {
    title: "Top level",
    about: "The address of this server, its data folder and its secret.",
    settings: &[
        Setting {
            key: "public_url",
            kind: Kind::Text,
            default: "",
            help: "The URL by which browsers reach this server, such as `https://sync.example.org`. Links, discovery, tokens \
                   and nodes are built from it, never from a `Host` header. If it has a path, storage and tokens are served \
                   below that path, pages and accounts at the root. The default is the loopback address of the listener; any \
                   other listener requires this setting.",
        },
        Setting {
            key: "data_dir",
            kind: Kind::Text,
            default: "foxden-data",
            help: "The folder of all data: objects, accounts, secrets. The first start creates it, readable by its owner \
                   alone. The serving process locks it.",
        },
        Setting {
            key: "master_secret",
            kind: Kind::Secret,
            default: "",
            help: "The secret that signs storage tokens. Processes that share it work as one server. Without it the first \
                   start creates a random one in the data folder. It may have several lines: all of them are accepted, the \
                   last one signs.",
        },
        Setting {
            key: "ca_file",
            kind: Kind::Text,
            default: "",
            help: "A PEM file of certificates to trust besides the public ones when this server connects to a storage node: \
                   for nodes with certificates of a private authority.",
        },
        Setting {
            key: "other_hosts",
            kind: Kind::List,
            default: "",
            help: "Further host names by which browsers may reach this server, and for which they may sign requests. Pages \
                   and account routes refuse requests with any other `Host`, so that foreign pages cannot use a server in a \
                   private network.",
        },
        Setting {
            key: "trusted_proxies",
            kind: Kind::List,
            default: "",
            help: "Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is trusted. Loopback addresses \
                   and Unix sockets are always trusted.",
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
    /// The certificates to trust for storage nodes; `None`: the public ones.
    pub ca_file: Option<PathBuf>,
    /// Further names of this server.
    pub other_hosts: Vec<String>,
    /// The proxies that are trusted to name a client's address.
    pub trusted_proxies: Vec<IpNet>,
}

/// Storage and tokens are always served below these paths too, so a public URL with one of them would be ambiguous.
const TAKEN_PATHS: [&str; 2] = ["/storage", "/token"];

impl Server {
    /// Reads the settings.
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
