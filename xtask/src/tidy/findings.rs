//! The scripts in `findings/` run as its README says, and clean up.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::walk::{File, Tree};
use crate::cargo::root;

/// The folder of the scripts, the only ones of the checkout.
const FOLDER: &str = "findings/";
/// The number of first lines that must say what a script shows.
const HEAD: usize = 12;

/// Scripts outside the folder, without permission to run, without a description, or without cleanup.
pub fn scripts(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    let is_script = |file: &&File| Path::new(&file.path).extension().is_some_and(|is| is == "sh");
    for file in tree.files().filter(is_script) {
        if !file.path.starts_with(FOLDER) {
            faults.push(format!("{}: automation is Rust, in xtask/", file.path));
            continue;
        }
        faults.extend(missing(&file.text).map(|what| format!("{}: {what}", file.path)));
        if !is_executable(file) {
            faults.push(format!("{}: not executable", file.path));
        }
    }
    faults
}

/// The parts that a script lacks.
fn missing(text: &str) -> impl Iterator<Item = &'static str> {
    let first = text.lines().next().unwrap_or_default();
    let is_bash = first.starts_with("#!") && first.ends_with("bash");
    let head = text
        .lines()
        .skip(1)
        .take(HEAD)
        .filter(|line| line.starts_with("# "));
    [
        (is_bash, "begins without #!/usr/bin/env bash"),
        (
            head.count() >= 3,
            "no comment at the head that tells program, behaviour and output",
        ),
        (
            text.contains("mktemp -d"),
            "without a folder of its own, by mktemp -d",
        ),
        (text.contains("trap "), "without a trap that cleans up"),
    ]
    .into_iter()
    .filter_map(|(is_there, what)| (!is_there).then_some(what))
}

fn is_executable(file: &File) -> bool {
    let metadata = std::fs::metadata(root().join(&file.path));
    metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_headed_and_cleans_up() {
        let good = "#!/usr/bin/env bash\n# nginx 1.22.1: does this.\n# One would expect that.\n# Seen: this\n\
            set -euo pipefail\nfolder=$(mktemp -d)\ntrap 'rm -rf \"$folder\"' EXIT\n";
        assert_eq!(missing(good).count(), 0);
        assert_eq!(missing(&good.replace("trap ", "true ")).count(), 1);
        assert_eq!(missing("echo\n").count(), 4);
    }
}
