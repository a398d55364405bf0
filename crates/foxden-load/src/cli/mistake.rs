//! What is wrong with what was asked for on the command line, or with a file that it names.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::{Context, Error, Result};

/// A mistake on the command line: it is found before anything is asked of a server.
#[derive(Debug)]
pub struct Mistake(Error);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Mistake {}

/// What fails here is a mistake on the command line.
pub fn mistake<T>(asked: Result<T>) -> Result<T> {
    asked.map_err(|error| Error::new(Mistake(error)))
}

/// Whether the file of this option can be written, so that nothing is lost at the end of a run. What is in it stays.
pub fn check_output(option: &str, path: Option<&Path>) -> Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    let there = fs::metadata(path);
    // A pipe would take its reader for done.
    if there
        .as_ref()
        .is_ok_and(|there| !there.is_file() && !there.is_dir())
    {
        return Ok(());
    }
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.with_context(|| format!("{option}: {} cannot be written", path.display()))?;
    if there.is_err() {
        // It was made just now. Left empty it would do no harm.
        let _ = fs::remove_file(path);
    }
    Ok(())
}
