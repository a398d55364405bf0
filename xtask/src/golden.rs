//! Golden conversations: compares the answers, or updates their files.

use anyhow::{Result, bail};

use crate::cargo::{cargo, passes};

/// Runs all conversations; with `--update`, writes the new answers. Further arguments select conversations by name.
pub fn run(words: &[&str]) -> Result<bool> {
    let (flags, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|&&flag| flag != "--update") {
        bail!("golden knows --update, not {unknown}");
    }
    let call = ["test", "--workspace", "--test", "golden", "--"];
    passes(&mut cargo(&[&call[..], &flags, &names].concat()))
}
