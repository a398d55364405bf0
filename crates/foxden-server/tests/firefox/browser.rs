//! One Firefox with a profile of its own, which can reach this machine alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::marionette::Marionette;
use crate::process::{Process, free_port, wait_for};
use crate::recorder::Recorder;

const START_LIMIT: Duration = Duration::from_secs(60);

/// A host name that resolves to this machine but is no secure context without https.
pub(crate) const PLAIN_HOST: &str = "foxden.test";

/// Preferences by name.
pub(crate) type Prefs = BTreeMap<&'static str, Value>;

/// A running browser and its Marionette connection.
pub(crate) struct Browser {
    /// Declared first: the connection closes before the process ends.
    pub(crate) marionette: Marionette,
    process: Option<Process>,
    folder: PathBuf,
    port: u16,
}

/// A browser that was started and may not listen yet.
pub(crate) struct Starting {
    process: Process,
    folder: PathBuf,
    port: u16,
}

impl Browser {
    /// Starts a browser on a fresh profile in `folder`.
    pub(crate) fn launch(folder: &Path, recorder: &Recorder, more: Prefs) -> Result<Starting> {
        fs::create_dir_all(folder.join("profile"))?;
        let port = free_port()?;
        let mut prefs = prefs(recorder.port());
        prefs.insert("marionette.port", json!(port));
        prefs.extend(more);
        let lines = prefs
            .iter()
            .map(|(name, value)| format!("user_pref({}, {value});\n", json!(name)));
        fs::write(folder.join("profile/user.js"), lines.collect::<String>())?;
        Ok(Starting {
            process: run(folder)?,
            folder: folder.to_owned(),
            port,
        })
    }

    /// Quits the browser as a person does and starts it on the same profile.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.marionette.quit()?;
        if let Some(process) = self.process.take() {
            process.wait(START_LIMIT)?;
        }
        self.process = Some(run(&self.folder)?);
        self.marionette = connect(self.port)?;
        Ok(())
    }

    /// The value of a preference, or null.
    pub(crate) fn pref(&mut self, name: &str) -> Result<Value> {
        let script = r"
            const prefs = Services.prefs;
            switch (prefs.getPrefType(args)) {
                case prefs.PREF_STRING: return prefs.getStringPref(args);
                case prefs.PREF_INT: return prefs.getIntPref(args);
                case prefs.PREF_BOOL: return prefs.getBoolPref(args);
            }
            return null;";
        self.marionette.chrome(script, json!(name))
    }

    /// Sets a preference, or with null puts it back.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write the value on the spot"
    )]
    pub(crate) fn set_pref(&mut self, name: &str, value: Value) -> Result<()> {
        let script = r#"
            const [name, value] = args;
            switch (typeof value) {
                case "string": Services.prefs.setStringPref(name, value); break;
                case "number": Services.prefs.setIntPref(name, value); break;
                case "boolean": Services.prefs.setBoolPref(name, value); break;
                default: Services.prefs.clearUserPref(name);
            }"#;
        self.marionette.chrome(script, json!([name, value]))?;
        Ok(())
    }

    /// Where the profile, and all that the browser printed, are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Starting {
    /// Waits until the browser can be spoken to.
    pub(crate) fn ready(self) -> Result<Browser> {
        Ok(Browser {
            marionette: connect(self.port)?,
            process: Some(self.process),
            folder: self.folder,
            port: self.port,
        })
    }
}

fn connect(port: u16) -> Result<Marionette> {
    wait_for("Firefox to listen", START_LIMIT, || {
        Ok(Marionette::connect(port).ok())
    })
}

fn run(folder: &Path) -> Result<Process> {
    let mut command = Command::new("firefox-esr");
    command.args([
        "--headless",
        "--marionette",
        "--remote-allow-system-access",
        "--no-remote",
        "--profile",
    ]);
    command.arg(folder.join("profile"));
    command.env("MOZ_HEADLESS", "1").env("HOME", folder);
    // The user's name becomes a part of the device's name.
    command.env("USER", "ann").current_dir(folder);
    Process::start(&command, &folder.join("firefox.log")).context("firefox-esr cannot be started")
}

/// The preferences of every profile.
fn prefs(proxy: u16) -> Prefs {
    [
        ("identity.fxaccounts.allowHttp", json!(true)),
        ("network.proxy.type", json!(1)),
        ("network.proxy.http", json!("127.0.0.1")),
        ("network.proxy.http_port", json!(proxy)),
        ("network.proxy.ssl", json!("127.0.0.1")),
        ("network.proxy.ssl_port", json!(proxy)),
        ("network.proxy.no_proxies_on", json!(PLAIN_HOST)),
        ("network.dns.localDomains", json!(PLAIN_HOST)),
        ("browser.shell.checkDefaultBrowser", json!(false)),
        ("browser.aboutwelcome.enabled", json!(false)),
        ("datareporting.policy.dataSubmissionEnabled", json!(false)),
        ("browser.startup.page", json!(0)),
        ("browser.startup.homepage_override.mstone", json!("ignore")),
        ("toolkit.startup.max_resumed_crashes", json!(-1)),
        ("app.update.disabledForTesting", json!(true)),
        // Screenshots should show neither animations nor scroll bars.
        ("ui.prefersReducedMotion", json!(1)),
        ("ui.useOverlayScrollbars", json!(1)),
        ("services.sync.log.appender.file.logOnSuccess", json!(true)),
        ("services.sync.log.logger", json!("Trace")),
        ("identity.fxaccounts.loglevel", json!("Trace")),
    ]
    .into()
}
