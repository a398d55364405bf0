//! The machine on which the load is made, as far as the system tells.

use std::fs;

use crate::result::Machine;

/// This machine. What cannot be found out stays empty.
pub fn this(is_shared: bool) -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let release = read("/etc/os-release");
    let kernel = read("/proc/sys/kernel/osrelease");
    let system = value(&release, "PRETTY_NAME=").trim_matches('"');
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kilobytes = value(&read("/proc/meminfo"), "MemTotal:")
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>();
    Machine {
        system: format!("{system}, kernel {}", kernel.trim()),
        processor: value(&read("/proc/cpuinfo"), "model name")
            .trim_start_matches([':', ' ', '\t'])
            .to_owned(),
        cores: u32::try_from(cores).unwrap_or_default(),
        memory: kilobytes.unwrap_or_default() * 1024,
        is_shared,
    }
}

/// The rest of the first line that begins so.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.next().unwrap_or_default().trim()
}
