//! `foxden serve`: from the configuration to the last answer.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, Components, Environment};
use crate::config::Config;
use crate::config::listener::{Bind, Surface};
use crate::data::DataFolder;
use crate::listen::socket::Socket;
use crate::server::Server;
use crate::site::listening_site;
use crate::{check, security_log, startup_banner};

/// Serves until it is told to stop.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    // Signals are caught before the server reports that it serves: from then on it may be asked to stop.
    let mut signals = Signals::new()?;
    let data = DataFolder::open(&config.server.data_dir)?;
    let sockets = open_sockets(&config).await?;
    let site = Arc::new(listening_site(&config, &sockets)?);
    let app = App::open(
        &config,
        &data,
        site,
        Environment::of_this_machine(),
        Components::of(&config),
    )
    .await?;
    let app = Arc::new(app);
    if check::is_years_behind(&*app.clock) {
        tracing::warn!(
            "the clock of this machine is years behind: set it; codes, links and tokens that are made before end when it is right"
        );
    }

    if let Some(folder) = check::left_behind(&config) {
        tracing::warn!(
            folder = %folder.display(),
            "the files in this folder hold objects that are not served; foxden migrate moves them to an empty store"
        );
    }

    let server = Server::new(Arc::clone(&app), connections(config.http.max_connections));
    server.start_background_work(&data)?;
    startup_banner::print(&config, &app, &sockets).await?;
    for (socket, surfaces) in sockets {
        server.listen(socket, &surfaces);
    }

    signals.told_to_stop().await;
    tracing::info!("stopping: requests under way are finished first");
    tokio::select! {
        () = server.stop(config.http.shutdown_timeout) => {}
        // A second signal asks for a stop at once. What was acknowledged is safe either way.
        () = signals.told_to_stop() => tracing::warn!("stopping at once"),
    }
    if !app.security_log.flush(security_log::FLUSH_TIMEOUT) {
        tracing::warn!("the security log could not be written to its end");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn open_sockets(config: &Config) -> anyhow::Result<Vec<(Socket, BTreeSet<Surface>)>> {
    let mut sockets = Vec::new();
    for listener in &config.listeners {
        let socket = Socket::bind(&listener.bind).await;
        let cure = socket
            .as_ref()
            .err()
            .map_or("", |error| cure_for(&listener.bind, error));
        let socket = socket.with_context(|| format!("cannot listen on {}{cure}", listener.bind))?;
        sockets.push((socket, listener.surfaces.clone()));
    }
    Ok(sockets)
}

/// What the operator can do about an address that is not free; may be empty.
fn cure_for(bind: &Bind, error: &io::Error) -> &'static str {
    match (bind, error.kind()) {
        (Bind::Tcp(_), ErrorKind::AddrInUse) => {
            " (another program has that port: stop it, or name another port with --listen)"
        }
        _ => "",
    }
}

/// Files that are needed for other things than these connections: databases, logs, standard streams, connections that wait.
const OTHER_FILES: u64 = 160;

/// As many connections as are wanted and the system allows; the allowance is first raised as far as it goes.
fn connections(wanted: u32) -> u32 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = u64::from(wanted) + OTHER_FILES;
    let reachable = maximum.map_or(needed, |maximum| maximum.min(needed));
    let mut allowed = current.unwrap_or(needed);
    if allowed < reachable {
        let raised = Rlimit {
            current: Some(reachable),
            maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            allowed = reachable;
        }
    }
    let connections = u32::try_from(allowed.saturating_sub(OTHER_FILES)).unwrap_or(wanted);
    let connections = connections.clamp(1, wanted);
    if connections < wanted {
        tracing::warn!("the system allows {connections} connections at once, not {wanted}");
    }
    connections
}

/// The signals of the system.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn told_to_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
