//! A running server: its services, the handlers of its listeners, its background work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::config::listener::Surface;
use crate::data::DataFolder;
use crate::listen::connection_limiter::ConnectionLimiter;
use crate::listen::drain::DrainLimits;
use crate::listen::request_handler::{RequestHandler, RequestIds};
use crate::listen::socket::Socket;
use crate::queue_depths::QueueDepths;
use crate::tasks::{Stopper, Tasks};
use crate::{assemble, chores, control, listen, mail, node_orders, sharing};

/// A running server.
pub struct Server {
    app: Arc<App>,
    connections: Arc<ConnectionLimiter>,
    request_ids: Arc<RequestIds>,
    tasks: Tasks,
    stop: Stopper,
}

impl Server {
    /// A server with these services, which takes at most so many connections at once. It has no listener yet, and no
    /// background work.
    pub fn new(app: Arc<App>, max_connections: u32) -> Self {
        let (tasks, stop) = Tasks::new();
        let security_events = app.security_log.security_events();
        Self {
            connections: ConnectionLimiter::new(&app.config.http, max_connections, security_events),
            request_ids: Arc::new(RequestIds::new(&*app.rng)),
            app,
            tasks,
            stop,
        }
    }

    /// Its services.
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The connections of all its listeners.
    pub const fn connection_limiter(&self) -> &Arc<ConnectionLimiter> {
        &self.connections
    }

    /// How much waits in this server now.
    pub fn queue_depths(&self) -> QueueDepths {
        QueueDepths::read(&self.app, &self.connections)
    }

    /// Starts the chores, the delivery of mail, the meeting with other processes, the control socket and the checks on connections.
    pub fn start_background_work(&self, data: &DataFolder) -> anyhow::Result<()> {
        let (app, tasks) = (&self.app, &self.tasks);
        let (watched, stopping) = (Arc::clone(&self.connections), tasks.clone());
        tasks.supervise("the watch over connections", move || {
            Arc::clone(&watched).watch(stopping.clone())
        });
        if app.config.chores.is_enabled {
            chores::start(app, tasks);
        }
        mail::deliver::start(app, tasks)?;
        sharing::start(app, tasks);
        node_orders::start(app, tasks);
        if let Some(accounts) = app.accounts.clone() {
            let stopping = tasks.clone();
            tasks.supervise("the memory of password hashes", move || {
                let (accounts, mut stopping) = (accounts.clone(), stopping.clone());
                async move {
                    tokio::select! {
                        () = stopping.stopped() => {}
                        () = accounts.free_unused_buffers() => {}
                    }
                }
            });
        }
        match control::socket::open(&data.socket()) {
            Ok(socket) => {
                let (socket, app, stopping) = (Arc::new(socket), Arc::clone(app), tasks.clone());
                tasks.supervise("the control socket", move || {
                    control::socket::serve(Arc::clone(&socket), Arc::clone(&app), stopping.clone())
                });
            }
            // The path may be too long for a socket; the server works without one.
            Err(error) => tracing::warn!("commands cannot reach this server while it serves: {error:#}"),
        }
        Ok(())
    }

    /// The handler of a listener that serves these surfaces.
    pub fn request_handler(&self, surfaces: &BTreeSet<Surface>) -> RequestHandler {
        let app = &self.app;
        RequestHandler::new(
            assemble::listener_service(app, surfaces, &self.tasks),
            app.config.server.trusted_proxies.clone(),
            Arc::clone(&app.exposure),
            Arc::clone(&self.request_ids),
            DrainLimits::for_uploads_of(app.config.storage.limits.max_request_bytes),
            app.security_log.security_events(),
        )
    }

    /// Takes connections from a socket and serves these surfaces on them.
    pub fn listen(&self, socket: Socket, surfaces: &BTreeSet<Surface>) {
        let handler = Arc::new(self.request_handler(surfaces));
        let (socket, connections) = (Arc::new(socket), Arc::clone(&self.connections));
        let stopping = self.tasks.clone();
        self.tasks.supervise("a listener", move || {
            listen::serve(
                Arc::clone(&socket),
                Arc::clone(&handler),
                Arc::clone(&connections),
                stopping.clone(),
            )
        });
    }

    /// Ends the requests under way and the background work, then closes the storage engine. Work that takes longer than
    /// `timeout` is not waited for.
    pub async fn stop(self, timeout: Duration) {
        let Self { app, tasks, stop, .. } = self;
        drop(tasks);
        if !stop.stop(timeout).await {
            tracing::warn!("some requests were still under way when the time to stop was up");
        }
        if let Some(storage) = &app.storage {
            storage.close_engine().await;
        }
    }
}
