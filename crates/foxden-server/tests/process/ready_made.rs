//! The files of `config/`: each starts as it is written, and they work together.

use std::fs;
use std::path::PathBuf;

use crate::program::{Folder, Start};

/// The text of a file of `config/` in which each of these is replaced.
///
/// Data and secrets go into the folder of the test, and the port is any free one. Nothing else is changed.
fn file(folder: &Folder, name: &str, replacements: &[(&str, &str)]) -> PathBuf {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name);
    let mut text = fs::read_to_string(&source).unwrap();
    let own = folder.path().display().to_string();
    let usual = [
        ("\"/var/lib/", format!("\"{own}/")),
        ("\"sqlite:/var/lib/", format!("\"sqlite:{own}/")),
        ("\"/etc/foxden/", format!("\"{own}/")),
        ("127.0.0.1:5000", "127.0.0.1:0".to_owned()),
        ("127.0.0.1:5001", "127.0.0.1:0".to_owned()),
    ];
    let usual = usual.iter().map(|(from, to)| (*from, to.as_str()));
    for (from, to) in replacements.iter().copied().chain(usual) {
        text = text.replace(from, to);
    }
    fs::write(folder.path().join("master_secret"), crate::program::SECRET).unwrap();
    let path = folder.path().join(format!("{}-{name}", replacements.len()));
    fs::write(&path, text).unwrap();
    path
}

/// How to start a program as such a file says, without anything from elsewhere.
fn start<'a>(folder: &'a Folder, name: &'static str, file: &std::path::Path) -> Start<'a> {
    let start = Start::on(folder).bare().named(name);
    start.set("FOXDEN_CONFIG", file.to_str().unwrap())
}

#[test]
fn each_file_starts_on_its_own() {
    for (name, url) in [
        ("all-in-one.toml", "https://sync.example.org"),
        ("registration.toml", "https://sync.example.org"),
        ("storage.toml", "https://node1.example.org"),
    ] {
        let folder = Folder::new();
        let program = start(&folder, "program", &file(&folder, name, &[])).serve();
        assert_eq!(program.url(), url, "{name}");
        let address = format!("http://{}", program.log_address());
        let call = crate::peer::wire::Call::get("/__heartbeat__").header("Host", "sync.example.org");
        crate::peer::wire::Server::at(&address).send(&call).expect(200);
        program.stop();
    }
}
