//! The files of `config/`: each starts as it is written, and they work together.

use crate::cluster::{file, start};
use crate::peer::wire::{Call, Server};
use crate::program::Folder;

#[test]
fn each_file_starts_on_its_own() {
    for (name, url) in [
        ("all-in-one.toml", "https://sync.example.org"),
        ("registration.toml", "https://sync.example.org"),
        ("storage.toml", "https://node1.example.org"),
    ] {
        let folder = Folder::new();
        let program = start(&folder, "program", &file(&folder, name, "program", &[])).serve();
        assert_eq!(program.url(), url, "{name}");
        let address = format!("http://{}", program.log_address());
        let call = Call::get("/__heartbeat__").header("Host", "sync.example.org");
        Server::at(&address).send(&call).expect(200);
        // Old clients open their forms where the accounts are.
        let form = Call::get("/weave-password-reset").header("Host", "sync.example.org");
        let has_forms = name != "storage.toml";
        Server::at(&address)
            .send(&form)
            .expect(if has_forms { 200 } else { 404 });
        program.stop();
    }
}
