//! What a run shows while it lasts: a few lines that change on a terminal, plain lines elsewhere.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::display::{milliseconds, rate};
use crate::measure::measurement::Measurement;
use crate::plan::Plan;
use crate::result::Point;

/// How often the lines on a terminal change.
const ON_TERMINAL: Duration = Duration::from_millis(500);
/// How often there is a line elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(5);
/// The letters of a progress bar.
const BAR: usize = 40;

/// Where progress is shown: standard error.
#[derive(Debug)]
pub struct View {
    is_terminal: bool,
    last: Option<Instant>,
    /// How many lines can be written over.
    lines: usize,
}

impl View {
    /// The terminal, if this is one.
    pub fn new() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            last: None,
            lines: 0,
        }
    }

    /// A line that stays.
    pub fn say(&mut self, line: &str) {
        self.write(&[line.to_owned()]);
        self.end();
    }

    /// Workers are awaited.
    pub fn gathering(&mut self, here: usize, all: usize) {
        if here > 0 {
            self.count("Waiting for workers", here, all.max(here + 1));
        }
    }

    /// Users of workers act.
    pub fn spread(&mut self, at: Duration, all: Duration, requests: u64, faults: u64) {
        if self.is_due() {
            let (done, whole) = (at.as_secs(), all.as_secs());
            self.write(&[format!(
                "{done} of {whole} s: {requests} requests, {faults} faults"
            )]);
        }
    }

    /// Users are being filled.
    pub fn preparing(&mut self, done: usize, all: u32) {
        self.count("Preparing users", done, usize::try_from(all).unwrap_or_default());
    }

    /// Everything is read again.
    pub fn comparing(&mut self, done: usize, all: usize) {
        self.count("Reading everything again", done, all);
    }

    /// Users are being removed.
    pub fn removing(&mut self, done: usize, all: u32) {
        self.count("Removing users", done, usize::try_from(all).unwrap_or_default());
    }

    fn count(&mut self, what: &str, done: usize, all: usize) {
        if done < all && !self.is_due() {
            return;
        }
        if self.is_terminal {
            self.write(&[format!("{what:26} {} {done} of {all}", bar(done, all))]);
        } else {
            self.write(&[format!("{what}: {done} of {all}")]);
        }
        if done >= all {
            self.end();
        }
    }

    /// Users act.
    pub fn running(&mut self, plan: &Plan, users: usize, measurement: &Measurement, at: Duration) {
        let all = plan.part_length();
        if at < all && !self.is_due() {
            return;
        }
        let point = measurement.latest(at);
        let phase = if at < plan.warm_up {
            "warming up"
        } else {
            "measuring"
        };
        let (done, whole) = (at.min(all).as_secs(), all.as_secs());
        if self.is_terminal {
            let parts = (usize::try_from(done), usize::try_from(whole));
            let bar = bar(parts.0.unwrap_or_default(), parts.1.unwrap_or_default());
            let [rate, latency] = point.as_ref().map_or([String::new(), String::new()], figures);
            self.write(&[
                format!("{}, {users} users, {phase}", plan.scenario.name),
                format!("{bar} {done} of {whole} s"),
                format!("  {rate}"),
                format!("  {latency}"),
                format!(
                    "  {} requests, {} faults",
                    measurement.requests(),
                    measurement.faults()
                ),
            ]);
        } else {
            let figures = point
                .as_ref()
                .map_or(String::new(), |point| figures(point).join(", "));
            let faults = measurement.faults();
            if !figures.is_empty() {
                self.write(&[format!(
                    "{done} of {whole} s, {users} users, {phase}: {figures}, {faults} faults"
                )]);
            }
        }
        if at >= all {
            self.end();
        }
    }

    fn is_due(&mut self) -> bool {
        let every = if self.is_terminal { ON_TERMINAL } else { ELSEWHERE };
        let is_due = self.last.is_none_or(|last| last.elapsed() >= every);
        if is_due {
            self.last = Some(Instant::now());
        }
        is_due
    }

    fn write(&mut self, lines: &[String]) {
        let mut text = String::new();
        if self.is_terminal && self.lines > 0 {
            // Writing to a text does not fail.
            let _ = write!(text, "\x1b[{}A\x1b[J", self.lines);
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.lines = if self.is_terminal { lines.len() } else { 0 };
        // Progress that cannot be shown does not end a run.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// What was written last stays.
    fn end(&mut self) {
        self.lines = 0;
        self.last = None;
    }
}

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

fn figures(point: &Point) -> [String; 2] {
    let [p50, p90, p99, most] = [point.p50, point.p90, point.p99, point.most].map(milliseconds);
    [
        format!("{} requests a second", rate(point.rate)),
        format!("half within {p50}, 90 of 100 within {p90}, 99 within {p99}, all within {most}"),
    ]
}

fn bar(done: usize, all: usize) -> String {
    let filled = (BAR * done.min(all)).checked_div(all).unwrap_or_default();
    format!("[{}{}]", "#".repeat(filled), ".".repeat(BAR - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_filled_by_its_share() {
        assert_eq!(bar(1, 4), format!("[{}{}]", "#".repeat(10), ".".repeat(30)));
        assert_eq!(bar(0, 0), format!("[{}]", ".".repeat(40)));
    }
}
