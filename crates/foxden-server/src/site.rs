//! Where this server is found.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use foxden_http::wire::{PublicUrl, Site};

use crate::config::Config;
use crate::config::listener::{Bind, Surface};
use crate::listen::socket::Socket;

/// Where this server is found, now that it listens.
pub fn listening_site(config: &Config, sockets: &[(Socket, BTreeSet<Surface>)]) -> anyhow::Result<Site> {
    let addresses = sockets.iter().map(|(socket, _)| match socket {
        Socket::Tcp(_, address) => Some(*address),
        Socket::Unix(..) => None,
    });
    site_at(config, addresses)
}

/// Where this server is found once it listens, for commands that give links while nothing serves.
pub fn configured_site(config: &Config) -> anyhow::Result<Site> {
    let addresses = config.listeners.iter().map(|listener| match listener.bind {
        Bind::Tcp(address) => Some(address),
        Bind::Unix(_) => None,
    });
    site_at(config, addresses)
}

/// Where the operator says, else at the first address listened on.
fn site_at(config: &Config, addresses: impl Iterator<Item = Option<SocketAddr>>) -> anyhow::Result<Site> {
    let listens_on_loopback = config
        .listeners
        .iter()
        .all(|listener| listener.bind.is_loopback());
    let public_url: PublicUrl = match (&config.server.public_url, addresses.flatten().next()) {
        (Some(url), _) => url.clone(),
        (None, Some(address)) => format!("http://{address}").parse()?,
        (None, None) => anyhow::bail!("nothing listens on an address that a browser could open"),
    };
    Ok(Site {
        is_loopback: listens_on_loopback && public_url.is_loopback(),
        public_url,
        other_hosts: config.server.other_hosts.clone(),
    })
}
