//! The processor time and memory of the server's process, as the system tells.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::number::{fraction, ratio};
use crate::result::{ServerUse, UsePoint};

/// Linux tells processor time in hundredths of a second, whatever its own clock does.
const TICKS_A_SECOND: f64 = 100.0;
/// The most points that are kept.
const MOST_POINTS: usize = 3600;

/// A process on this machine that is watched.
#[derive(Debug)]
pub struct Process {
    id: u32,
    /// The least time between two points.
    interval: Duration,
    points: Vec<(Duration, f64, u64)>,
}

impl Process {
    /// The process with this id, for a run of this length.
    pub fn new(id: u32, length: Duration) -> Result<Self> {
        let process = Self {
            id,
            interval: Duration::from_secs(1).max(length / u32::try_from(MOST_POINTS).unwrap_or(u32::MAX)),
            points: Vec::new(),
        };
        let now = process
            .now()
            .with_context(|| format!("--server-pid: there is no process {id}"))?;
        ensure!(
            now.1 > 0,
            "--server-pid: the process {id} has no memory of its own"
        );
        Ok(process)
    }

    /// Looks at the process, if it is time.
    pub fn look(&mut self, at: Duration) {
        let is_due = self
            .points
            .last()
            .is_none_or(|(last, ..)| at >= *last + self.interval);
        // A server that ended shows itself in its answers.
        if is_due
            && self.points.len() < MOST_POINTS
            && let Some((seconds, memory)) = self.now()
        {
            self.points.push((at, seconds, memory));
        }
    }

    /// Seconds of processor time until now, and bytes of memory now.
    fn now(&self) -> Option<(f64, u64)> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id)).ok()?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        Some((seconds(&stat)?, memory(&status)?))
    }

    /// What it used, from the end of the warm-up on.
    pub fn used(&self, warm_up: Duration, requests: u64) -> Option<ServerUse> {
        let measured = self.points.iter().position(|(at, ..)| *at >= warm_up)?;
        let (first, last) = (self.points.get(measured)?, self.points.last()?);
        let points = self.points.windows(2).map(|pair| {
            let (before, after) = (&pair[0], &pair[1]);
            UsePoint {
                at: after.0.as_secs_f64(),
                cores: ratio(after.1 - before.1, after.0.saturating_sub(before.0).as_secs_f64()),
                memory: after.2,
            }
        });
        let length = last.0.saturating_sub(first.0).as_secs_f64();
        let seconds = last.1 - first.1;
        Some(ServerUse {
            cores: ratio(seconds, length),
            seconds_a_request: ratio(seconds, fraction(requests)),
            memory: self.points.iter().map(|(.., memory)| *memory).max()?,
            memory_before: self.points.first()?.2,
            points: points.collect(),
        })
    }
}

/// The processor time in `/proc/…/stat`, in seconds.
fn seconds(stat: &str) -> Option<f64> {
    // The name in the second field may hold anything, brackets and spaces included.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    let (user, system) = (
        fields.next()?.parse::<u64>().ok()?,
        fields.next()?.parse::<u64>().ok()?,
    );
    Some(fraction(user + system) / TICKS_A_SECOND)
}

/// The memory in `/proc/…/status`, in bytes.
fn memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_read() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 1 2 3";
        assert!((seconds(stat).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(memory("Name:\ta\nVmRSS:\t   1024 kB\n"), Some(1 << 20));
        assert_eq!(seconds(""), None);
    }

    #[test]
    fn this_process_uses_something() {
        let mut process = Process::new(std::process::id(), Duration::from_secs(10)).unwrap();
        for second in 0..3 {
            process.look(Duration::from_secs(second));
        }
        let used = process.used(Duration::from_secs(1), 10).unwrap();
        assert_eq!(used.points.len(), 2);
        assert!(used.memory > 1 << 20);
        assert!(Process::new(u32::MAX, Duration::from_secs(1)).is_err());
    }
}
