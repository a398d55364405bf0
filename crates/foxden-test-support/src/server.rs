//! The shipped server in the test's own process, without sockets: its clock is moved by hand, its random bytes follow from a
//! seed, and its passwords are hashed at little cost.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use foxden_accounts::security::EntryPoint;
use foxden_accounts::{Accounts, ClientInfo, Cost, MIGRATIONS, Nodes, Options, Parts};
use foxden_http::ops::Version;
use foxden_model::{Clock, ManualClock, Rng, SeededRng};
use foxden_server::config::Config;
use foxden_server::data::DataFolder;
use foxden_server::{App, Components, Environment, NodeSync, RequestHandler, Server, configured_site};
use foxden_sql::Database;

/// When every test server starts, in milliseconds since 1970.
pub const START: i64 = 1_763_690_000_000;

/// The cheapest password hash.
const CHEAP: Cost = Cost {
    memory: 8,
    passes: 1,
    lanes: 1,
};

const VERSION: Version = Version {
    source: "",
    version: "1.2.3",
    commit: "",
    build: "",
};

/// A server that answers requests without a socket.
pub struct TestServer {
    /// Its clock.
    pub clock: Arc<ManualClock>,
    server: Server,
    handler: RequestHandler,
    // Dropped after the services, so that no file in it is open any more.
    _data: DataFolder,
    _folder: Folder,
}

/// A folder that is removed with its server.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("foxden-test-server-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Files that stay are in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl TestServer {
    /// A server with this configuration. `nodes`, if given, are in its register in place of those in the configuration.
    pub async fn open(config: &Config, nodes: Option<Vec<String>>) -> Result<Self> {
        let folder = Folder::new();
        let data = DataFolder::open(&folder.0)?;
        let clock = Arc::new(ManualClock::at_millis(START));
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(1));
        let register = Database::in_memory(MIGRATIONS).await?;
        let mut components = Components::of(config);
        if let Some(nodes) = nodes {
            components.nodes = NodeSync::Keep;
            write_nodes(register.clone(), nodes, Arc::clone(&clock) as _, Arc::clone(&rng)).await?;
        }
        let environment = Environment {
            clock: Arc::clone(&clock) as _,
            rng,
            version: VERSION,
            cost: CHEAP,
            register: Some(register),
        };
        let site = Arc::new(configured_site(config)?);
        let app = App::open(config, &data, site, environment, components).await?;
        let server = Server::new(Arc::new(app), 1);
        Ok(Self {
            clock,
            handler: server.request_handler(&config.surfaces()),
            server,
            _data: data,
            _folder: folder,
        })
    }

    /// Its services.
    pub fn app(&self) -> &App {
        self.server.app()
    }

    /// Its accounts.
    pub fn accounts(&self) -> Result<&Accounts> {
        self.app()
            .accounts
            .as_ref()
            .context("this server has no accounts")
    }

    /// Answers a request as if it came on a connection of its own, from this machine.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let connection = self.server.connection_limiter().admit(None).await;
        let connection = connection.expect("this machine has no share that it could exceed");
        let answer = self
            .handler
            .answer(request, Some(address), connection.state())
            .await;
        answer.map(Body::new)
    }

    /// The same, and waits for the whole body.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Bytes>> {
        let (parts, body) = self.answer(request).await.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await;
        Ok(Response::from_parts(parts, body.context("the body broke off")?))
    }
}

/// The operator of the server, who creates accounts for tests.
pub fn operator() -> ClientInfo {
    ClientInfo {
        address: Ipv4Addr::LOCALHOST.into(),
        is_private: true,
        user_agent: String::new(),
        entry_point: EntryPoint::Operator,
    }
}

/// Writes a list of nodes to the register, as a process with another configuration does.
async fn write_nodes(
    database: Database,
    nodes: Vec<String>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<()> {
    let nodes = Nodes::Listed(nodes);
    let options = Options::default();
    Accounts::open(Parts {
        database,
        clock,
        rng,
        nodes,
        options,
    })
    .await?;
    Ok(())
}
