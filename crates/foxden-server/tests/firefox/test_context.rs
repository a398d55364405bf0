//! Runs one scenario at a time: two browsers, which scenarios share, and a server of its own for each.
//!
//! A browser takes five seconds to start, so it is reset to its first state between scenarios. A scenario that failed
//! leaves its browsers in an unknown state, and the next one starts new browsers.

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

/// The browsers and the server of one scenario.
pub(crate) struct TestContext {
    /// The first browser, signed in nowhere.
    pub(crate) a: Browser,
    /// The second.
    pub(crate) b: Browser,
    pub(crate) server: Server,
    pub(crate) recorder: Recorder,
    folder: PathBuf,
    name: String,
}

/// The browsers and the proxy, which all scenarios share.
struct SharedState {
    recorder: Recorder,
    browsers: Option<(Browser, Browser)>,
}

/// Scenarios run one after the other, as a small machine cannot run more than two browsers.
static SHARED: Mutex<Option<SharedState>> = Mutex::new(None);

/// Runs a scenario. Its name is that of its folder among the artefacts, should it fail.
pub(crate) fn scenario(name: &str, act: impl FnOnce(&mut TestContext) -> Result<()>) -> Result<()> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let shared = match &mut *shared {
        Some(shared) => shared,
        empty => empty.insert(SharedState::open()?),
    };
    let mut test = shared.test_context(name)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        act(&mut test)?;
        test.check_forbidden_requests()
    }));
    match outcome {
        Ok(Ok(())) => {
            shared.browsers = test.reset();
            Ok(())
        }
        Ok(Err(error)) => {
            evidence::keep(&mut test);
            Err(error)
        }
        Err(panic) => {
            evidence::keep(&mut test);
            resume_unwind(panic)
        }
    }
}

impl SharedState {
    fn open() -> Result<Self> {
        sweep().context("what earlier runs left")?;
        Ok(Self {
            recorder: Recorder::start()?,
            browsers: None,
        })
    }

    fn test_context(&mut self, name: &str) -> Result<TestContext> {
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
        Ok(TestContext {
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

impl TestContext {
    /// Starts one more browser with a fresh profile and preferences of its own, pointed at this server.
    pub(crate) fn launch(&self, name: &str, prefs: Prefs) -> Result<Browser> {
        let folder = self.folder.join(name);
        let mut browser = Browser::launch(&folder, &self.recorder, prefs)?.ready()?;
        point_to(&mut browser, &self.server.url)?;
        Ok(browser)
    }

    /// The folder of this scenario.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Fails if a browser has contacted the account or Sync servers of another provider.
    fn check_forbidden_requests(&self) -> Result<()> {
        let forbidden_requests = self.recorder.forbidden_requests();
        ensure!(
            forbidden_requests.is_empty(),
            "asked elsewhere: {forbidden_requests:?}"
        );
        Ok(())
    }

    /// The browsers, reset to their first state; `None` if that fails.
    fn reset(mut self) -> Option<(Browser, Browser)> {
        let is_clean = [&mut self.a, &mut self.b]
            .into_iter()
            .all(|browser| sync::forget_everything(browser).is_ok());
        is_clean.then_some((self.a, self.b))
    }
}

/// Sets the one preference that a user sets.
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
