//! Tests that documents name must exist.

use std::path::Path;

use super::walk::Tree;

/// The fewest words of a test name, to distinguish it from other names in documents.
const WORDS: usize = 4;

/// Documents that name a missing test function.
pub fn tests(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    let is_document = |path: &str| Path::new(path).extension().is_some_and(|is| is == "md");
    for document in tree.files().filter(|file| is_document(&file.path)) {
        for name in names(&document.text) {
            let begins = format!("fn {name}(");
            if !tree.rust().any(|file| file.text.contains(&begins)) {
                faults.push(format!("{}: there is no test {name}", document.path));
            }
        }
    }
    faults
}

/// Names between backquotes that look like test functions.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| {
        let is_made_so = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        word.bytes().all(is_made_so) && word.split('_').count() >= WORDS
    };
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_are_told_from_settings() {
        let text = "| a | `a_lock_is_not_evicted`, `http.max_body_memory` and `max_answer_memory` |\n\
            `many_keys_evict_no_count` and others_are_not_named_at_all";
        let found: Vec<&str> = names(text).collect();
        assert_eq!(found, ["a_lock_is_not_evicted", "many_keys_evict_no_count"]);
    }
}
