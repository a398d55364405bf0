//! Servers and URLs that this program cannot work with: each is refused with its cause and a cure.

use foxden_sql::SqlError;
use foxden_sql::testing::TestServer;

use crate::support::{Pool, at, fresh};
use crate::{Test, for_postgres, for_servers};

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = for_servers![
        a_wrong_address_user_or_database_is_named,
        a_missing_privilege_is_named,
        a_password_may_be_in_a_file,
    ];
    tests.extend(for_postgres![
        a_read_only_server_is_refused,
        a_server_that_forgets_is_refused_unless_that_is_wanted,
        a_missing_schema_is_named,
    ]);
    tests
}

async fn refusal(server: TestServer, url: &str) -> String {
    match Pool::open(server, url).await {
        Err(error @ SqlError::Unsuitable { .. }) => error.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("{server:?} works"),
    }
}

/// The URL of the namespace with another login.
fn as_user(url: &str, login: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, rest) = rest.split_once('@').unwrap();
    format!("{scheme}://{login}@{rest}")
}

async fn a_wrong_address_user_or_database_is_named(server: TestServer) {
    let namespace = fresh(server, "wrong").await;
    let url = namespace.url();
    let refused = refusal(server, &at(url, "127.0.0.1:1")).await;
    assert!(
        refused.contains("no server listens at 127.0.0.1:1; start it"),
        "{refused}"
    );
    let refused = refusal(server, &as_user(url, "nemo:sesame")).await;
    assert!(
        refused.contains("nemo") && !refused.contains("sesame"),
        "{refused}"
    );
    let (start, _) = url.rsplit_once('/').unwrap();
    let refused = refusal(server, &format!("{start}/nowhere")).await;
    assert!(
        refused.contains("has no database nowhere; create it"),
        "{refused}"
    );
    let refused = refusal(server, &at(url, "no.such.host.invalid:1")).await;
    assert!(refused.contains("no.such.host.invalid:1"), "{refused}");
}

async fn a_missing_privilege_is_named(server: TestServer) {
    let namespace = fresh(server, "privilege").await;
    let user = namespace.name();
    match server {
        TestServer::Postgres => {
            let create =
                format!("CREATE ROLE {user} LOGIN PASSWORD 'sesame'; GRANT USAGE ON SCHEMA {user} TO {user}");
            namespace.run(&create).await;
            let refused = refusal(server, &as_user(namespace.url(), &format!("{user}:sesame"))).await;
            assert!(refused.contains("may not create tables"), "{refused}");
            assert!(refused.contains("GRANT USAGE, CREATE ON SCHEMA"), "{refused}");
            namespace
                .run(&format!(
                    "GRANT {user} TO CURRENT_USER; DROP OWNED BY {user}; DROP ROLE {user}"
                ))
                .await;
        }
        TestServer::Mariadb => {
            let user = user.replace("foxden", "f");
            let create = format!(
                "CREATE USER {user}@'%' IDENTIFIED BY 'sesame'; GRANT SELECT ON {}.* TO {user}@'%'",
                namespace.name()
            );
            namespace.run(&create).await;
            let url = as_user(namespace.url(), &format!("{user}:sesame"));
            let pool = Pool::open(server, &url).await.unwrap();
            let refused = pool
                .migrate("version_of_test", &[])
                .await
                .unwrap_err()
                .to_string();
            assert!(
                refused.contains("a privilege is missing") && refused.contains("GRANT ALL ON"),
                "{refused}"
            );
            pool.close().await;
            let refused = refusal(server, &as_user(namespace.url(), &format!("{user}:secret"))).await;
            assert!(
                refused.contains("or its password") && !refused.contains("secret"),
                "{refused}"
            );
            namespace.run(&format!("DROP USER {user}@'%'")).await;
        }
    }
}

async fn a_password_may_be_in_a_file(server: TestServer) {
    let namespace = fresh(server, "file").await;
    let file = std::env::temp_dir().join(namespace.name());
    let login = namespace.url().split_once("://").unwrap().1;
    let login = login.split_once('@').unwrap().0;
    let (user, password) = login.split_once(':').unwrap_or((login, "any"));
    let url = as_user(namespace.url(), user);
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}password_file={}", file.display());
    let refused = refusal(server, &url).await;
    assert!(refused.contains("the password file"), "{refused}");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    Pool::open(server, &url).await.unwrap().check().await.unwrap();
    std::fs::remove_file(file).unwrap();
}

async fn a_read_only_server_is_refused(server: TestServer) {
    let refused = refused_with(server, "read_only", "default_transaction_read_only = on", "").await;
    assert!(
        refused
            .unwrap()
            .contains("a replica or read-only; name the primary")
    );
}

async fn a_server_that_forgets_is_refused_unless_that_is_wanted(server: TestServer) {
    let setting = "synchronous_commit = off";
    let refused = refused_with(server, "forgets", setting, "").await.unwrap();
    assert!(refused.contains("synchronous_commit is off"), "{refused}");
    for option in ["&synchronous_commit=off", "&synchronous_commit=on"] {
        assert_eq!(refused_with(server, "forgets", setting, option).await, None);
    }
}

/// Opens the database as a role with a setting; returns the refusal.
async fn refused_with(server: TestServer, name: &str, setting: &str, option: &str) -> Option<String> {
    let namespace = fresh(server, name).await;
    let user = namespace.name();
    let create = format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'sesame'; GRANT USAGE, CREATE ON SCHEMA {user} TO {user};
        ALTER ROLE {user} SET {setting}"
    );
    namespace.run(&create).await;
    let url = format!("{}{option}", as_user(namespace.url(), &format!("{user}:sesame")));
    let outcome = Pool::open(server, &url).await;
    namespace
        .run(&format!(
            "GRANT {user} TO CURRENT_USER; DROP OWNED BY {user}; DROP ROLE {user}"
        ))
        .await;
    outcome.err().map(|error| error.to_string())
}

async fn a_missing_schema_is_named(server: TestServer) {
    let namespace = fresh(server, "schema").await;
    let url = namespace.url().replace(namespace.name(), "no_such_schema");
    let refused = refusal(server, &url).await;
    assert!(refused.contains("has no schema no_such_schema"), "{refused}");
}
