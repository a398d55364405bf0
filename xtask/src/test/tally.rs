//! Counts what `cargo test` says.

use std::collections::BTreeMap;

/// What became of every test so far. A test run again in a later stage counts once, by its last outcome.
#[derive(Debug, Default)]
pub struct Tally {
    outcomes: BTreeMap<String, Outcome>,
    program: String,
    has_failed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped { reason: String },
}

impl Tally {
    /// Takes in one line of the output.
    pub fn read(&mut self, line: &str) {
        let line = line.trim();
        // Names repeat between test programs, so the program's is put before them.
        if let Some(program) = line
            .strip_prefix("Running ")
            .or_else(|| line.strip_prefix("Doc-tests "))
        {
            let (program, _) = program.split_once(" (").unwrap_or((program, ""));
            self.program = format!("{program} ");
            return;
        }
        if line.starts_with("test result:") {
            self.has_failed |= !line.starts_with("test result: ok");
            return;
        }
        let Some((name, said)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        else {
            return;
        };
        let outcome = match said.split_once(", ").unwrap_or((said, "")) {
            ("ok", _) => Outcome::Passed,
            ("ignored", reason) => Outcome::Skipped {
                reason: reason.to_owned(),
            },
            _ if said.starts_with("FAILED") || said.starts_with("failed") => Outcome::Failed,
            _ => return,
        };
        let name = name.trim_end_matches(" - should panic");
        self.take(format!("{}{name}", self.program), outcome);
    }

    /// Counts one check that is not a test of cargo's.
    pub fn check(&mut self, name: &str, is_good: bool) {
        self.take(
            name.to_owned(),
            if is_good { Outcome::Passed } else { Outcome::Failed },
        );
    }

    /// Notes how a stage ended. One that failed without a failed test did not build or was killed.
    pub fn stage_ended(&mut self, name: &str, is_good: bool) {
        let has_failures = self.outcomes.values().any(|outcome| *outcome == Outcome::Failed);
        if !is_good && !has_failures {
            self.take(format!("{name}: ended before its tests did"), Outcome::Failed);
        }
        self.has_failed |= !is_good;
    }

    /// Notes what was not run, and why.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.take(
            name.to_owned(),
            Outcome::Skipped {
                reason: reason.to_owned(),
            },
        );
    }

    /// Whether nothing failed.
    pub fn is_good(&self) -> bool {
        !self.has_failed && !self.outcomes.values().any(|outcome| *outcome == Outcome::Failed)
    }

    /// Names what failed and what was skipped, and closes with the counts.
    pub fn print(&self) {
        println!();
        for (name, outcome) in &self.outcomes {
            match outcome {
                Outcome::Passed => {}
                Outcome::Failed => println!("failed: {name}"),
                Outcome::Skipped { reason } => println!("skipped: {name}: {reason}"),
            }
        }
        println!("{}", self.counts());
    }

    fn counts(&self) -> String {
        let count = |is: fn(&Outcome) -> bool| self.outcomes.values().filter(|outcome| is(outcome)).count();
        let passed = count(|outcome| *outcome == Outcome::Passed);
        let failed = count(|outcome| *outcome == Outcome::Failed);
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }

    fn take(&mut self, name: String, outcome: Outcome) {
        // Two packages may have a program of the same path; a failure must not hide behind a success.
        let slot = self.outcomes.entry(name).or_insert(Outcome::Passed);
        if *slot != Outcome::Failed {
            *slot = outcome;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn counts_each_test_once_by_its_last_outcome() {
        let mut tally = tally_of(
            "     Running unittests src/lib.rs (target/debug/deps/a-1)\n\
             test time::tests::one ... ok\n\
             test time::tests::two ... ignored, needs Firefox\n\
             test result: ok. 1 passed; 0 failed; 1 ignored\n\
             Running tests/process.rs (target/debug/deps/process-2)\n\
             test time::tests::one ... ok\n",
        );
        assert_eq!(tally.counts(), "2 passed, 0 failed, 1 skipped");
        tally.read("Running unittests src/lib.rs (target/debug/deps/a-1)");
        tally.read("test time::tests::two ... ok");
        assert_eq!(tally.counts(), "3 passed, 0 failed, 0 skipped");
        assert!(tally.is_good());
    }

    #[test]
    fn a_failure_stays() {
        let mut tally =
            tally_of("test a ... FAILED\ntest result: FAILED. 0 passed; 1 failed\ntest a ... ok\n");
        tally.stage_ended("first", false);
        assert_eq!(tally.counts(), "0 passed, 1 failed, 0 skipped");
        assert!(!tally.is_good());
    }

    #[test]
    fn a_stage_that_did_not_build_is_a_failure() {
        let mut tally = Tally::default();
        tally.stage_ended("first", false);
        assert_eq!(tally.counts(), "0 passed, 1 failed, 0 skipped");
    }
}
