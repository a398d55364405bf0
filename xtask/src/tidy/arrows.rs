//! Dependencies between crates point down, and the request table names existing functions.

use super::walk::Tree;

/// Each crate and the crates it may use.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("foxden-model", &[]),
    ("foxden-load", &["foxden-model"]),
    ("foxden-sql", &["foxden-model"]),
    ("foxden-storage", &["foxden-model", "foxden-sql"]),
    ("foxden-accounts", &["foxden-model", "foxden-sql"]),
    (
        "foxden-http",
        &["foxden-model", "foxden-storage", "foxden-accounts"],
    ),
    (
        "foxden-server",
        &[
            "foxden-model",
            "foxden-sql",
            "foxden-storage",
            "foxden-accounts",
            "foxden-http",
        ],
    ),
    (
        "foxden-test-support",
        &[
            "foxden-model",
            "foxden-sql",
            "foxden-storage",
            "foxden-accounts",
            "foxden-http",
            "foxden-server",
        ],
    ),
];
/// The surfaces, which must not import each other.
const SURFACES: [&str; 6] = ["sync", "token", "user", "fxa", "pages", "ops"];
/// Words of a higher layer that must not appear below the surfaces, and of drivers that must not appear above the engines.
const FOREIGN: [(&str, &[&str]); 4] = [
    (
        "crates/foxden-model/",
        &["serde", "rusqlite", "http::", "tokio", "std::fs", "std::net"],
    ),
    (
        "crates/foxden-storage/src/storage",
        &["rusqlite", "serde_json", "http::"],
    ),
    (
        "crates/foxden-accounts/src/",
        &["rusqlite", "StatusCode", "HeaderMap", "axum"],
    ),
    ("crates/foxden-http/src/", &["rusqlite", "tokio::spawn"]),
];

/// Every crate uses only crates below it, and no word of another layer.
pub fn crates(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, may_use) in MAY_USE {
        let Some(manifest) = tree.file(&format!("crates/{name}/Cargo.toml")) else {
            faults.push(format!("crates/{name}/Cargo.toml: missing"));
            continue;
        };
        let dependencies = manifest
            .text
            .split("[dev-dependencies]")
            .next()
            .unwrap_or_default();
        let used = dependencies
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next());
        for used in used.filter(|word| word.starts_with("foxden-") && !may_use.contains(word)) {
            faults.push(format!("crates/{name}/Cargo.toml: may not use {used}"));
        }
    }
    for (folder, words) in FOREIGN {
        for file in tree.rust().filter(|file| file.path.starts_with(folder)) {
            let code = || {
                file.text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
            };
            for word in words
                .iter()
                .filter(|word| code().any(|line| line.contains(**word)))
            {
                faults.push(format!("{}: knows {word}", file.path));
            }
        }
    }
    faults
}

/// No surface imports another.
pub fn surfaces(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for own in SURFACES {
        let folder = format!("crates/foxden-http/src/{own}");
        for file in tree.rust().filter(|file| file.path.starts_with(&folder)) {
            for other in SURFACES.iter().filter(|other| **other != own) {
                if file.text.contains(&format!("crate::{other}::"))
                    || file.text.contains(&format!("crate::{other};"))
                {
                    faults.push(format!("{}: imports the surface {other}", file.path));
                }
            }
        }
    }
    faults
}

/// Every file that `ARCHITECTURE.md` names exists and contains the function in its table.
pub fn request_table(tree: &Tree) -> Vec<String> {
    let Some(page) = tree.file("ARCHITECTURE.md") else {
        return vec!["ARCHITECTURE.md: missing".to_owned()];
    };
    let mut faults = Vec::new();
    let mut rows = 0;
    for line in page.text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, path, what, ..] = cells[..] else {
            continue;
        };
        if number.parse::<u8>().is_err() {
            continue;
        }
        rows += 1;
        let path = format!("crates/{}", path.trim_matches('`'));
        let Some(file) = tree.file(&path) else {
            faults.push(format!("ARCHITECTURE.md: {path} is not there"));
            continue;
        };
        let function = what.split('`').nth(1).unwrap_or_default();
        let bare = function.rsplit("::").next().unwrap_or_default();
        if !file.text.contains(&format!("fn {bare}(")) && !file.text.contains(&format!("fn {bare}<")) {
            faults.push(format!("ARCHITECTURE.md: {path} has no function {function}"));
        }
    }
    if rows < 5 {
        faults.push(format!(
            "ARCHITECTURE.md: the request table has {rows} rows, 5 wanted"
        ));
    }
    faults
}
