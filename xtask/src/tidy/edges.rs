//! Checks that every edge case of the protocols has a test, and that the page which lists them is up to date.
//!
//! A test names its edge cases by list and number, `D3.22a`; a decision record names those without a test, and the reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::walk::{File, Tree};
use crate::cargo::root;

/// The generated page.
const PAGE: &str = "docs/protocol/edge-cases.md";
/// The decision record about edge cases without a test.
const RECORD: &str = "docs/decisions/0004-edge-cases-without-a-test.md";

/// A protocol's list of edge cases: the prefix of its numbers, its title, its last number, and the numbers that were
/// inserted later.
struct List {
    name: &'static str,
    title: &'static str,
    last: u16,
    inserted: &'static [&'static str],
}

const LISTS: [List; 8] = [
    List {
        name: "D1",
        title: "Sync storage, all versions",
        last: 15,
        inserted: &[],
    },
    List {
        name: "D2",
        title: "Sync storage 1.0 and 1.1",
        last: 46,
        inserted: &[],
    },
    List {
        name: "D3",
        title: "Sync storage 1.5",
        last: 70,
        inserted: &[
            "22a", "22b", "22c", "22d", "26a", "26b", "26c", "26d", "38a", "52a", "52b", "62a", "62b", "62c",
            "62d",
        ],
    },
    List {
        name: "T12",
        title: "tokenserver",
        last: 52,
        inserted: &[],
    },
    List {
        name: "A16",
        title: "accounts",
        last: 72,
        inserted: &[],
    },
    List {
        name: "U13",
        title: "User API 1.0",
        last: 53,
        inserted: &[],
    },
    List {
        name: "K10",
        title: "key exchange",
        last: 33,
        inserted: &[],
    },
    List {
        name: "V7",
        title: "devices, push, pairing",
        last: 33,
        inserted: &[],
    },
];

/// Reports edge cases without a test or a reason, and a page that is out of date.
pub fn edge_cases(tree: &Tree) -> Vec<String> {
    let mut faults: Vec<String> = find_places(tree)
        .into_iter()
        .filter(|(_, places)| places.is_empty())
        .map(|(case, _)| {
            format!(
                "edge case {}: no test names it, and {RECORD} does not explain why",
                case.text()
            )
        })
        .collect();
    if tree.file(PAGE).is_none_or(|page| page.text != text(tree)) {
        faults.push(format!(
            "{PAGE}: out of date; cargo xtask tidy --update writes it anew"
        ));
    }
    faults
}

/// Updates the page.
pub fn update(tree: &Tree) -> Result<()> {
    Ok(std::fs::write(root().join(PAGE), text(tree))?)
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Case {
    list: usize,
    number: u16,
    letter: String,
}

impl Case {
    fn text(&self) -> String {
        format!("{}.{}{}", LISTS[self.list].name, self.number, self.letter)
    }
}

/// Returns every edge case with the files that name it.
fn find_places(tree: &Tree) -> BTreeMap<Case, BTreeSet<&str>> {
    let mut places: BTreeMap<Case, BTreeSet<&str>> =
        all_cases().map(|case| (case, BTreeSet::new())).collect();
    for file in tree.files().filter(|file| may_name_cases(file)) {
        for case in named(&file.text) {
            if let Some(files) = places.get_mut(&case) {
                files.insert(&file.path);
            }
        }
    }
    places
}

fn may_name_cases(file: &File) -> bool {
    let extension = Path::new(&file.path).extension().and_then(|is| is.to_str());
    let is_code = file.path.starts_with("crates/") && matches!(extension, Some("http" | "rs"));
    (is_code && (file.is_test() || file.text.contains("#[cfg(test)]"))) || file.path == RECORD
}

fn all_cases() -> impl Iterator<Item = Case> {
    LISTS.iter().enumerate().flat_map(|(list, spec)| {
        let plain = (1..=spec.last).map(move |number| Case {
            list,
            number,
            letter: String::new(),
        });
        let inserted = spec.inserted.iter().filter_map(move |text| {
            let (number, letter) = text.split_at(text.len() - 1);
            Some(Case {
                list,
                number: number.parse().ok()?,
                letter: letter.to_owned(),
            })
        });
        plain.chain(inserted)
    })
}

/// Returns the cases that a text names.
fn named(text: &str) -> impl Iterator<Item = Case> {
    LISTS.iter().enumerate().flat_map(move |(list, spec)| {
        let start = format!("{}.", spec.name);
        let places: Vec<usize> = text
            .match_indices(&start)
            .map(|(at, _)| at + start.len())
            .collect();
        places.into_iter().filter_map(move |at| {
            let digits: String = text[at..].chars().take_while(char::is_ascii_digit).collect();
            let after = text[at + digits.len()..]
                .chars()
                .next()
                .filter(char::is_ascii_lowercase);
            Some(Case {
                list,
                number: digits.parse().ok()?,
                letter: after.map(String::from).unwrap_or_default(),
            })
        })
    })
}

/// The page: one table for each list.
fn text(tree: &Tree) -> String {
    let mut page = "<!-- Generated by `cargo xtask tidy --update`; do not edit. -->\n# Edge cases\n\n\
        Every edge case of the protocols, by its number, and the tests that hold it.\n"
        .to_owned();
    let places = find_places(tree);
    for (list, spec) in LISTS.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "\n## {}: {}\n\n| Case | Held by |\n| --- | --- |\n",
            spec.name, spec.title
        );
        for (case, files) in places.iter().filter(|(case, _)| case.list == list) {
            let files: Vec<String> = files.iter().map(|file| link(file)).collect();
            let _ = writeln!(page, "| {} | {} |", case.text(), files.join(", "));
        }
    }
    page
}

fn link(path: &str) -> String {
    let name = path.trim_start_matches("crates/").trim_start_matches("docs/");
    format!("[{name}](../../{path})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_cases_a_text_names() {
        let text = "# D3.22a: some lives. D3.7, T12.10; A16.5: x. D3.x";
        let names: Vec<String> = named(text).map(|case| case.text()).collect();
        assert_eq!(names, ["D3.22a", "D3.7", "T12.10", "A16.5"]);
    }

    #[test]
    fn knows_all_cases() {
        assert_eq!(all_cases().count(), 15 + 46 + 70 + 15 + 52 + 72 + 53 + 33 + 33);
    }
}
