//! Processes that another command has started, told apart from later ones with the same number.

use std::fmt;
use std::fs;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::cargo::passes;

/// A process: its number, and when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The number of the process.
    pub pid: u32,
    /// The clock ticks from the start of the machine to that of the process.
    ticks: u64,
    /// The id that the kernel gave itself when the machine started.
    boot: String,
}

impl Process {
    /// The process that calls.
    pub fn this() -> Result<Self> {
        Self::with_pid(std::process::id())
    }

    /// The process that has this number now.
    pub fn with_pid(pid: u32) -> Result<Self> {
        // One that has ended already is told apart all the same, until its parent has asked for its result.
        let ticks = stat(pid).map(|stat| stat.ticks);
        let ticks = ticks.with_context(|| format!("process {pid} does not run, or there is no /proc"))?;
        let boot = boot()?;
        Ok(Self { pid, ticks, boot })
    }

    /// Returns whether it still runs. A later process with its number is another one.
    pub fn is_running(&self) -> bool {
        let runs = |stat: Stat| stat.ticks == self.ticks && !stat.has_ended;
        stat(self.pid).is_some_and(runs) && boot().is_ok_and(|boot| boot == self.boot)
    }

    /// Ends it by a signal. If it still runs after the given time, the kernel ends it; returns whether that was needed.
    pub fn end(&self, signal: &str, after: Duration) -> Result<bool> {
        self.send(signal)?;
        if self.has_ended_within(after) {
            return Ok(false);
        }
        self.send("KILL")?;
        if !self.has_ended_within(Duration::from_secs(10)) {
            bail!("process {} does not end", self.pid);
        }
        Ok(true)
    }

    /// Sends it a signal, and then its children: PostgreSQL has one for each client.
    pub fn send_with_children(&self, signal: &str) -> Result<()> {
        // It has no new ones once it is stopped or killed.
        let before = self.children()?;
        self.send(signal)?;
        let mut children = self.children()?;
        children.extend(before);
        for child in children {
            child.send(signal)?;
        }
        Ok(())
    }

    /// Kills it and its children, and waits until they are gone.
    pub fn kill_with_children(&self) -> Result<()> {
        let children = self.children()?;
        self.send_with_children("KILL")?;
        for process in children.iter().chain([self]) {
            if !process.has_ended_within(Duration::from_secs(10)) {
                bail!("process {} does not end", process.pid);
            }
        }
        Ok(())
    }

    /// The processes that it has started and that run.
    pub fn children(&self) -> Result<Vec<Self>> {
        let mut children = Vec::new();
        if !self.is_running() {
            // Another process may have its number, and children.
            return Ok(children);
        }
        for entry in fs::read_dir("/proc")? {
            let pid = entry?.file_name().to_string_lossy().parse();
            let Ok(pid) = pid else { continue };
            if stat(pid).is_some_and(|stat| stat.parent == self.pid) {
                // It may have ended since.
                children.extend(Self::with_pid(pid).ok());
            }
        }
        Ok(children)
    }

    fn send(&self, signal: &str) -> Result<()> {
        if self.is_running() {
            // The shell's own kill: the program is in a package of its own.
            let mut kill = Command::new("sh");
            kill.arg("-c").arg(format!("kill -{signal} {}", self.pid));
            // It may have ended since.
            passes(kill.stdin(Stdio::null()).stderr(Stdio::null()))?;
        }
        Ok(())
    }

    fn has_ended_within(&self, time: Duration) -> bool {
        let begun = Instant::now();
        while self.is_running() {
            if begun.elapsed() > time {
                return false;
            }
            sleep(Duration::from_millis(20));
        }
        true
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.pid, self.ticks, self.boot)
    }
}

impl FromStr for Process {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [pid, ticks, boot] = words[..] else {
            return Err(anyhow!("{text:?} is no process"));
        };
        Ok(Self {
            pid: pid.parse()?,
            ticks: ticks.parse()?,
            boot: boot.to_owned(),
        })
    }
}

/// What the kernel tells of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// When it began.
    ticks: u64,
    /// Whether it has ended and only waits for its parent.
    has_ended: bool,
    parent: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The 22nd, the third and the fourth field. The second, the name, may contain blanks and brackets.
fn parse(stat: &str) -> Option<Stat> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    Some(Stat {
        ticks: fields.nth(17)?.parse().ok()?,
        has_ended,
        parent,
    })
}

fn boot() -> Result<String> {
    const FILE: &str = "/proc/sys/kernel/random/boot_id";
    let id = fs::read_to_string(FILE).with_context(|| format!("{FILE} cannot be read"))?;
    Ok(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child() -> std::process::Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[test]
    fn a_later_process_with_the_same_number_is_another_one() {
        let this = Process::this().unwrap();
        assert!(this.is_running());
        let earlier = Process {
            ticks: this.ticks - 1,
            ..this.clone()
        };
        assert!(!earlier.is_running());
        let before_a_restart = Process {
            boot: "another".to_owned(),
            ..this
        };
        assert!(!before_a_restart.is_running());
    }

    #[test]
    fn a_process_is_the_same_after_it_was_written_down() {
        let this = Process::this().unwrap();
        assert_eq!(this.to_string().parse::<Process>().unwrap(), this);
        assert!("12".parse::<Process>().is_err());
    }

    #[test]
    fn the_name_of_a_process_may_contain_brackets() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        let expected = |has_ended| Stat {
            ticks: 777,
            has_ended,
            parent: 1,
        };
        assert_eq!(parse(&format!("12 (a) Z (b)) {fields}")), Some(expected(false)));
        let ended = format!("12 (a) {}", fields.replace('S', "Z"));
        assert_eq!(parse(&ended), Some(expected(true)));
    }

    #[test]
    fn a_process_that_is_told_to_end_has_ended() {
        let mut child = child();
        let process = Process::with_pid(child.id()).unwrap();
        assert!(!process.end("TERM", Duration::from_secs(60)).unwrap());
        assert!(!process.is_running());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_does_not_listen_is_killed() {
        let mut child = child();
        let process = Process::with_pid(child.id()).unwrap();
        // The signal that continues a stopped process ends no other.
        assert!(process.end("CONT", Duration::from_millis(1)).unwrap());
        assert!(!process.is_running());
        child.wait().unwrap();
    }

    #[test]
    fn children_get_the_signal_too() {
        let mut parent = Command::new("sh")
            .args(["-c", "sleep 600 & wait; exit 1"])
            .spawn()
            .unwrap();
        let process = Process::with_pid(parent.id()).unwrap();
        let begun = Instant::now();
        while process.children().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            sleep(Duration::from_millis(1));
        }
        let children = process.children().unwrap();
        process.kill_with_children().unwrap();
        assert!(!process.is_running());
        assert!(children.iter().all(|child| !child.is_running()));
        parent.wait().unwrap();
    }

    #[test]
    fn only_the_process_itself_is_ended() {
        let mut child = child();
        let process = Process::with_pid(child.id()).unwrap();
        let earlier = Process {
            ticks: process.ticks - 1,
            ..process.clone()
        };
        assert!(!earlier.end("KILL", Duration::from_secs(60)).unwrap());
        assert!(earlier.children().unwrap().is_empty());
        assert!(process.is_running());
        process.end("KILL", Duration::from_secs(60)).unwrap();
        child.wait().unwrap();
    }
}
