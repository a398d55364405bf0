//! Golden conversations: plays them, or writes the answers that the code gives now into their files.

use anyhow::{Result, bail};

use crate::cargo::{cargo, passes};

/// Plays all conversations; with `--update`, writes the answers down. Further words choose among them by name.
pub fn run(words: &[&str]) -> Result<bool> {
    let (flags, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|&&flag| flag != "--update") {
        bail!("golden knows --update, not {unknown}");
    }
    let call = ["test", "--package", "foxden-server", "--test", "golden", "--"];
    passes(&mut cargo(&[&call[..], &flags, &names].concat()))
}
