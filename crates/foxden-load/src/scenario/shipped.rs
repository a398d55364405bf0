//! The scenarios within the program.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Scenario;

/// Names and texts.
pub const SHIPPED: [(&str, &str); 17] = [
    ("everyday", include_str!("../../scenarios/everyday.toml")),
    ("first-sync", include_str!("../../scenarios/first-sync.toml")),
    ("write-heavy", include_str!("../../scenarios/write-heavy.toml")),
    ("read-heavy", include_str!("../../scenarios/read-heavy.toml")),
    ("ancestor", include_str!("../../scenarios/ancestor.toml")),
    ("check", include_str!("../../scenarios/check.toml")),
    ("nothing-new", include_str!("../../scenarios/nothing-new.toml")),
    ("one-object", include_str!("../../scenarios/one-object.toml")),
    ("newest-100", include_str!("../../scenarios/newest-100.toml")),
    (
        "download-1000",
        include_str!("../../scenarios/download-1000.toml"),
    ),
    ("list-ids", include_str!("../../scenarios/list-ids.toml")),
    ("put", include_str!("../../scenarios/put.toml")),
    ("post-1", include_str!("../../scenarios/post-1.toml")),
    ("post-100", include_str!("../../scenarios/post-100.toml")),
    ("batch-1000", include_str!("../../scenarios/batch-1000.toml")),
    ("delete", include_str!("../../scenarios/delete.toml")),
    (
        "large-objects",
        include_str!("../../scenarios/large-objects.toml"),
    ),
];

/// The text of a scenario: one within the program, or a file.
pub fn text(name: &str) -> Result<String> {
    if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        return Ok((*text).to_owned());
    }
    let is_file = Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "toml");
    if !is_file {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        bail!(
            "{name:?} is neither a file *.toml nor one of {}",
            names.join(", ")
        );
    }
    fs::read_to_string(name).with_context(|| format!("{name} cannot be read"))
}

/// A scenario: one within the program, or a file.
pub fn find(name: &str) -> Result<Scenario> {
    Scenario::read(&text(name)?).with_context(|| format!("the scenario {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shipped_scenarios_are_valid() {
        for (name, _) in SHIPPED {
            assert_eq!(find(name).unwrap().name, name);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = find("evryday").unwrap_err().to_string();
        assert!(error.contains("everyday"), "{error}");
    }
}
