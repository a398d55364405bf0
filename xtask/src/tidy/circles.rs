//! No circle among the modules of a crate.
//!
//! An arrow leads from a module to another that it names by a path from `crate` or `super`, each file being one module. A
//! name that a module re-exports belongs to that module. Tests make no arrows, nor do the declarations of children.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::paths::{absolute, without_tests};
use super::walk::{File, Tree};

/// Arrows that close a circle and are let be until they are gone: the folder of their crate, from where, to where.
/// This list only gets shorter.
const KNOWN: [(&str, &str, &str); 0] = [];

/// The modules of a crate, each with those that it names.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Circles, and known arrows that close none any more.
pub fn circles(tree: &Tree) -> Vec<String> {
    let mut crates = crates(tree);
    let mut faults = Vec::new();
    for (folder, from, to) in KNOWN {
        let arrows = crates.get(folder);
        if arrows.is_none_or(|arrows| !is_in_circle(arrows, from, to)) {
            faults.push(format!(
                "{folder}: {from} -> {to} closes no circle any more; strike it off the list in tidy/circles.rs"
            ));
        }
    }
    for (folder, from, to) in KNOWN {
        if let Some(named) = crates.get_mut(folder).and_then(|arrows| arrows.get_mut(from)) {
            named.remove(to);
        }
    }
    for (folder, arrows) in &crates {
        let circles = found(arrows).into_iter().map(|circle| circle.join(" -> "));
        faults.extend(circles.map(|circle| format!("{folder}: circle among modules, {circle}")));
    }
    faults
}

/// The arrows of each crate, by its folder.
fn crates(tree: &Tree) -> BTreeMap<&str, Arrows> {
    let mut files: BTreeMap<&str, Vec<(String, &File)>> = BTreeMap::new();
    for file in tree.rust().filter(|file| !file.is_test()) {
        if let Some((folder, path)) = file.path.split_once("/src/") {
            files.entry(folder).or_default().push((module(path), file));
        }
    }
    let arrows = files.into_iter().map(|(folder, files)| (folder, arrows(&files)));
    arrows.collect()
}

/// The name of the module in a file; that of the crate itself is empty.
fn module(path: &str) -> String {
    let path = path.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") {
        return String::new();
    }
    path.replace('/', "::")
}

fn arrows(files: &[(String, &File)]) -> Arrows {
    let modules: BTreeSet<&str> = files.iter().map(|(module, _)| module.as_str()).collect();
    let mut arrows = Arrows::new();
    for (module, file) in files {
        let text = without_tests(&file.text);
        let named = absolute(&text)
            .into_iter()
            .map(|path| target(&modules, module, &path));
        let others = named.filter(|named| named != module);
        arrows.entry(module.clone()).or_default().extend(others);
    }
    arrows
}

/// The module that holds what a path in another names.
fn target(modules: &BTreeSet<&str>, from: &str, path: &[&str]) -> String {
    let mut at: Vec<&str> = from.split("::").filter(|word| !word.is_empty()).collect();
    for word in path {
        match *word {
            "crate" => at.clear(),
            "super" => {
                at.pop();
            }
            word => {
                at.push(word);
                if !modules.contains(at.join("::").as_str()) {
                    at.pop();
                    break;
                }
            }
        }
    }
    at.join("::")
}

fn is_in_circle(arrows: &Arrows, from: &str, to: &str) -> bool {
    let is_arrow = arrows.get(from).is_some_and(|named| named.contains(to));
    is_arrow && way(arrows, to, from).is_some()
}

/// One circle for all modules that lie in circles with each other: a shortest one of the first of them.
fn found(arrows: &Arrows) -> Vec<Vec<&str>> {
    let mut circles = Vec::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for module in arrows.keys() {
        if told.contains(module.as_str()) {
            continue;
        }
        let Some(circle) = way(arrows, module, module) else {
            continue;
        };
        let is_with =
            |other: &&String| way(arrows, module, other).is_some() && way(arrows, other, module).is_some();
        told.extend(arrows.keys().filter(is_with).map(String::as_str));
        circles.push(circle);
    }
    circles
}

/// The shortest way along at least one arrow, with both its ends.
fn way<'a>(arrows: &'a Arrows, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut reached_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([from]);
    while let Some(module) = waiting.pop_front() {
        for next in arrows.get(module).into_iter().flatten() {
            if reached_from.contains_key(next.as_str()) {
                continue;
            }
            reached_from.insert(next, module);
            if next == to {
                return Some(back(&reached_from, from, next));
            }
            waiting.push_back(next);
        }
    }
    None
}

/// The way on which a module was reached.
fn back<'a>(reached_from: &BTreeMap<&'a str, &'a str>, from: &str, to: &'a str) -> Vec<&'a str> {
    let mut way = vec![to];
    let mut at = to;
    while let Some(before) = reached_from.get(at) {
        way.push(before);
        at = before;
        if at == from {
            break;
        }
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&str, &[&str])]) -> Arrows {
        let owned = |named: &[&str]| named.iter().map(ToString::to_string).collect();
        let arrows = arrows
            .iter()
            .map(|(from, named)| ((*from).to_owned(), owned(named)));
        arrows.collect()
    }

    #[test]
    fn each_knot_of_circles_is_told_once() {
        let arrows = graph(&[
            ("a", &["b"]),
            ("b", &["c", "d"]),
            ("c", &["a", "d"]),
            ("d", &["e"]),
            ("e", &[]),
            ("x", &["y", "a"]),
            ("y", &["x"]),
        ]);
        assert_eq!(found(&arrows), [vec!["a", "b", "c", "a"], vec!["x", "y", "x"]]);
        assert!(is_in_circle(&arrows, "c", "a"));
        assert!(!is_in_circle(&arrows, "c", "d") && !is_in_circle(&arrows, "a", "c"));
    }

    #[test]
    fn a_path_leads_to_the_module_that_holds_what_it_names() {
        let modules = BTreeSet::from(["", "a", "a::b", "c"]);
        for (from, path, to) in [
            ("c", &["crate", "a", "b", "Item"][..], "a::b"),
            ("a::b", &["super", "Item"], "a"),
            ("a::b", &["super", "super", "c", "self"], "c"),
            ("a", &["super", "Item"], ""),
            ("c", &["crate", "Item"], ""),
        ] {
            assert_eq!(target(&modules, from, path), to);
        }
    }

    #[test]
    fn a_file_is_a_module() {
        let names = ["lib.rs", "a.rs", "a/mod.rs", "a/b.rs"].map(module);
        assert_eq!(names, ["", "a", "a", "a::b"]);
    }
}
