//! No cycle among the modules of a crate.
//!
//! A module depends on each module that it names by a path from `crate` or `super`; each file is one module. A re-exported
//! name belongs to the module that re-exports it. Tests and declarations of child modules do not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::paths::{absolute, without_tests};
use super::walk::{File, Tree};

/// The modules of a crate, each with its dependencies.
type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// Cycles among the modules of each crate.
pub fn cycles(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (folder, dependencies) in &crates(tree) {
        let cycles = found(dependencies).into_iter().map(|cycle| cycle.join(" -> "));
        faults.extend(cycles.map(|cycle| format!("{folder}: cycle among modules, {cycle}")));
    }
    faults
}

/// The dependencies in each crate, by its folder.
fn crates(tree: &Tree) -> BTreeMap<&str, Dependencies> {
    let mut files: BTreeMap<&str, Vec<(String, &File)>> = BTreeMap::new();
    for file in tree.rust().filter(|file| !file.is_test()) {
        if let Some((folder, path)) = file.path.split_once("/src/") {
            files.entry(folder).or_default().push((module(path), file));
        }
    }
    let dependencies = files
        .into_iter()
        .map(|(folder, files)| (folder, dependencies(&files)));
    dependencies.collect()
}

/// The name of the module in a file; that of the crate root is empty.
fn module(path: &str) -> String {
    let path = path.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") {
        return String::new();
    }
    path.replace('/', "::")
}

fn dependencies(files: &[(String, &File)]) -> Dependencies {
    let modules: BTreeSet<&str> = files.iter().map(|(module, _)| module.as_str()).collect();
    let mut dependencies = Dependencies::new();
    for (module, file) in files {
        let text = without_tests(&file.text);
        let named = absolute(&text)
            .into_iter()
            .map(|path| target(&modules, module, &path));
        let others = named.filter(|named| named != module);
        dependencies.entry(module.clone()).or_default().extend(others);
    }
    dependencies
}

/// The module that a path in another module names.
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

/// One cycle for each strongly connected set of modules: a shortest one through its first module.
fn found(dependencies: &Dependencies) -> Vec<Vec<&str>> {
    let mut cycles = Vec::new();
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for module in dependencies.keys() {
        if reported.contains(module.as_str()) {
            continue;
        }
        let Some(cycle) = shortest_path(dependencies, module, module) else {
            continue;
        };
        let is_with = |other: &&String| {
            shortest_path(dependencies, module, other).is_some()
                && shortest_path(dependencies, other, module).is_some()
        };
        reported.extend(dependencies.keys().filter(is_with).map(String::as_str));
        cycles.push(cycle);
    }
    cycles
}

/// The shortest path of at least one step, with both ends.
fn shortest_path<'a>(dependencies: &'a Dependencies, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut reached_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([from]);
    while let Some(module) = waiting.pop_front() {
        for next in dependencies.get(module).into_iter().flatten() {
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

/// The path on which a module was reached.
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

    fn graph(dependencies: &[(&str, &[&str])]) -> Dependencies {
        let owned = |named: &[&str]| named.iter().map(ToString::to_string).collect();
        let dependencies = dependencies
            .iter()
            .map(|(from, named)| ((*from).to_owned(), owned(named)));
        dependencies.collect()
    }

    #[test]
    fn each_set_of_cycles_is_reported_once() {
        let dependencies = graph(&[
            ("a", &["b"]),
            ("b", &["c", "d"]),
            ("c", &["a", "d"]),
            ("d", &["e"]),
            ("e", &[]),
            ("x", &["y", "a"]),
            ("y", &["x"]),
        ]);
        assert_eq!(
            found(&dependencies),
            [vec!["a", "b", "c", "a"], vec!["x", "y", "x"]]
        );
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
