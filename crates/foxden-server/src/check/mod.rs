//! `foxden check`: finds what usually goes wrong, and says how to mend it.
//!
//! - [`files`]: the data folder, its permissions, the room on the disk
//! - [`address`]: whether the public address leads here, and whether signatures survive the way
//! - [`proxy`]: what becomes of requests on that way
//! - [`elsewhere`]: whether others reach a server that takes itself for private
//! - [`nodes`], [`register`]: the storage nodes that users are sent to, and the accounts that a node asks
//! - [`mail`]: whether letters get on their way
//! - [`date`], [`signed`]: clocks, and requests that a node must take
//! - [`wait`]: how clients are asked to wait

mod address;
mod date;
mod elsewhere;
mod files;
mod mail;
mod nodes;
mod proxy;
mod register;
mod signed;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use foxden_model::{Clock, SystemClock};

use crate::config::{Config, Flags};
use crate::node::Asker;
use crate::say::{self, Look, paint};

/// How long the way through a public address may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `foxden check` may be told.
#[derive(Debug, clap::Args)]
pub struct Wishes {
    /// Trust the certificates in this file of PEM besides those that browsers do
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send a letter to this address, to see whether it arrives
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<String>,
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    weight: Weight,
    what: String,
    mend: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// As it should be.
    Good,
    /// It works, but should be looked at.
    Doubtful,
    /// It does not work.
    Bad,
}

impl Finding {
    /// As it should be.
    pub fn good(what: impl Into<String>) -> Self {
        Self {
            weight: Weight::Good,
            what: what.into(),
            mend: None,
        }
    }

    /// It works, but should be looked at.
    pub fn doubtful(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            weight: Weight::Doubtful,
            what: what.into(),
            mend: Some(mend.into()),
        }
    }

    /// It does not work until it is mended.
    pub fn bad(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            weight: Weight::Bad,
            what: what.into(),
            mend: Some(mend.into()),
        }
    }

    /// Whether it does not work.
    pub fn is_bad(&self) -> bool {
        self.weight == Weight::Bad
    }

    fn show(&self) {
        let mark = match self.weight {
            Weight::Good => paint("ok  ", Look::Good),
            Weight::Doubtful => paint("look", Look::Warning),
            Weight::Bad => paint("BAD ", Look::Bad),
        };
        say::line(format_args!("{mark}  {}", self.what));
        if let Some(mend) = &self.mend {
            say::line(format_args!("      {}", paint(mend, Look::Dim)));
        }
    }
}

/// Looks at everything; fails if something is bad.
pub fn check(flags: &Flags, wishes: &Wishes) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags)?;
    let asker = Asker::new(
        PATIENCE,
        wishes.ca.as_deref().or(config.server.ca_file.as_deref()),
    )?;
    let mut findings = vec![
        Finding::good("the configuration is fine"),
        look_at_clock(&SystemClock),
    ];
    findings.extend(files::look(&config.server.data_dir));
    findings.extend(address::look(&config, &asker)?);
    findings.extend(nodes::look(&config, &asker));
    findings.extend(register::look(&config)?);
    findings.extend(mail::look(&config, wishes.mail.as_deref())?);
    for finding in &findings {
        finding.show();
    }
    let is_bad = findings.iter().any(Finding::is_bad);
    Ok(if is_bad {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// No clock that is right shows a time before this program was written.
const EARLIEST: i64 = 1_760_000_000;

/// Whether the clock shows a time that is over, as on a machine without a battery that has just started.
pub fn is_years_behind(clock: &dyn Clock) -> bool {
    clock.seconds() < EARLIEST
}

fn look_at_clock(clock: &dyn Clock) -> Finding {
    if is_years_behind(clock) {
        return Finding::bad(
            "the clock of this machine is years behind",
            "set it, and keep it right with a time service such as systemd-timesyncd or chrony",
        );
    }
    Finding::good("the clock shows a possible time")
}

#[cfg(test)]
mod tests {
    use foxden_model::ManualClock;

    use super::*;

    #[test]
    fn a_clock_of_the_past_is_bad() {
        assert_eq!(look_at_clock(&ManualClock::at_millis(0)).weight, Weight::Bad);
        assert_eq!(look_at_clock(&SystemClock).weight, Weight::Good);
    }
}
