//! Secrets in files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The secret in the file of this option.
pub fn read(option: &str, path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{option}: {} cannot be read", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    ensure!(!secret.is_empty(), "{option}: {} is empty", path.display());
    Ok(secret.to_owned())
}
