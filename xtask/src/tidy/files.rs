//! Rules for each file: a header, a size limit, reasons for ignored tests, and no traces of the machine it was written on.

use super::walk::{File, Tree};

/// The most lines of a file without its tests.
const MOST_LINES: usize = 600;
/// Test programs that may have ignored tests: `cargo xtask test` runs these.
const RUN_WHEN_IGNORED: [&str; 3] = [
    "crates/foxden-storage/tests/",
    "crates/foxden-server/tests/process/",
    "crates/foxden-server/tests/firefox/",
];

/// Every Rust file begins with a description.
pub fn headers(tree: &Tree) -> Vec<String> {
    let is_bare = |file: &&File| !file.text.starts_with("//!") && !file.path.contains("/tests/fixtures/");
    tree.rust()
        .filter(is_bare)
        .map(|file| format!("{}: opens without a //! header", file.path))
        .collect()
}

/// No file is too long.
pub fn sizes(tree: &Tree) -> Vec<String> {
    let too_long = |file: &File| {
        let lines = file.lines_without_tests();
        (!file.is_test() && lines > MOST_LINES)
            .then(|| format!("{}: {lines} lines, {MOST_LINES} allowed", file.path))
    };
    tree.rust().filter_map(too_long).collect()
}

/// Modules of tests that `cargo xtask test --long` runs.
const LONG: [&str; 2] = ["/long.rs", "/long/"];

/// An ignored test has a reason, and a stage of `cargo xtask test` runs it.
pub fn ignored_tests(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.rust().filter(|file| !file.path.starts_with("xtask/")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let line = line.trim_start();
            if !line.starts_with("#[ignore") {
                continue;
            }
            if !line.starts_with("#[ignore = \"") {
                faults.push(format!("{}:{number}: ignored without a reason", file.path));
            } else if !RUN_WHEN_IGNORED.iter().any(|start| file.path.starts_with(start))
                && !LONG.iter().any(|part| file.path.contains(part))
            {
                faults.push(format!(
                    "{}:{number}: ignored, and no stage of the full run runs it",
                    file.path
                ));
            }
        }
    }
    faults
}

/// No file mentions unfinished work or the machine it was written on.
pub fn words(tree: &Tree) -> Vec<String> {
    let refused = refused_words();
    let mut faults = Vec::new();
    for file in tree.files().filter(|file| !file.path.ends_with("Cargo.lock")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if let Some(word) = refused.iter().find(|word| holds(line, word)) {
                faults.push(format!("{}:{number}: says {word}", file.path));
            }
        }
    }
    faults
}

/// The words, composed of halves so that this list does not match itself.
fn refused_words() -> Vec<String> {
    let halves = [
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X"),
        ("HA", "CK"),
        ("todo", "!("),
        ("unimplemented", "!("),
        ("dbg", "!("),
        ("/ro", "ot/."),
        ("/ho", "me/"),
    ];
    halves.map(|(a, b)| format!("{a}{b}")).to_vec()
}

/// Returns whether the line contains the whole word.
fn holds(line: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let is_name = word.ends_with(char::is_alphabetic);
    line.match_indices(word).any(|(at, _)| {
        let is_joined_before = joins(line[..at].chars().next_back());
        let is_joined_after = is_name && joins(line[at + word.len()..].chars().next());
        !is_joined_before && !is_joined_after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_words_and_not_parts_of_words() {
        let word = refused_words().remove(0);
        assert!(holds(&format!("// {word}: later"), &word));
        assert!(!holds(&format!("MY{word}"), &word) && !holds(&format!("{word}S"), &word));
    }
}
