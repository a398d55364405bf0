//! Runs programs of tests side by side.

use std::io::{BufRead, BufReader, PipeReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Tests that run beside others.
pub struct Suite {
    pub name: String,
    /// What its tests run with, if they run in other suites with something else: they count once for each setting.
    pub setting: String,
    pub command: Command,
}

/// What happens while suites run.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// The suite of that name has begun.
    Begun(String),
    Ended(EndedSuite),
}

/// A suite that has run.
#[derive(Debug, PartialEq, Eq)]
pub struct EndedSuite {
    pub name: String,
    pub setting: String,
    /// All that it printed.
    pub lines: Vec<String>,
    pub is_good: bool,
    pub took: Duration,
}

impl Suite {
    pub fn new(name: &str, command: Command) -> Self {
        Self {
            name: name.to_owned(),
            setting: String::new(),
            command,
        }
    }

    /// Tests that run in other suites, too, with another setting.
    pub fn again(name: impl Into<String>, command: Command) -> Self {
        let name = name.into();
        Self {
            setting: name.clone(),
            name,
            command,
        }
    }

    fn run(mut self) -> EndedSuite {
        let begin = Instant::now();
        let mut lines = Vec::new();
        let ran = print_lines(&mut self.command, |line| {
            lines.push(line.to_owned());
            false
        });
        let is_good = ran.unwrap_or_else(|error| {
            lines.push(format!("{error:#}"));
            false
        });
        EndedSuite {
            name: self.name,
            setting: self.setting,
            lines,
            is_good,
            took: begin.elapsed(),
        }
    }
}

/// Runs lanes of suites side by side, the suites of a lane one after the other. Returns when all have ended.
pub fn run(lanes: Vec<Vec<Suite>>, each: impl FnMut(News)) {
    let (teller, news) = mpsc::channel();
    std::thread::scope(|scope| {
        for lane in lanes {
            let teller = teller.clone();
            let tell = move |news| {
                let told = teller.send(news);
                told.expect("the receiver stays until all have ended");
            };
            scope.spawn(move || {
                for suite in lane {
                    tell(News::Begun(suite.name.clone()));
                    tell(News::Ended(suite.run()));
                }
            });
        }
        // It ends with the last lane.
        drop(teller);
        news.into_iter().for_each(each);
    });
}

/// Runs a command, prints the lines of its output that are wanted, and returns whether it succeeded.
pub fn print_lines(command: &mut Command, mut is_wanted: impl FnMut(&str) -> bool) -> Result<bool> {
    let (mut child, output) = spawn(command)?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if is_wanted(&line) {
            println!("{line}");
        }
    }
    Ok(child.wait()?.success())
}

/// Starts a command. Returns it with all of its output.
fn spawn(command: &mut Command) -> Result<(Child, PipeReader)> {
    // One pipe for both streams: the name of the test program comes on one, the names of its tests on the other.
    let (output, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn().context("it cannot be started")?;
    // The command holds the write end of the pipe; the output ends when the last process with it ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((child, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(name: &str, script: &str) -> Suite {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Suite::new(name, command)
    }

    fn ended(lanes: Vec<Vec<Suite>>) -> Vec<EndedSuite> {
        let mut all = Vec::new();
        run(lanes, |news| match news {
            News::Begun(_) => {}
            News::Ended(suite) => all.push(suite),
        });
        all
    }

    #[test]
    fn a_suite_that_has_ended_has_its_output() {
        let ended = ended(vec![vec![suite("both", "echo one; echo two >&2; exit 1")]]);
        let [suite] = ended.as_slice() else {
            panic!("{ended:?}")
        };
        assert_eq!(suite.lines, ["one", "two"]);
        assert!(!suite.is_good);
    }

    #[test]
    fn a_suite_that_cannot_start_has_failed_and_the_next_one_runs() {
        let none = Suite::new("none", Command::new("/nothing/is/here"));
        let ended = ended(vec![vec![none, suite("next", "true")]]);
        let results: Vec<_> = ended
            .iter()
            .map(|suite| (suite.name.as_str(), suite.is_good))
            .collect();
        assert_eq!(results, [("none", false), ("next", true)]);
        assert!(ended[0].lines[0].contains("cannot be started"), "{ended:?}");
    }

    /// One waits for the other, and that one's successor for it.
    #[test]
    fn lanes_run_side_by_side_and_their_suites_one_after_the_other() {
        let folder = std::env::temp_dir().join(format!("foxden-lanes-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let at = folder.display();
        let first = suite("first", &format!("until test -e {at}/other; do sleep 0.01; done"));
        let second = suite("second", &format!("touch {at}/second"));
        let other = format!("touch {at}/other; until test -e {at}/second; do sleep 0.01; done");
        let ended = ended(vec![vec![first, second], vec![suite("other", &other)]]);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            ended.len() == 3 && ended.iter().all(|suite| suite.is_good),
            "{ended:?}"
        );
        assert_eq!(ended[0].name, "first");
    }
}
