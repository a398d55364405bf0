//! What a client meets: one process that does everything, or registration with two storage nodes.

use std::process::Output;

use crate::program::{Folder, Program, Start};
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::wire::Server;

/// The address of most persons here.
pub const ANN: &str = "ann@example.org";
/// Her password.
pub const PASSWORD: &str = "correct horse";

/// Which processes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    AllInOne,
    /// One with accounts and tokens, two with storage.
    Split,
}

/// The processes.
pub struct TestServers {
    /// Where the accounts are; with it, in one process, everything.
    front: Program,
    /// The other processes, which keep the objects.
    nodes: Vec<Program>,
    /// Outlives the processes: they are dropped first.
    folder: Folder,
}

impl TestServers {
    /// Starts the processes, each with these settings.
    pub fn start(shape: Shape, settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let (front, nodes) = match shape {
            Shape::AllInOne => (
                with(Start::on(&folder).named("front"), settings).serve(),
                Vec::new(),
            ),
            Shape::Split => split(&folder, settings),
        };
        Self { front, nodes, folder }
    }

    /// What a person types as the server's address.
    pub fn server(&self) -> Server {
        Server::at(self.front.url())
    }

    /// The bases that a client may be sent to.
    pub fn bases(&self) -> Vec<String> {
        let nodes = if self.nodes.is_empty() {
            vec![&self.front]
        } else {
            self.nodes.iter().collect()
        };
        nodes.iter().map(|node| format!("{}/", node.url())).collect()
    }

    /// What all processes have logged.
    pub fn logs(&self) -> String {
        let all = self.nodes.iter().chain([&self.front]);
        all.map(Program::log).collect()
    }

    /// Runs a command of the operator on the registration server. Returns its output.
    pub fn operator(&self, command: &[&str]) -> Output {
        Start::on(&self.folder).named("front").run(command)
    }

    /// Makes Ann's account with a first device that has synced.
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
    let front = Start::on(folder)
        .named("front")
        .with("--surfaces")
        .with("token,user,fxa,pages,ops")
        .set("FOXDEN__TOKENS__NODES", urls.join(","));
    let front = with(front, settings).serve();
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
    (front, nodes.into_iter().map(node).collect())
}
