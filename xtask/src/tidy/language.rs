//! The language of documents, comments and messages: their subjects are named.

use std::path::Path;

use super::walk::{File, Tree};

/// Pronouns that stand for a client, an account or an operator without naming it.
const REFUSED: [&str; 5] = ["whoever", "whomever", "whosever", "somebody", "nobody"];
/// More of them, which documents may use.
const REFUSED_IN_CODE: [&str; 2] = ["everybody", "anybody"];

/// Names outside of this program that look like a refused word: the user as which Apache runs.
const EXCEPTIONS: [&str; 1] = ["User nobody"];

/// The folder that lists the words.
const THIS: &str = "xtask/src/tidy/";

/// Lines of documents and of code that use a refused word.
pub fn words(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.files() {
        let extra: &[&str] = if is_document(file) {
            &[]
        } else if is_code(file) {
            &REFUSED_IN_CODE
        } else {
            continue;
        };
        for (number, line) in (1..).zip(file.text.lines()) {
            if let Some(word) = refused(line, extra) {
                faults.push(format!("{}:{number}: says {word}; name what is meant", file.path));
            }
        }
    }
    faults
}

/// Decision records keep the words in which they were written.
fn is_document(file: &File) -> bool {
    let is_document = Path::new(&file.path).extension().is_some_and(|is| is == "md");
    is_document && !file.path.starts_with("docs/decisions/")
}

fn is_code(file: &File) -> bool {
    let is_rust = Path::new(&file.path).extension().is_some_and(|is| is == "rs");
    is_rust && !file.path.starts_with(THIS)
}

/// The first refused word of a line; part of a name in code is none.
fn refused(line: &str, extra: &[&'static str]) -> Option<&'static str> {
    if EXCEPTIONS.iter().any(|exception| line.contains(exception)) {
        return None;
    }
    let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let mut found = words.filter_map(|word| {
        REFUSED
            .iter()
            .chain(extra)
            .find(|refused| word.eq_ignore_ascii_case(refused))
            .copied()
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_but_not_in_names_of_tests() {
        assert_eq!(refused("Whoever asks, waits.", &[]), Some("whoever"));
        assert_eq!(refused("somebody's password", &[]), Some("somebody"));
        assert_eq!(refused("see `nobody_waits` and anybody", &[]), None);
        assert_eq!(refused("anybody", &REFUSED_IN_CODE), Some("anybody"));
    }
}
