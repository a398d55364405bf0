//! Wrong set-ups of database servers: `foxden check` names cause and cure of each, and so does the start, which ends at once.

use foxden_sql::testing::TestServer;

use super::own_server::OwnServer;
use super::{
    DATABASES, PASSWORD, User, failed_start, said, url, with_database, with_host, with_login, with_option,
};
use crate::program::{Folder, Start};

/// Objects in this database, and accounts in this database, are refused with these words; no password is shown.
#[track_caller]
fn expect_refusal(url: &str, cause: &str, cure: &str) {
    for (variable, what) in DATABASES {
        let folder = Folder::new();
        let start = Start::on(&folder).set(variable, url);
        let checked = start.run(&["check"]);
        let text = said(&checked);
        assert!(!checked.status.success(), "{text}");
        let finding = format!("BAD   {what}: ");
        let (_, finding) = text
            .split_once(&finding)
            .unwrap_or_else(|| panic!("no finding: {text}"));
        let mut lines = finding.lines();
        let (is, wants) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(is.contains(cause) && wants.contains(cure), "{is}\n{wants}");

        let started = failed_start(&start);
        assert!(started.contains(cause) && started.contains(cure), "{started}");
        for text in [text, started] {
            assert!(!text.contains(PASSWORD) && !text.contains(&login(url)), "{text}");
        }
    }
}

/// The end of a log-in with a password, as it must not be shown.
fn login(url: &str) -> String {
    let user = url.split_once("://").unwrap().1.split_once('@').unwrap().0;
    user.split_once(':')
        .map_or("\0 none".to_owned(), |(_, password)| format!(":{password}@"))
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn nothing_listens_at_the_port() {
    for server in TestServer::ALL {
        let place = format!("127.0.0.1:{}", Start::free_port());
        let url = with_host(&url(server), &place);
        expect_refusal(
            &url,
            &format!("no server listens at {place}"),
            "start it, or correct the address",
        );
    }
}

#[test]
#[ignore = "needs a PostgreSQL that asks for passwords: run by cargo xtask test"]
fn the_password_is_wrong() {
    let user = User::new(TestServer::Postgres);
    let login = format!("{}:not-{PASSWORD}", user.name);
    let wrong = with_login(&url(TestServer::Postgres), &login);
    let cause = format!("refuses the password of {}", user.name);
    expect_refusal(&wrong, &cause, "correct the password in the URL");
    let missing = with_login(&url(TestServer::Postgres), &user.name);
    expect_refusal(&missing, "the URL has no password", "password_file=");
    let folder = Folder::new();
    let file = folder.path().join("password");
    std::fs::write(&file, "\n").unwrap();
    let empty = with_option(&missing, &format!("password_file={}", file.display()));
    expect_refusal(&empty, "is empty", "write the password to it");

    let user = User::new(TestServer::Mariadb);
    let login = format!("{}:not-{PASSWORD}", user.name);
    let wrong = with_login(&url(TestServer::Mariadb), &login);
    let cause = format!("refuses {} or its password", user.name);
    expect_refusal(&wrong, &cause, "correct the user or the password in the URL");
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn there_is_no_such_database() {
    for server in TestServer::ALL {
        let url = url(server);
        let (place, _) = url.rsplit_once('/').unwrap();
        let url = format!("{place}/no_such_database");
        expect_refusal(
            &url,
            "has no database no_such_database",
            "create it, or correct the URL",
        );
    }
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn the_user_may_not_create_tables() {
    let user = User::new(TestServer::Postgres);
    let namespace = TestServer::Postgres.namespace("no_create");
    let grant = format!("GRANT USAGE ON SCHEMA {} TO {}", namespace.name(), user.name);
    TestServer::Postgres.run(&grant);
    let cause = format!(
        "{} may not create tables in the schema {}",
        user.name,
        namespace.name()
    );
    let cure = format!("run: GRANT USAGE, CREATE ON SCHEMA {} TO", namespace.name());
    expect_refusal(&user.url(namespace.url()), &cause, &cure);

    let other = User::new(TestServer::Mariadb);
    let namespace = TestServer::Mariadb.namespace("no_create");
    let grant = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO {}",
        namespace.name(),
        other.name
    );
    TestServer::Mariadb.run(&grant);
    let cure = format!("run: GRANT ALL ON `{}`.* TO", namespace.name());
    expect_refusal(
        &other.url(namespace.url()),
        "a privilege is missing: CREATE command denied",
        &cure,
    );
}

#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn a_crash_would_lose_what_was_acknowledged() {
    let user = User::new(TestServer::Postgres);
    TestServer::Postgres.run(&format!("ALTER ROLE {} SET synchronous_commit = off", user.name));
    let url = user.url(&url(TestServer::Postgres));
    expect_refusal(
        &url,
        "synchronous_commit is off",
        "set it to on, or accept that with ?synchronous_commit=off",
    );
}

#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn the_server_is_read_only() {
    let user = User::new(TestServer::Postgres);
    TestServer::Postgres.run(&format!(
        "ALTER ROLE {} SET default_transaction_read_only = on",
        user.name
    ));
    let url = user.url(&url(TestServer::Postgres));
    expect_refusal(
        &url,
        "the server is a replica or read-only",
        "name the primary in the URL",
    );
}

/// A MariaDB of the test's own is set so; that is refused.
#[track_caller]
fn expect_refusal_with(setting: &str, cause: &str, cure: &str) {
    let server = OwnServer::start(TestServer::Mariadb);
    TestServer::Mariadb.run_at(server.url(), &format!("SET GLOBAL {setting}"));
    expect_refusal(server.url(), cause, cure);
}

#[test]
#[ignore = "starts a MariaDB of its own: run by cargo xtask test"]
fn the_server_is_read_only_in_mariadb() {
    expect_refusal_with(
        "read_only = 1",
        "the server is a replica or read-only",
        "name the primary in the URL",
    );
}

#[test]
#[ignore = "starts a MariaDB of its own: run by cargo xtask test"]
fn large_uploads_do_not_fit_into_a_packet() {
    expect_refusal_with(
        "max_allowed_packet = 1048576",
        "max_allowed_packet is 1048576 bytes, too few for a large upload",
        "set it to 16M or more in the server's configuration",
    );
}

/// The others are right, and nothing is refused there.
#[test]
#[ignore = "starts a MariaDB of its own: run by cargo xtask test"]
fn the_binary_log_gets_statements() {
    let server = OwnServer::with_binary_log();
    let set = |format: &str| {
        let set = format!("SET GLOBAL binlog_format = {format}");
        TestServer::Mariadb.run_at(server.url(), &set);
    };
    set("STATEMENT");
    expect_refusal(
        server.url(),
        "binlog_format is STATEMENT, and InnoDB refuses writes",
        "set it to MIXED or ROW in the server's configuration",
    );
    for format in ["MIXED", "ROW"] {
        set(format);
        let folder = Folder::new();
        let mut start = Start::on(&folder);
        for (variable, _) in DATABASES {
            start = start.set(variable, server.url());
        }
        start.serve().stop();
        let text = said(&start.run(&["check"]));
        assert!(!text.contains("BAD"), "{text}");
    }
}

/// It may refuse the options of a session, or swallow them.
#[test]
#[ignore = "starts pgbouncer before a PostgreSQL: run by cargo xtask test"]
fn a_pooler_is_before_the_server_and_the_url_does_not_say_so() {
    let pooler = OwnServer::pooler();
    let console = with_database(pooler.url(), "pgbouncer");
    for ignored in ["extra_float_digits", "extra_float_digits,options"] {
        let set = format!("SET ignore_startup_parameters = '{ignored}'");
        TestServer::Postgres.run_at(&console, &set);
        expect_refusal(
            pooler.url(),
            &format!("a pooler such as pgbouncer stands at {}", pooler.place()),
            "connect to PostgreSQL itself, or add ?pgbouncer=true to the URL",
        );
    }
    let told = with_option(pooler.url(), "pgbouncer=true");
    for (variable, what) in DATABASES {
        let folder = Folder::new();
        let text = said(&Start::on(&folder).set(variable, &told).run(&["check"]));
        assert!(!text.contains("BAD"), "{text}");
        assert!(text.contains(&format!("{what}: PostgreSQL ")), "{text}");
    }
}

/// A database of PostgreSQL that is dropped with this.
struct Latin1(String);

impl Drop for Latin1 {
    fn drop(&mut self) {
        TestServer::Postgres.run(&format!("DROP DATABASE {}", self.0));
    }
}

#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn the_database_is_not_utf8() {
    let database = Latin1(format!("foxden_latin1_{}", std::process::id()));
    let create = format!(
        "CREATE DATABASE {} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        database.0
    );
    TestServer::Postgres.run(&create);
    let url = url(TestServer::Postgres);
    let (place, _) = url.rsplit_once('/').unwrap();
    let cause = format!("the database {} keeps text as LATIN1", database.0);
    expect_refusal(
        &format!("{place}/{}", database.0),
        &cause,
        "create it anew with ENCODING 'UTF8'",
    );
}

/// A look makes no tables, and finds those that a start has made.
#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn tables_are_missing_and_then_those_of_a_newer_program() {
    for server in TestServer::ALL {
        let namespace = server.namespace("newer");
        let folder = Folder::new();
        let mut start = Start::on(&folder);
        for (variable, _) in DATABASES {
            start = start.set(variable, namespace.url());
        }
        let found = |mark: &str, end: &str| {
            let text = said(&start.run(&["check"]));
            for (_, what) in DATABASES {
                let begin = format!("{mark}  {what}: ");
                let is_there = text
                    .lines()
                    .any(|line| line.starts_with(&begin) && line.ends_with(end));
                assert!(is_there, "no {begin:?}: {text}");
            }
        };
        for _ in 0..2 {
            found("look", ", which has no tables yet");
        }
        start.serve().stop();
        let database = namespace
            .url()
            .split_once('?')
            .unwrap()
            .0
            .rsplit_once('/')
            .unwrap()
            .1;
        found("ok  ", &format!(", database {database}"));

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for table in ["sync_migration", foxden_accounts::MIGRATIONS.table] {
            let later = format!("UPDATE {table} SET version = 1000");
            runtime.block_on(namespace.run(&later));
        }
        let newer = "the database is newer than this program: its tables are at version 1000";
        let text = said(&start.run(&["check"]));
        for (_, what) in DATABASES {
            assert!(text.contains(&format!("BAD   {what}: {newer}")), "{text}");
        }
        assert!(failed_start(&start).contains(newer));
    }
}

#[test]
fn an_option_of_the_url_is_unknown() {
    for scheme in ["postgres", "mysql"] {
        for (variable, _) in DATABASES {
            let folder = Folder::new();
            let wrong = format!("{scheme}://ann:{PASSWORD}@127.0.0.1/foxden?sslmod=require");
            let start = Start::on(&folder).set(variable, wrong);
            let checked = start.run(&["check"]);
            let started = failed_start(&start);
            assert!(!checked.status.success());
            for text in [said(&checked), started] {
                assert!(
                    text.contains("has an unknown option") && text.contains("sslmod"),
                    "{text}"
                );
                assert!(
                    text.contains("known are pool, sslmode,") && !text.contains(PASSWORD),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn the_password_file_cannot_be_read() {
    let folder = Folder::new();
    let missing = folder.path().join("missing");
    for (scheme, file) in [("postgres", missing.as_path()), ("mysql", folder.path())] {
        let url = format!("{scheme}://ann@127.0.0.1/foxden?password_file={}", file.display());
        let cause = format!("the password file {} cannot be read", file.display());
        expect_refusal(&url, &cause, "correct password_file= in the URL");
    }
}

/// A node that checks passwords reads the accounts of another program, and migrates nothing there.
#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn the_accounts_of_a_node_do_not_know_it() {
    for server in TestServer::ALL {
        let namespace = server.namespace("node");
        let folder = Folder::new();
        let own = format!("http://127.0.0.1:{}", Start::free_port());
        let node = Start::on(&folder)
            .named("node")
            .with("--surfaces")
            .with("sync")
            .with("--public-url")
            .with(&own)
            .set("FOXDEN__STORAGE__LEGACY", "true")
            .set("FOXDEN__ACCOUNTS__URL", namespace.url());
        let text = said(&node.run(&["check"]));
        assert!(
            text.contains("look  there are no accounts in ") && !text.contains(PASSWORD),
            "{text}"
        );

        let registration = Start::on(&folder).set("FOXDEN__ACCOUNTS__URL", namespace.url());
        registration.serve().stop();
        let text = said(&node.run(&["check"]));
        let unknown = format!("BAD   node {own} is not in tokens.nodes of the registration server");
        assert!(text.contains(&unknown), "{text}");

        registration.set("FOXDEN__TOKENS__NODES", &own).serve().stop();
        let text = said(&node.run(&["check"]));
        assert!(
            text.contains(&format!("ok    the accounts can be read and send users to {own}")),
            "{text}"
        );
    }
}

#[test]
#[ignore = "needs database servers: run by cargo xtask test"]
fn the_server_offers_no_encryption_that_is_asked_for() {
    for server in TestServer::ALL {
        let url = with_option(&url(server), "sslmode=verify-full");
        let cause = "cannot be encrypted: server does not support TLS";
        expect_refusal(&url, cause, "turn TLS on in the server, or write sslmode=prefer");
    }
}
