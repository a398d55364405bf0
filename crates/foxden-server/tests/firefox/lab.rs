//! Runs one scenario at a time: two browsers, which scenarios share, and a server of its own for each.
//!
//! A browser takes five seconds to start and is put back to its first state between scenarios instead. After a
//! scenario that failed, both are thrown away: nobody knows what state they are in.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::browser::{Browser, Prefs};
use crate::recorder::Recorder;
use crate::server::Server;
use crate::{evidence, sync};

/// What one scenario works with.
pub(crate) struct Lab {
    /// The first browser, signed in nowhere.
    pub(crate) a: Browser,
    /// The second.
    pub(crate) b: Browser,
    pub(crate) server: Server,
    pub(crate) recorder: Recorder,
    folder: PathBuf,
    name: String,
}

/// What outlives a scenario.
struct House {
    recorder: Recorder,
    browsers: Option<(Browser, Browser)>,
}

/// One scenario after the other: two browsers are what a small machine runs well.
static HOUSE: Mutex<Option<House>> = Mutex::new(None);

/// Runs a scenario. Its name is that of its folder among the artefacts, should it fail.
pub(crate) fn scenario(name: &str, act: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    let mut house = HOUSE.lock().unwrap_or_else(PoisonError::into_inner);
    let house = match &mut *house {
        Some(house) => house,
        empty => empty.insert(House::open()?),
    };
    let mut lab = house.lab(name)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        act(&mut lab)?;
        lab.check_forbidden_requests()
    }));
    match outcome {
        Ok(Ok(())) => {
            house.browsers = lab.clean();
            Ok(())
        }
        Ok(Err(error)) => {
            evidence::keep(&mut lab);
            Err(error)
        }
        Err(panic) => {
            evidence::keep(&mut lab);
            resume_unwind(panic)
        }
    }
}

impl House {
    fn open() -> Result<Self> {
        sweep().context("what earlier runs left")?;
        Ok(Self {
            recorder: Recorder::start()?,
            browsers: None,
        })
    }

    fn lab(&mut self, name: &str) -> Result<Lab> {
        let folder = folder().join(name);
        let (mut a, mut b) = match self.browsers.take() {
            Some(browsers) => browsers,
            None => self.launch(&folder)?,
        };
        let server = Server::start(&folder)?;
        for browser in [&mut a, &mut b] {
            point_to(browser, &server.url)?;
        }
        let recorder = self.recorder.clone();
        recorder.clear();
        Ok(Lab {
            a,
            b,
            server,
            recorder,
            folder,
            name: name.to_owned(),
        })
    }

    fn launch(&self, folder: &Path) -> Result<(Browser, Browser)> {
        let a = Browser::launch(&folder.join("a"), &self.recorder, Prefs::new())?;
        let b = Browser::launch(&folder.join("b"), &self.recorder, Prefs::new())?;
        Ok((a.ready()?, b.ready()?))
    }
}

impl Lab {
    /// Starts one more browser with a fresh profile and preferences of its own, pointed at this server.
    pub(crate) fn launch(&self, name: &str, prefs: Prefs) -> Result<Browser> {
        let folder = self.folder.join(name);
        let mut browser = Browser::launch(&folder, &self.recorder, prefs)?.ready()?;
        point_to(&mut browser, &self.server.url)?;
        Ok(browser)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// No browser may have turned to somebody else's account or Sync servers.
    fn check_forbidden_requests(&self) -> Result<()> {
        let forbidden_requests = self.recorder.forbidden_requests();
        ensure!(
            forbidden_requests.is_empty(),
            "asked elsewhere: {forbidden_requests:?}"
        );
        Ok(())
    }

    /// The browsers as they were before; none when they cannot be put back.
    fn clean(mut self) -> Option<(Browser, Browser)> {
        let is_clean = [&mut self.a, &mut self.b]
            .into_iter()
            .all(|browser| sync::forget_everything(browser).is_ok());
        is_clean.then_some((self.a, self.b))
    }
}

/// Sets the one preference that a person sets.
pub(crate) fn point_to(browser: &mut Browser, url: &str) -> Result<()> {
    browser.set_pref("identity.fxaccounts.autoconfig.uri", json!(url))
}

/// Where the browsers' profiles and the servers' data of this run are.
fn folder() -> PathBuf {
    runs().join(std::process::id().to_string())
}

fn runs() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("firefox")
}

/// Removes the folders of runs that are over.
fn sweep() -> Result<()> {
    fs::create_dir_all(runs())?;
    for entry in fs::read_dir(runs())? {
        let entry = entry?;
        if !Path::new("/proc").join(entry.file_name()).exists() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
