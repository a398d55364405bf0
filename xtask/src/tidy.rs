//! The rules of this repository that can be checked automatically.

mod arrows;
mod cycles;
mod edges;
mod files;
mod findings;
mod language;
mod named;
mod names;
mod paths;
mod walk;

use anyhow::Result;

use walk::Tree;

/// Checks all rules, prints faults, and returns whether there are none.
pub fn run() -> Result<bool> {
    let tree = Tree::read()?;
    let mut faults = Vec::new();
    faults.extend(files::headers(&tree));
    faults.extend(files::sizes(&tree));
    faults.extend(files::ignored_tests(&tree));
    faults.extend(files::words(&tree));
    faults.extend(arrows::crates(&tree));
    faults.extend(arrows::surfaces(&tree));
    faults.extend(arrows::request_table(&tree));
    faults.extend(cycles::cycles(&tree));
    faults.extend(findings::scripts(&tree));
    faults.extend(edges::edge_cases(&tree));
    faults.extend(named::tests(&tree));
    faults.extend(language::words(&tree));
    faults.extend(names::definitions(&tree));
    faults.extend(names::settings(&tree));
    faults.sort();
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    println!("tidy: {} files, {} faults", tree.files().count(), faults.len());
    Ok(faults.is_empty())
}

/// Updates the generated pages.
pub fn update() -> Result<bool> {
    edges::update(&Tree::read()?)?;
    Ok(true)
}
