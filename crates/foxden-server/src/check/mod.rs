//! `foxden check`: finds common problems, and tells how to fix them.
//!
//! - [`files`]: the data folder, its permissions, the room on the disk
//! - [`address`]: whether the public address leads here, and whether signatures survive the way
//! - [`proxy`]: what becomes of requests on that way
//! - [`elsewhere`]: whether others reach a server that takes itself for private
//! - [`databases`]: whether databases of servers are fit
//! - [`nodes`], [`register`]: the storage nodes that users are sent to, and the accounts that a node asks
//! - [`mail`]: whether mail can be sent
//! - [`date`], [`signed`]: clocks, and requests that a node must take
//! - [`wait`]: how clients are asked to wait

mod address;
mod databases;
mod date;
mod elsewhere;
mod files;
mod mail;
mod nodes;
mod proxy;
mod register;
mod signed;
mod wait;

pub use databases::left_behind;
pub use nodes::check_new as check_new_node;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use foxden_model::{Clock, SystemClock};

use crate::config::{Config, Flags};
use crate::http_client::HttpClient;
use crate::terminal::{self, Style, styled};

/// How long the way through a public address may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The arguments of `foxden check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Trust the certificates in this file of PEM besides those that browsers do
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send a test mail to this address
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<String>,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    severity: Severity,
    what: String,
    hint: Option<String>,
}

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is wrong.
    Ok,
    /// It works, but deserves attention.
    Warning,
    /// It does not work.
    Error,
}

impl Finding {
    /// Nothing is wrong.
    pub fn ok(what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Ok,
            what: what.into(),
            hint: None,
        }
    }

    /// It works, but deserves attention.
    pub fn warning(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            what: what.into(),
            hint: Some(hint.into()),
        }
    }

    /// It does not work. The hint says what to do.
    pub fn error(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            what: what.into(),
            hint: Some(hint.into()),
        }
    }

    /// Returns whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.severity == Severity::Ok
    }

    /// Returns whether it does not work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Prints it.
    pub fn show(&self) {
        let mark = match self.severity {
            Severity::Ok => styled("ok  ", Style::Good),
            Severity::Warning => styled("look", Style::Warning),
            Severity::Error => styled("BAD ", Style::Bad),
        };
        terminal::print_line(format_args!("{mark}  {}", self.what));
        if let Some(hint) = &self.hint {
            terminal::print_line(format_args!("      {}", styled(hint, Style::Dim)));
        }
    }
}

/// Runs all checks. Returns a failure if one finds an error.
pub fn check(flags: &Flags, args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags)?;
    let client = HttpClient::new(TIMEOUT, args.ca.as_deref().or(config.server.ca_file.as_deref()))?;
    let mut findings = vec![
        Finding::ok("the configuration is fine"),
        check_clock(&SystemClock),
    ];
    findings.extend(files::check(&config.server.data_dir));
    findings.extend(databases::check(&config)?);
    findings.extend(address::check(&config, &client)?);
    findings.extend(nodes::check(&config, &client));
    findings.extend(register::check(&config)?);
    findings.extend(mail::check(&config, args.mail.as_deref())?);
    for finding in &findings {
        finding.show();
    }
    let is_error = findings.iter().any(Finding::is_error);
    Ok(if is_error {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Waits for work with databases, which needs a runtime.
fn wait_for<F: Future>(work: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// No clock that is right shows a time before this program was written.
const EARLIEST: i64 = 1_760_000_000;

/// Whether the clock shows a time that is over, as on a machine without a battery that has just started.
pub fn is_years_behind(clock: &dyn Clock) -> bool {
    clock.seconds() < EARLIEST
}

fn check_clock(clock: &dyn Clock) -> Finding {
    if is_years_behind(clock) {
        return Finding::error(
            "the clock of this machine is years behind",
            "set it, and keep it right with a time service such as systemd-timesyncd or chrony",
        );
    }
    Finding::ok("the clock shows a possible time")
}

#[cfg(test)]
mod tests {
    use foxden_model::ManualClock;

    use super::*;

    #[test]
    fn a_clock_of_the_past_is_bad() {
        assert_eq!(check_clock(&ManualClock::at_millis(0)).severity, Severity::Error);
        assert_eq!(check_clock(&SystemClock).severity, Severity::Ok);
    }
}
