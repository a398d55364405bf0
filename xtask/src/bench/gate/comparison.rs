//! Compares what operations cost with what is recorded.

use std::fmt::Write;

use super::record::{Cost, Line, Measured, Record};

/// The largest growth without a reason.
const MOST_GROWTH: f64 = 1.03;
/// The largest growth over what was counted with other tools, which make a part of it.
const MOST_GROWTH_BY_TOOLS: f64 = 1.15;
/// From which growth or shrinkage on an accepted change is recorded.
const WORTH_A_LINE: f64 = 1.01;
/// A smaller difference is none, for any operation.
const LEAST_ALLOCATIONS: f64 = 0.5;
/// The result of a test that fails.
const FAILED: &str = "FAILED";

/// What the comparison of an operation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It costs what is recorded.
    Kept,
    /// It costs more than is allowed.
    Grown,
    /// It costs so much less that what is recorded no longer guards it.
    Shrunk,
    /// Nothing is recorded.
    Unrecorded,
    /// It is recorded, and was not measured.
    Unmeasured,
    /// What is recorded was counted with other tools.
    OtherTools,
    /// It costs more than other tools explain.
    GrownBeyondTools,
}

/// An operation, what it costs, and what is recorded.
#[derive(Debug)]
pub struct Comparison<'a> {
    pub operation: &'a str,
    pub measured: Option<&'a Measured>,
    pub recorded: Option<&'a Line>,
    pub outcome: Outcome,
}

/// Compares the cost of each operation with the line that holds: the last one with these tools, else the last one with others.
pub fn compare<'a>(measured: &'a [Measured], record: &'a Record, tools: &str) -> Vec<Comparison<'a>> {
    let compare = |measured: &'a Measured| {
        let recorded = record.latest(&measured.operation, tools);
        let outcome = match recorded {
            None => Outcome::Unrecorded,
            Some(line) if line.tools != tools => measured.outcome_with_other_tools(line.cost),
            Some(line) => measured.outcome(line.cost),
        };
        Comparison {
            operation: &measured.operation,
            measured: Some(measured),
            recorded,
            outcome,
        }
    };
    let is_unmeasured = |operation: &&str| measured.iter().all(|measured| measured.operation != *operation);
    let unmeasured = record.operations().into_iter().filter(is_unmeasured);
    let unmeasured = unmeasured.map(|operation| Comparison {
        operation,
        measured: None,
        recorded: record.latest(operation, tools),
        outcome: Outcome::Unmeasured,
    });
    measured.iter().map(compare).chain(unmeasured).collect()
}

impl Measured {
    fn outcome(&self, recorded: Cost) -> Outcome {
        if self.is_more_than(recorded, MOST_GROWTH) {
            Outcome::Grown
        } else if self.is_less_than(recorded, MOST_GROWTH) {
            Outcome::Shrunk
        } else {
            Outcome::Kept
        }
    }

    fn outcome_with_other_tools(&self, recorded: Cost) -> Outcome {
        if self.is_more_than(recorded, MOST_GROWTH_BY_TOOLS) {
            Outcome::GrownBeyondTools
        } else {
            Outcome::OtherTools
        }
    }

    /// Whether either count is more than `factor` times the other cost's.
    fn is_more_than(&self, other: Cost, factor: f64) -> bool {
        self.is_more(self.cost, other, factor)
    }

    fn is_less_than(&self, other: Cost, factor: f64) -> bool {
        self.is_more(other, self.cost, factor)
    }

    fn is_more(&self, one: Cost, other: Cost, factor: f64) -> bool {
        let least = self.least_allocations.max(LEAST_ALLOCATIONS);
        let allocates_more =
            one.allocations > other.allocations * factor && one.allocations - other.allocations >= least;
        one.instructions > other.instructions * factor || allocates_more
    }
}

impl Comparison<'_> {
    /// Whether the gate is closed.
    pub fn fails(&self) -> bool {
        self.test_result() == FAILED
    }

    /// What it costs now, if that is recorded when changes are accepted.
    pub fn worth_a_line(&self) -> Option<Cost> {
        let measured = self.measured?;
        let is_worth_it = match (self.outcome, self.recorded) {
            (Outcome::Unrecorded | Outcome::OtherTools | Outcome::GrownBeyondTools, _) | (_, None) => true,
            (_, Some(line)) => {
                measured.is_more_than(line.cost, WORTH_A_LINE)
                    || measured.is_less_than(line.cost, WORTH_A_LINE)
            }
        };
        is_worth_it.then_some(measured.cost)
    }

    /// Its result, as that of a test.
    pub fn as_test(&self) -> String {
        format!("test gate: {} ... {}", self.operation, self.test_result())
    }

    fn test_result(&self) -> &'static str {
        match self.outcome {
            Outcome::Kept => "ok",
            Outcome::Grown
            | Outcome::Shrunk
            | Outcome::Unrecorded
            | Outcome::Unmeasured
            | Outcome::GrownBeyondTools => FAILED,
            Outcome::OtherTools => "ignored, recorded with other tools: record it anew",
        }
    }
}

/// All comparisons, for people.
pub fn table(comparisons: &[Comparison<'_>]) -> String {
    let mut text = format!(
        "\n{:<36}{:>32}{:>28}\n{:<36}{:>12}{:>12}{:>8}{:>10}{:>10}{:>8}\n",
        "",
        "instructions",
        "allocations",
        "one request",
        "recorded",
        "now",
        "ratio",
        "recorded",
        "now",
        "ratio"
    );
    for comparison in comparisons {
        let outcome = match comparison.outcome {
            Outcome::Kept => "ok",
            Outcome::Grown => "TOO MUCH",
            Outcome::Shrunk => "LESS: record it",
            Outcome::Unrecorded => "NOT RECORDED",
            Outcome::Unmeasured => "NOT MEASURED",
            Outcome::OtherTools => "NOT CHECKED: other tools",
            Outcome::GrownBeyondTools => "TOO MUCH, even for other tools",
        };
        let recorded = comparison.recorded.map(|line| line.cost);
        let now = comparison.measured.map(|measured| measured.cost);
        let instructions = columns(recorded, now, |cost| cost.instructions, 12, 0);
        let allocations = columns(recorded, now, |cost| cost.allocations, 10, 1);
        // A text takes any line.
        let _ = writeln!(
            text,
            "{:<36}{instructions}{allocations}  {outcome}",
            comparison.operation
        );
    }
    text
}

/// What is recorded, what is now, and the ratio.
fn columns(
    recorded: Option<Cost>,
    now: Option<Cost>,
    count: fn(Cost) -> f64,
    width: usize,
    digits: usize,
) -> String {
    let [recorded, now] = [recorded, now].map(|cost| cost.map(count));
    let column = |count: Option<f64>, digits: usize| {
        count.map_or_else(|| "–".to_owned(), |count| format!("{count:.digits$}"))
    };
    let ratio = recorded.zip(now).map(|(recorded, now)| now / recorded);
    let (recorded, now) = (column(recorded, digits), column(now, digits));
    format!("{recorded:>width$}{now:>width$}{:>8}", column(ratio, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOLS: &str = "rustc 1";

    fn cost(instructions: f64, allocations: f64) -> Cost {
        Cost {
            instructions,
            allocations,
        }
    }

    fn measured(cost: Cost) -> Measured {
        Measured {
            operation: "PUT".to_owned(),
            cost,
            least_allocations: 0.2,
        }
    }

    fn record(cost: Cost) -> Record {
        Record::parse(&line(cost, TOOLS)).unwrap()
    }

    fn line(cost: Cost, tools: &str) -> String {
        let line = Line {
            date: "2026-01-01".to_owned(),
            operation: "PUT".to_owned(),
            cost,
            tools: tools.to_owned(),
            why: "a test".to_owned(),
        };
        line.to_string()
    }

    fn outcome_of(now: Cost, record: &Record, tools: &str) -> (Outcome, bool) {
        let measured = [measured(now)];
        let comparisons = compare(&measured, record, tools);
        (comparisons[0].outcome, comparisons[0].fails())
    }

    #[test]
    fn growth_and_gain_beyond_three_percent_fail() {
        let record = record(cost(100_000.0, 100.0));
        let check = |now| outcome_of(now, &record, TOOLS);
        assert_eq!(check(cost(103_000.0, 103.0)), (Outcome::Kept, false));
        assert_eq!(check(cost(103_100.0, 100.0)), (Outcome::Grown, true));
        assert_eq!(check(cost(100_000.0, 104.0)), (Outcome::Grown, true));
        // Less of one does not pay for more of the other.
        assert_eq!(check(cost(50_000.0, 104.0)), (Outcome::Grown, true));
        assert_eq!(check(cost(97_500.0, 97.5)), (Outcome::Kept, false));
        assert_eq!(check(cost(96_000.0, 100.0)), (Outcome::Shrunk, true));
        assert_eq!(check(cost(100_000.0, 90.0)), (Outcome::Shrunk, true));
    }

    #[test]
    fn a_part_of_an_allocation_is_none() {
        let record = record(cost(100_000.0, 2.0));
        assert_eq!(outcome_of(cost(100_000.0, 2.4), &record, TOOLS).0, Outcome::Kept);
        assert_eq!(outcome_of(cost(100_000.0, 1.6), &record, TOOLS).0, Outcome::Kept);
        assert_eq!(outcome_of(cost(100_000.0, 3.0), &record, TOOLS).0, Outcome::Grown);
    }

    #[test]
    fn what_the_server_does_by_itself_is_no_growth() {
        let record = record(cost(100_000.0, 40.0));
        let compared = |least_allocations| {
            let measured = [Measured {
                least_allocations,
                ..measured(cost(100_000.0, 43.0))
            }];
            compare(&measured, &record, TOOLS)[0].outcome
        };
        assert_eq!(compared(4.0), Outcome::Kept);
        assert_eq!(compared(2.0), Outcome::Grown);
    }

    #[test]
    fn a_line_in_the_record_lets_a_growth_pass() {
        let first = record(cost(100_000.0, 100.0));
        let now = cost(120_000.0, 100.0);
        assert_eq!(outcome_of(now, &first, TOOLS), (Outcome::Grown, true));

        let measured = [measured(now)];
        let comparisons = compare(&measured, &first, TOOLS);
        assert_eq!(comparisons[0].worth_a_line(), Some(now));

        assert_eq!(outcome_of(now, &record(now), TOOLS), (Outcome::Kept, false));
    }

    #[test]
    fn what_has_no_record_fails() {
        let (outcome, fails) = outcome_of(cost(1.0, 1.0), &Record::default(), TOOLS);
        assert_eq!((outcome, fails), (Outcome::Unrecorded, true));
    }

    #[test]
    fn what_is_recorded_and_not_measured_fails() {
        let record = record(cost(100_000.0, 100.0));
        for tools in [TOOLS, "rustc 2"] {
            let comparisons = compare(&[], &record, tools);
            let [comparison] = comparisons.as_slice() else {
                panic!("{comparisons:?}")
            };
            assert_eq!(comparison.outcome, Outcome::Unmeasured);
            assert!(comparison.fails() && comparison.worth_a_line().is_none());
            assert_eq!(comparison.as_test(), "test gate: PUT ... FAILED");
            assert!(table(&comparisons).contains("NOT MEASURED"));
        }
    }

    #[test]
    fn a_growth_that_other_tools_may_explain_is_skipped() {
        let record = record(cost(100_000.0, 100.0));
        let measured = [measured(cost(114_000.0, 100.0))];
        let comparisons = compare(&measured, &record, "rustc 2");
        let [comparison] = comparisons.as_slice() else {
            panic!("{comparisons:?}")
        };
        assert!(!comparison.fails() && comparison.worth_a_line().is_some());
        assert!(comparison.as_test().contains("... ignored, "));
    }

    #[test]
    fn a_growth_beyond_that_fails() {
        let record = record(cost(100_000.0, 100.0));
        for now in [cost(116_000.0, 100.0), cost(100_000.0, 116.0)] {
            let failed = (Outcome::GrownBeyondTools, true);
            assert_eq!(outcome_of(now, &record, "rustc 2"), failed);
        }
        let gain = outcome_of(cost(50_000.0, 50.0), &record, "rustc 2");
        assert_eq!(gain, (Outcome::OtherTools, false));
    }

    #[test]
    fn each_environment_is_compared_with_its_own_line() {
        let (ours, theirs) = (cost(100_000.0, 100.0), cost(110_000.0, 100.0));
        let text = [line(ours, TOOLS), line(theirs, "rustc 2")].join("\n");
        let record = Record::parse(&text).unwrap();
        assert_eq!(outcome_of(ours, &record, TOOLS), (Outcome::Kept, false));
        assert_eq!(outcome_of(theirs, &record, TOOLS), (Outcome::Grown, true));
        assert_eq!(outcome_of(theirs, &record, "rustc 2"), (Outcome::Kept, false));
        assert_eq!(outcome_of(ours, &record, "rustc 3").0, Outcome::OtherTools);
    }

    #[test]
    fn a_small_change_is_not_recorded() {
        let record = record(cost(100_000.0, 100.0));
        let is_worth_a_line = |now| {
            let measured = [measured(now)];
            compare(&measured, &record, TOOLS)[0].worth_a_line().is_some()
        };
        assert!(!is_worth_a_line(cost(100_900.0, 100.0)));
        assert!(!is_worth_a_line(cost(99_500.0, 99.6)));
        assert!(is_worth_a_line(cost(102_000.0, 100.0)));
        assert!(is_worth_a_line(cost(98_000.0, 100.0)));
    }
}
