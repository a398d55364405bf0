//! Compares what operations cost with what is recorded.

use std::fmt::Write;

use super::record::{Cost, Line, Measured, Record};

/// The largest growth without a reason.
const MOST_GROWTH: f64 = 1.03;
/// From which growth or shrinkage on an accepted change is recorded.
const WORTH_A_LINE: f64 = 1.01;
/// A smaller difference is none, for any operation.
const LEAST_ALLOCATIONS: f64 = 0.5;

/// What the comparison of an operation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It costs what is recorded.
    Kept,
    /// It costs more than is allowed.
    Grown,
    /// It costs so much less that it should be recorded.
    Shrunk,
    /// Nothing is recorded.
    Unrecorded,
    /// What is recorded was counted with other tools.
    OtherTools,
}

/// An operation, what it costs, and what is recorded.
#[derive(Debug)]
pub struct Comparison<'a> {
    pub measured: &'a Measured,
    pub recorded: Option<&'a Line>,
    pub outcome: Outcome,
}

/// Compares the cost of each operation with the line that holds.
pub fn compare<'a>(measured: &'a [Measured], record: &'a Record, tools: &str) -> Vec<Comparison<'a>> {
    let compare = |measured: &'a Measured| {
        let recorded = record.latest(&measured.operation);
        let outcome = match recorded {
            None => Outcome::Unrecorded,
            Some(line) if line.tools != tools => Outcome::OtherTools,
            Some(line) if measured.is_more_than(line.cost, MOST_GROWTH) => Outcome::Grown,
            Some(line) if measured.is_less_than(line.cost, MOST_GROWTH) => Outcome::Shrunk,
            Some(_) => Outcome::Kept,
        };
        Comparison {
            measured,
            recorded,
            outcome,
        }
    };
    measured.iter().map(compare).collect()
}

impl Measured {
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
        match self.outcome {
            Outcome::Grown | Outcome::Unrecorded => true,
            Outcome::Kept | Outcome::Shrunk | Outcome::OtherTools => false,
        }
    }

    /// Whether what it costs now is recorded when changes are accepted.
    pub fn is_worth_a_line(&self) -> bool {
        match (self.outcome, self.recorded) {
            (Outcome::Unrecorded | Outcome::OtherTools, _) | (_, None) => true,
            (_, Some(line)) => {
                self.measured.is_more_than(line.cost, WORTH_A_LINE)
                    || self.measured.is_less_than(line.cost, WORTH_A_LINE)
            }
        }
    }

    /// Its result, as that of a test.
    pub fn as_test(&self) -> String {
        let result = match self.outcome {
            Outcome::Kept | Outcome::Shrunk => "ok",
            Outcome::Grown | Outcome::Unrecorded => "FAILED",
            Outcome::OtherTools => "ignored, recorded with other tools: record it anew",
        };
        format!("test gate: {} ... {result}", self.measured.operation)
    }
}

/// All comparisons, for people.
pub fn table(comparisons: &[Comparison<'_>]) -> String {
    let mut text = format!(
        "\n{:<28}{:>32}{:>28}\n{:<28}{:>12}{:>12}{:>8}{:>10}{:>10}{:>8}\n",
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
        let Comparison {
            measured: Measured {
                operation, cost: now, ..
            },
            recorded,
            outcome,
        } = comparison;
        let outcome = match outcome {
            Outcome::Kept => "ok",
            Outcome::Grown => "TOO MUCH",
            Outcome::Shrunk => "less: record it",
            Outcome::Unrecorded => "NOT RECORDED",
            Outcome::OtherTools => "NOT CHECKED: other tools",
        };
        let [instructions, allocations] = match recorded {
            Some(Line { cost, .. }) => [
                columns(cost.instructions, now.instructions, 12, 0),
                columns(cost.allocations, now.allocations, 10, 1),
            ],
            None => [
                format!("{:>12}{:>12.0}{:>8}", "–", now.instructions, "–"),
                format!("{:>10}{:>10.1}{:>8}", "–", now.allocations, "–"),
            ],
        };
        // A text takes any line.
        let _ = writeln!(text, "{operation:<28}{instructions}{allocations}  {outcome}");
    }
    text
}

/// What is recorded, what is now, and the ratio.
fn columns(recorded: f64, now: f64, width: usize, digits: usize) -> String {
    let ratio = if recorded > 0.0 { now / recorded } else { 1.0 };
    format!("{recorded:>width$.digits$}{now:>width$.digits$}{ratio:>8.3}")
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
        let line = Line {
            date: "2026-01-01".to_owned(),
            operation: "PUT".to_owned(),
            cost,
            tools: TOOLS.to_owned(),
            why: "a test".to_owned(),
        };
        Record::parse(&line.to_string()).unwrap()
    }

    fn outcome_of(now: Cost, record: &Record, tools: &str) -> (Outcome, bool) {
        let measured = [measured(now)];
        let comparisons = compare(&measured, record, tools);
        (comparisons[0].outcome, comparisons[0].fails())
    }

    #[test]
    fn growth_beyond_three_percent_fails() {
        let record = record(cost(100_000.0, 100.0));
        let check = |now| outcome_of(now, &record, TOOLS);
        assert_eq!(check(cost(103_000.0, 103.0)), (Outcome::Kept, false));
        assert_eq!(check(cost(103_100.0, 100.0)), (Outcome::Grown, true));
        assert_eq!(check(cost(100_000.0, 104.0)), (Outcome::Grown, true));
        // Less of one does not pay for more of the other.
        assert_eq!(check(cost(50_000.0, 104.0)), (Outcome::Grown, true));
        assert_eq!(check(cost(96_000.0, 100.0)), (Outcome::Shrunk, false));
        assert_eq!(check(cost(100_000.0, 90.0)), (Outcome::Shrunk, false));
    }

    #[test]
    fn a_part_of_an_allocation_is_none() {
        let record = record(cost(100_000.0, 2.0));
        assert_eq!(outcome_of(cost(100_000.0, 2.4), &record, TOOLS).0, Outcome::Kept);
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
        assert!(comparisons[0].is_worth_a_line());

        assert_eq!(outcome_of(now, &record(now), TOOLS), (Outcome::Kept, false));
    }

    #[test]
    fn what_has_no_record_fails() {
        let (outcome, fails) = outcome_of(cost(1.0, 1.0), &Record::default(), TOOLS);
        assert_eq!((outcome, fails), (Outcome::Unrecorded, true));
    }

    #[test]
    fn other_tools_are_no_growth_and_are_skipped() {
        let record = record(cost(100_000.0, 100.0));
        let measured = [measured(cost(100_000.0, 100.0))];
        let comparisons = compare(&measured, &record, "rustc 2");
        let [comparison] = comparisons.as_slice() else {
            panic!("{comparisons:?}")
        };
        assert!(!comparison.fails() && comparison.is_worth_a_line());
        assert!(comparison.as_test().contains("... ignored, "));
    }

    #[test]
    fn a_small_change_is_not_recorded() {
        let record = record(cost(100_000.0, 100.0));
        let is_worth_a_line = |now| {
            let measured = [measured(now)];
            compare(&measured, &record, TOOLS)[0].is_worth_a_line()
        };
        assert!(!is_worth_a_line(cost(100_900.0, 100.0)));
        assert!(!is_worth_a_line(cost(99_500.0, 99.6)));
        assert!(is_worth_a_line(cost(102_000.0, 100.0)));
        assert!(is_worth_a_line(cost(98_000.0, 100.0)));
    }
}
