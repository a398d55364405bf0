//! The files of `config/`: each starts as it is written, and they work together.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;

use crate::cluster::{file, start};
use crate::program::{Folder, SECRET};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::wire::{Call, Server};

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

/// A configuration and a register from before the legacy protocols work as before: current browsers work, and the pages do
/// not mention protocols that are off.
#[tokio::test(flavor = "multi_thread")]
async fn a_setup_from_before_old_clients_still_works() {
    let folder = Folder::new();
    let data = folder.path().join("before");
    DirBuilder::new().mode(0o700).create(&data).unwrap();
    let register = data.join("register.sqlite").display().to_string();
    let first = &foxden_accounts::MIGRATIONS.sqlite[..1];
    drop(foxden_sql::Database::open(&register, first).await.unwrap());
    let (surfaces, place) = (r#"["sync", "token", "fxa", "pages", "ops"]"#, data.display());
    let text = format!(
        "master_secret = \"{SECRET}\"\ndata_dir = \"{place}\"\n[accounts]\nsign_up = \"open\"\n\
         [[listener]]\nbind = \"127.0.0.1:0\"\nsurfaces = {surfaces}\n"
    );
    let path = folder.path().join("before.toml");
    fs::write(&path, text).unwrap();

    let program = start(&folder, "before", &path).serve();
    let server = Server::at(program.url());
    let store = Session::sign_up(&server, "ann@example.org", "a password")
        .connect("first")
        .store();
    store.put("tabs", "a", "x").expect(200);
    let page = server.send(&Call::get("/")).expect(200).text();
    assert!(page.contains("Firefox") && !page.contains("Pale Moon"), "{page}");
    server.send(&Call::get("/user/1.0/ann")).expect(404);
    program.stop();
}
