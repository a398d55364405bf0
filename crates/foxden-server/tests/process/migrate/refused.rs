//! Moves that are refused before anything is changed, each with its cause.

use std::collections::BTreeSet;

use foxden_sql::testing::TestServer;

use super::{Folder, Size, Start, dump, give_up, migrate, moved, namespace, refused, said, seed, sqlite};

const FEW: Size = Size {
    users: 3,
    objects_each: 20,
};

#[test]
fn what_is_no_pair_of_stores_is_refused() {
    let folder = Folder::new();
    let (store, other) = (sqlite(&folder, "store"), sqlite(&folder, "other"));
    seed(&store, FEW);
    let spelled = format!("{}?shards=4", store.replace("sqlite:", "sqlite://"));
    let within = format!("{store}/new/folder");
    let around = store
        .rsplit_once('/')
        .map(|(parent, _)| parent.to_owned())
        .unwrap();
    let nested = "the folder of one store lies in that of the other";
    for (from, to, cause) in [
        (
            store.as_str(),
            store.as_str(),
            "--from and --to name the same store",
        ),
        (&store, &spelled, "--from and --to name the same store"),
        (&store, &within, nested),
        (&store, &around, nested),
        (
            &store,
            "oracle://x",
            "--to is not the URL of a store: it must begin with the name of an engine",
        ),
        (&store, "memory:", "memory: stores nothing that could be moved"),
        (&other, &store, "there are no objects at sqlite:"),
        (
            &store,
            "postgres://user@127.0.0.1:1/none",
            "no server listens at 127.0.0.1:1",
        ),
    ] {
        let text = refused(&migrate(&folder, from, to));
        assert!(text.contains(cause), "{text}");
    }
    // It can still be served.
    dump(&store);
}

#[test]
fn a_store_that_is_served_is_not_moved_and_one_that_is_moved_is_not_served() {
    let folder = Folder::new();
    let (store, other) = (sqlite(&folder, "store"), sqlite(&folder, "other"));
    seed(&store, FEW);
    let start = Start::on(&folder).set("FOXDEN__STORAGE__URL", &store);
    let program = start.serve();
    let text = refused(&migrate(&folder, &store, &other));
    assert!(
        text.contains("in use by process") && text.contains("stop that one first"),
        "{text}"
    );
    program.stop();
    moved(&migrate(&folder, &store, &other));
    let text = super::super::databases::failed_start(&start);
    assert!(
        text.contains("its objects were moved to sqlite:") && text.contains("set storage.url to that"),
        "{text}"
    );
    let checked = said(&start.run(&["check"]));
    assert!(
        checked.contains("BAD   objects: ")
            && checked.contains("its objects were moved to sqlite:")
            && checked.contains("set storage.url to that"),
        "{checked}"
    );
    // The same command says so again; another one is refused.
    let text = said(&migrate(&folder, &store, &other));
    assert!(text.contains("All objects were moved."), "{text}");
    let text = refused(&migrate(&folder, &store, &sqlite(&folder, "third")));
    assert!(text.contains("was moved to sqlite:"), "{text}");
    // So is the way back, to a store that still has what it had.
    let text = refused(&migrate(&folder, &other, &store));
    assert!(
        text.contains("that move has ended") && text.contains("delete it, or name another"),
        "{text}"
    );
    let text = said(&give_up(&folder, &store));
    assert!(text.contains("can be served again"), "{text}");
    start.serve().stop();
    let text = refused(&give_up(&folder, &store));
    assert!(text.contains("takes part in no move"), "{text}");
    let text = refused(&migrate(&folder, &store, &other));
    assert!(text.contains("is not empty"), "{text}");
}

/// Another store was named, and nothing was moved there.
#[test]
fn objects_that_are_left_behind_are_told() {
    let folder = Folder::new();
    let (own, other) = (sqlite(&folder, "data/storage"), sqlite(&folder, "other"));
    seed(&own, FEW);
    let files = || {
        let files = std::fs::read_dir(folder.path().join("data/storage")).unwrap();
        files
            .map(|file| file.unwrap().file_name())
            .collect::<BTreeSet<_>>()
    };
    let before = files();
    let start = Start::on(&folder).set("FOXDEN__STORAGE__URL", &other);
    let told = "hold objects that are not served";
    let checked = said(&start.run(&["check"]));
    assert!(
        checked.contains("look  objects: the files in ") && checked.contains(told),
        "{checked}"
    );
    let program = start.serve();
    assert!(program.log().contains(told), "{}", program.log());
    program.stop();
    assert_eq!(files(), before, "a look leaves nothing behind");
    let served = said(&Start::on(&folder).run(&["check"]));
    assert!(
        served.contains("ok    objects: SQLite files in ") && !served.contains(told),
        "{served}"
    );
    moved(&migrate(&folder, &own, &other));
    let checked = said(&start.run(&["check"]));
    assert!(!checked.contains(told), "{checked}");
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn a_database_that_is_served_is_not_moved() {
    for server in TestServer::ALL {
        let folder = Folder::new();
        let database = namespace(server);
        let (store, other) = (sqlite(&folder, "store"), sqlite(&folder, "other"));
        seed(&store, FEW);
        moved(&migrate(&folder, &store, database.url()));
        let start = Start::on(&folder).set("FOXDEN__STORAGE__URL", database.url());
        let program = start.serve();
        assert_eq!(
            program.store(1).send("GET", "/info/collections", None).status,
            200
        );
        let text = refused(&migrate(&folder, database.url(), &other));
        assert!(
            text.contains("is in use by") && text.contains("stop every Foxden process"),
            "{text}"
        );
        program.stop();
        moved(&migrate(&folder, database.url(), &other));
        let text = super::super::databases::failed_start(&start);
        assert!(text.contains("its objects were moved to sqlite:"), "{text}");
        let checked = said(&start.run(&["check"]));
        assert!(
            checked.contains("BAD   objects: the database ")
                && checked.contains("its objects were moved to sqlite:")
                && checked.contains("set storage.url to that"),
            "{checked}"
        );
    }
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn a_database_that_does_not_fit_is_refused() {
    for server in TestServer::ALL {
        let folder = Folder::new();
        let database = namespace(server);
        let store = sqlite(&folder, "store");
        seed(&store, FEW);
        moved(&migrate(&folder, &store, database.url()));
        let run = |statement: &str| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(database.run(statement));
        };
        run("UPDATE sync_migration SET version = version + 100");
        let other = sqlite(&folder, "other");
        let text = refused(&migrate(&folder, database.url(), &other));
        assert!(text.contains("is newer than this program"), "{text}");
        run("UPDATE sync_migration SET version = version - 100");

        let user = super::super::databases::User::new(server);
        let empty = namespace(server);
        server.run(&match server {
            TestServer::Postgres => format!("GRANT USAGE ON SCHEMA {} TO {}", empty.name(), user.name),
            TestServer::Mariadb => format!("GRANT SELECT ON {}.* TO {}", empty.name(), user.name),
        });
        let text = refused(&migrate(&folder, database.url(), &user.url(empty.url())));
        assert!(text.contains("GRANT"), "{text}");
        // The source was not touched.
        moved(&migrate(&folder, database.url(), &other));
    }
}
