//! What the program says when it begins to serve.

use std::collections::BTreeSet;

use crate::assemble::House;
use crate::config::Config;
use crate::config::listener::Surface;
use crate::listen::socket::Socket;
use crate::say::{self, Look, paint};

/// Where the server is found, what to set in Firefox, where the data is.
pub fn show(config: &Config, house: &House, sockets: &[(Socket, BTreeSet<Surface>)]) {
    let url = &house.site().public_url;
    for (socket, surfaces) in sockets {
        tracing::info!("listening on {socket} for {}", names(surfaces));
    }
    say::line("");
    say::line(format_args!(
        "  {} serves at {}",
        paint("Foxden", Look::Bold),
        paint(url, Look::Accent)
    ));
    say::line(format_args!(
        "  {}",
        paint(
            format_args!("data in {}", config.server.data_dir.display()),
            Look::Dim
        )
    ));
    if sockets
        .iter()
        .any(|(_, surfaces)| surfaces.contains(&Surface::Fxa))
    {
        say::line("");
        say::line(format_args!(
            "  In Firefox open {} and set",
            paint("about:config", Look::Bold)
        ));
        for (name, value) in preferences(url) {
            say::line(format_args!(
                "    {}  {}",
                paint(name, Look::Bold),
                paint(value, Look::Accent)
            ));
        }
        say::line("  then sign in from the menu.");
    }
    say::line("");
}

/// What Firefox must be told.
fn preferences(url: &foxden_http::wire::PublicUrl) -> Vec<(&'static str, String)> {
    let mut preferences = vec![("identity.fxaccounts.autoconfig.uri", url.origin())];
    if !url.is_https() {
        preferences.push(("identity.fxaccounts.allowHttp", "true".to_owned()));
    }
    preferences
}

fn names(surfaces: &BTreeSet<Surface>) -> String {
    let names: Vec<String> = surfaces.iter().map(ToString::to_string).collect();
    names.join(", ")
}
