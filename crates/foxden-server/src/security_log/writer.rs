//! The thread that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foxden_model::Clock;

use super::cef::Repeats;
use super::repeat_filter::{Decision, RepeatFilter};
use super::signature::Signature;
use super::{CefLine, QueuedEvent, Target};

/// The pause after a failed write, and the minimum time between two lines about a full queue.
const RETRY: Duration = Duration::from_secs(1);

/// Writes events to the target.
pub(super) struct Writer {
    target: Target,
    host: String,
    clock: Arc<dyn Clock>,
    repeats: RepeatFilter,
    /// Events that found the queue full.
    missed: Arc<AtomicU64>,
    /// Refusals that were too many.
    too_many: u64,
    /// Lines that the target did not take.
    unwritten: u64,
    /// When the target was last tried in vain.
    failed_at: Option<Instant>,
    /// When the last line about a full queue was written.
    missed_told_at: Option<Instant>,
}

impl Writer {
    pub(super) fn new(target: Target, host: &str, missed: Arc<AtomicU64>, clock: Arc<dyn Clock>) -> Self {
        Self {
            target,
            host: host.to_owned(),
            clock,
            repeats: RepeatFilter::default(),
            missed,
            too_many: 0,
            unwritten: 0,
            failed_at: None,
            missed_told_at: None,
        }
    }

    /// Writes an event, or counts it.
    pub(super) fn take(&mut self, event: &QueuedEvent) {
        self.tick();
        if Signature::of(event.kind).is_repeatable() {
            match self.repeats.take(event) {
                Decision::Write => {}
                Decision::Counted => return,
                Decision::TooMany => {
                    self.too_many += 1;
                    return;
                }
            }
        }
        let line = CefLine::of(event, None, &self.host);
        self.write(&line);
    }

    /// Closes windows, and writes the number of missing lines. Missing refusals are reported when their minute is over: a
    /// flood would otherwise cause such a line for each of its own.
    pub(super) fn tick(&mut self) {
        let now = self.clock.millis();
        while let Some((event, repeats)) = self.repeats.close(now) {
            self.write_repeats(&event, repeats);
        }
        let is_minute_over = self.repeats.is_minute_over(now);
        self.write_missing(now, is_minute_over);
    }

    /// Writes all counts that are not written yet.
    pub(super) fn finish(&mut self) {
        while let Some((event, repeats)) = self.repeats.close_oldest() {
            self.write_repeats(&event, repeats);
        }
        (self.failed_at, self.missed_told_at) = (None, None);
        self.write_missing(self.clock.millis(), true);
    }

    /// Whether the target took every line so far.
    pub(super) const fn is_flushed(&self) -> bool {
        self.unwritten == 0
    }

    /// Counts a line that could not be made.
    pub(super) const fn count_lost_line(&mut self) {
        self.unwritten += 1;
    }

    fn write_repeats(&mut self, event: &QueuedEvent, repeats: Option<Repeats>) {
        if repeats.is_some() {
            let line = CefLine::of(event, repeats, &self.host);
            self.write(&line);
        }
    }

    fn write_missing(&mut self, now: i64, with_too_many: bool) {
        let may_try = self.failed_at.is_none_or(|since| since.elapsed() >= RETRY);
        if self.unwritten > 0 && may_try {
            let line = CefLine::missing(self.unwritten, "the target did not take them", &self.host, now);
            match self.target.write(&line) {
                Ok(()) => {
                    let missing = std::mem::take(&mut self.unwritten);
                    tracing::info!("the security log is written again; {missing} lines are missing");
                }
                Err(_) => self.failed_at = Some(Instant::now()),
            }
        }
        // Not with each line of what fills the queue.
        let may_tell = self.missed_told_at.is_none_or(|since| since.elapsed() >= RETRY);
        let missed = if may_tell {
            self.missed.swap(0, Ordering::Relaxed)
        } else {
            0
        };
        if missed > 0 {
            self.missed_told_at = Some(Instant::now());
            tracing::warn!("{missed} security events found the queue full");
            let line = CefLine::missing(missed, "the queue was full", &self.host, now);
            self.write(&line);
        }
        if with_too_many && self.too_many > 0 {
            let too_many = std::mem::take(&mut self.too_many);
            let line = CefLine::missing(too_many, "too many refusals in a minute", &self.host, now);
            self.write(&line);
        }
    }

    /// While the target is away, lines are only counted, but for one attempt a second: the queue must not fill meanwhile.
    fn write(&mut self, line: &CefLine) {
        if self.unwritten > 0 {
            self.unwritten += 1;
            return;
        }
        if let Err(error) = self.target.write(line) {
            tracing::warn!("the security log cannot be written: {error}");
            self.unwritten = 1;
            self.failed_at = Some(Instant::now());
        }
    }
}
