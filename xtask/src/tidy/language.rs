//! The language of documents: their subjects are named.

use std::path::Path;

use super::walk::{File, Tree};

/// Pronouns that stand for a client, an account or an operator without naming it.
const REFUSED: [&str; 4] = ["whoever", "whomever", "somebody", "nobody"];

/// Lines of documents that say one of the refused words.
pub fn documents(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for document in tree.files().filter(|file| is_checked(file)) {
        for (number, line) in (1..).zip(document.text.lines()) {
            if let Some(word) = refused(line) {
                faults.push(format!(
                    "{}:{number}: says {word}; name what is meant",
                    document.path
                ));
            }
        }
    }
    faults
}

/// Decision records keep the words in which they were written.
fn is_checked(file: &File) -> bool {
    let is_document = Path::new(&file.path).extension().is_some_and(|is| is == "md");
    is_document && !file.path.starts_with("docs/decisions/")
}

/// The first refused word of a line; part of a name in code is none.
fn refused(line: &str) -> Option<&'static str> {
    let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let mut found = words.filter_map(|word| {
        REFUSED
            .into_iter()
            .find(|refused| word.eq_ignore_ascii_case(refused))
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_but_not_in_names_of_tests() {
        assert_eq!(refused("Whoever asks, waits."), Some("whoever"));
        assert_eq!(refused("somebody's password"), Some("somebody"));
        assert_eq!(refused("see `nobody_waits` and anybody"), None);
    }
}
