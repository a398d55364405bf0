//! The runs of one server.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::result::{RunResult, Settings};

/// The most runs of a side.
const MOST_RUNS: usize = 1000;

/// The runs of one server, or of one build of it.
#[derive(Debug)]
pub struct Side {
    /// A letter that stands for it.
    pub letter: char,
    /// Where its runs were found.
    pub path: String,
    /// Its runs, the oldest first; there is at least one.
    pub runs: Vec<RunResult>,
}

impl Side {
    /// Those of a file, or of all files `*.json` of a folder.
    pub fn read(letter: char, path: &Path) -> Result<Self> {
        let files = if path.is_dir() {
            results(path)?
        } else {
            vec![path.to_owned()]
        };
        ensure!(
            !files.is_empty(),
            "{} has no results, that is, no files *.json",
            path.display()
        );
        let mut runs = files
            .iter()
            .map(|file| RunResult::read(file))
            .collect::<Result<Vec<_>>>()?;
        runs.sort_by_key(|run| run.began);
        let scenario = &runs[0].settings.scenario;
        ensure!(
            runs.iter().all(|run| run.settings.scenario == *scenario),
            "{} has runs of several scenarios",
            path.display()
        );
        Ok(Self {
            letter,
            path: path.display().to_string(),
            runs,
        })
    }

    /// What was asked for in its first run.
    pub fn settings(&self) -> &Settings {
        &self.runs[0].settings
    }

    /// The names of its operations.
    pub fn operations(&self) -> Vec<String> {
        let operations = self.runs[0].figures.by_operation.iter();
        operations.map(|row| row.name.clone()).collect()
    }

    /// All faults of its runs.
    pub fn faults(&self) -> u64 {
        self.runs.iter().map(RunResult::faults).sum()
    }

    /// What it is, in a few words.
    pub fn about(&self) -> String {
        let version = self.settings().server.as_ref();
        let version = version.map_or(String::new(), |version| format!(", version {version}"));
        format!("{}{version} ({})", self.settings().target, self.path)
    }
}

/// The files `*.json` of a folder.
pub fn results(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("{} cannot be read", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    ensure!(
        files.len() <= MOST_RUNS,
        "{} has more than {MOST_RUNS} results",
        folder.display()
    );
    files.sort();
    Ok(files)
}
