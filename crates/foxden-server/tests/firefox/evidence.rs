//! What is kept: pictures of the pages, and after a failure all that may tell why.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use data_encoding::BASE64;

use crate::browser::Browser;
use crate::lab::Lab;

/// The folder of the run's artefacts, which the repository ignores.
pub(crate) fn artefacts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artefacts")
}

/// Writes a picture of the whole page that is in front.
pub(crate) fn picture(browser: &mut Browser, file: &Path) -> Result<()> {
    let png = BASE64.decode(browser.wire.screenshot()?.as_bytes())?;
    fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
    Ok(fs::write(file, png)?)
}

/// Keeps what a failed scenario leaves. That it fails too is said and changes nothing.
pub(crate) fn keep(lab: &mut Lab) {
    let folder = artefacts().join("firefox").join(lab.name());
    if let Err(error) = keep_in(&folder, lab) {
        eprintln!("not all evidence could be kept: {error:#}");
    }
    eprintln!("evidence: {}", folder.display());
}

fn keep_in(folder: &Path, lab: &mut Lab) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::copy(lab.server.log_file(), folder.join("foxden.log"))?;
    fs::write(folder.join("recorder.log"), lab.recorder.lines().join("\n"))?;
    for (name, browser) in [("a", &mut lab.a), ("b", &mut lab.b)] {
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
