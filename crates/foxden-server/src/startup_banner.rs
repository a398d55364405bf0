//! The message on standard output when the server starts.

use std::collections::BTreeSet;

use foxden_http::pages::links;
use foxden_http::wire::PublicUrl;

use crate::app::App;
use crate::config::Config;
use crate::config::listener::Surface;
use crate::config::register::RegisterUrl;
use crate::listen::socket::Socket;
use crate::terminal::{self, Style, styled};

/// Where the server is found, what to set in Firefox, where the data is, how the first account is made.
pub async fn print(
    config: &Config,
    app: &App,
    sockets: &[(Socket, BTreeSet<Surface>)],
) -> anyhow::Result<()> {
    let first = first_link(app).await?;
    for (socket, surfaces) in sockets {
        tracing::info!("listening on {socket} for {}", names(surfaces));
    }
    if let Some(mark) = app.exposure.mark() {
        tracing::warn!("{}", mark.explain());
    }
    let url = &app.site.public_url;
    let (name, address) = (styled("Foxden", Style::Bold), styled(url, Style::Accent));
    terminal::print_line(format_args!("\n  {name} serves at {address}"));
    // A relative one says nothing to a person who starts the program elsewhere the next time.
    let folder = &config.server.data_dir;
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
    for line in places(config, &folder.display().to_string()) {
        terminal::print_line(format_args!("  {}", styled(line, Style::Dim)));
    }
    if sockets
        .iter()
        .any(|(_, surfaces)| surfaces.contains(&Surface::Fxa))
    {
        show_preferences(url);
    }
    if config.welcomes_old_clients() {
        let server = styled(format!("{}/", url.base()), Style::Accent);
        terminal::print_line(format_args!(
            "\n  In Pale Moon and Basilisk choose Tools, Set Up Sync, and this custom server:\n    {server}"
        ));
    }
    if let Some(link) = first {
        let link = styled(link, Style::Accent);
        terminal::print_line(format_args!(
            "\n  Make the first account within an hour, at\n    {link}"
        ));
    }
    terminal::print_line("");
    Ok(())
}

/// Where the data is. Neither URL shows a password.
fn places(config: &Config, folder: &str) -> Vec<String> {
    let surfaces = config.surfaces();
    let objects = config.storage.url.server();
    let objects = objects.filter(|_| surfaces.contains(&Surface::Sync));
    let accounts = match &config.accounts.register {
        RegisterUrl::Server { shown, .. } if config.keeps_accounts() => Some(shown),
        _ => None,
    };
    let mut places = Vec::new();
    places.extend(accounts.map(|url| format!("accounts in {url}")));
    places.extend(objects.map(|url| format!("objects in {url}")));
    let rest = if places.is_empty() { "data" } else { "all else" };
    places.push(format!("{rest} in {folder}"));
    places
}

fn show_preferences(url: &PublicUrl) {
    let page = styled("about:config", Style::Bold);
    terminal::print_line(format_args!("\n  In Firefox open {page} and set"));
    for (name, value) in preferences(url) {
        let (name, value) = (styled(name, Style::Bold), styled(value, Style::Accent));
        terminal::print_line(format_args!("    {name} = {value}"));
    }
    terminal::print_line("  then sign in from the menu. The address itself shows the same in any browser.");
}

/// The first account of a server that others can reach is made by invitation, so that no stranger is first.
/// A link that admits any reader is shown on a terminal only: others may read the log.
async fn first_link(app: &App) -> anyhow::Result<Option<String>> {
    let Some(accounts) = app.accounts.as_ref().filter(|_| !app.exposure.is_private()) else {
        return Ok(None);
    };
    if accounts.count_accounts().await? > 0 {
        return Ok(None);
    }
    if !terminal::stdout_is_terminal() {
        tracing::info!(
            "there is no account yet; this command shows the link for the first: foxden invite --first"
        );
        return Ok(None);
    }
    let code = accounts.first_invitation().await?;
    Ok(code.map(|code| links::invitation(&app.site.public_url.origin(), &code)))
}

/// The preference to set in Firefox.
fn preferences(url: &PublicUrl) -> Vec<(&'static str, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn places_of(settings: &[(&str, &str)]) -> Vec<String> {
        places(&Config::of(settings).unwrap(), "/data")
    }

    #[test]
    fn the_places_of_the_data_show_no_password() {
        assert_eq!(places_of(&[]), ["data in /data"]);
        let url = "postgres://ann:secret@db.example.org/sync";
        let shown = "postgres://ann:***@db.example.org:5432/sync";
        let both = [("accounts.url", url), ("storage.url", url)];
        assert_eq!(
            places_of(&both),
            [
                format!("accounts in {shown}"),
                format!("objects in {shown}"),
                "all else in /data".to_owned()
            ]
        );
        let storage = [
            ("storage.url", url),
            ("listener.0.surfaces", "sync"),
            ("listener.0.bind", "127.0.0.1:5000"),
        ];
        assert_eq!(
            places_of(&storage),
            [format!("objects in {shown}"), "all else in /data".to_owned()]
        );
    }
}
