//! The servers under test: one process with all surfaces, or a registration server with two storage nodes.

use std::process::Output;

use crate::program::{Folder, Program, Start};
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::wire::Server;

/// Ann's address.
pub const ANN: &str = "ann@example.org";
/// Ann's password.
pub const PASSWORD: &str = "correct horse";

/// How the surfaces are distributed over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One process.
    AllInOne,
    /// One process with accounts and tokens, two with storage.
    Split,
}

/// The processes.
pub struct TestServers {
    /// The registration server; with [`Topology::AllInOne`] it also stores the objects.
    registration: Program,
    /// The storage nodes of [`Topology::Split`].
    nodes: Vec<Program>,
    /// Declared last, so that it is dropped after the processes.
    folder: Folder,
}

impl TestServers {
    /// Starts the processes, each with these settings.
    pub fn start(topology: Topology, settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let (registration, nodes) = match topology {
            Topology::AllInOne => (
                with(Start::on(&folder).named("front"), settings).serve(),
                Vec::new(),
            ),
            Topology::Split => split(&folder, settings),
        };
        Self {
            registration,
            nodes,
            folder,
        }
    }

    /// The server, at the address that a person types.
    pub fn server(&self) -> Server {
        Server::at(self.registration.url())
    }

    /// The base URLs of the storage nodes.
    pub fn bases(&self) -> Vec<String> {
        let nodes = if self.nodes.is_empty() {
            vec![&self.registration]
        } else {
            self.nodes.iter().collect()
        };
        nodes.iter().map(|node| format!("{}/", node.url())).collect()
    }

    /// The logs of all processes.
    pub fn logs(&self) -> String {
        let all = self.nodes.iter().chain([&self.registration]);
        all.map(Program::log).collect()
    }

    /// Runs a command of the operator on the registration server. Returns its output.
    pub fn operator(&self, command: &[&str]) -> Output {
        Start::on(&self.folder).named("front").run(command)
    }

    /// Creates Ann's account and a first device that has synced.
    #[track_caller]
    pub fn ann(&self) -> Device {
        foxden_test_support::client::legacy::account::register(&self.server(), ANN, PASSWORD);
        let mut device = Device::first(&self.server(), ANN, PASSWORD);
        device.sync().unwrap();
        device
    }
}

fn with<'a>(start: Start<'a>, settings: &[(&str, &str)]) -> Start<'a> {
    settings
        .iter()
        .fold(start, |start, (name, value)| start.set(name, *value))
}

fn split(folder: &Folder, settings: &[(&str, &str)]) -> (Program, Vec<Program>) {
    let ports = [Start::free_port(), Start::free_port()];
    let nodes = [(ports[0], "node1"), (ports[1], "node2")];
    let urls = nodes.map(|(port, name)| format!("http://127.0.0.1:{port}{}", Start::public_path(name)));
    let registration = Start::on(folder)
        .named("front")
        .with("--surfaces")
        .with("token,user,fxa,pages,ops")
        .set("FOXDEN__TOKENS__NODES", urls.join(","));
    let registration = with(registration, settings).serve();
    let register = format!("sqlite:{}", folder.path().join("front/register.sqlite").display());
    let node = |(port, name): (u16, &'static str)| {
        let node = Start::on(folder)
            .named(name)
            .without_flags()
            .with("--listen")
            .with(format!("127.0.0.1:{port}"))
            .with("--surfaces")
            .with("sync,ops")
            .set("FOXDEN__STORAGE__LEGACY", "true")
            .set("FOXDEN__STORAGE__VERIFY_TOKEN_NODE", "true")
            .set("FOXDEN__ACCOUNTS__URL", register.clone());
        with(node, settings).serve()
    };
    (registration, nodes.into_iter().map(node).collect())
}
