//! Counts the results of `cargo test`.

use std::collections::BTreeMap;

/// The results of all tests so far. A test that runs in several stages counts once: as failed if it failed, and as skipped if no stage
/// ran it. A stage that has a setting of its own is counted apart.
#[derive(Debug, Default)]
pub struct Tally {
    results: BTreeMap<String, TestResult>,
    /// What the stage that is read runs its tests with, and the program whose tests come.
    setting: String,
    program: String,
    has_failed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum TestResult {
    Passed,
    Failed,
    Skipped { reason: String },
}

impl Tally {
    /// Says that the lines to come are of another stage. With a setting, its tests count beside those of the same name;
    /// without one (empty), they are those of other stages.
    pub fn begin(&mut self, setting: &str) {
        self.setting = match setting {
            "" => String::new(),
            setting => format!("{setting}: "),
        };
        self.program.clear();
    }

    /// Reads one line of the output.
    pub fn read(&mut self, line: &str) {
        let line = line.trim();
        // Test names repeat between programs, and paths of programs between packages, so the name of the program's file,
        // which repeats nowhere, is put before them.
        if let Some(program) = line
            .strip_prefix("Running ")
            .or_else(|| line.strip_prefix("Doc-tests "))
        {
            let (path, file) = program.split_once(" (").unwrap_or((program, ""));
            let file = file.trim_end_matches(')');
            let (_, file) = file.rsplit_once('/').unwrap_or(("", file));
            self.program = format!("{path} {file} ");
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
        let result = match said.split_once(", ").unwrap_or((said, "")) {
            ("ok", _) => TestResult::Passed,
            ("ignored", reason) => TestResult::Skipped {
                reason: reason.to_owned(),
            },
            _ if said.starts_with("FAILED") || said.starts_with("failed") => TestResult::Failed,
            _ => return,
        };
        let name = name.trim_end_matches(" - should panic");
        self.take(format!("{}{}{name}", self.setting, self.program), result);
    }

    /// Counts a check that is not a test of cargo.
    pub fn check(&mut self, name: &str, is_good: bool) {
        self.take(
            name.to_owned(),
            if is_good {
                TestResult::Passed
            } else {
                TestResult::Failed
            },
        );
    }

    /// Notes the result of the stage that began last. A stage that failed without a failed test did not build or was
    /// killed.
    pub fn stage_ended(&mut self, name: &str, is_good: bool) {
        let has_failures = self.results.values().any(|result| *result == TestResult::Failed);
        if !is_good && !has_failures {
            self.take(format!("{name}: ended before its tests did"), TestResult::Failed);
        }
        self.has_failed |= !is_good;
    }

    /// Notes a skipped check and the reason.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.take(
            name.to_owned(),
            TestResult::Skipped {
                reason: reason.to_owned(),
            },
        );
    }

    /// Returns whether nothing failed.
    pub fn is_good(&self) -> bool {
        !self.has_failed && !self.results.values().any(|result| *result == TestResult::Failed)
    }

    /// Prints failed and skipped tests, and the counts.
    pub fn print(&self) {
        println!();
        for (name, result) in &self.results {
            match result {
                TestResult::Passed => {}
                TestResult::Failed => println!("failed: {name}"),
                TestResult::Skipped { reason } => println!("skipped: {name}: {reason}"),
            }
        }
        println!("{}", self.counts());
    }

    fn counts(&self) -> String {
        let count = |is: fn(&TestResult) -> bool| self.results.values().filter(|result| is(result)).count();
        let passed = count(|result| *result == TestResult::Passed);
        let failed = count(|result| *result == TestResult::Failed);
        let skipped = count(|result| matches!(result, TestResult::Skipped { .. }));
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }

    fn take(&mut self, name: String, result: TestResult) {
        // A test may run again. A success must not hide a failure, and a suite that leaves a test out hides nothing: suites end in any order.
        let before = self.results.get(&name);
        let stays = match before {
            None | Some(TestResult::Skipped { .. }) => false,
            Some(TestResult::Passed) => result != TestResult::Failed,
            Some(TestResult::Failed) => true,
        };
        if !stays {
            self.results.insert(name, result);
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
    fn counts_each_test_once_however_stages_end() {
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
        tally.read("test time::tests::two ... ignored, needs Firefox");
        assert_eq!(tally.counts(), "3 passed, 0 failed, 0 skipped");
        assert!(tally.is_good());
    }

    #[test]
    fn a_setting_of_its_own_has_counts_of_its_own() {
        let of_rules =
            "Running tests/rules/main.rs (target/debug/deps/rules-1)\ntest a ... ok\ntest b ... ok\n";
        let mut tally = tally_of(of_rules);
        tally.begin("PostgreSQL");
        of_rules.lines().for_each(|line| tally.read(line));
        assert_eq!(tally.counts(), "4 passed, 0 failed, 0 skipped");
        tally.begin("MariaDB");
        tally.read("Running tests/rules/main.rs (target/debug/deps/rules-1)");
        tally.read("test a ... ignored, no server");
        tally.begin("");
        of_rules.lines().for_each(|line| tally.read(line));
        assert_eq!(tally.counts(), "4 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn programs_with_the_same_path_are_told_apart() {
        let tally = tally_of(
            "Running unittests src/lib.rs (target/debug/deps/a-1)\n\
             test tests::one ... ignored\n\
             Running unittests src/lib.rs (target/debug/deps/b-2)\n\
             test tests::one ... ok\n",
        );
        assert_eq!(tally.counts(), "1 passed, 0 failed, 1 skipped");
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
