//! The servers under test: one process with all surfaces, a registration server with two storage nodes, or two processes on one
//! database server.

use std::process::Output;

use crate::program::{Folder, Program, Start};
use crate::several::Several;
use foxden_sql::testing::TestServer;
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
    /// Two processes that are alike on one database server, behind a balancer.
    Several(TestServer),
}

/// The processes.
pub struct TestServers {
    processes: Processes,
    /// Declared last, so that it is dropped after the processes.
    folder: Folder,
}

enum Processes {
    One(Program),
    Split {
        registration: Program,
        nodes: Vec<Program>,
    },
    Several(Box<Several>),
}

impl TestServers {
    /// Starts the processes, each with these settings.
    pub fn start(topology: Topology, settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let processes = match topology {
            Topology::AllInOne => Processes::One(with(Start::on(&folder).named("front"), settings).serve()),
            Topology::Split => {
                let (registration, nodes) = split(&folder, settings);
                Processes::Split { registration, nodes }
            }
            Topology::Several(server) => {
                assert!(settings.is_empty(), "their settings are in their file");
                Processes::Several(Box::new(Several::start(&folder, server).behind_a_balancer()))
            }
        };
        Self { processes, folder }
    }

    /// The server, at the address that a person types.
    pub fn server(&self) -> Server {
        match &self.processes {
            Processes::One(program) => Server::at(program.url()),
            Processes::Split { registration, .. } => Server::at(registration.url()),
            Processes::Several(several) => several.server(),
        }
    }

    /// The base URLs of the storage nodes.
    pub fn bases(&self) -> Vec<String> {
        match &self.processes {
            Processes::Split { nodes, .. } => nodes.iter().map(|node| format!("{}/", node.url())).collect(),
            _ => vec![format!("{}/", self.server().base())],
        }
    }

    /// The logs of all processes.
    pub fn logs(&self) -> String {
        match &self.processes {
            Processes::One(program) => program.log(),
            Processes::Split { registration, nodes } => {
                nodes.iter().chain([registration]).map(Program::log).collect()
            }
            Processes::Several(several) => several.programs.iter().map(Program::log).collect(),
        }
    }

    /// Waits until the processes know each other, as all do that have run for some seconds.
    pub fn meet(&self) {
        if let Processes::Several(several) = &self.processes {
            several.meet();
        }
    }

    /// Whether each process has answered such a request, of those that serve the same.
    pub fn have_all_answered(&self, part: &str) -> bool {
        match &self.processes {
            Processes::Several(several) => several.have_both_answered(part),
            _ => self.logs().contains(part),
        }
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
