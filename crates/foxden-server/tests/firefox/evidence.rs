//! Screenshots of the pages, and after a failure the logs that may explain it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use data_encoding::BASE64;

use crate::browser::Browser;
use crate::test_context::TestContext;

/// The folder of the run's artefacts, which the repository ignores.
pub(crate) fn artefacts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artefacts")
}

/// Writes a screenshot of the whole current page.
pub(crate) fn picture(browser: &mut Browser, file: &Path) -> Result<()> {
    let png = BASE64.decode(browser.marionette.screenshot()?.as_bytes())?;
    fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
    Ok(fs::write(file, png)?)
}

/// Keeps the logs and screenshots of a failed scenario. An error while doing so is printed and changes nothing.
pub(crate) fn keep(test: &mut TestContext) {
    let folder = artefacts().join("firefox").join(test.name());
    if let Err(error) = keep_in(&folder, test) {
        eprintln!("not all evidence could be kept: {error:#}");
    }
    eprintln!("evidence: {}", folder.display());
}

fn keep_in(folder: &Path, test: &mut TestContext) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::copy(test.server.log_file(), folder.join("foxden.log"))?;
    fs::write(folder.join("recorder.log"), test.recorder.lines().join("\n"))?;
    for (name, browser) in [("a", &mut test.a), ("b", &mut test.b)] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let logs = browser.folder().join("profile/weave/logs");
        for log in fs::read_dir(logs).into_iter().flatten() {
            let log = log?;
            fs::copy(log.path(), folder.join(log.file_name()))?;
        }
        fs::copy(browser.folder().join("firefox.log"), folder.join("firefox.log"))?;
        picture(browser, &folder.join("page.png"))?;
    }
    Ok(())
}
