//! The three sources together.

use std::path::Path;

use foxden_http::wire::PublicUrl;

use super::tokens::NodeSource;
use super::*;

fn from_file(text: &str) -> Result<Config, ConfigError> {
    let mut values = Values::new(SCHEMA);
    source::add_file(&mut values, Path::new("foxden.toml"), text)?;
    Config::read(&values)
}

fn message(result: Result<Config, ConfigError>) -> String {
    result.expect_err("it must be refused").to_string()
}

#[test]
fn nothing_set_is_a_server_on_loopback() {
    let config = from_file("").unwrap();
    let binds: Vec<String> = config.listeners.iter().map(|l| l.bind.to_string()).collect();
    assert_eq!(binds, ["127.0.0.1:5000"]);
    assert_eq!(config.listeners[0].surfaces.len(), 6);
    assert_eq!(config.storage.limits, foxden_storage::Limits::default());
    assert_eq!(config.storage.quota, None);
}

/// The files of `config/` say nothing that does not exist, and serve what their names promise.
#[test]
fn the_ready_made_files_are_right() {
    let read = |text: &str| {
        // The file with the secret is the operator's.
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("master_secret_file"));
        from_file(&lines.collect::<Vec<_>>().join("\n")).unwrap()
    };
    let all = read(include_str!("../../../../config/all-in-one.toml"));
    let node = read(include_str!("../../../../config/storage.toml"));
    let registration = read(include_str!("../../../../config/registration.toml"));
    let shared = read(include_str!("../../../../config/shared.toml"));
    let served = [&all, &node, &registration, &shared].map(|config| config.listeners[0].surfaces.len());
    assert_eq!(served, [6, 2, 5, 6]);
    assert_eq!(
        registration.tokens.nodes.named().first(),
        node.server.public_url.as_ref()
    );
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    let refused = message(from_file("[storage]\nmax_record_payload_bytes = \"3 MB\"\n"));
    assert_eq!(
        refused,
        "storage.max_post_bytes (default): max_post_bytes must not be less than max_record_payload_bytes"
    );
    assert!(from_file("[storage]\nmax_record_payload_bytes = \"1 MB\"\n").is_ok());
}

#[test]
fn the_later_source_wins() {
    let mut values = Values::new(SCHEMA);
    let file = "data_dir = \"a\"\n[storage]\nquota = \"1 MB\"\n[log]\nlevel = \"warn\"\n";
    source::add_file(&mut values, Path::new("foxden.toml"), file).unwrap();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = [
        variable("FOXDEN__STORAGE__QUOTA", "2 MB"),
        variable("FOXDEN__DATA_DIR", "b"),
    ];
    source::add_environment(&mut values, variables);
    let flags = Flags {
        data_dir: Some("c".into()),
        ..Flags::default()
    };
    source::add_flags(&mut values, &flags);

    let config = Config::read(&values).unwrap();
    assert_eq!(config.storage.quota, Some(2_000_000));
    assert_eq!(config.server.data_dir, Path::new("c"));
    assert_eq!(config.log.level, tracing::level_filters::LevelFilter::WARN);

    let origin = |key: &str| {
        let entries = document::entries(&values);
        let entry = entries.into_iter().find(|entry| entry.key == key).unwrap();
        entry.origin.to_string()
    };
    assert_eq!(origin("storage.quota"), "FOXDEN__STORAGE__QUOTA");
    assert_eq!(origin("data_dir"), "--data-dir");
    assert_eq!(origin("log.level"), "foxden.toml");
    assert_eq!(origin("http.idle_timeout"), "default");
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    for (text, key, meant) in [
        ("pubic_url = \"x\"", "pubic_url", "public_url"),
        ("[storage]\nquotas = \"1 MB\"", "storage.quotas", "storage.quota"),
        (
            "[[listener]]\nsurface = [\"ops\"]",
            "listener.0.surface",
            "listener.N.surfaces",
        ),
        ("quota = \"1 MB\"", "quota", "storage.quota"),
        // Nearest is a former name.
        ("[storage]\nrest = true", "storage.rest", "storage.maintenance"),
    ] {
        let message = message(from_file(text));
        assert_eq!(
            message,
            format!("foxden.toml: there is no setting {key}; did you mean {meant}?")
        );
    }
}

#[test]
fn a_text_without_quotes_is_refused() {
    assert_eq!(
        message(from_file("data_dir = 5\n[mail]\npassword = 007")),
        "foxden.toml is not valid TOML",
        "TOML itself knows no such number"
    );
    assert_eq!(
        message(from_file("data_dir = 5\n[mail]\npassword = 1e3")),
        "data_dir (foxden.toml): a text is needed, in quotes\n\
         mail.password (foxden.toml): a text is needed, in quotes"
    );
    assert!(from_file("data_dir = \"5\"").is_ok());
}

#[test]
fn a_variable_that_was_meant_as_a_setting_is_refused() {
    let message_of = |name: &str| {
        let mut values = Values::new(SCHEMA);
        source::add_environment(&mut values, [(name.to_owned(), "1".to_owned())]);
        values.check_names().err().map(|error| error.to_string())
    };
    for (name, meant) in [
        ("FOXDEN_STORAGE__MAINTENANCE", "FOXDEN__STORAGE__MAINTENANCE"),
        ("FOXDEN_HTTP_MAX_CONNECTIONS", "FOXDEN__HTTP__MAX_CONNECTIONS"),
        ("FOXDEN_DATA_DIR", "FOXDEN__DATA_DIR"),
    ] {
        let expected = format!("the variable {name} sets nothing; did you mean {meant}?");
        assert_eq!(message_of(name), Some(expected));
    }
    // Container managers set some of these for a service called Foxden.
    for name in [
        "FOXDEN_CONFIG",
        "FOXDEN_PORT",
        "FOXDEN_SERVICE_HOST",
        "FOXDEN_TEST_PROXY",
    ] {
        assert_eq!(message_of(name), None, "{name}");
    }
}

#[test]
fn a_missing_file_of_a_secret_is_named_with_its_setting() {
    let message = message(from_file("master_secret_file = \"/nowhere/secret\""));
    assert!(
        message.starts_with("master_secret_file (foxden.toml): cannot read /nowhere/secret: "),
        "{message}"
    );
}

#[test]
fn a_file_without_a_fit_secret_is_refused_and_named() {
    let folder = std::env::temp_dir().join(format!("foxden-secret-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("secret");
    let mail = "[mail]\nhost = \"mail.example.org\"\nfrom = \"sync@example.org\"\nusername = \"ann\"\n";
    for (above, name) in [
        ("", "master_secret"),
        ("[accounts]\n", "admin_secret"),
        (mail, "password"),
    ] {
        let text = format!("{above}{name}_file = {path:?}");
        for empty in ["", "\n", " \n\n"] {
            std::fs::write(&path, empty).unwrap();
            let message = message(from_file(&text));
            let expected = format!("{name}_file (foxden.toml): {} is empty", path.display());
            assert!(message.contains(&expected), "{message}");
        }
        if name != "password" {
            std::fs::write(&path, "short\n").unwrap();
            let message = message(from_file(&text));
            let expected = format!("{name}_file (foxden.toml): a secret of at least 16 characters");
            assert!(message.contains(&expected), "{message}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_wrong_value_names_its_setting_and_where_it_was_set() {
    for (text, part) in [
        (
            "[http]\nheader_timeout = 10",
            "http.header_timeout (foxden.toml): a time is a number and a unit",
        ),
        (
            "[http]\nmax_connections = 0",
            "http.max_connections (foxden.toml): a whole number",
        ),
        (
            "[accounts]\nsign_up = \"maybe\"",
            "accounts.sign_up (foxden.toml): one of open, invite, closed",
        ),
        (
            "master_secret = \"short\"",
            "master_secret (foxden.toml): a secret of at least",
        ),
        (
            "[[listener]]\nbind = \"5000\"",
            "listener.0.bind (foxden.toml): an address and a port",
        ),
        (
            "[key_exchange]\npath = \"/v1/x\"",
            "key_exchange.path (foxden.toml): something else is served below /v1",
        ),
        (
            "[key_exchange]\npath = \"/{a}\"",
            "key_exchange.path (foxden.toml): a path of letters",
        ),
        (
            "[tokens]\nnodes = [\"https://node1.example.org\", \"node2\"]",
            "tokens.nodes (foxden.toml): node2: it must begin with",
        ),
        (
            "[tokens]\nnodes = [\"https://node1.example.org\", \"commands\"]\n",
            "tokens.nodes (foxden.toml): commands: either commands add the nodes, or this list names them",
        ),
        (
            "[[listener]]\nsurfaces = [\"mail\"]",
            "listener.0.surfaces (foxden.toml): mail is not a surface",
        ),
        (
            "public_url = \"sync.example.org\"",
            "public_url (foxden.toml): it must begin with",
        ),
        (
            "public_url = \"https://sync.example.org/storage/\"",
            "public_url (foxden.toml): its path may not be /storage",
        ),
        (
            "[storage]\nurl = \"oracle://x\"",
            "storage.url (foxden.toml): it must begin with",
        ),
        (
            "[storage]\ncache = \"local\"",
            "storage.cache (foxden.toml): sqlite needs no cache in front of it",
        ),
        (
            "[storage]\nurl = \"postgres://ann@host/sync\"\ncache = \"here\"",
            "storage.cache (foxden.toml): it must be none",
        ),
        (
            "[storage]\nurl = \"postgres://ann@host/sync\"\ncache = \"rediss://host\"",
            "storage.cache (foxden.toml): TLS is not offered",
        ),
    ] {
        let message = message(from_file(text));
        assert!(message.starts_with(part), "{message}");
    }
}

/// The error for an old name gives the new one.
#[test]
fn a_setting_that_was_renamed_names_the_new_one() {
    let refused = message(from_file("[tokens]\nnode = \"https://node1.example.org\"\n"));
    assert_eq!(
        refused,
        "foxden.toml: the setting tokens.node is now called tokens.nodes; it is a list, as there may be several: nodes = \
         [\"https://node1.example.org\"]"
    );
    let config =
        from_file("[tokens]\nnodes = [\"https://node1.example.org\", \"http://node2/x\"]\n").unwrap();
    let nodes: Vec<String> = config.tokens.nodes.named().iter().map(PublicUrl::base).collect();
    assert_eq!(nodes, ["https://node1.example.org", "http://node2/x"]);
    for text in ["nodes = \"commands\"", "nodes = [\"commands\"]"] {
        let config = from_file(&format!("[tokens]\n{text}\n")).unwrap();
        assert_eq!(config.tokens.nodes, NodeSource::ByCommand);
    }
    for (old, new, _) in setting::RENAMED {
        assert!(
            SCHEMA.find(old).is_none() && SCHEMA.find(new).is_some(),
            "{old}: {new}"
        );
        let (section, name) = old.split_once('.').unwrap();
        let refused = message(from_file(&format!("[{section}]\n{name} = \"\"\n")));
        assert!(
            refused.contains(&format!("{old} is now called {new}")),
            "{refused}"
        );
    }
}

/// One run names every setting that does not exist.
#[test]
fn all_old_names_are_reported_at_once() {
    let old = "[storage]\nrests = true\ncompress = true\nquotta = \"1 MB\"\n[http]\nstop_timeout = \"1 s\"\n";
    let refused = message(from_file(old));
    let lines: Vec<&str> = refused.lines().collect();
    assert_eq!(lines.len(), 4, "{refused}");
    for part in [
        "http.stop_timeout is now called http.shutdown_timeout",
        "storage.rests is now called storage.maintenance",
        "storage.compress is now called storage.compression",
        "there is no setting storage.quotta; did you mean storage.quota?",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {refused}");
    }
}

/// No value of the list is dropped silently.
#[test]
fn a_list_of_values_and_tables_is_refused() {
    let refused = message(from_file(
        "trusted_proxies = [\"10.0.0.0/8\", \"192.168.0.0/16\", {}]",
    ));
    assert!(
        refused.contains("there is no setting trusted_proxies.0"),
        "{refused}"
    );
}

#[test]
fn the_number_of_files_is_an_option_of_the_url() {
    let refused = message(from_file("[storage]\nfiles = 8\n"));
    assert_eq!(
        refused,
        "foxden.toml: the setting storage.files is now called storage.url; the number of files is an option of the URL: \
         url = \"sqlite:?shards=4\""
    );
    assert!(from_file("[storage]\nurl = \"sqlite:?shards=8\"\n").is_ok());
}

/// Passwords are checked against accounts: a node alone has none, and would call every password wrong.
#[test]
fn a_storage_node_that_serves_1_1_must_know_the_accounts() {
    let node = "[[listener]]\nsurfaces = [\"sync\", \"ops\"]\n";
    let with = |rest: &str| from_file(&format!("{node}{rest}"));
    let refused = message(with("[storage]\nlegacy = true\n"));
    assert!(
        refused.contains("url = \"sqlite:/var/lib/foxden-registration/register.sqlite\""),
        "{refused}"
    );
    let known = with("[storage]\nlegacy = true\n[accounts]\nurl = \"sqlite:/register.sqlite\"\n").unwrap();
    assert!(known.serves_legacy() && !known.keeps_accounts() && !known.welcomes_old_clients());
    assert!(!with("").unwrap().serves_legacy());
    assert!(from_file("").unwrap().serves_legacy());
    let without = from_file("[storage]\nlegacy = false\n").unwrap();
    assert!(!without.serves_legacy() && !without.welcomes_old_clients());
    // Their pages belong where the accounts are, wherever the objects may be.
    let registration = from_file("[[listener]]\nsurfaces = [\"user\", \"pages\"]\n").unwrap();
    assert!(!registration.serves_legacy() && registration.welcomes_old_clients());
}

#[test]
fn listening_elsewhere_needs_a_public_address() {
    for bind in [
        "0.0.0.0:5000",
        "[::]:80",
        "192.0.2.1:5000",
        "unix:/run/foxden/http.sock",
    ] {
        let listener = format!("[[listener]]\nbind = \"{bind}\"\n");
        let refused = message(from_file(&listener));
        assert!(
            refused.contains("public_url = \"https://sync.example.org\""),
            "{refused}"
        );
        from_file(&format!("public_url = \"https://sync.example.org\"\n{listener}")).unwrap();
    }
    for bind in ["127.0.0.1:0", "localhost:5000", "[::1]:5000"] {
        from_file(&format!("[[listener]]\nbind = \"{bind}\"\n")).unwrap();
    }
}

#[test]
fn the_listen_flag_replaces_every_listener() {
    let mut values = Values::new(SCHEMA);
    let file =
        "[[listener]]\nbind = \"0.0.0.0:80\"\nsurfaces = [\"ops\"]\n[[listener]]\nbind = \"0.0.0.0:81\"\n";
    source::add_file(&mut values, Path::new("foxden.toml"), file).unwrap();
    let flags = Flags {
        listen: Some("127.0.0.1:0".into()),
        surfaces: Some("sync, ops".into()),
        ..Flags::default()
    };
    source::add_flags(&mut values, &flags);
    let config = Config::read(&values).unwrap();
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].surfaces.len(), 2);
}

#[test]
fn print_hides_secrets() {
    let mut values = Values::new(SCHEMA);
    let file = "master_secret = \"0123456789abcdef\"\n";
    source::add_file(&mut values, Path::new("foxden.toml"), file).unwrap();
    let entries = document::entries(&values);
    let entry = entries.iter().find(|entry| entry.key == "master_secret").unwrap();
    assert_eq!(
        (entry.value.as_str(), entry.origin.to_string().as_str()),
        ("***", "foxden.toml")
    );
    assert!(!format!("{entries:?}").contains("0123456789abcdef"));
}

/// The router panics where two have the same path, so no page may be where devices meet.
#[test]
fn devices_meet_where_there_is_no_page() {
    const PAGES: &str = concat!(
        include_str!("../../../foxden-http/src/pages/mod.rs"),
        include_str!("../../../foxden-http/src/pages/legacy.rs"),
    );
    let paths = PAGES.split('"').filter_map(|text| {
        let path = text.strip_prefix('/').or_else(|| text.strip_prefix("{base}/"))?;
        let first = path.split(['/', '{']).next()?;
        (!first.is_empty() && !first.contains(char::is_whitespace)).then_some(first)
    });
    let paths: BTreeSet<&str> = paths.collect();
    assert!(
        paths.len() > 15 && paths.contains("media") && paths.contains("signin"),
        "{paths:?}"
    );
    for path in paths {
        let refused = message(from_file(&format!("[key_exchange]\npath = \"/{path}\"\n")));
        assert!(refused.contains("something else is served below"), "{refused}");
    }
}

/// A client that guesses it makes accounts.
#[test]
fn the_operators_word_is_long() {
    let with = |word: &str| from_file(&format!("[accounts]\nadmin_secret = \"{word}\"\n"));
    let refused = message(with("fifteen letters"));
    assert!(
        refused.starts_with("accounts.admin_secret") && refused.contains("at least 16 characters"),
        "{refused}"
    );
    assert!(with("sixteen letters!").unwrap().accounts.admin_secret.is_some());
}
