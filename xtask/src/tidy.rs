//! The rules of the house that a machine can check.

mod arrows;
mod circles;
mod edges;
mod files;
mod findings;
mod language;
mod named;
mod paths;
mod walk;

use anyhow::Result;

use walk::Tree;

/// Checks all rules, prints what is wrong, and says whether nothing is.
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
    faults.extend(circles::circles(&tree));
    faults.extend(findings::scripts(&tree));
    faults.extend(edges::edge_cases(&tree));
    faults.extend(named::tests(&tree));
    faults.extend(language::documents(&tree));
    faults.sort();
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    println!("tidy: {} files, {} faults", tree.files().count(), faults.len());
    Ok(faults.is_empty())
}

/// Writes anew the pages that are made of what the checkout holds.
pub fn update() -> Result<bool> {
    edges::update(&Tree::read()?)?;
    Ok(true)
}
