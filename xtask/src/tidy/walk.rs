//! The tracked files of the checkout.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::root;

/// Every text file that git tracks or would track, with its text.
pub struct Tree {
    files: Vec<File>,
}

/// One file.
pub struct File {
    /// Its path from the root, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl Tree {
    /// Reads the checkout.
    pub fn read() -> Result<Self> {
        let listing = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(root())
            .output()
            .context("git cannot be started")?;
        if !listing.status.success() {
            bail!(
                "git ls-files failed: {}",
                String::from_utf8_lossy(&listing.stderr)
            );
        }
        let paths = String::from_utf8(listing.stdout)?;
        let read = |path: &str| {
            // A listed file may be deleted already, or contain no text; there is nothing to check then.
            let text = std::fs::read_to_string(root().join(path)).ok()?;
            Some(File {
                path: path.to_owned(),
                text,
            })
        };
        Ok(Self {
            files: paths.lines().filter_map(read).collect(),
        })
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files()
            .filter(|file| Path::new(&file.path).extension().is_some_and(|is| is == "rs"))
    }

    /// One file, if it is there.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files().find(|file| file.path == path)
    }
}

impl File {
    /// Returns whether it contains tests only.
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/conformance/")
    }

    /// The number of lines before its own tests.
    pub fn lines_without_tests(&self) -> usize {
        let tests = self
            .text
            .lines()
            .position(|line| line.trim_start().starts_with("#[cfg(test)]"));
        tests.unwrap_or_else(|| self.text.lines().count())
    }
}
