//! A registration server and its storage nodes, each started from its file of `config/`.

use std::fs;
use std::path::PathBuf;

use crate::program::{Folder, Program, SECRET, Start};
use foxden_test_support::client::wire::Server;

/// The registration server and the nodes, not yet started, each at an address of its own.
pub struct Cluster<'a> {
    pub registration: Start<'a>,
    pub nodes: Vec<Start<'a>>,
    /// The nodes' URLs, in the same order.
    pub urls: Vec<String>,
    /// The configuration file of the registration server.
    file: PathBuf,
}

impl<'a> Cluster<'a> {
    /// One registration server with open sign-up, and so many nodes.
    pub fn new(folder: &'a Folder, nodes: usize) -> Self {
        const NAMES: [&str; 2] = ["node1", "node2"];
        let address = || format!("127.0.0.1:{}", Start::free_port());
        let addresses: Vec<String> = (0..nodes).map(|_| address()).collect();
        let urls: Vec<String> = addresses
            .iter()
            .map(|address| format!("http://{address}"))
            .collect();
        let node = |at: usize| {
            let (url, data) = (format!("\"{}\"", urls[at]), format!("/{}\"", NAMES[at]));
            let replacements = [
                ("\"https://node1.example.org\"", url.as_str()),
                ("127.0.0.1:5001", &addresses[at]),
                ("/foxden-storage\"", &data),
            ];
            start(
                folder,
                NAMES[at],
                &file(folder, "storage.toml", NAMES[at], &replacements),
            )
        };
        let own = address();
        let listed: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
        let (url, listed) = (format!("\"http://{own}\""), listed.join(", "));
        let replacements = [
            ("\"https://sync.example.org\"", url.as_str()),
            ("\"https://node1.example.org\"", &listed),
            ("127.0.0.1:5000", &own),
            ("\"invite\"", "\"open\""),
        ];
        let file = file(folder, "registration.toml", "registration", &replacements);
        Self {
            registration: start(folder, "registration", &file),
            nodes: (0..nodes).map(node).collect(),
            urls,
            file,
        }
    }

    /// Names these nodes from the next start of the server of accounts on.
    pub fn list(&self, urls: &[&str]) {
        let text = fs::read_to_string(&self.file).unwrap();
        let quoted = |urls: &mut dyn Iterator<Item = &str>| {
            let quoted: Vec<String> = urls.map(|url| format!("\"{url}\"")).collect();
            quoted.join(", ")
        };
        let before = quoted(&mut self.urls.iter().map(String::as_str));
        assert!(text.contains(&before), "{text}");
        let after = quoted(&mut urls.iter().copied());
        fs::write(&self.file, text.replace(&before, &after)).unwrap();
    }

    /// Starts all of it, the nodes last.
    pub fn serve(&self) -> (Program, Vec<Program>) {
        let registration = self.registration.serve();
        (registration, self.nodes.iter().map(Start::serve).collect())
    }

    /// The file that all of them share.
    pub fn register(folder: &Folder) -> PathBuf {
        folder.path().join("foxden-registration/register.sqlite")
    }
}

/// The text of a file of `config/` in which each of these is replaced, under a name of its own.
///
/// Data and secrets go into the folder of the test, and ports are free ones where nothing else is said.
pub fn file(folder: &Folder, name: &str, label: &str, replacements: &[(&str, &str)]) -> PathBuf {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name);
    let text = fs::read_to_string(&source).unwrap();
    for (from, _) in replacements {
        assert!(text.contains(from), "{name} does not say {from}");
    }
    let replacements: Vec<_> = replacements
        .iter()
        .map(|(from, to)| (*from, (*to).to_owned()))
        .collect();
    configured(folder, &text, label, &replacements)
}

/// This configuration, in which each of these is replaced, under a name of its own.
pub fn configured(folder: &Folder, text: &str, label: &str, replacements: &[(&str, String)]) -> PathBuf {
    let mut text = text.to_owned();
    let own = folder.path().display().to_string();
    let usual = [
        ("\"/var/lib/", format!("\"{own}/")),
        ("\"sqlite:/var/lib/", format!("\"sqlite:{own}/")),
        ("\"/etc/foxden/", format!("\"{own}/")),
        ("127.0.0.1:5000", "127.0.0.1:0".to_owned()),
        ("127.0.0.1:5001", "127.0.0.1:0".to_owned()),
    ];
    for (from, to) in replacements.iter().chain(&usual) {
        text = text.replace(from, to);
    }
    fs::write(folder.path().join("master_secret"), SECRET).unwrap();
    let path = folder.path().join(format!("{label}.toml"));
    fs::write(&path, text).unwrap();
    path
}

/// How to start a program as such a file says, without anything from elsewhere.
pub fn start<'a>(folder: &'a Folder, name: &'static str, file: &std::path::Path) -> Start<'a> {
    let start = Start::on(folder).bare().named(name);
    start.set("FOXDEN_CONFIG", file.to_str().unwrap())
}

/// A program, as a client reaches it.
pub fn server(program: &Program) -> Server {
    Server::at(program.url())
}
