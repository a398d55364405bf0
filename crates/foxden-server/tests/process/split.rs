//! Two servers that share a secret, and a server that moves.

use crate::program::{Folder, Start};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::wire::Server;

/// One has accounts and tokens, the other has storage; the secret is all they share.
#[test]
fn two_servers_with_one_secret_work_as_one() {
    let folder = Folder::new();
    let node = Start::on(&folder)
        .named("node")
        .with("--surfaces")
        .with("sync,ops")
        .serve();
    let registration = Start::on(&folder)
        .named("registration")
        .with("--surfaces")
        .with("token,user,fxa,pages,ops");
    let registration = registration.set("FOXDEN__TOKENS__NODES", node.url());
    let accounts = registration.serve();
    let server = Server::at(accounts.url());
    let browser = Session::sign_up(&server, "ann@example.org", "ann's password").connect("first");
    let store = browser.store();
    assert!(
        store.token["api_endpoint"]
            .as_str()
            .unwrap()
            .starts_with(node.url())
    );
    store.put("bookmarks", "a", "from the first").expect(200);
    let other = Session::sign_in(&server, "ann@example.org", "ann's password").connect("second");
    assert_eq!(other.store().payload("bookmarks", "a"), "from the first");
    assert!(
        !folder.path().join("registration/storage").exists(),
        "no object is kept with the accounts"
    );

    // Registration has no channel to the node: it empties a closed store by an ordinary request.
    let removed = registration.run(&["user", "remove", "ann@example.org", "--yes"]);
    assert!(
        removed.status.success(),
        "{}",
        String::from_utf8_lossy(&removed.stderr)
    );
    let listed = node
        .store(store.uid())
        .send("GET", "/info/collections", None)
        .expect(200);
    assert_eq!(listed.text(), "{}");
    let checked = registration.run(&["check"]);
    let text = String::from_utf8_lossy(&checked.stdout);
    let expected = format!("the node {} takes the tokens that are signed here", node.url());
    assert!(checked.status.success() && text.contains(&expected), "{text}");
    let stranger = registration.set("FOXDEN__MASTER_SECRET", "another secret entirely");
    let text = stranger.run(&["check"]).stdout;
    assert!(String::from_utf8_lossy(&text).contains("refuses the tokens that are signed here"));
    accounts.stop();
    node.stop();
    // On the files alone, too.
    assert!(
        stranger
            .run(&["chore", "run", "purge-expired-credentials"])
            .status
            .success()
    );
    assert!(
        !folder.path().join("registration/storage").exists(),
        "a command makes no files for objects"
    );
}

/// A node that is away when an account is removed is asked again, and then holds nothing of it either.
#[test]
fn a_node_that_was_away_is_emptied_later() {
    let folder = Folder::new();
    let url = format!("127.0.0.1:{}", Start::free_port());
    let node = Start::on(&folder).named("node").without_flags();
    let node = node
        .with("--surfaces")
        .with("sync,ops")
        .with("--listen")
        .with(&url);
    let away = node.serve();
    let registration = Start::on(&folder)
        .named("registration")
        .with("--surfaces")
        .with("token,user,fxa,pages,ops");
    let registration = registration
        .set("FOXDEN__TOKENS__NODES", away.url())
        .set("FOXDEN__CHORES__ENABLED", "false");
    let accounts = registration.serve();
    let session = Session::sign_up(&Server::at(accounts.url()), "ann@example.org", "ann's password");
    let store = session.connect("first").store();
    store.put("bookmarks", "a", "x").expect(200);
    away.stop();

    let removed = registration.run(&["user", "remove", "ann@example.org", "--yes"]);
    let text = String::from_utf8(removed.stdout).unwrap();
    assert!(
        removed.status.success() && text.contains("will be tried again"),
        "{text}"
    );
    let chore = ["chore", "run", "wipe-deleted-stores"];
    let back = node.serve();
    back.store(store.uid())
        .send("GET", "/storage/bookmarks/a", None)
        .expect(200);
    let done = registration.run(&chore);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    back.store(store.uid())
        .send("GET", "/storage/bookmarks/a", None)
        .expect(404);

    let session = Session::sign_up(&Server::at(accounts.url()), "bea@example.org", "bea's password");
    session
        .connect("first")
        .store()
        .put("bookmarks", "a", "x")
        .expect(200);
    back.stop();
    let removed = registration.run(&["user", "remove", "bea@example.org", "--yes"]);
    assert!(removed.status.success());
    assert!(
        !registration.run(&chore).status.success(),
        "the node is away again"
    );
    let listed = registration.run(&["chore", "list"]);
    let text = String::from_utf8_lossy(&listed.stdout);
    assert!(
        text.contains("failed 1 time since: 0 of 1 stores were emptied"),
        "{text}"
    );
    accounts.stop();
}

/// Started without configuration, filled, stopped, and started under another address: the store stays the
/// same, and so does what is in it.
#[test]
fn a_server_that_moves_keeps_its_stores() {
    let folder = Folder::new();
    let start = Start::on(&folder).unset("FOXDEN__MASTER_SECRET");
    let program = start.serve();
    let server = Server::at(program.url());
    let store = Session::sign_up(&server, "ann@example.org", "ann's password")
        .connect("first")
        .store();
    store.put("bookmarks", "a", "kept").expect(200);
    let uid = store.uid();
    let before = program.url().to_owned();
    program.stop();

    let moved = start.serve();
    let told = moved.log().matches("is taken for the same one").count();
    assert_eq!(
        told,
        usize::from(moved.url() != before),
        "the operator is told once"
    );
    assert_eq!(
        moved.log().matches("listening on").count(),
        2,
        "it is the same folder"
    );
    let server = Server::at(moved.url());
    let store = Session::sign_in(&server, "ann@example.org", "ann's password")
        .connect("again")
        .store();
    assert!(
        store.token["api_endpoint"]
            .as_str()
            .unwrap()
            .starts_with(moved.url())
    );
    assert_eq!(
        (store.uid(), store.payload("bookmarks", "a")),
        (uid, "kept".to_owned())
    );
    moved.stop();

    let port = Start::free_port();
    let named = Start::on(&folder).unset("FOXDEN__MASTER_SECRET").without_flags();
    let named = named.with("--listen").with(format!("127.0.0.1:{port}"));
    let named = named
        .with("--public-url")
        .with(format!("http://localhost:{port}/sync"));
    let program = named.serve();
    assert_eq!(program.url(), format!("http://localhost:{port}/sync"));
    let server = Server::at(&format!("http://localhost:{port}"));
    let session = Session::sign_in(&server, "ann@example.org", "ann's password");
    let store = session.connect("by name").store();
    assert_eq!(
        (store.uid(), store.payload("bookmarks", "a")),
        (uid, "kept".to_owned())
    );
    program.stop();
}
