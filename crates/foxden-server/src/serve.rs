//! `foxden serve`: from the configuration to the last answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use foxden_model::Rng;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::config::listener::Surface;
use crate::data::DataFolder;
use crate::house::{House, Needs};
use crate::listen::front::{Front, Ids};
use crate::listen::rest::Bounds;
use crate::listen::room::Room;
use crate::listen::socket::Socket;
use crate::rng::SystemRng;
use crate::site::listening_site;
use crate::tasks::Tasks;
use crate::{assemble, check, chores, control, greeting, listen, mail, security_log};

/// Serves until it is told to stop.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    // Whoever sees that the server serves may ask it to stop.
    let mut signals = Signals::new()?;
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
    let data = DataFolder::open(&config.server.data_dir)?;
    let sockets = open_sockets(&config).await?;
    let site = Arc::new(listening_site(&config, &sockets)?);
    let house = House::open(&config, &data, site, Arc::clone(&rng), Needs::of(&config)).await?;
    let house = Arc::new(house);
    if check::is_years_behind(&*house.clock) {
        tracing::warn!(
            "the clock of this machine is years behind: set it; codes, links and tokens that are made before end when it is right"
        );
    }

    let (tasks, stop) = Tasks::new();
    let wanted = config.http.max_connections;
    let room = Room::new(&config.http, seats(wanted), house.security_log.witness());
    let (watched, stopping) = (Arc::clone(&room), tasks.clone());
    tasks.keep("the watch over connections", move || {
        Arc::clone(&watched).watch(stopping.clone())
    });
    let ids = Arc::new(Ids::new(&*rng));
    if config.chores.is_enabled {
        chores::start(&house, &tasks);
    }
    mail::deliver::start(&house, &tasks)?;
    if let Some(accounts) = house.accounts.clone() {
        let stopping = tasks.clone();
        tasks.keep("the memory of password hashes", move || {
            let (accounts, mut stopping) = (accounts.clone(), stopping.clone());
            async move {
                tokio::select! {
                    () = stopping.stopped() => {}
                    () = accounts.give_buffers_back() => {}
                }
            }
        });
    }
    match control::socket::open(&data.socket()) {
        Ok(orders) => {
            let (orders, house, stopping) = (Arc::new(orders), Arc::clone(&house), tasks.clone());
            tasks.keep("the socket for commands", move || {
                control::socket::serve(Arc::clone(&orders), Arc::clone(&house), stopping.clone())
            });
        }
        // A path may be too long for a socket; the server is as good without.
        Err(error) => tracing::warn!("commands cannot reach this server while it serves: {error:#}"),
    }
    greeting::show(&config, &house, &sockets).await?;
    for (socket, surfaces) in sockets {
        let doors = assemble::doors(&house, &surfaces, &tasks);
        let bounds = Bounds::for_uploads_of(config.storage.limits.max_request_bytes);
        let trusted = config.server.trusted_proxies.clone();
        let witness = house.security_log.witness();
        let front = Front::new(
            doors,
            trusted,
            Arc::clone(&house.reach),
            Arc::clone(&ids),
            bounds,
            witness,
        );
        let (socket, front, room) = (Arc::new(socket), Arc::new(front), Arc::clone(&room));
        let stopping = tasks.clone();
        tasks.keep("a listener", move || {
            listen::serve(
                Arc::clone(&socket),
                Arc::clone(&front),
                Arc::clone(&room),
                stopping.clone(),
            )
        });
    }
    drop(tasks);

    signals.told_to_stop().await;
    tracing::info!("stopping: requests under way are finished first");
    let finish = async {
        if !stop.stop(config.http.shutdown_timeout).await {
            tracing::warn!("some requests were still under way when the time to stop was up");
        }
        if let Some(storage) = &house.storage {
            storage.close_engine().await;
        }
    };
    tokio::select! {
        () = finish => {}
        // Whoever asks twice means it. What was acknowledged is safe either way.
        () = signals.told_to_stop() => tracing::warn!("stopping at once"),
    }
    if !house.security_log.flush(security_log::PATIENCE) {
        tracing::warn!("the security log could not be written to its end");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn open_sockets(config: &Config) -> anyhow::Result<Vec<(Socket, BTreeSet<Surface>)>> {
    let mut sockets = Vec::new();
    for listener in &config.listeners {
        let socket = Socket::bind(&listener.bind).await;
        let socket = socket.with_context(|| format!("cannot listen on {}", listener.bind))?;
        sockets.push((socket, listener.surfaces.clone()));
    }
    Ok(sockets)
}

/// Files that are needed for other things than these connections: databases, logs, standard streams, the lobby.
const OTHER_FILES: u64 = 160;

/// As many connections as are wanted and the system allows; the allowance is first raised as far as it goes.
fn seats(wanted: u32) -> u32 {
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
    let seats = u32::try_from(allowed.saturating_sub(OTHER_FILES)).unwrap_or(wanted);
    let seats = seats.clamp(1, wanted);
    if seats < wanted {
        tracing::warn!("the system allows {seats} connections at once, not {wanted}");
    }
    seats
}

/// What the system tells the process.
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
